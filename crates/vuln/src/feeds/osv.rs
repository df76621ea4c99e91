//! OSV 1.x (ossf.github.io/osv-schema), as JSON and, the way PyPA keeps it, as YAML. GHSA, Go's
//! database, Debian's and Ubuntu's OSV, Red Hat, AlmaLinux and Bitnami all come this way.

use super::{FeedError, MAX_RECORD, bounded, id, json_error, required_moment};
use crate::{Advisory, Affected, Bound, Rating, Reference, Scheme, Span, State};
use bartizan_model::{Ecosystem, EcosystemKind};
use serde::Deserialize;
use serde_json::Value;
use std::cmp::Ordering;

const FORMAT: &str = "OSV";

#[derive(Deserialize)]
struct Record {
    id: String,
    modified: Option<String>,
    published: Option<String>,
    withdrawn: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    upstream: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    related: Vec<String>,
    summary: Option<String>,
    details: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    severity: Vec<Severity>,
    #[serde(default, deserialize_with = "nullable")]
    affected: Vec<Package>,
    #[serde(default, deserialize_with = "nullable")]
    references: Vec<Link>,
    database_specific: Option<Value>,
}

fn nullable<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Severity {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Deserialize)]
struct Link {
    #[serde(rename = "type", default)]
    kind: String,
    url: String,
}

#[derive(Deserialize)]
struct Package {
    package: Option<Name>,
    #[serde(default, deserialize_with = "nullable")]
    ranges: Vec<Range>,
    #[serde(default, deserialize_with = "nullable")]
    versions: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    severity: Vec<Severity>,
    ecosystem_specific: Option<Value>,
}

#[derive(Deserialize)]
struct Name {
    // Debian's copies of records without a package write an empty object.
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    repo: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// One record of JSON. `source` names the feed it came from.
pub fn parse(bytes: &[u8], source: &str) -> Result<Advisory, FeedError> {
    bounded(FORMAT, bytes, MAX_RECORD)?;
    let record: Record = serde_json::from_slice(bytes).map_err(|e| json_error(FORMAT, &e))?;
    advisory(record, source)
}

/// One record of YAML.
pub fn parse_yaml(bytes: &[u8], source: &str) -> Result<Advisory, FeedError> {
    bounded(FORMAT, bytes, MAX_RECORD)?;
    let record: Record = serde_saphyr::from_slice(bytes)
        .map_err(|e| FeedError::new("OSV as YAML", 0, e.to_string()))?;
    advisory(record, source)
}

fn advisory(record: Record, source: &str) -> Result<Advisory, FeedError> {
    let mut advisory = Advisory::new(id(FORMAT, &record.id)?, source);
    advisory.modified = required_moment(FORMAT, "modified", record.modified.as_deref())?;
    advisory.published = required_moment(FORMAT, "published", record.published.as_deref())?;
    advisory.withdrawn = required_moment(FORMAT, "withdrawn", record.withdrawn.as_deref())?;
    advisory.aliases = record.aliases;
    // Before 1.7 distributions put what an advisory is about under `related`.
    advisory.upstream = record.upstream;
    let bundle = [
        "DSA-",
        "DLA-",
        "RHSA-",
        "RHBA-",
        "RHEA-",
        "ALSA-",
        "ALBA-",
        "ALEA-",
        "RLSA-",
        "RXSA-",
        "USN-",
        "LSN-",
        "openSUSE-",
        "SUSE-",
    ]
    .iter()
    .any(|p| advisory.id.starts_with(p));
    if bundle || advisory.id.starts_with("UBUNTU-CVE-") {
        let cves = record.related.into_iter().filter(|r| r.starts_with("CVE-"));
        advisory.upstream.extend(cves);
    }
    if let Some(cve) = advisory
        .id
        .find("CVE-")
        .filter(|at| *at > 0 && !bundle)
        .and_then(|at| advisory.id.get(at..))
    {
        // DEBIAN-CVE-2024-1, UBUNTU-CVE-2024-1, ALPINE-CVE-2024-1: the distribution's view of one.
        advisory.upstream.push(cve.to_owned());
    }
    advisory.upstream.sort_unstable();
    advisory.upstream.dedup();
    advisory.summary = record.summary.unwrap_or_default();
    advisory.details = record.details.unwrap_or_default();
    advisory.severities = ratings(&record.severity, source);
    advisory.references = record
        .references
        .into_iter()
        .map(|r| Reference {
            kind: r.kind.to_lowercase(),
            url: r.url,
        })
        .collect();
    advisory.cwes = cwes(record.database_specific.as_ref());
    for package in record.affected {
        advisory.affected.extend(affected(package, source));
    }
    Ok(advisory)
}

fn ratings(severities: &[Severity], by: &str) -> Vec<Rating> {
    severities
        .iter()
        .map(|s| {
            let mut rating = Rating::of(by, &s.score, None);
            if rating.score.is_none() && s.kind.starts_with("CVSS") {
                // Some feeds write the number where the vector belongs.
                rating.stated = s.score.parse().ok().and_then(crate::Tenths::new);
            }
            rating
        })
        .collect()
}

fn cwes(specific: Option<&Value>) -> Vec<String> {
    let ids = specific.and_then(|s| s.get("cwe_ids").or_else(|| s.get("cwes")));
    ids.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().or_else(|| v.get("cweId")?.as_str()))
        .map(str::to_owned)
        .collect()
}

