//! `go.mod`: since Go 1.17 it names every module that a build may take.

use super::{Catalogued, Cataloguer, input};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;
use std::collections::BTreeMap;

/// Required modules, after replacements.
pub struct GoMod;

impl Cataloguer for GoMod {
    fn name(&self) -> &'static str {
        "go-mod"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.name() == "go.mod"
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let mut required: Vec<(String, String)> = Vec::new();
        let mut replaced: BTreeMap<Which, Option<(String, String)>> = BTreeMap::new();
        let mut block = None;
        for line in input::text(file)?.lines() {
            let line = line.split("//").next().unwrap_or_default();
            let words: Vec<String> = line
                .split_whitespace()
                .map(|word| word.trim_matches(['"', '`']).to_owned())
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (verb, rest) = match (block.as_deref(), words.as_slice()) {
                (_, []) => continue,
                (Some(_), [")"]) => {
                    block = None;
                    continue;
                }
                (None, [verb, "("]) => {
                    block = Some((*verb).to_owned());
                    continue;
                }
                (Some(verb), rest) => (verb.to_owned(), rest),
                (None, [verb, rest @ ..]) => ((*verb).to_owned(), rest),
            };
            match (verb.as_str(), rest) {
                ("require", [module, version]) => {
                    required.push(((*module).to_owned(), (*version).to_owned()));
                }
                ("replace", rest) => {
                    let (key, value) = replacement(rest)
                        .ok_or_else(|| format!("a replacement is not understood: {line}"))?;
                    replaced.insert(key, value);
                }
                ("require", _) => {
                    out.unread(
                        &file.path,
                        format!("a requirement is not understood: {line}"),
                    );
                }
                _ => {}
            }
        }
        for (module, version) in required {
            let key = (module.clone(), Some(version.clone()));
            let other = replaced.get(&key).or(replaced.get(&(module.clone(), None)));
            match other {
                // A folder beside it.
                Some(None) => {}
                Some(Some((module, version))) => package(file, out, module, Some(version)),
                None => package(file, out, &module, Some(&version)),
            }
        }
        Ok(())
    }
}

/// A module, of one version or of all.
type Which = (String, Option<String>);
/// None is a folder.
type Replacement = (Which, Option<(String, String)>);

/// `old [version] => new [version]`.
fn replacement(words: &[&str]) -> Option<Replacement> {
    let arrow = words.iter().position(|word| *word == "=>")?;
    let (from, to) = words.split_at(arrow);
    let from = match from {
        [module] => ((*module).to_owned(), None),
        [module, version] => ((*module).to_owned(), Some((*version).to_owned())),
        _ => return None,
    };
    let to = match to {
        [_, _path] => None,
        [_, module, version] => Some(((*module).to_owned(), (*version).to_owned())),
        _ => return None,
    };
    Some((from, to))
}

/// A module by its path.
pub(super) fn package(file: &File, out: &mut Catalogued, module: &str, version: Option<&str>) {
    let (namespace, name) = input::parted(module);
    out.package(
        file,
        EcosystemKind::Go,
        namespace,
        name,
        version,
        Vec::new(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn requirements_are_read_after_replacements() {
        let text = "module example.org/mine\n\ngo 1.22\n\nrequire (\n\tgithub.com/gin-gonic/gin v1.7.0\n\tgolang.org/x/text v0.3.0 // indirect\n\texample.org/beside v0.0.0\n)\nrequire gopkg.in/yaml.v2 v2.2.1\n\nreplace example.org/beside => ../beside\nreplace golang.org/x/text v0.3.0 => golang.org/x/text v0.3.8\n\nexclude (\n\tgolang.org/x/net v0.1.0\n)\n";
        let (purls, unread) = told(&GoMod, "go.mod", text);
        assert_eq!(
            purls,
            [
                "pkg:golang/github.com/gin-gonic/gin@v1.7.0",
                "pkg:golang/golang.org/x/text@v0.3.8",
                "pkg:golang/gopkg.in/yaml.v2@v2.2.1"
            ]
        );
        assert!(unread.is_empty());
        assert_eq!(told(&GoMod, "go.mod", "require a b c d\n").1.len(), 1);
    }
}
