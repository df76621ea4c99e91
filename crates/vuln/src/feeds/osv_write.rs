//! An advisory of whichever feed as an OSV 1.7 record, for tools that read those.

use crate::{Advisory, Affected, Bound, Rating, Scheme, Span, State};
use bartizan_model::{EcosystemKind, Timestamp};
use serde_json::{Map, Value, json};

/// The record. `at` stands in where the feed states no moment of change: OSV demands one.
pub fn write(advisory: &Advisory, at: Timestamp) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    put("schema_version", json!("1.7.0"));
    put("id", json!(advisory.id));
    let modified = advisory.modified.or(advisory.published).unwrap_or(at);
    put("modified", json!(modified));
    for (key, moment) in [
        ("published", advisory.published),
        ("withdrawn", advisory.withdrawn),
    ] {
        if let Some(moment) = moment {
            put(key, json!(moment));
        }
    }
    for (key, list) in [
        ("aliases", &advisory.aliases),
        ("upstream", &advisory.upstream),
    ] {
        if !list.is_empty() {
            put(key, json!(list));
        }
    }
    for (key, text) in [
        ("summary", &advisory.summary),
        ("details", &advisory.details),
    ] {
        if !text.is_empty() {
            put(key, json!(text));
        }
    }
    put("severity", severities(&advisory.severities));
    // What the feed says is not affected has no place in a list of what is.
    let affected = advisory
        .affected
        .iter()
        .filter(|a| a.state != State::NotAffected);
    put("affected", affected.map(package).collect());
    let references = advisory
        .references
        .iter()
        .map(|r| json!({"type": reference(&r.kind), "url": r.url}));
    put("references", references.collect());
    put(
        "database_specific",
        json!({"source": advisory.source, "cwe_ids": advisory.cwes}),
    );
    Value::Object(out)
}

/// The types that the schema knows.
fn reference(kind: &str) -> String {
    const KNOWN: [&str; 10] = [
        "ADVISORY",
        "ARTICLE",
        "DETECTION",
        "DISCUSSION",
        "REPORT",
        "FIX",
        "INTRODUCED",
        "PACKAGE",
        "EVIDENCE",
        "WEB",
    ];
    let upper = kind.to_ascii_uppercase();
    if KNOWN.contains(&upper.as_str()) {
        upper
    } else {
        "WEB".to_owned()
    }
}

fn severities(ratings: &[Rating]) -> Value {
    ratings
        .iter()
        .filter_map(|rating| {
            let kind = match rating.vector.as_str() {
                v if v.starts_with("CVSS:4") => "CVSS_V4",
                v if v.starts_with("CVSS:3") => "CVSS_V3",
                v if v.starts_with("AV:") => "CVSS_V2",
                // A word is no vector.
                _ => return None,
            };
            Some(json!({"type": kind, "score": rating.vector}))
        })
        .collect()
}

fn package(affected: &Affected) -> Value {
    let git = affected.ecosystem.kind == EcosystemKind::Git;
    let mut out = Map::new();
    if !git {
        out.insert(
            "package".to_owned(),
            json!({"ecosystem": affected.ecosystem, "name": affected.package}),
        );
    }
    let kind = match affected.scheme {
        Scheme::Git => "GIT",
        // An ecosystem of whose own order nobody knows.
        Scheme::Semver if Scheme::of(affected.ecosystem.kind) == Scheme::Unordered => "SEMVER",
        _ => "ECOSYSTEM",
    };
    // Whoever reads sorts the events: a span that ends before it begins would begin and never end.
    let spans = affected
        .ranges
        .iter()
        .filter(|s| !empty(s, affected.scheme));
    let ranges = spans.map(|span| {
        let mut range = json!({"type": kind, "events": events(span)});
        if let (true, Some(map)) = (git, range.as_object_mut()) {
            map.insert("repo".to_owned(), json!(affected.package));
        }
        range
    });
    out.insert("ranges".to_owned(), ranges.collect());
    if !affected.versions.is_empty() {
        out.insert("versions".to_owned(), json!(affected.versions));
    }
    if !affected.severities.is_empty() {
        out.insert("severity".to_owned(), severities(&affected.severities));
    }
    let specific = match affected.state {
        State::Unimportant => Some(json!({"urgency": "unimportant"})),
        State::WontFix => Some(json!({"status": "wont-fix"})),
        State::Postponed => Some(json!({"status": "postponed"})),
        State::Affected | State::NotAffected | State::UnderInvestigation => None,
    };
    if let Some(specific) = specific {
        out.insert("ecosystem_specific".to_owned(), specific);
    }
    Value::Object(out)
}

