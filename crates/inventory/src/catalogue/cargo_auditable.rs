//! Crates that `cargo auditable` wrote into an executable.

use super::{Catalogued, Cataloguer, executable};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;
use serde::Deserialize;
use std::io::Read;

/// The section `.dep-v0`: JSON, packed by zlib.
pub struct CargoAuditable;

/// Unpacked, as cargo-auditable bounds it itself.
const MOST: u64 = 8 << 20;

#[derive(Deserialize)]
struct Info {
    packages: Vec<Built>,
}

#[derive(Deserialize)]
struct Built {
    name: String,
    version: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    kind: String,
}

impl Cataloguer for CargoAuditable {
    fn name(&self) -> &'static str {
        "cargo-auditable"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        executable::wanted(file)
    }

    /// Distributions build with what they find, and few tell what that was: it is told.
    fn yields(&self) -> bool {
        false
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let Some(object) = executable::parse(&file.bytes)? else {
            return Ok(());
        };
        let Some(packed) = executable::section(&object, ".dep-v0")? else {
            return Ok(());
        };
        for one in unpack(packed)? {
            // What built it is not in it; what is local has no advisories.
            if one.kind == "build" || one.source == "local" {
                continue;
            }
            let version = Some(one.version.as_str());
            out.package(
                file,
                EcosystemKind::CratesIo,
                None,
                &one.name,
                version,
                Vec::new(),
            );
        }
        Ok(())
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<Built>, String> {
    let mut json = Vec::new();
    flate2::read::ZlibDecoder::new(packed)
        .take(MOST + 1)
        .read_to_end(&mut json)
        .map_err(|e| format!(".dep-v0 cannot be unpacked: {e}"))?;
    if json.len() as u64 > MOST {
        return Err(format!(".dep-v0 is larger than {} MiB", MOST >> 20));
    }
    let info: Info = serde_json::from_slice(&json)
        .map_err(|e| format!(".dep-v0 is not what it should be: {e}"))?;
    Ok(info.packages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;
    use std::io::Write;

    /// An ELF file of one section.
    pub(crate) fn elf(name: &str, data: &[u8]) -> Vec<u8> {
        let mut names = vec![0];
        names.extend(b".shstrtab\0");
        let at = names.len() as u32;
        names.extend(name.as_bytes());
        names.push(0);
        let data_at = 64u64;
        let names_at = data_at + data.len() as u64;
        let table_at = (names_at + names.len() as u64).next_multiple_of(8);
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(16, 0);
        for half in [3u16, 62] {
            out.extend(half.to_le_bytes());
        }
        out.extend(1u32.to_le_bytes());
        for long in [0u64, 0, table_at] {
            out.extend(long.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for half in [64u16, 0, 0, 64, 3, 1] {
            out.extend(half.to_le_bytes());
        }
        out.extend(data);
        out.extend(&names);
        out.resize(table_at as usize, 0);
        for (name, kind, offset, size) in [
            (0u32, 0u32, 0u64, 0u64),
            (1, 3, names_at, names.len() as u64),
            (at, 1, data_at, data.len() as u64),
        ] {
            out.extend(name.to_le_bytes());
            out.extend(kind.to_le_bytes());
            for long in [0, 0, offset, size] {
                out.extend(long.to_le_bytes());
            }
            out.extend([0; 8]);
            for long in [1u64, 0] {
                out.extend(long.to_le_bytes());
            }
        }
        out.resize(out.len().max(512), 0);
        out
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut zip = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zip.write_all(text).unwrap();
        zip.finish().unwrap()
    }

    #[test]
    fn what_was_built_in_is_told() {
        let json = br#"{"packages":[
            {"name":"app","version":"0.1.0","source":"local","dependencies":[1],"root":true},
            {"name":"serde","version":"1.0.200","source":"crates.io"},
            {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}"#;
        let (purls, unread) = told(&CargoAuditable, "bin/app.so", elf(".dep-v0", &packed(json)));
        assert_eq!(purls, ["pkg:cargo/serde@1.0.200"]);
        assert!(unread.is_empty(), "{unread:?}");
    }

    #[test]
    fn bombs_and_broken_sections_are_unread() {
        for (data, why) in [
            (packed(&vec![b' '; 9 << 20]), "larger"),
            (b"not zlib".to_vec(), "unpacked"),
            (packed(b"{}"), "not what it should be"),
        ] {
            let (purls, unread) = told(&CargoAuditable, "app.so", elf(".dep-v0", &data));
            assert!(purls.is_empty());
            assert!(unread[0].contains(why), "{unread:?}");
        }
        let (_, unread) = told(
            &CargoAuditable,
            "app.so",
            [&b"\x7fELF"[..], &[7; 600]].concat(),
        );
        assert_eq!(unread.len(), 1);
        // A section that lies beyond the file's end.
        let mut cut = elf(".dep-v0", &packed(b"{}"));
        let table = u64::from_le_bytes(cut[40..48].try_into().unwrap()) as usize;
        cut[table + 2 * 64 + 24..table + 2 * 64 + 32].copy_from_slice(&(1u64 << 30).to_le_bytes());
        let (_, unread) = told(&CargoAuditable, "app.so", &cut);
        assert!(unread[0].contains(".dep-v0 is broken"), "{unread:?}");
        let (_, unread) = told(&CargoAuditable, "run.so", vec![b'#'; 600]);
        assert!(unread.is_empty());
    }
}
