//! What a report knows of a machine beside its findings: read from facts, which are data of
//! whoever made the report.

use bartizan_model::Observation;
use serde::Serialize;
use serde_json::Value;

const MAX_GROUPS: usize = 500;

/// A machine and its evaluation as a whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostSection {
    /// Name and text.
    pub facts: Vec<(&'static str, String)>,
    /// Scores by model, in percent.
    pub scores: Vec<(String, f64)>,
    /// Results by the content's groups, in its order.
    pub groups: Vec<GroupRow>,
}

/// How a group of the content stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GroupRow {
    /// Its title, below that of the group around it.
    pub title: String,
    /// Rules that passed.
    pub pass: u64,
    /// Rules that failed.
    pub fail: u64,
    /// Rules that could not be judged.
    pub unknown: u64,
    /// Rules that are not for this system.
    pub not_applicable: u64,
    /// The checks that failed, by uid.
    pub failing: Vec<String>,
}

impl HostSection {
    /// From the facts of a report; None where it is of no machine, or of many.
    pub fn of(observations: &[Observation]) -> Option<Self> {
        let mut hosts = observations.iter().filter(|one| one.kind == "host");
        let host = hosts.next()?;
        if hosts.next().is_some() {
            return None;
        }
        let mut section = Self::default();
        let text = |body: &Value, name: &str| match body.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(texts)) => {
                let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
                texts.join(", ")
            }
            _ => String::new(),
        };
        let mut add = |name: &'static str, text: String| {
            if !text.trim().is_empty() {
                section.facts.push((name, text));
            }
        };
        let body = &host.body;
        add("machine", text(body, "name"));
        let system = format!("{} {}", text(body, "os"), text(body, "osVersion"));
        add("system", system);
        let kernel = format!("{} {}", text(body, "kernel"), text(body, "architecture"));
        add("kernel", kernel);
        add("addresses", text(body, "addresses"));
        let evaluation = observations
            .iter()
            .find(|one| one.kind == "scap.evaluation" && one.asset.uid == host.asset.uid);
        let Some(body) = evaluation.map(|one| &one.body) else {
            return Some(section);
        };
        let benchmark = match text(body, "title") {
            title if title.is_empty() => text(body, "benchmark"),
            title => title,
        };
        add(
            "benchmark",
            format!("{benchmark} {}", text(body, "version")),
        );
        add("profile", text(body, "profileTitle"));
        add("profile id", text(body, "profile"));
        let list = |name: &str| {
            body.get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        section.scores = list("scores")
            .filter_map(|one| {
                let system = text(one, "system");
                let model = system.rsplit(':').next().unwrap_or_default().to_owned();
                let percent = one.get("percent")?.as_f64()?;
                Some((model, percent.clamp(0.0, 100.0)))
            })
            .collect();
        section.groups = list("groups").take(MAX_GROUPS).map(group).collect();
        Some(section)
    }
}

fn group(body: &Value) -> GroupRow {
    let count = |name: &str| body.get(name).and_then(Value::as_u64).unwrap_or_default();
    let failing = body.get("failing").and_then(Value::as_array);
    GroupRow {
        title: body
            .get("title")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        pass: count("pass"),
        fail: count("fail"),
        unknown: count("unknown"),
        not_applicable: count("notApplicable"),
        failing: failing
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{Asset, AssetUid, Digest};
    use serde_json::json;

    fn fact(kind: &str, name: &str, body: Value) -> Observation {
        Observation {
            asset: Asset {
                uid: AssetUid::new(format!("host:h//Host//{name}")).unwrap(),
                kind: "Host".to_owned(),
                name: name.to_owned(),
                namespace: String::new(),
            },
            kind: kind.to_owned(),
            digest: Digest::of(b"x"),
            body,
            location: None,
        }
    }

    #[test]
    fn facts_of_one_machine_make_a_section() {
        let host = fact(
            "host",
            "h",
            json!({"name": "h", "os": "Debian", "osVersion": "12", "addresses": ["10.0.0.1", 7]}),
        );
        let evaluation = fact(
            "scap.evaluation",
            "h",
            json!({"benchmark": "b", "profile": "p", "scores": [{"system": "urn:xccdf:scoring:flat", "percent": 250.0}, {"percent": "x"}],
                "groups": [{"title": "One", "pass": 2, "fail": -1, "failing": ["scap/b/r"]}, 5]}),
        );
        let section = HostSection::of(&[host.clone(), evaluation]).unwrap();
        assert!(section.facts.contains(&("system", "Debian 12".to_owned())));
        assert!(
            section
                .facts
                .contains(&("addresses", "10.0.0.1".to_owned()))
        );
        assert_eq!(section.scores, [("flat".to_owned(), 100.0)]);
        assert_eq!(section.groups.first().unwrap().pass, 2);
        assert_eq!(section.groups.len(), 2);
        assert_eq!(
            HostSection::of(&[host.clone(), fact("host", "i", json!({}))]),
            None
        );
        assert_eq!(HostSection::of(&[]), None);
    }
}
