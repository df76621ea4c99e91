//! `composer.lock`, and `vendor/composer/installed.json`.

use super::{Catalogued, Cataloguer, input};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;
use serde::Deserialize;
use serde_json::Value;

/// What Composer is fixed to or has installed.
pub struct Composer;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: Vec<Locked>,
    #[serde(default, rename = "packages-dev")]
    dev: Vec<Locked>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Installed {
    Two(Lock),
    One(Vec<Locked>),
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: Option<String>,
    license: Option<Value>,
    dist: Option<Dist>,
}

#[derive(Deserialize)]
struct Dist {
    r#type: Option<String>,
}

impl Cataloguer for Composer {
    fn name(&self) -> &'static str {
        "composer"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.name() == "composer.lock" || file.path.ends_with("composer/installed.json")
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let all: Vec<Locked> = match input::json(file)? {
            Installed::Two(lock) => lock.packages.into_iter().chain(lock.dev).collect(),
            Installed::One(all) => all,
        };
        for one in all {
            if one.dist.and_then(|d| d.r#type).as_deref() == Some("path") {
                continue;
            }
            let (vendor, name) = input::parted(&one.name);
            let licences = match &one.license {
                Some(Value::String(text)) => vec![text.clone()],
                Some(Value::Array(all)) => all
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                _ => Vec::new(),
            };
            let version = one.version.as_deref();
            out.package(
                file,
                EcosystemKind::Packagist,
                vendor,
                name,
                version,
                licences,
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn locks_and_installations_are_read() {
        let list = r#"[{"name":"Symfony/http-kernel","version":"v5.4.0","license":["MIT"]},
            {"name":"mine/a","version":"1.0.0","dist":{"type":"path","url":"../a"}}]"#;
        let lock = format!(
            r#"{{"packages":{list},"packages-dev":[{{"name":"phpunit/phpunit","version":"9.5.0"}}]}}"#
        );
        let (purls, unread) = told(&Composer, "composer.lock", lock);
        assert_eq!(
            purls,
            [
                "pkg:composer/phpunit/phpunit@9.5.0",
                "pkg:composer/symfony/http-kernel@v5.4.0"
            ]
        );
        assert!(unread.is_empty());
        for text in [
            list.to_owned(),
            format!(r#"{{"packages":{list},"dev":true}}"#),
        ] {
            let (purls, _) = told(&Composer, "vendor/composer/installed.json", text);
            assert_eq!(purls, ["pkg:composer/symfony/http-kernel@v5.4.0"]);
        }
    }
}
