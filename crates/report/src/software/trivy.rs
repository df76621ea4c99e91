//! The shape of `trivy --format json`, schema version 2, for tools that read that.

use super::{Row, Software, Standing, version};
use crate::text::clean;
use bartizan_model::{Component, EcosystemKind, Severity};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Trivy's place for a package: its result's class, type and target, and the path beside the package
/// where a result gathers several.
struct Place {
    class: &'static str,
    kind: String,
    target: String,
    path: Option<String>,
}

/// The whole report. What is excused stands among the modified findings, with who said so and why;
/// what could not be told is `under_investigation`.
pub fn trivy(software: &Software) -> Value {
    type Groups = BTreeMap<(&'static str, String, String), (Vec<Value>, Vec<Value>)>;
    let mut groups: Groups = BTreeMap::new();
    for row in &software.rows {
        let Place {
            class,
            kind,
            target,
            path,
        } = place(software, &row.component);
        let (hits, excused) = groups.entry((class, kind, target)).or_default();
        match &row.standing {
            Standing::Excused { by, why } => excused.push(json!({
                "Type": "vulnerability",
                "Status": "not_affected",
                "Statement": clean(why),
                "Source": clean(by),
                "Finding": vulnerability(row, path),
            })),
            Standing::Affected | Standing::Unknown { .. } => hits.push(vulnerability(row, path)),
        }
    }
    let results: Vec<Value> = groups
        .into_iter()
        .map(|((class, kind, target), (hits, excused))| {
            let mut result = Map::new();
            result.insert("Target".to_owned(), json!(target));
            result.insert("Class".to_owned(), json!(class));
            result.insert("Type".to_owned(), json!(kind));
            for (key, list) in [
                ("Vulnerabilities", hits),
                ("ExperimentalModifiedFindings", excused),
            ] {
                if !list.is_empty() {
                    result.insert(key.to_owned(), Value::Array(list));
                }
            }
            Value::Object(result)
        })
        .collect();
    let kind = match software.kind.as_str() {
        "Image" => "container_image",
        "Sbom" => "cyclonedx",
        _ => "filesystem",
    };
    let mut out = json!({
        "SchemaVersion": 2,
        "CreatedAt": software.at,
        "ArtifactName": clean(&software.name),
        "ArtifactType": kind,
        "Results": results,
    });
    // Trivy has no place for what was not read; its readers skip what they do not know.
    if let (false, Some(map)) = (software.unread.is_empty(), out.as_object_mut()) {
        let unread: Vec<String> = software.unread.iter().map(|u| clean(u)).collect();
        map.insert("BartizanUnread".to_owned(), json!(unread));
    }
    out
}

fn place(software: &Software, component: &Component) -> Place {
    let kind = component.ecosystem.kind;
    if kind.is_distribution() {
        let family = family(kind);
        let release = &component.ecosystem.release;
        return Place {
            class: "os-pkgs",
            target: clean(&format!("{} ({family} {release})", software.name)),
            kind: family,
            path: None,
        };
    }
    let path = component.found.first().map(|found| clean(&found.path));
    let file = path.as_deref().and_then(|p| p.rsplit('/').next());
    let (word, gathered) = sort(kind, file.unwrap_or_default());
    let (target, path) = match (gathered, path) {
        (Some(name), path) => (name.to_owned(), path),
        (None, Some(path)) => (path, None),
        (None, None) => (clean(&software.name), None),
    };
    Place {
        class: "lang-pkgs",
        kind: word.to_owned(),
        target,
        path,
    }
}

/// Trivy's names of distributions.
fn family(kind: EcosystemKind) -> String {
    match kind {
        EcosystemKind::RedHat => "redhat",
        EcosystemKind::AlmaLinux => "alma",
        EcosystemKind::RockyLinux => "rocky",
        EcosystemKind::OracleLinux => "oracle",
        EcosystemKind::AmazonLinux => "amazon",
        EcosystemKind::AzureLinux => "azurelinux",
        EcosystemKind::PhotonOs => "photon",
        other => return other.as_str().to_lowercase(),
    }
    .to_owned()
}

/// Trivy's type by the file that told of the package, and the name under which it gathers those that
/// are installed one by one.
fn sort(kind: EcosystemKind, file: &str) -> (&'static str, Option<&'static str>) {
    let ends = |end: &str| file.ends_with(end);
    match kind {
        EcosystemKind::CratesIo if file == "Cargo.lock" => ("cargo", None),
        EcosystemKind::CratesIo => ("rustbinary", None),
        EcosystemKind::Npm => match file {
            "package-lock.json" | "npm-shrinkwrap.json" => ("npm", None),
            "yarn.lock" => ("yarn", None),
            "pnpm-lock.yaml" => ("pnpm", None),
            "package.json" => ("node-pkg", Some("Node.js")),
            _ => ("npm", None),
        },
        EcosystemKind::PyPi => match file {
            "poetry.lock" => ("poetry", None),
            "uv.lock" => ("uv", None),
            "Pipfile.lock" => ("pipenv", None),
            _ if file.starts_with("requirements") => ("pip", None),
            _ => ("python-pkg", Some("Python")),
        },
        EcosystemKind::Go if file == "go.mod" => ("gomod", None),
        EcosystemKind::Go => ("gobinary", None),
        EcosystemKind::Maven if ends(".lockfile") => ("gradle", None),
        EcosystemKind::Maven => ("jar", Some("Java")),
        EcosystemKind::RubyGems if file == "Gemfile.lock" => ("bundler", None),
        EcosystemKind::RubyGems => ("gemspec", Some("Ruby")),
        EcosystemKind::Packagist if file == "installed.json" => ("composer-vendor", None),
        EcosystemKind::Packagist => ("composer", None),
        EcosystemKind::NuGet if ends(".deps.json") => ("dotnet-core", None),
        EcosystemKind::NuGet => ("nuget", None),
        EcosystemKind::Hex => ("hex", None),
        EcosystemKind::Pub => ("pub", None),
        EcosystemKind::SwiftUrl => ("swift", None),
        EcosystemKind::ConanCenter => ("conan", None),
        EcosystemKind::Bitnami => ("bitnami", None),
        _ => ("unknown", None),
    }
}

fn vulnerability(row: &Row, path: Option<String>) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    let name = clean(&row.component.name());
    let installed = version(&row.component);
    put("VulnerabilityID", json!(clean(&row.vulnerability)));
    let others: Vec<String> = super::others(row);
    if !others.is_empty() {
        put("VendorIDs", json!(others));
    }
    put("PkgID", json!(format!("{name}@{installed}")));
    put("PkgName", json!(name));
    if let Some(path) = path {
        put("PkgPath", json!(path));
    }
    let purl = row.component.purl.to_string();
    put("PkgIdentifier", json!({"PURL": purl}));
    put("InstalledVersion", json!(installed));
    if let Some(fixed) = &row.fixed {
        put("FixedVersion", json!(clean(fixed)));
    }
    let status = match &row.standing {
        Standing::Unknown { .. } => "under_investigation",
        Standing::Affected | Standing::Excused { .. } => match row.fixed {
            Some(_) => "fixed",
            None => "affected",
        },
    };
    put("Status", json!(status));
    if let Some(first) = row.references.first() {
        put("PrimaryURL", json!(clean(first)));
    }
    if !row.title.is_empty() {
        put("Title", json!(clean(&row.title)));
    }
    if let Standing::Unknown { why } = &row.standing {
        put("Description", json!(clean(why)));
    }
    let severity = match row.severity {
        Severity::Critical => "CRITICAL",
        Severity::High => "HIGH",
        Severity::Medium => "MEDIUM",
        Severity::Low => "LOW",
        // Trivy has no word below.
        Severity::Info => "UNKNOWN",
    };
    put("Severity", json!(severity));
    if let Some(score) = row.score {
        let score = f64::from(score) / 10.0;
        put("CVSS", json!({"bartizan": {"V3Score": score}}));
    }
    if !row.references.is_empty() {
        let references: Vec<String> = row.references.iter().map(|r| clean(r)).collect();
        put("References", json!(references));
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{row, software, three};
    use super::*;
    use crate::HOSTILE;
    use bartizan_model::Found;

    #[test]
    fn what_is_excused_and_what_is_unknown_stay() {
        let mut three = three();
        three.unread = vec!["/x.jar: broken".into()];
        let out = trivy(&three);
        assert_eq!(out["SchemaVersion"], 2);
        assert_eq!(out["BartizanUnread"][0], "/x.jar: broken");
        let results = out["Results"].as_array().unwrap();
        let npm = results.iter().find(|r| r["Type"] == "npm").unwrap();
        let hits = npm["Vulnerabilities"].as_array().unwrap();
        assert_eq!(hits[0]["FixedVersion"], "1.0.1");
        assert_eq!(hits[0]["Status"], "fixed");
        assert_eq!(hits[0]["VendorIDs"], json!(["GHSA-x"]));
        assert_eq!(hits[0]["PkgIdentifier"]["PURL"], "pkg:npm/a@1.0.0");
        assert_eq!(hits[1]["Status"], "under_investigation");
        let debian = results.iter().find(|r| r["Type"] == "debian").unwrap();
        assert_eq!(debian["Class"], "os-pkgs");
        assert_eq!(debian["Target"], "a (debian 12)");
        assert!(debian.get("Vulnerabilities").is_none());
        let excused = &debian["ExperimentalModifiedFindings"][0];
        assert_eq!(excused["Statement"], "not reached");
        assert_eq!(excused["Source"], "Example");
        assert_eq!(excused["Finding"]["PkgName"], "c");
    }

    #[test]
    fn packages_stand_where_trivy_puts_them() {
        for (purl, ecosystem, path, kind, target, beside) in [
            (
                "pkg:npm/a@1",
                "npm",
                "web/yarn.lock",
                "yarn",
                "web/yarn.lock",
                None,
            ),
            (
                "pkg:npm/a@1",
                "npm",
                "app/node_modules/a/package.json",
                "node-pkg",
                "Node.js",
                Some("app/node_modules/a/package.json"),
            ),
            (
                "pkg:pypi/a@1",
                "PyPI",
                "requirements.txt",
                "pip",
                "requirements.txt",
                None,
            ),
            (
                "pkg:golang/a@1",
                "Go",
                "usr/bin/a",
                "gobinary",
                "usr/bin/a",
                None,
            ),
            (
                "pkg:maven/a/b@1",
                "Maven",
                "b.jar",
                "jar",
                "Java",
                Some("b.jar"),
            ),
        ] {
            let mut one = row(purl, ecosystem, Standing::Affected);
            one.component.found.push(Found {
                path: path.into(),
                layer: None,
            });
            let out = trivy(&software(vec![one]));
            let result = &out["Results"][0];
            assert_eq!(result["Type"], kind, "{path}");
            assert_eq!(result["Target"], target, "{path}");
            assert_eq!(result["Class"], "lang-pkgs");
            let hit = &result["Vulnerabilities"][0];
            assert_eq!(hit.get("PkgPath").and_then(Value::as_str), beside, "{path}");
        }
    }

    #[test]
    fn hostile_text_controls_nothing() {
        let mut one = row("pkg:npm/a@1.0.0", "npm", Standing::Affected);
        one.title = HOSTILE.into();
        one.references = vec![HOSTILE.into()];
        let mut software = software(vec![one]);
        software.name = HOSTILE.into();
        let text = trivy(&software).to_string();
        assert!(
            !text.contains("\\u001b") && !text.contains('\u{202e}'),
            "{text}"
        );
    }
}