fn affected(package: Package, by: &str) -> Option<Affected> {
    let named = package
        .package
        .filter(|p| !p.name.is_empty() && !p.ecosystem.is_empty());
    let name = match named {
        Some(name) => name,
        // Commits alone: the repository is the package.
        None => Name {
            ecosystem: EcosystemKind::Git.as_str().to_owned(),
            name: package.ranges.iter().find_map(|r| r.repo.clone())?,
        },
    };
    let mut affected = Affected::new(Ecosystem::parse(&name.ecosystem), name.name);
    affected.severities = ratings(&package.severity, by);
    affected.versions = package.versions;
    for range in &package.ranges {
        let scheme = match range.kind.as_str() {
            "GIT" => Scheme::Git,
            "SEMVER" if affected.scheme == Scheme::Unordered => Scheme::Semver,
            _ => affected.scheme,
        };
        // Commits beside versions say the same once more, and cannot be compared.
        if scheme == Scheme::Git && affected.ecosystem.kind != EcosystemKind::Git {
            continue;
        }
        affected.scheme = scheme;
        affected.ranges.extend(spans(scheme, &range.events));
    }
    let specific = package.ecosystem_specific.as_ref();
    affected.state = state(specific);
    affected.conditions = conditions(specific);
    Some(affected)
}

/// Debian's urgency and what others write beside it.
fn state(specific: Option<&Value>) -> State {
    let word = |key: &str| specific.and_then(|s| s.get(key)?.as_str());
    match (word("urgency"), word("status")) {
        (Some("unimportant"), _) => State::Unimportant,
        (_, Some("not-affected" | "not_affected")) => State::NotAffected,
        (_, Some("ignored" | "wont-fix" | "end-of-life")) => State::WontFix,
        (_, Some("postponed" | "deferred")) => State::Postponed,
        _ => State::Affected,
    }
}

fn conditions(specific: Option<&Value>) -> Vec<String> {
    let mut conditions = Vec::new();
    let imports = specific.and_then(|s| s.get("imports")?.as_array());
    for import in imports.into_iter().flatten().take(64) {
        let path = import
            .get("path")
            .and_then(Value::as_str)
            .unwrap_or("the package");
        let symbols: Vec<&str> = import
            .get("symbols")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .take(20)
            .collect();
        if symbols.is_empty() {
            conditions.push(format!("imports {path}"));
        } else {
            conditions.push(format!("uses {} of {path}", symbols.join(", ")));
        }
    }
    conditions
}

