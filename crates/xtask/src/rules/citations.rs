//! A path that our documents cite must exist.

use anyhow::Result;
use std::path::Path;

const ROOTS: [&str; 9] = [
    ".ci/",
    "content/",
    "crates/",
    "deploy/",
    "docs/",
    "examples/",
    "fuzz/",
    "scripts/",
    "ui/",
];

/// Cited paths, in backticks or links, that do not exist.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for path in crate::tree::files(root)? {
        if path.extension().is_none_or(|e| e != "md") {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&path))?;
        for (number, line) in text.lines().enumerate() {
            for cited in cited(line) {
                let from_here = path.parent().unwrap_or(Path::new("")).join(cited);
                if !root.join(cited).exists() && !root.join(from_here).exists() {
                    offences.push(format!(
                        "{}:{}: {cited} does not exist",
                        path.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    Ok(offences)
}

/// Words of the line that look like paths of the repository. Patterns and placeholders do not.
fn cited(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| c.is_whitespace() || "`()[]\"',;|".contains(c))
        .map(|word| word.trim_end_matches(['.', ':']))
        .map(|word| word.split('#').next().unwrap_or(word))
        .filter(|word| {
            ROOTS
                .iter()
                .any(|r| word.starts_with(r) && word.len() > r.len())
        })
        .filter(|word| !word.contains(['*', '<', '{', '$', '…']) && !word.contains("..."))
        // Made by the build, not tracked.
        .filter(|word| {
            !["ui/dist", "ui/node_modules"]
                .iter()
                .any(|b| word.starts_with(b))
        })
}

#[cfg(test)]
mod tests {
    #[test]
    fn finds_paths_and_leaves_patterns() {
        let line =
            "See [map](docs/adr/0001.md), `crates/model/src/id.rs`. Not crates/<x> or docs/*.";
        let found: Vec<&str> = super::cited(line).collect();
        assert_eq!(found, ["docs/adr/0001.md", "crates/model/src/id.rs"]);
    }
}
