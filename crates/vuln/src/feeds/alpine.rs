//! Alpine's secdb (also Wolfi's and Chainguard's): which revision of a package fixed which CVEs.

use super::{FeedError, MAX_BYTES, json};
use crate::{Advisory, Affected, Span, State};
use bartizan_model::{Ecosystem, EcosystemKind};
use serde::Deserialize;
use std::collections::BTreeMap;

const FORMAT: &str = "Alpine secdb";

#[derive(Deserialize)]
struct Database {
    #[serde(default)]
    distroversion: String,
    #[serde(default)]
    reponame: String,
    packages: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    pkg: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    /// Alpine writes `[]` where Wolfi writes `{}` for nothing.
    #[serde(default)]
    secfixes: Fixes,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Fixes {
    Some(BTreeMap<String, Option<Vec<String>>>),
    None([(); 0]),
    #[default]
    Absent,
}

/// One file: a release and a repository. `kind` says whose.
pub fn parse(bytes: &[u8], kind: EcosystemKind) -> Result<Vec<Advisory>, FeedError> {
    let database: Database = json(FORMAT, bytes, MAX_BYTES)?;
    let ecosystem = Ecosystem {
        kind,
        release: database.distroversion.clone(),
    };
    let mut found: BTreeMap<String, Advisory> = BTreeMap::new();
    for entry in database.packages {
        let Fixes::Some(fixes) = entry.pkg.secfixes else {
            continue;
        };
        for (version, ids) in fixes {
            for id in ids.into_iter().flatten() {
                // `CVE-2019-1 XSA-1 (+ note)`: the first is the id, the others name it too.
                let mut names = id.split_whitespace().filter(|n| n.contains('-'));
                let Some(name) = names.next() else { continue };
                let advisory = found
                    .entry(name.to_owned())
                    .or_insert_with(|| Advisory::new(name, "alpine-secdb"));
                for alias in names.map(str::to_owned) {
                    if !advisory.aliases.contains(&alias) {
                        advisory.aliases.push(alias);
                    }
                }
                let mut affected = Affected::new(ecosystem.clone(), entry.pkg.name.as_str());
                affected.conditions = match database.reponame.as_str() {
                    "" => Vec::new(),
                    repository => vec![format!("repository {repository}")],
                };
                // Revision 0 stands for "never was affected".
                if version == "0" {
                    affected.state = State::NotAffected;
                } else {
                    affected.ranges.push(Span::below(version.as_str()));
                }
                advisory.affected.push(affected);
            }
        }
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Verdict;

    #[test]
    fn a_fix_and_a_package_that_never_was_affected() {
        let text = br#"{"distroversion":"v3.20","reponame":"main","packages":[
          {"pkg":{"name":"xz","secfixes":{"5.6.1-r2":["CVE-2024-0001 XSA-1"],"0":["CVE-2024-0002"]}}},
          {"pkg":{"name":"none","secfixes":[]}}]}"#;
        let found = parse(text, EcosystemKind::Alpine).unwrap();
        assert_eq!(found[0].aliases, ["XSA-1"]);
        assert_eq!(found[0].affected[0].ecosystem.to_string(), "Alpine:v3.20");
        assert!(matches!(
            found[0].affected[0].judge(Some("5.6.1-r1")),
            Verdict::Affected { .. }
        ));
        assert!(matches!(
            found[1].affected[0].judge(Some("1.0-r0")),
            Verdict::NotAffected { .. }
        ));
    }
}
