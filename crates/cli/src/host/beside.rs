//! A CPE dictionary from a file, with the OVAL files beside it that it names.

use crate::scap::read;
use anyhow::{Context, Result, bail};
use bartizan_scap::content::cpe;
use bartizan_scap::xccdf::tailoring;
use bartizan_scap::xml::{Piece, Stream};
use std::path::{Component, Path, PathBuf};

/// More than this is no CPE file.
const MAX: u64 = 64 << 20;
/// More than this is no content.
const MAX_CONTENT: u64 = 256 << 20;
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
        // What is not here is not true.
        let file = folder.join(&*check.href);
        let known = files.iter().any(|(name, _)| *name == *check.href);
        if is_beside(&check.href) && !known && files.len() <= MAX_FILES && file.is_file() {
            files.push((check.href.to_string(), read(&file, MAX)?));
        }
    }
    Ok(files)
}

/// The benchmark that a tailoring names and that lies beside it; None where the file is none.
pub fn benchmark(path: &Path) -> Result<Option<PathBuf>> {
    let bytes = read(path, MAX_CONTENT)?;
    let root = Stream::new(&bytes).and_then(|mut stream| stream.next());
    // Whatever else is wrong is said by those who read content.
    if !matches!(&root, Ok(Piece::Start(root)) if &*root.name == "Tailoring") {
        return Ok(None);
    }
    let tailoring = tailoring::load(&bytes)
        .with_context(|| format!("cannot use the tailoring {}", path.display()))?;
    let href = tailoring.benchmark.unwrap_or_default();
    if href.is_empty() || !is_beside(&href) {
        bail!(
            "{} names no benchmark beside it; give the benchmark with --content and this with \
             --tailoring",
            path.display()
        );
    }
    Ok(Some(path.parent().unwrap_or(Path::new("")).join(&*href)))
}

/// Content must not choose files elsewhere.
fn is_beside(href: &str) -> bool {
    let mut parts = Path::new(href).components();
    parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tailoring_leads_to_its_benchmark() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.xml");
        let of = |href: &str| {
            let text = format!(
                "<Tailoring xmlns='http://checklists.nist.gov/xccdf/1.2' id='t'><benchmark href='{href}'/></Tailoring>"
            );
            std::fs::write(&file, text).unwrap();
            benchmark(&file)
        };
        assert_eq!(of("b.xml").unwrap(), Some(folder.path().join("b.xml")));
        for elsewhere in ["../b.xml", "/b.xml", ""] {
            assert!(of(elsewhere).is_err(), "{elsewhere}");
        }
        std::fs::write(&file, "<Benchmark/>").unwrap();
        assert_eq!(benchmark(&file).unwrap(), None);
    }
}
