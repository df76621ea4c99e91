//! A dependency edge between our crates must be listed in ARCHITECTURE.md.

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const PREFIX: &str = "bartizan-";

/// Edges that exist and are not listed, and crates that the table does not know.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md"))?;
    let listed = table(&text);
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    let mut offences = Vec::new();
    for package in &metadata.packages {
        let name = package.name.strip_prefix(PREFIX).unwrap_or(&package.name);
        // The fuzz targets reach into every parser by their purpose.
        if name == "fuzz" {
            continue;
        }
        let Some(allowed) = listed.get(name) else {
            offences.push(format!(
                "crate {name} is not in the table of ARCHITECTURE.md"
            ));
            continue;
        };
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            if let Some(target) = dependency.name.strip_prefix(PREFIX)
                && !allowed.contains(target)
            {
                offences.push(format!(
                    "{name} -> {target} is not listed in ARCHITECTURE.md"
                ));
            }
        }
    }
    Ok(offences)
}

/// The rows `| crate | yes or no | a, b |` of the crate table.
fn table(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
            let [name, exists, depends, ..] = cells.as_slice() else {
                return None;
            };
            matches!(*exists, "yes" | "no").then(|| {
                let depends = depends
                    .split(',')
                    .map(|d| d.trim().to_owned())
                    .filter(|d| !d.is_empty())
                    .collect();
                ((*name).to_owned(), depends)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_table() {
        let table = super::table(
            "| crate | exists | depends on |\n|---|---|---|\n| a | yes | b, c |\n| d | no | |\n",
        );
        assert_eq!(table.len(), 2);
        assert!(table["a"].contains("c"));
        assert!(table["d"].is_empty());
    }
}
