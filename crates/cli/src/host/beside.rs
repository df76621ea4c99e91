//! A CPE dictionary from a file, with the OVAL files beside it that it names.

use crate::scap::read;
use anyhow::{Context, Result};
use bartizan_scap::content::cpe;
use std::path::{Component, Path};

/// More than this is no CPE file.
const MAX: u64 = 64 << 20;
/// More OVAL files than this are not read.
const MAX_FILES: usize = 16;

/// Names and bytes, the dictionary first.
pub fn dictionary(path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let bytes = read(path, MAX)?;
    let tree = bartizan_scap::xml::parse(&bytes)
        .with_context(|| format!("cannot use the CPE dictionary {}", path.display()))?;
    let mut files = vec![(path.to_string_lossy().into_owned(), bytes)];
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut checks: Vec<cpe::CheckRef> = Vec::new();
    for (_, of_item) in cpe::dictionary(&tree).items {
        checks.extend(of_item);
    }
    for (_, test) in cpe::specification(&tree).platforms {
        gather(test, &mut checks);
    }
    checks.sort_by(|one, other| one.href.cmp(&other.href));
    for check in checks {
        // Content must not choose files elsewhere; what is not here is not true.
        let is_beside = Path::new(&*check.href)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let file = folder.join(&*check.href);
        let known = files.iter().any(|(name, _)| *name == *check.href);
        if is_beside && !known && files.len() <= MAX_FILES && file.is_file() {
            files.push((check.href.to_string(), read(&file, MAX)?));
        }
    }
    Ok(files)
}

/// Recursion is bounded by the depth of the XML.
fn gather(test: cpe::Test, checks: &mut Vec<cpe::CheckRef>) {
    match test {
        cpe::Test::Logical { parts, .. } => {
            for part in parts {
                gather(part, checks);
            }
        }
        cpe::Test::Check(check) => checks.push(check),
        cpe::Test::Name(_) | cpe::Test::Unknown => {}
    }
}
