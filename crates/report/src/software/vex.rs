//! Statements about a target's packages: OpenVEX 0.2.0 and CycloneDX 1.6 VEX.
//!
//! The product of every statement is the target and the package its part, so that what does not
//! matter in one place is not taken for a word about the package everywhere.

use super::{Row, Software, Standing, others, version};
use crate::text::{clean, encode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The reasons that OpenVEX has words for.
const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

/// An OpenVEX document: a statement for each vulnerability and what is said of it.
pub fn openvex(software: &Software) -> Value {
    let mut statements: BTreeMap<(String, String), (Value, Vec<Value>)> = BTreeMap::new();
    for row in &software.rows {
        let said = said(row);
        let key = (row.vulnerability.clone(), said.to_string());
        let (_, parts) = statements.entry(key).or_insert_with(|| {
            let mut statement = said;
            let mut vulnerability = json!({"name": clean(&row.vulnerability)});
            let aliases = others(row);
            if let (false, Some(map)) = (aliases.is_empty(), vulnerability.as_object_mut()) {
                map.insert("aliases".to_owned(), json!(aliases));
            }
            if let Some(map) = statement.as_object_mut() {
                map.insert("vulnerability".to_owned(), vulnerability);
            }
            (statement, Vec::new())
        });
        let purl = row.component.purl.to_string();
        let part = json!({"@id": purl, "identifiers": {"purl": purl}});
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let statements: Vec<Value> = statements
        .into_values()
        .map(|(mut statement, parts)| {
            if let Some(map) = statement.as_object_mut() {
                let product = json!({"@id": product(software), "subcomponents": parts});
                map.insert("products".to_owned(), json!([product]));
            }
            statement
        })
        .collect();
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("urn:bartizan:vex:{}:{}", encode(&software.uid, "-._"), software.at.micros()),
        "author": clean(&software.generator),
        "timestamp": software.at,
        "version": 1,
        "statements": statements,
    })
}

fn said(row: &Row) -> Value {
    match &row.standing {
        Standing::Affected => json!({
            "status": "affected",
            "action_statement": match &row.fixed {
                Some(fixed) => format!("Upgrade to {} or later.", clean(fixed)),
                None => "No fix is known.".to_owned(),
            },
        }),
        Standing::Unknown { why } => json!({
            "status": "under_investigation",
            "status_notes": clean(why),
        }),
        Standing::Excused { by, why } => {
            let key = match JUSTIFICATIONS.contains(&why.as_str()) {
                true => "justification",
                false => "impact_statement",
            };
            let mut out = Map::new();
            out.insert("status".to_owned(), json!("not_affected"));
            out.insert(key.to_owned(), json!(clean(why)));
            let notes = format!("said by {}", clean(by));
            out.insert("status_notes".to_owned(), json!(notes));
            Value::Object(out)
        }
    }
}

/// What the target is called in statements: an image by its purl, anything else by its uid.
fn product(software: &Software) -> String {
    match &software.purl {
        Some(purl) => purl.to_string(),
        None => format!("urn:bartizan:asset:{}", encode(&software.uid, "-._")),
    }
}

/// A CycloneDX VEX document: the packages that something hits, and what is said of each.
pub fn cyclonedx_vex(software: &Software) -> Value {
    let mut components: BTreeMap<String, Value> = BTreeMap::new();
    let mut vulnerabilities: BTreeMap<(String, String), Value> = BTreeMap::new();
    for row in &software.rows {
        let purl = row.component.purl.to_string();
        components.entry(purl.clone()).or_insert_with(|| {
            json!({"type": "library", "bom-ref": purl, "name": clean(&row.component.name()),
                "version": version(&row.component), "purl": purl})
        });
        let analysis = match &row.standing {
            Standing::Affected => json!({"state": "exploitable", "response": match row.fixed {
                Some(_) => vec!["update"],
                None => vec!["can_not_fix"],
            }}),
            Standing::Unknown { why } => json!({"state": "in_triage", "detail": clean(why)}),
            Standing::Excused { by, why } => json!({"state": "not_affected",
                "detail": format!("{} (said by {})", clean(why), clean(by))}),
        };
        let key = (
            row.vulnerability.clone(),
            format!("{analysis}{:?}", row.fixed),
        );
        let entry = vulnerabilities
            .entry(key)
            .or_insert_with(|| described(row, analysis));
        let one = json!({"ref": purl});
        if let Some(affects) = entry.get_mut("affects").and_then(Value::as_array_mut)
            && !affects.contains(&one)
        {
            affects.push(one);
        }
    }
    let mut about = json!({"type": "application", "bom-ref": clean(&software.uid),
        "name": clean(&software.name)});
    if let (Some(purl), Some(map)) = (&software.purl, about.as_object_mut()) {
        map.insert("type".to_owned(), json!("container"));
        map.insert("purl".to_owned(), json!(purl));
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": software.at,
            "tools": {"components": [{"type": "application", "name": clean(&software.generator)}]},
            "component": about,
        },
        "components": components.into_values().collect::<Vec<_>>(),
        "vulnerabilities": vulnerabilities.into_values().collect::<Vec<_>>(),
    })
}

