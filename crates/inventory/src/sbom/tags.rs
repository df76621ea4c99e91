//! SPDX as tags and values.

use super::SbomError;
use super::draft::Draft;
use super::spdx::{Annotation, Piece, Reference, put};
use std::collections::{BTreeSet, HashMap};

/// Reads it.
pub(super) fn read(text: &str) -> Result<Draft, SbomError> {
    let mut version = String::new();
    let mut name = None;
    let mut pieces: Vec<Piece> = Vec::new();
    // The last package of each SPDXID.
    let mut places = HashMap::new();
    let mut annotations = Vec::new();
    let mut described = BTreeSet::new();
    // Whose annotation comes.
    let mut about = None;
    // Files and snippets have an SPDXID too.
    let mut inside = false;
    for (tag, value) in tags(text)? {
        match (tag, pieces.last_mut().filter(|_| inside)) {
            ("SPDXVersion", _) => version = value,
            ("DocumentName", _) => name = Some(value),
            ("PackageName", _) => {
                pieces.push(Piece {
                    name: Some(value),
                    ..Piece::default()
                });
                inside = true;
            }
            ("FileName" | "SnippetSPDXID" | "LicenseID", _) => inside = false,
            ("SPDXID", Some(piece)) => {
                piece.id = Some(value.clone());
                places.insert(value, pieces.len() - 1);
            }
            ("PackageVersion", Some(piece)) => piece.version_info = Some(value),
            ("PackageLicenseDeclared", Some(piece)) => piece.license_declared = Some(value),
            ("PrimaryPackagePurpose", Some(piece)) => piece.primary_package_purpose = Some(value),
            ("ExternalRef", Some(piece)) => {
                let mut words = value.split_whitespace();
                let (_, kind, locator) = (words.next(), words.next(), words.next());
                piece.external_refs.get_or_insert_default().push(Reference {
                    reference_type: kind.map(str::to_owned),
                    reference_locator: locator.map(str::to_owned),
                });
            }
            ("Relationship", _) => {
                let words: Vec<&str> = value.split_whitespace().collect();
                if let [_, "DESCRIBES", other] = words.as_slice() {
                    described.insert((*other).to_owned());
                }
            }
            ("SPDXREF", _) => about = Some(value),
            ("AnnotationComment", _) => {
                let annotation = Annotation {
                    comment: Some(value),
                };
                let place = about.take().and_then(|id| places.get(&id));
                match place.and_then(|place| pieces.get_mut(*place)) {
                    Some(piece) => piece.annotations.get_or_insert_default().push(annotation),
                    None => annotations.push(annotation),
                }
            }
            _ => {}
        }
    }
    let mut draft = Draft::default();
    put(&mut draft, &version, name, annotations, &described, pieces)?;
    Ok(draft)
}

/// Tags with their values; a value in `<text>` may have several lines.
fn tags(text: &str) -> Result<Vec<(&str, String)>, SbomError> {
    let mut all = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            continue;
        }
        let Some((tag, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        let Some(begun) = value.strip_prefix("<text>") else {
            all.push((tag.trim(), value.to_owned()));
            continue;
        };
        let mut whole = begun.to_owned();
        while !whole.ends_with("</text>") {
            let Some(more) = lines.next() else {
                return Err(SbomError::Broken("a <text> has no end".into()));
            };
            whole.push('\n');
            whole.push_str(more.trim_end());
        }
        whole.truncate(whole.len() - "</text>".len());
        all.push((tag.trim(), whole));
    }
    Ok(all)
}
