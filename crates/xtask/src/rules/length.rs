//! No source file is longer than a person reads: 600 lines.

use anyhow::Result;
use std::path::Path;

const LIMIT: usize = 600;
const SOURCES: [&str; 8] = ["rs", "ts", "js", "mjs", "svelte", "css", "sh", "sql"];

/// Source files over the limit. Generated files say so in their first lines and are exempt.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for path in crate::tree::files(root)? {
        let is_source = path
            .extension()
            .is_some_and(|e| SOURCES.iter().any(|s| e == *s));
        if !is_source {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&path))?;
        let generated = text.lines().take(5).any(|l| l.contains("auto-generated"));
        let lines = text.lines().count();
        if lines > LIMIT && !generated {
            offences.push(format!(
                "{} has {lines} lines, over {LIMIT}",
                path.display()
            ));
        }
    }
    Ok(offences)
}
