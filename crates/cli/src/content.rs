//! The content that is built in: policies and frameworks, known by digest.

use crate::arguments::{Output, Policies};
use crate::{Verdict, show};
use anyhow::{Context, Result};
use bartizan_policy::{Library, LibraryBuilder, LibraryError};
use bartizan_server::work::content::Content;
use rust_embed::RustEmbed;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The middle part of a built-in check's uid.
const CONTENT: &str = "bartizan";

#[derive(RustEmbed)]
#[folder = "../../content/policies"]
#[include = "*/template.yaml"]
#[include = "*/constraint.yaml"]
struct EmbeddedPolicies;

/// The built-in frameworks, the same that the server scores with.
pub fn frameworks() -> Result<Content> {
    Content::load(&[]).context("a built-in framework is broken")
}

/// The built-in policies, unless they are left out, and those of the given paths. What a path
/// holds is content named by its last part.
pub fn library(builtin: bool, paths: &[PathBuf]) -> Result<Library> {
    let mut builder = LibraryBuilder::new();
    if builtin {
        for name in EmbeddedPolicies::iter() {
            if let Some(file) = EmbeddedPolicies::get(&name) {
                builder.add(CONTENT, &name, &file.data)?;
            }
        }
    }
    for path in paths {
        let content = content_name(path);
        for file in crate::files::manifests(std::slice::from_ref(path))? {
            let bytes =
                std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            builder.add(&content, &file.to_string_lossy(), &bytes)?;
        }
    }
    builder.build().context("the policies cannot be used")
}

/// The policies of files that are read already: the path that named each, its name, its bytes.
/// What of the cluster cannot be used is left out and said, with why: one bad object there must not
/// keep all others from being changed. Folders are used whole or not at all.
pub fn library_of(
    files: &[(PathBuf, String, Vec<u8>)],
) -> Result<(Library, BTreeMap<String, String>)> {
    let mut faults: BTreeMap<String, String> = BTreeMap::new();
    loop {
        match built(files, &faults) {
            Ok(library) => return Ok((library, faults)),
            Err(error) => {
                let (LibraryError::Invalid { file, .. } | LibraryError::Unreadable { file, .. }) =
                    &error;
                let file = file.clone();
                let ours = file.starts_with(FROM_CLUSTER) && !faults.contains_key(&file);
                if !ours {
                    return Err(error).context("the policies cannot be used");
                }
                faults.insert(file, error.to_string());
            }
        }
    }
}

/// How names of objects of a cluster begin.
pub const FROM_CLUSTER: &str = "cluster/";

fn built(
    files: &[(PathBuf, String, Vec<u8>)],
    faults: &BTreeMap<String, String>,
) -> Result<Library, LibraryError> {
    let mut builder = LibraryBuilder::new();
    for (path, name, bytes) in files
        .iter()
        .filter(|(_, name, _)| !faults.contains_key(name))
    {
        builder.add(&content_name(path), name, bytes)?;
    }
    builder.build()
}

/// A name fit for a check uid.
fn content_name(path: &Path) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stem = absolute.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    if name.is_empty() {
        "custom".to_owned()
    } else {
        name
    }
}

/// Lists the built-in policies.
pub fn policies(options: &Policies) -> Result<Verdict> {
    let library = library(true, &[])?;
    match options.format {
        Output::Json => {
            let list: Vec<_> = library.checks().iter().map(|check| json!(check)).collect();
            show::line(&serde_json::to_string_pretty(&list)?)?;
        }
        Output::Table => {
            for check in library.checks() {
                show::line(&format!(
                    "{:<9} {:<44} {}",
                    check.severity.word(),
                    check.uid.as_str(),
                    check.title
                ))?;
            }
            show::line(&format!("\n{} policies", library.checks().len()))?;
        }
    }
    Ok(Verdict::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_library_is_whole() {
        let library = library(true, &[]).unwrap();
        assert!(library.checks().len() >= 30, "{}", library.checks().len());
        let refused: Vec<_> = library.notices().iter().collect();
        assert!(refused.is_empty(), "{refused:?}");
        for check in library.checks() {
            assert!(
                !check.remediation.is_empty(),
                "{} says no remedy",
                check.uid
            );
        }
    }

    #[test]
    fn every_pattern_of_a_framework_with_our_prefix_meets_a_check() {
        let library = library(true, &[]).unwrap();
        let content = frameworks().unwrap();
        assert!(content.all().count() >= 3);
        for entry in content.all() {
            let name = &entry.framework.id;
            let mut reached = 0;
            for control in &entry.framework.controls {
                for pattern in &control.checks {
                    let ours = pattern.contains("/bartizan");
                    let meets = library.checks().iter().any(|c| c.uid.matches(pattern));
                    assert!(
                        meets || !ours,
                        "{name} {}: {pattern} meets no check",
                        control.id
                    );
                    reached += usize::from(meets);
                }
            }
            assert!(reached > 0, "{name} reaches none of our checks");
        }
    }
}
