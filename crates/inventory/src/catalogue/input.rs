//! Bounded reading of what cataloguers are given.

use crate::tree::File;
use serde::de::{Deserialize, DeserializeOwned};

/// Lists of packages larger than this are not read.
const MOST: usize = 64 << 20;

/// The text of a file.
pub(crate) fn text(file: &File) -> Result<&str, String> {
    let bytes = bounded(file)?;
    std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// A file as JSON; the parser bounds the depth.
pub(crate) fn json<'f, T: Deserialize<'f>>(file: &'f File) -> Result<T, String> {
    serde_json::from_slice(bounded(file)?)
        .map_err(|e| format!("it is not the JSON it should be: {e}"))
}

/// A file as TOML; the parser bounds the depth.
pub(crate) fn toml<T: DeserializeOwned>(file: &File) -> Result<T, String> {
    toml::from_str(text(file)?).map_err(|e| {
        let why = e.message().to_owned();
        format!("it is not the TOML it should be: {why}")
    })
}

fn bounded(file: &File) -> Result<&[u8], String> {
    if file.bytes.len() > MOST {
        return Err(format!("it is larger than {} MiB", MOST >> 20));
    }
    // Editors of Windows, and .NET, write a byte order mark.
    Ok(file
        .bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(&file.bytes))
}

/// A name of the form `namespace/name`, parted at the last slash.
pub(crate) fn parted(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    }
}

/// What `file` gives by `cataloguer`: purls and what was unread, in order.
#[cfg(test)]
pub(crate) fn told(
    cataloguer: &dyn super::Cataloguer,
    path: &str,
    bytes: impl AsRef<[u8]>,
) -> (Vec<String>, Vec<String>) {
    let file = File {
        path: path.to_owned(),
        executable: false,
        bytes: bytes.as_ref().to_vec(),
        layer: None,
    };
    assert!(cataloguer.wants(&file.candidate()), "{path} is not wanted");
    let mut out = super::Catalogued::default();
    let mut unread = Vec::new();
    if let Err(why) = cataloguer.read(&file, &mut out) {
        unread.push(why);
    }
    unread.extend(out.take_unread().into_iter().map(|u| u.why));
    let mut purls: Vec<String> = out
        .into_packages()
        .into_iter()
        .map(|p| p.purl.to_string())
        .collect();
    purls.sort();
    purls.dedup();
    (purls, unread)
}
