//! Every Rust file begins with a `//!` line that says what it is for.

use anyhow::Result;
use std::path::Path;

/// Rust files without one.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for path in crate::tree::files(root)? {
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&path))?;
        if !text.lines().next().is_some_and(|l| l.starts_with("//!")) {
            offences.push(format!("{} does not begin with //!", path.display()));
        }
    }
    Ok(offences)
}