/// Whether no version can lie in it.
fn empty(span: &Span, scheme: Scheme) -> bool {
    let Some(from) = &span.introduced else {
        return false;
    };
    match &span.end {
        None => false,
        Some(Bound::Fixed(end)) => scheme.compare(from, end).is_some_and(|o| o.is_ge()),
        Some(Bound::LastAffected(end)) => scheme.compare(from, end).is_some_and(|o| o.is_gt()),
    }
}

fn events(span: &Span) -> Value {
    let introduced = span.introduced.as_deref().unwrap_or("0");
    let mut events = vec![json!({"introduced": introduced})];
    events.extend(span.end.as_ref().map(|end| match end {
        Bound::Fixed(version) => json!({"fixed": version}),
        Bound::LastAffected(version) => json!({"last_affected": version}),
    }));
    Value::Array(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Verdict;
    use crate::feeds::osv;
    use proptest::prelude::*;

    fn record(text: &str) -> Advisory {
        osv::parse(text.as_bytes(), "osv").unwrap()
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let before = record(
            r#"{"id":"GHSA-1","modified":"2024-01-01T00:00:00Z","aliases":["CVE-2024-1"],"summary":"s",
          "severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
          "references":[{"type":"FIX","url":"https://x"}],"database_specific":{"cwe_ids":["CWE-79"]},
          "affected":[{"package":{"ecosystem":"npm","name":"@a/b"},"versions":["9.9.9"],
            "ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.5.0"},{"introduced":"2.0.0"},{"last_affected":"2.3.0"}]}]},
            {"package":{"ecosystem":"Debian:12","name":"b"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}],
            "ecosystem_specific":{"urgency":"unimportant"}}]}"#,
        );
        let text = write(&before, Timestamp::from_micros(0)).to_string();
        assert_eq!(record(&text), before);
    }

    #[test]
    fn what_is_not_affected_is_not_listed_and_a_moment_is_there() {
        let mut advisory = Advisory::new("DSA-1", "debian");
        let mut affected = Affected::new("Debian:12".parse().unwrap(), "a");
        affected.state = State::NotAffected;
        advisory.affected.push(affected);
        let out = write(&advisory, Timestamp::from_micros(5));
        assert_eq!(out["affected"], json!([]));
        assert_eq!(out["modified"], json!(Timestamp::from_micros(5)));
    }

    proptest! {
        #[test]
        fn verdicts_survive(spans in prop::collection::vec((0u8..9, 0u8..12, 0u8..3), 1..4), asked in 0u8..14) {
            let mut advisory = Advisory::new("GHSA-1", "osv");
            let mut affected = Affected::new("npm".parse().unwrap(), "a");
            for (from, to, end) in spans {
                let to = format!("{to}.0.0");
                affected.ranges.push(Span {
                    introduced: (from > 0).then(|| format!("{from}.0.0")),
                    end: match end {
                        0 => None,
                        1 => Some(Bound::LastAffected(to)),
                        _ => Some(Bound::Fixed(to)),
                    },
                });
            }
            advisory.affected.push(affected);
            let text = write(&advisory, Timestamp::from_micros(0)).to_string();
            let version = format!("{asked}.0.0");
            let hit = |a: &Advisory| {
                matches!(a.affected[0].judge(Some(&version)), Verdict::Affected { .. })
            };
            // Spans that hold nothing are not written; whoever then has none cannot tell.
            prop_assert_eq!(hit(&record(&text)), hit(&advisory));
        }
    }
}
