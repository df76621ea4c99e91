//! How a version is packed: its terms, a line's end, its bytes, in one zstd frame.
//!
//! Records are small and alike, so a dictionary of their field names halves them once more. The
//! dictionary is part of the format: never edit it, add another one under a new first byte.

use super::Entry;
use crate::{Result, StoreError};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// The first byte of what was packed with [`DICTIONARY`].
const FIRST: u8 = 1;
/// The most that is unpacked: a record of 16 MB and its terms.
const MAX_UNPACKED: usize = 96 << 20;
/// The fastest level: the others cost more time than they save room.
const LEVEL: i32 = 1;

const DICTIONARY: &[u8] = br#"
[[8,"npm\u001f",0],[6,"GHSA-",0],[7,"CVE-2024-",17],[5,"CVE-2023-",17]]
{"advisory":{"id":"GHSA-","aliases":["CVE-2024-"],"upstream":["CVE-2023-"],"source":"osv","published":"2024-01-01T00:00:00Z","modified":"2024-06-01T00:00:00Z","summary":"","details":"","severities":[{"vector":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N","score":93}],"cwes":["CWE-79"],"references":[{"kind":"web","url":"https://github.com/advisories/GHSA-"},{"kind":"advisory","url":"https://nvd.nist.gov/vuln/detail/CVE-"},{"kind":"package","url":"https://github.com/"}],"affected":[{"ecosystem":"Debian:12","package":"linux","ranges":[{"introduced":"0","end":{"fixed":"1.0"}},{"end":{"last-affected":"2.0"}}],"versions":["1.0.0","1.0.1"],"scheme":"semver","state":"affected","conditions":[]}]}}
[[0,"",17],[1,"linux",17],[1,"n/a",17],[2,"linux",17],[2,"n/a",17],[3,"CWE-79",17],[3,"CWE-89",17],[4,"medium",17],[4,"high",17],[4,"critical",17],[4,"low",17],[4,"unrated",17]]
{"cve":{"id":"CVE-2024-","state":"REJECTED","assigner":"mitre","reserved":"2024-01-01T00:00:00Z","published":"2024-02-01T00:00:00Z","updated":"2024-08-01T00:00:00.000Z","revised":"2024-09-01T00:00:00Z","title":"","description":"A vulnerability in the  before version  allows remote attackers to execute arbitrary code via a crafted request. Cross-site scripting (XSS), SQL injection, buffer overflow. This issue affects  from n/a through . The exploit has been disclosed to the public and may be used. In the Linux kernel, the following vulnerability has been resolved:\n\n","products":[{"by":"CISA-ADP","vendor":"Linux","product":"Linux","repository":"https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git","default_status":"unaffected","versions":[{"version":"0","status":"affected","kind":"custom","less_than":"1.0"},{"version":"1da177e4c3f4","status":"affected","kind":"git","less_than_or_equal":"6.*"},{"version":"unspecified","status":"unaffected","kind":"semver"},{"version":"n/a","status":"unknown","kind":"original_commit_for_fix"}],"cpes":["cpe:2.3:a:*:*:*:*:*:*:*:*:*:*","cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*"],"platforms":["x86","Windows"]}],"ratings":[{"by":"CISA-ADP","vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N","score":61,"stated":61},{"by":"","vector":"AV:N/AC:L/Au:N/C:P/I:P/A:P","score":75,"stated":75}],"cwes":["CWE-79"],"references":[{"kind":"vendor-advisory","url":"https://www."},{"kind":"patch","url":"https://git.kernel.org/stable/c/"},{"kind":"third-party-advisory","url":"https://vuldb.com/?ctiid."},{"kind":"exploit","url":"https://github.com/"},{"kind":"issue-tracking","url":"https://bugzilla.redhat.com/show_bug.cgi?id="}],"ssvc":{"exploitation":"none","automatable":"no","technical_impact":"partial","at":"2024-07-01T00:00:00Z"},"kev":{"added":"2024-01-01","reference":"https://www.cisa.gov/known-exploited-vulnerabilities-catalog?search_api_fulltext=CVE-"}}}
"#;

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// What tells one version from another: the first 16 bytes of its SHA-256.
pub fn digest(bytes: &[u8]) -> [u8; 16] {
    let whole = Sha256::digest(bytes);
    let mut short = [0; 16];
    short
        .iter_mut()
        .zip(whole)
        .for_each(|(to, from)| *to = from);
    short
}

fn with<T, R>(
    cell: &RefCell<Option<T>>,
    make: impl FnOnce() -> std::io::Result<T>,
    use_it: impl FnOnce(&mut T) -> std::io::Result<R>,
) -> std::io::Result<R> {
    let mut slot = cell.borrow_mut();
    if slot.is_none() {
        *slot = Some(make()?);
    }
    match slot.as_mut() {
        Some(made) => use_it(made),
        None => Err(std::io::ErrorKind::Other.into()),
    }
}

/// Packs a version.
pub(super) fn pack(terms: &[Entry], bytes: &[u8]) -> Result<Vec<u8>> {
    let mut plain = serde_json::to_vec(terms)?;
    plain.push(b'\n');
    plain.extend_from_slice(bytes);
    let packed = PACKER
        .with(|cell| {
            with(
                cell,
                || Compressor::with_dictionary(LEVEL, DICTIONARY),
                |packer| packer.compress(&plain),
            )
        })
        .map_err(|e| StoreError::Corrupt(format!("a record cannot be packed: {e}")))?;
    let mut body = Vec::with_capacity(packed.len() + 1);
    body.push(FIRST);
    body.extend_from_slice(&packed);
    Ok(body)
}

/// A version's terms and bytes; none where there is no body.
pub(super) fn unpack(body: &[u8]) -> Result<Option<(Vec<Entry>, Vec<u8>)>> {
    let bad = |why: String| StoreError::Corrupt(format!("a record's version: {why}"));
    let frame = match body.split_first() {
        None => return Ok(None),
        Some((&FIRST, frame)) => frame,
        Some((first, _)) => return Err(bad(format!("it is packed in the way {first}"))),
    };
    let size = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size <= MAX_UNPACKED)
        .ok_or_else(|| bad("it has no size, or one beyond reason".to_owned()))?;
    let mut plain = UNPACKER
        .with(|cell| {
            with(
                cell,
                || Decompressor::with_dictionary(DICTIONARY),
                |unpacker| unpacker.decompress(frame, size),
            )
        })
        .map_err(|e| bad(e.to_string()))?;
    let end = plain
        .iter()
        .position(|b| *b == b'\n')
        .ok_or_else(|| bad("it has no end of terms".to_owned()))?;
    let bytes = plain.split_off(end + 1);
    plain.truncate(end);
    Ok(Some((serde_json::from_slice(&plain)?, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let terms: Vec<Entry> = vec![(1, "a\n\"b".to_owned(), -3), (8, "npm\u{1f}x".into(), 0)];
        for bytes in [&b""[..], b"{\"cve\":{}}", &b"\n\0x".repeat(100_000)] {
            let body = pack(&terms, bytes).unwrap();
            let (back, same) = unpack(&body).unwrap().unwrap();
            assert_eq!((back, same.as_slice()), (terms.clone(), bytes));
        }
        assert!(unpack(b"").unwrap().is_none());
    }

    #[test]
    fn damage_is_an_error() {
        let body = pack(&[], &b"{\"cve\":1}".repeat(50)).unwrap();
        for end in [1, 2, body.len() / 2, body.len() - 1] {
            assert!(unpack(&body[..end]).is_err(), "cut at {end}");
        }
        let mut other = body.clone();
        other[0] = 9;
        assert!(unpack(&other).is_err());
    }
}
