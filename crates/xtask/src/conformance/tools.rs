//! OpenSCAP's own tools on results that we wrote.

use anyhow::{Context, Result, bail};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::path::Path;

/// The OVAL results in an ARF document, each a document of its own.
pub fn oval_results(arf: &[u8]) -> Result<Vec<&[u8]>> {
    let mut reader = Reader::from_reader(arf);
    let mut found = Vec::new();
    loop {
        let begin = usize::try_from(reader.buffer_position())?;
        match reader.read_event()? {
            Event::Start(element) => match element.local_name().as_ref() {
                b"report-requests" => {
                    reader.read_to_end(element.name())?;
                }
                b"oval_results" => {
                    reader.read_to_end(element.name())?;
                    let end = usize::try_from(reader.buffer_position())?;
                    found.extend(arf.get(begin..end));
                }
                _ => {}
            },
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// Fails when a password of the root is in a document: the second fields of its shadow files,
/// but for those that stand for none.
pub fn no_passwords(root: &Path, document: &[u8]) -> Result<usize> {
    let mut looked_for = 0;
    for name in ["etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-"] {
        let path = root.join(name);
        if !path.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        for line in text.lines() {
            let password = line.split(':').nth(1).unwrap_or_default();
            if password.len() < 8 {
                continue;
            }
            looked_for += 1;
            let mut parts = document.windows(password.len());
            if parts.any(|part| part == password.as_bytes()) {
                bail!("the password of {:?} is in it", line.split(':').next());
            }
        }
    }
    Ok(looked_for)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oval_results_are_cut_out() {
        let arf = b"<a><report-requests><oval_results/></report-requests><r><oval_results xmlns='u'><x/></oval_results></r></a>";
        let found = oval_results(arf).unwrap();
        assert_eq!(
            found,
            [b"<oval_results xmlns='u'><x/></oval_results>".as_slice()]
        );
    }

    #[test]
    fn passwords_are_found() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let shadow = "root:$6$abc$defghij:1::::::\nx:!:1::::::\n";
        std::fs::write(root.path().join("etc/shadow"), shadow).unwrap();
        assert_eq!(no_passwords(root.path(), b"<a>!</a>").unwrap(), 1);
        assert!(no_passwords(root.path(), b"<a>$6$abc$defghij</a>").is_err());
    }
}
