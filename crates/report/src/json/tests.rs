//! The stable form.

use super::*;
use crate::{fixture, hostile};
use serde_json::Value;

fn value(snapshot: &Snapshot) -> Value {
    let mut out = Vec::new();
    write(snapshot, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// The paths of all members, each array shown by its first element.
fn shape(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                shape(member, &format!("{path}.{name}"), into);
            }
        }
        Value::Array(elements) => match elements.first() {
            Some(element) => shape(element, &format!("{path}[]"), into),
            None => into.push(format!("{path}[]")),
        },
        _ => into.push(path.to_owned()),
    }
}

/// A member that disappears here breaks whoever reads the report: it needs a new version.
#[test]
fn members_are_stable() {
    let mut snapshot = fixture::shop().unwrap();
    snapshot.frameworks.truncate(1);
    let mut paths = Vec::new();
    shape(&value(&snapshot), "", &mut paths);
    insta::assert_snapshot!(paths.join("\n"), @r##"
.checks[].description
.checks[].references[]
.checks[].remediation
.checks[].severity
.checks[].title
.checks[].uid
.findings[].acceptance
.findings[].asset.kind
.findings[].asset.name
.findings[].asset.namespace
.findings[].asset.uid
.findings[].changed
.findings[].check
.findings[].evidence[].actual
.findings[].evidence[].expected
.findings[].evidence[].path
.findings[].first_seen
.findings[].key
.findings[].location.file
.findings[].location.line
.findings[].locus
.findings[].message
.findings[].severity
.findings[].status
.findings[].title
.format
.frameworks[].controls[].checks[]
.frameworks[].controls[].group
.frameworks[].controls[].id
.frameworks[].controls[].status
.frameworks[].controls[].title
.frameworks[].controls[].why
.frameworks[].counts.accepted
.frameworks[].counts.failed
.frameworks[].counts.manual
.frameworks[].counts.not_applicable
.frameworks[].counts.not_assessed
.frameworks[].counts.passed
.frameworks[].coverage
.frameworks[].id
.frameworks[].score
.frameworks[].title
.frameworks[].version
.generated
.generator
.host
.notices[]
.scan.complete
.scan.content[]
.scan.finished
.scan.id
.scan.scope.kind
.scan.scope.name
.scan.source
.scan.source_version
.scan.started
.scope
.summary.assets
.summary.fail
.summary.failing.critical
.summary.failing.high
.summary.failing.info
.summary.failing.low
.summary.failing.medium
.summary.not_applicable
.summary.pass
.summary.suppressed
.summary.unknown
.summary.unused_suppressions
.suppressed[].acceptance.owner
.suppressed[].acceptance.reason
.suppressed[].asset.kind
.suppressed[].asset.name
.suppressed[].asset.namespace
.suppressed[].asset.uid
.suppressed[].changed
.suppressed[].check
.suppressed[].evidence[].actual
.suppressed[].evidence[].expected
.suppressed[].evidence[].path
.suppressed[].first_seen
.suppressed[].key
.suppressed[].location.file
.suppressed[].location.line
.suppressed[].locus
.suppressed[].message
.suppressed[].severity
.suppressed[].status
.suppressed[].title
.unknown[].asset.kind
.unknown[].asset.name
.unknown[].asset.namespace
.unknown[].asset.uid
.unknown[].check
.unknown[].location.file
.unknown[].location.line
.unknown[].locus
.unknown[].why
.unused_suppressions[].by
.unused_suppressions[].location.file
.unused_suppressions[].location.line
.unused_suppressions[].reason
.unused_suppressions[].what
.version
"##);
}

#[test]
fn figures_are_those_of_the_snapshot() {
    let of = value(&fixture::shop().unwrap());
    let summary = serde_json::json!({
        "assets": 8, "pass": 27, "fail": 27, "not_applicable": 1, "unknown": 1,
        "failing": {"critical": 3, "high": 4, "medium": 8, "low": 5, "info": 6},
        "suppressed": 1, "unused_suppressions": 1,
    });
    assert_eq!(of["summary"], summary);
    assert_eq!(of["findings"].as_array().unwrap().len(), 26);
    assert_eq!(of["frameworks"][0]["score"], 66.67);
    assert_eq!(value(&hostile())["notices"][0], crate::HOSTILE);
}
