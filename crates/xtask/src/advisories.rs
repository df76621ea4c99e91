//! Cargo.lock against RustSec advisories, from a checkout given by path.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Reports packages of the lock file that an advisory names and does not call patched.
///
/// Without a database it says so: not having looked is no pass.
pub fn run(root: &Path, db: Option<&Path>) -> Result<()> {
    let Some(db) = db else {
        println!(
            "advisories: NOT CHECKED, no database given (--db FOLDER or BARTIZAN_ADVISORY_DB)"
        );
        return Ok(());
    };
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
    let packages = locked(&lock);
    let mut advisories = Vec::new();
    collect(&db.join("crates"), &mut advisories)
        .with_context(|| format!("{} is no advisory database", db.display()))?;
    if advisories.is_empty() {
        bail!("{} holds no advisories", db.display());
    }
    let mut hits = 0;
    for path in &advisories {
        let text = std::fs::read_to_string(path)?;
        let name = path.parent().and_then(Path::file_name).unwrap_or_default();
        for (package, version) in packages.iter().filter(|(p, _)| name == p.as_str()) {
            if affected(&text, version) {
                eprintln!("{package} {version}: {}", path.display());
                hits += 1;
            }
        }
    }
    if hits > 0 {
        bail!("{hits} advisories apply");
    }
    println!(
        "advisories: {} read, none applies to {} packages",
        advisories.len(),
        packages.len()
    );
    Ok(())
}

fn locked(lock: &str) -> Vec<(String, String)> {
    let value = |line: &str, key: &str| {
        line.strip_prefix(key)
            .and_then(|rest| rest.trim().strip_prefix('='))
            .map(|rest| rest.trim().trim_matches('"').to_owned())
    };
    let mut packages = Vec::new();
    let mut name = None;
    for line in lock.lines() {
        if let Some(found) = value(line, "name") {
            name = Some(found);
        } else if let Some(version) = value(line, "version")
            && let Some(name) = name.take()
        {
            packages.push((name, version));
        }
    }
    packages
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "md") {
            into.push(path);
        }
    }
    Ok(())
}

/// Whether no requirement in the advisory's `patched` or `unaffected` list admits `version`.
/// Informational advisories (unmaintained and the like) do not count.
fn affected(advisory: &str, version: &str) -> bool {
    if advisory
        .lines()
        .any(|l| l.starts_with("informational") || l.starts_with("withdrawn"))
    {
        return false;
    }
    let mut safe = false;
    for key in ["patched", "unaffected"] {
        let Some(start) = advisory.lines().position(|l| {
            l.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with('='))
        }) else {
            continue;
        };
        let list: String = advisory
            .lines()
            .skip(start)
            .scan(true, |open, line| {
                let take = *open;
                *open = take && !line.contains(']');
                take.then_some(line)
            })
            .collect();
        safe |= list
            .split('"')
            .skip(1)
            .step_by(2)
            .any(|requirement| admits(requirement, version));
    }
    !safe
}

fn admits(requirement: &str, version: &str) -> bool {
    requirement.split(',').all(|part| {
        let part = part.trim();
        let digits = part.trim_start_matches(['<', '>', '=', '^', '~', ' ']);
        let (have, want) = (numbers(version), numbers(digits));
        match part
            .get(..part.len() - digits.len())
            .unwrap_or_default()
            .trim()
        {
            ">=" => have >= want,
            ">" => have > want,
            "<" => have < want,
            "<=" => have <= want,
            "=" => have == want,
            // Cargo's caret: same leftmost non-zero part.
            _ => {
                let fixed = want.iter().position(|n| *n != 0).unwrap_or(2);
                have >= want && have.iter().zip(&want).take(fixed + 1).all(|(a, b)| a == b)
            }
        }
    })
}

fn numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts: Vec<u64> = core.split('.').map(|n| n.parse().unwrap_or(0)).collect();
    parts.resize(3, 0);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_patched_and_unaffected() {
        let advisory =
            "[versions]\npatched = [\">= 1.2.3\", \"^0.9.7\"]\nunaffected = [\"< 0.5.0\"]\n";
        assert!(affected(advisory, "1.2.2"));
        assert!(affected(advisory, "0.10.0"));
        assert!(!affected(advisory, "1.2.3"));
        assert!(!affected(advisory, "0.9.8"));
        assert!(!affected(advisory, "0.4.9"));
        assert!(affected("[versions]\npatched = []\n", "3.0.0"));
        assert!(!affected(
            "[advisory]\ninformational = \"unmaintained\"\n",
            "3.0.0"
        ));
    }

    #[test]
    fn reads_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        assert_eq!(
            locked(lock),
            [("a".into(), "1.0.0".into()), ("b".into(), "2.0.0".into())]
        );
    }
}
