//! The rules: each module checks one and names every offender.

mod citations;
mod edges;
mod headers;
mod length;

use anyhow::{Result, bail};
use std::path::Path;

type Rule = (&'static str, fn(&Path) -> Result<Vec<String>>);

/// Every rule; a module in this folder that is not here fails a test.
const RULES: &[Rule] = &[
    ("citations", citations::check),
    ("edges", edges::check),
    ("headers", headers::check),
    ("length", length::check),
];

/// Checks all rules and prints every offence.
pub fn run(root: &Path) -> Result<()> {
    let mut offences = 0;
    for (name, check) in RULES {
        for offence in check(root)? {
            eprintln!("{name}: {offence}");
            offences += 1;
        }
    }
    if offences > 0 {
        bail!("{offences} offences against the repository's rules");
    }
    println!("{} rules hold", RULES.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_rules() {
        let root = crate::tree::root();
        for (name, check) in RULES {
            assert_eq!(check(&root).unwrap(), Vec::<String>::new(), "rule {name}");
        }
    }

    #[test]
    fn every_rule_is_registered() {
        let folder = crate::tree::root().join("crates/xtask/src/rules");
        let mut modules: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
            .filter(|name| name != "mod")
            .collect();
        modules.sort();
        let registered: Vec<String> = RULES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(registered, modules);
    }
}
