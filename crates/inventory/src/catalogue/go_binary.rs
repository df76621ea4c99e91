//! Modules that the Go tool wrote into an executable, before and since Go 1.18.

use super::{Catalogued, Cataloguer, executable, go_mod};
use crate::tree::{Candidate, File};

/// Build information of Go.
pub struct GoBinary;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Header of the information, and what it is aligned to.
const HEADER: usize = 32;
const ALIGN: usize = 16;
/// How far into a segment it is looked for, where no section has its name.
const FAR: usize = 1 << 20;
/// The text of the modules.
const MOST: usize = 8 << 20;

impl Cataloguer for GoBinary {
    fn name(&self) -> &'static str {
        "go-binary"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        executable::wanted(file)
    }

    /// Distributions build with what they find, and few tell what that was: it is told.
    fn yields(&self) -> bool {
        false
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        // A broken executable is told once, by the cataloguer that comes first.
        let Ok(Some(object)) = executable::parse(&file.bytes) else {
            return Ok(());
        };
        let Some(info) = find(&object)? else {
            return Ok(());
        };
        let (go, modules) = strings(&object, info).ok_or("its build information is broken")?;
        let go = std::str::from_utf8(go).map_err(|_| "its version of Go is not UTF-8")?;
        let modules = std::str::from_utf8(modules).map_err(|_| "its modules are not UTF-8")?;
        match release(go) {
            Some(version) => go_mod::package(file, out, "stdlib", Some(&version)),
            None => out.unread(
                &file.path,
                format!("the version of Go {go:?} is not a release"),
            ),
        }
        for (module, version) in read_modules(modules) {
            go_mod::package(file, out, module, Some(version));
        }
        Ok(())
    }
}

fn find<'d>(object: &object::File<'d>) -> Result<Option<&'d [u8]>, String> {
    let within = |data: &'d [u8]| {
        let end = data.len().min(FAR);
        (0..end)
            .step_by(ALIGN)
            .filter_map(|at| data.get(at..))
            .find(|rest| rest.starts_with(MAGIC))
    };
    for name in [".go.buildinfo", "__go_buildinfo"] {
        if let Some(data) = executable::section(object, name)? {
            return Ok(within(data));
        }
    }
    let mut broken = Ok(None);
    for data in executable::segments(object) {
        match data.map(within) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(why) => broken = Err(why),
        }
    }
    broken
}

/// The version of Go, and the modules.
fn strings<'d>(object: &object::File<'d>, info: &'d [u8]) -> Option<(&'d [u8], &'d [u8])> {
    let size = usize::from(*info.get(14)?);
    let flags = *info.get(15)?;
    let (go, modules) = if flags & 2 != 0 {
        let (go, rest) = counted(info.get(HEADER..)?)?;
        (go, counted(rest)?.0)
    } else {
        let big = flags & 1 != 0;
        let string = |at: usize| {
            let address = word(info.get(at..)?, size, big)?;
            let header = executable::memory(object, address, 2 * size as u64)?;
            let data = word(header, size, big)?;
            let length = word(header.get(size..)?, size, big)?;
            if length > MOST as u64 {
                return None;
            }
            executable::memory(object, data, length)
        };
        (string(16)?, string(16 + size).unwrap_or_default())
    };
    // A sentinel stands on both sides of the modules.
    let modules = match modules.len().checked_sub(17).and_then(|at| modules.get(at)) {
        Some(b'\n') => modules.get(16..modules.len() - 16)?,
        _ => &[],
    };
    Some((go, modules))
}

/// A text behind its length as a varint.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            let rest = bytes.get(at + 1..)?;
            return (length <= MOST)
                .then(|| rest.split_at_checked(length))
                .flatten();
        }
    }
    None
}

fn word(bytes: &[u8], size: usize, big: bool) -> Option<u64> {
    match (size, big) {
        (4, false) => Some(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?).into()),
        (4, true) => Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?).into()),
        (8, false) => Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?)),
        (8, true) => Some(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?)),
        _ => None,
    }
}

/// `go1.22rc1 X:boringcrypto` is `1.22.0-rc.1`, as the advisories of Go write it.
fn release(go: &str) -> Option<String> {
    let text = go.split_whitespace().next()?.strip_prefix("go")?;
    let text = text.split(['-', '+']).next()?;
    let (numbers, pre) = match text.find(|c: char| c.is_ascii_lowercase()) {
        Some(at) => (text.get(..at)?, text.get(at..)?),
        None => (text, ""),
    };
    let mut parts: Vec<&str> = numbers.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(digits) {
        return None;
    }
    if parts.len() == 2 {
        parts.push("0");
    }
    let numbers = parts.join(".");
    let word = pre.trim_end_matches(|c: char| c.is_ascii_digit());
    match (word, pre.get(word.len()..)?) {
        ("", "") => Some(numbers),
        (word, number) => Some(format!("{numbers}-{word}.{number}")),
    }
}

/// Modules after replacements; those built from a working copy have no version.
fn read_modules(text: &str) -> Vec<(&str, &str)> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        match words.as_slice() {
            ["mod" | "dep", module, version, ..] => all.push((module, version)),
            ["=>", module, version, ..] => {
                all.pop();
                all.push((module, version));
            }
            _ => {}
        }
    }
    all.retain(|(module, version)| version.starts_with('v') && !module.starts_with(['.', '/']));
    all
}

#[cfg(test)]
mod tests;