fn described(row: &Row, analysis: Value) -> Value {
    let mut rating = Map::new();
    if let Some(score) = row.score {
        rating.insert("score".to_owned(), json!(f64::from(score) / 10.0));
    }
    rating.insert("severity".to_owned(), json!(row.severity.word()));
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    put("id", json!(clean(&row.vulnerability)));
    put("source", json!({"name": source(&row.vulnerability)}));
    let references: Vec<Value> = others(row)
        .into_iter()
        .map(|name| json!({"source": {"name": source(&name)}, "id": name}))
        .collect();
    if !references.is_empty() {
        put("references", json!(references));
    }
    put("ratings", json!([rating]));
    if !row.title.is_empty() {
        put("description", json!(clean(&row.title)));
    }
    if let Some(fixed) = &row.fixed {
        let words = format!("Upgrade to {} or later.", clean(fixed));
        put("recommendation", json!(words));
    }
    let advisories: Vec<Value> = row
        .references
        .iter()
        .map(|url| json!({"url": clean(url)}))
        .collect();
    if !advisories.is_empty() {
        put("advisories", json!(advisories));
    }
    put("analysis", analysis);
    put("affects", json!([]));
    Value::Object(out)
}

/// Who gives ids of that form.
fn source(id: &str) -> &'static str {
    match id.split('-').next() {
        Some("CVE") => "NVD",
        Some("GHSA") => "GITHUB",
        _ => "OSV",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{row, software, three};
    use super::*;
    use crate::HOSTILE;

    #[test]
    fn openvex_says_the_three_standings_of_the_target() {
        let out = openvex(&three());
        let of = |status: &str| -> Value {
            let all = out["statements"].as_array().unwrap();
            all.iter().find(|s| s["status"] == status).unwrap().clone()
        };
        let affected = of("affected");
        assert!(
            affected["action_statement"]
                .as_str()
                .unwrap()
                .contains("1.0.1")
        );
        assert_eq!(affected["vulnerability"]["aliases"], json!(["GHSA-x"]));
        let product = &affected["products"][0];
        assert_eq!(
            product["@id"],
            "urn:bartizan:asset:repository%3Aa%2F%2FFolder%2F%2Fa"
        );
        assert_eq!(product["subcomponents"][0]["@id"], "pkg:npm/a@1.0.0");
        assert_eq!(of("not_affected")["impact_statement"], "not reached");
        assert_eq!(of("under_investigation")["status_notes"], "no order");
        let why = Standing::Excused {
            by: "Example".into(),
            why: "vulnerable_code_not_present".into(),
        };
        let mut image = software(vec![row("pkg:npm/a@1.0.0", "npm", why)]);
        image.purl = Some("pkg:oci/app@sha256%3A00".parse().unwrap());
        let out = openvex(&image);
        let statement = &out["statements"][0];
        assert_eq!(statement["justification"], "vulnerable_code_not_present");
        assert_eq!(statement["products"][0]["@id"], "pkg:oci/app@sha256:00");
    }

    #[test]
    fn one_statement_for_many_packages() {
        let rows = vec![
            row("pkg:npm/a@1.0.0", "npm", Standing::Affected),
            row("pkg:npm/a@0.9.0", "npm", Standing::Affected),
            row("pkg:npm/a@0.9.0", "npm", Standing::Affected),
        ];
        let software = software(rows);
        let out = openvex(&software);
        assert_eq!(out["statements"].as_array().unwrap().len(), 1);
        let parts = &out["statements"][0]["products"][0]["subcomponents"];
        assert_eq!(parts.as_array().unwrap().len(), 2);
        let out = cyclonedx_vex(&software);
        let affects = &out["vulnerabilities"][0]["affects"];
        assert_eq!(affects.as_array().unwrap().len(), 2, "{out}");
    }

    #[test]
    fn cyclonedx_says_the_three_standings() {
        let out = cyclonedx_vex(&three());
        let states: Vec<&str> = out["vulnerabilities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["analysis"]["state"].as_str().unwrap())
            .collect();
        assert_eq!(out["components"].as_array().unwrap().len(), 3);
        for state in ["exploitable", "in_triage", "not_affected"] {
            assert!(states.contains(&state), "{states:?}");
        }
        assert_eq!(out["vulnerabilities"][0]["ratings"][0]["severity"], "high");
    }

    #[test]
    fn hostile_text_controls_nothing() {
        let standing = Standing::Excused {
            by: HOSTILE.into(),
            why: HOSTILE.into(),
        };
        let mut one = row("pkg:npm/a@1.0.0", "npm", standing);
        one.title = HOSTILE.into();
        one.names.push(HOSTILE.into());
        let mut software = software(vec![one]);
        software.name = HOSTILE.into();
        software.uid = HOSTILE.into();
        for out in [openvex(&software), cyclonedx_vex(&software)] {
            let text = out.to_string();
            assert!(
                !text.contains("\\u001b") && !text.contains('\u{202e}'),
                "{text}"
            );
        }
    }
}