/// Events become spans the way the schema's algorithm evaluates them: sorted, then from each
/// introduction to the next end. What cannot be sorted stays in the order given.
fn spans(scheme: Scheme, events: &[Event]) -> Vec<Span> {
    enum Kind {
        Introduced,
        Fixed,
        Last,
    }
    let mut list: Vec<(&str, Kind)> = Vec::new();
    for event in events {
        let entries = [
            (&event.introduced, Kind::Introduced),
            (&event.fixed, Kind::Fixed),
            (&event.last_affected, Kind::Last),
        ];
        for (version, kind) in entries {
            if let Some(version) = version {
                list.push((version, kind));
            }
        }
        // A limit bounds a walk over commits; it says nothing about versions.
        let _ = &event.limit;
    }
    let place = |(version, _): &(&str, Kind)| *version != "0";
    let sortable = list
        .iter()
        .filter(|e| place(e))
        .all(|(v, _)| scheme.reads(v));
    if sortable {
        list.sort_by(|a, b| match (place(a), place(b)) {
            (true, true) => scheme.compare(a.0, b.0).unwrap_or(Ordering::Equal),
            (x, y) => x.cmp(&y),
        });
    }
    let mut spans = Vec::new();
    let mut open: Option<Option<String>> = None;
    for (version, kind) in list {
        match kind {
            Kind::Introduced => {
                if open.is_none() {
                    open = Some((version != "0").then(|| version.to_owned()));
                }
            }
            Kind::Fixed | Kind::Last => {
                // An end without a beginning would affect nothing; the schema demands one.
                if let Some(introduced) = open.take() {
                    let version = version.to_owned();
                    let end = Some(match kind {
                        Kind::Fixed => Bound::Fixed(version),
                        _ => Bound::LastAffected(version),
                    });
                    spans.push(Span { introduced, end });
                }
            }
        }
    }
    if let Some(introduced) = open {
        spans.push(Span {
            introduced,
            end: None,
        });
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Verdict;

    #[test]
    fn a_record_with_two_spans_in_any_order() {
        let text = br#"{"id":"GHSA-1","modified":"2024-01-01T00:00:00Z","aliases":["CVE-2024-1"],
          "severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
          "database_specific":{"cwe_ids":["CWE-79"]},
          "affected":[{"package":{"ecosystem":"npm","name":"@a/b"},
            "ranges":[{"type":"GIT","repo":"https://x","events":[{"introduced":"0"}]},
                      {"type":"SEMVER","events":[{"fixed":"2.3.0"},{"introduced":"2.0.0"},{"introduced":"0"},{"fixed":"1.5.0"}]}]}]}"#;
        let a = parse(text, "ghsa").unwrap();
        assert_eq!(a.cwes, ["CWE-79"]);
        assert_eq!(a.severities[0].score, Some(crate::Tenths(98)));
        let p = &a.affected[0];
        assert_eq!(p.ranges.len(), 2);
        for (version, hit) in [
            ("1.4.9", true),
            ("1.5.0", false),
            ("2.0.0", true),
            ("2.3.0", false),
        ] {
            assert_eq!(
                matches!(p.judge(Some(version)), Verdict::Affected { .. }),
                hit,
                "{version}"
            );
        }
    }

    #[test]
    fn commits_without_a_package_are_kept_by_repository() {
        let text = br#"{"id":"CVE-2024-0001","modified":"2024-01-01T00:00:00Z","affected":[{"package":{},
          "ranges":[{"type":"GIT","repo":"https://x/y","events":[{"introduced":"0"},{"fixed":"abc"}]}]}]}"#;
        let a = parse(text, "debian").unwrap();
        assert_eq!(a.affected[0].package, "https://x/y");
        assert!(matches!(
            a.affected[0].judge(Some("1.0")),
            Verdict::Unknown { .. }
        ));
    }

    #[test]
    fn a_bundle_names_what_it_is_about() {
        let text = br#"{"id":"DSA-1-1","modified":"2024-01-01T00:00:00Z","related":["CVE-2024-1","CVE-2024-2"],
          "affected":[{"package":{"ecosystem":"Debian:12","name":"zlib"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:1.2-3"}]}],
          "ecosystem_specific":{"urgency":"unimportant"}}]}"#;
        let a = parse(text, "debian").unwrap();
        assert_eq!(a.upstream, ["CVE-2024-1", "CVE-2024-2"]);
        assert_eq!(a.affected[0].state, State::Unimportant);
        let one = parse(
            br#"{"id":"UBUNTU-CVE-2024-9","modified":"2024-01-01T00:00:00Z"}"#,
            "u",
        )
        .unwrap();
        assert_eq!(one.upstream, ["CVE-2024-9"]);
    }

    #[test]
    fn yaml_reads_the_same_and_broken_bytes_say_where() {
        let yaml = b"id: PYSEC-1\nmodified: 2024-01-01T00:00:00Z\naffected:\n- package: {name: a, ecosystem: PyPI}\n  versions: ['1.0']\n";
        assert_eq!(
            parse_yaml(yaml, "pypa").unwrap().affected[0].versions,
            ["1.0"]
        );
        assert_eq!(parse(b"{\n\"id\":1}", "x").unwrap_err().line, 2);
    }
}
