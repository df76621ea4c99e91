//! Gatekeeper's test suites (`kind: Suite`), run through this engine as `gator verify` would.
//!
//! Files are read through a callback, since nothing here opens files.

use crate::ask::{Ask, Parameters};
use crate::budget::Budget;
use crate::engine::{Shared, Violation};
use crate::gatekeeper::{self, Constraint, Template};
use crate::input::{self, Limits, Piece, Source};
use crate::matching::{Namespaces, Target, Verdict, labels_of};
use crate::object::{Found, Object, objects};
pub use crate::unit::Language;
use crate::unit::Unit;
use bartizan_model::Timestamp;
use serde_json::{Map, Value, json};

/// How one case of a suite went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseOutcome {
    /// `test/case`.
    pub name: String,
    /// Why it failed; none when it passed.
    pub fault: Option<String>,
    /// Cases that the suite itself skips.
    pub skipped: bool,
}

/// Reads a file named relative to the suite's folder.
pub type ReadFile<'r> = dyn Fn(&str) -> Result<Vec<u8>, String> + 'r;

/// Runs every case of a suite, in Rego where a template has both, as `gator` does; the error
/// means that the suite itself is unusable.
pub fn run(suite: &[u8], read: &ReadFile<'_>) -> Result<Vec<CaseOutcome>, String> {
    run_in(suite, read, Language::Rego)
}

/// Runs every case of a suite, in that language where a template has both.
pub fn run_in(
    suite: &[u8],
    read: &ReadFile<'_>,
    language: Language,
) -> Result<Vec<CaseOutcome>, String> {
    let mut all = Vec::new();
    for document in documents("suite.yaml", suite)? {
        if document.get("kind").and_then(Value::as_str) != Some("Suite") {
            continue;
        }
        for test in list(&document, "tests") {
            let name = text(test, "name");
            let skip_test = test.get("skip").and_then(Value::as_bool) == Some(true);
            let prepared = Prepared::of(test, read);
            for case in list(test, "cases") {
                let case_name = format!("{name}/{}", text(case, "name"));
                let skipped = skip_test || case.get("skip").and_then(Value::as_bool) == Some(true);
                let fault = match &prepared {
                    _ if skipped => None,
                    Ok(prepared) => prepared.case(case, read, language).err(),
                    Err(why) => Some(why.clone()),
                };
                all.push(CaseOutcome {
                    name: case_name,
                    fault,
                    skipped,
                });
            }
        }
    }
    Ok(all)
}

fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The documents of a YAML or JSON file; the error names file and line.
pub fn documents(name: &str, bytes: &[u8]) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    let mut fault = None;
    input::read(
        Source::new(name, bytes),
        &Limits::default(),
        &mut |piece| match piece {
            Piece::Document(document) => all.push(document.value),
            Piece::Unreadable { line, why } => {
                fault.get_or_insert(format!("{name}:{line}: {why}"));
            }
            Piece::Unrendered { line } => {
                fault.get_or_insert(format!("{name}:{line}: a template"));
            }
        },
    );
    fault.map_or(Ok(all), Err)
}

fn read_objects(file: &str, read: &ReadFile<'_>) -> Result<Vec<Object>, String> {
    let bytes = read(file)?;
    let mut all = Vec::new();
    let mut fault = None;
    input::read(
        Source::new(file, &bytes[..]),
        &Limits::default(),
        &mut |piece| match piece {
            Piece::Document(document) => {
                // An AdmissionReview has no name of its own.
                let mut document = document;
                let is_review = text(&document.value, "kind") == "AdmissionReview";
                if let (true, Value::Object(map)) = (is_review, &mut document.value) {
                    map.entry("metadata")
                        .or_insert_with(|| json!({"name": "review"}));
                    map.entry("apiVersion")
                        .or_insert_with(|| "admission.k8s.io/v1".into());
                }
                for found in objects(file, document) {
                    match found {
                        Found::Object(object) => all.push(*object),
                        Found::Broken { line, why } | Found::Other { line, why } => {
                            fault.get_or_insert(format!("{file}:{line}: {why}"));
                        }
                    }
                }
            }
            Piece::Unreadable { line, why } => {
                fault.get_or_insert(format!("{file}:{line}: {why}"));
            }
            Piece::Unrendered { line } => {
                fault.get_or_insert(format!("{file}:{line}: a template"));
            }
        },
    );
    fault.map_or(Ok(all), Err)
}

struct Prepared {
    template: Template,
    constraint: Constraint,
}

impl Prepared {
    fn of(test: &Value, read: &ReadFile<'_>) -> Result<Self, String> {
        let first = |field: &str| {
            let file = text(test, field);
            let all = read_objects(file, read)?;
            all.into_iter()
                .next()
                .ok_or_else(|| format!("{file} is empty"))
        };
        let template = gatekeeper::template(&first("template")?)?;
        if let Some(why) = &template.refused {
            return Err(format!("refused: {why}"));
        }
        let object = first("constraint")?;
        if object.kind != template.kind {
            return Err(format!(
                "the constraint's kind {} is not the template's",
                object.kind
            ));
        }
        let mut constraint = gatekeeper::constraint(&object)?;
        if let Some(schema) = &template.schema {
            gatekeeper::default_parameters(&mut constraint.parameters, schema);
        }
        Ok(Self {
            template,
            constraint,
        })
    }

    fn case(&self, case: &Value, read: &ReadFile<'_>, language: Language) -> Result<(), String> {
        let objects = read_objects(text(case, "object"), read)?;
        let object = objects.first().ok_or("the object's file is empty")?;
        let mut inventory = Map::new();
        let mut namespaces = Namespaces::new();
        let mut known = Vec::new();
        for file in list(case, "inventory").filter_map(Value::as_str) {
            known.extend(read_objects(file, read)?);
        }
        for object in &known {
            if object.kind == "Namespace" {
                namespaces.insert(object.name.clone(), labels_of(&object.value));
            }
            let version = if object.group.is_empty() {
                object.version.clone()
            } else {
                format!("{}/{}", object.group, object.version)
            };
            let path = match object.namespace.as_str() {
                "" => vec!["cluster", &version, &object.kind, &object.name],
                ns => vec!["namespace", ns, &version, &object.kind, &object.name],
            };
            crate::evaluate::insert(&mut inventory, &path, object.value.clone());
        }
        let inventory = Shared::of(&Value::Object(inventory));
        let violations = self.violations(object, &inventory, &namespaces, language)?;
        for assertion in list(case, "assertions") {
            assert(assertion, &violations)?;
        }
        Ok(())
    }

    fn violations(
        &self,
        object: &Object,
        inventory: &Shared,
        namespaces: &Namespaces,
        language: Language,
    ) -> Result<Vec<Violation>, String> {
        let review = review(object);
        let target = Target {
            group: text(review.get("kind").unwrap_or(&Value::Null), "group"),
            kind: text(review.get("kind").unwrap_or(&Value::Null), "kind"),
            namespace: text(&review, "namespace"),
            value: review
                .get("object")
                .filter(|o| !o.is_null())
                .or_else(|| review.get("oldObject"))
                .unwrap_or(&Value::Null),
            generated: false,
        };
        match self.constraint.matching.test(&target, namespaces) {
            Verdict::Yes => {}
            Verdict::No => return Ok(Vec::new()),
            Verdict::Unknown(why) => return Err(why),
        }
        let parameters = Parameters::of(&self.constraint.parameters);
        let now = Timestamp::from_micros(0);
        let budget = Budget::default();
        let mut unit = Unit::of(&self.template, language, Some(inventory), now, budget)?;
        let mut request = review;
        let mut part = |field: &str| {
            let fields = request.as_object_mut();
            fields.and_then(|m| m.remove(field)).unwrap_or(Value::Null)
        };
        let (object, old) = (part("object"), part("oldObject"));
        unit.evaluate(&Ask::new(&object, &old, None, &request), &parameters)
    }
}

/// The review of an object, or the request of an AdmissionReview.
fn review(object: &Object) -> Value {
    if object.kind == "AdmissionReview" {
        return object.value.get("request").cloned().unwrap_or(Value::Null);
    }
    let mut review = json!({
        "kind": {"group": object.group, "version": object.version, "kind": object.kind},
        "name": object.meta("name"),
        "object": object.value,
        "oldObject": null,
        "operation": "",
        "options": null,
        "resource": {"group": "", "version": "", "resource": ""},
        "uid": "",
        "userInfo": {}
    });
    if let (false, Value::Object(map)) = (object.namespace.is_empty(), &mut review) {
        map.insert("namespace".into(), object.namespace.clone().into());
    }
    review
}

fn assert(assertion: &Value, violations: &[Violation]) -> Result<(), String> {
    let message = assertion
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or("");
    let wanted = match regex_free(message) {
        Some(parts) => violations
            .iter()
            .filter(|v| parts.iter().all(|p| v.message.contains(p.as_str())))
            .count(),
        None => violations.len(),
    };
    let fits = match assertion.get("violations") {
        None => wanted > 0,
        Some(Value::Bool(any)) => (wanted > 0) == *any,
        Some(Value::String(word)) if word == "yes" => wanted > 0,
        Some(Value::String(word)) if word == "no" => wanted == 0,
        Some(Value::Number(n)) => n.as_u64() == Some(wanted as u64),
        Some(other) => return Err(format!("violations: {other} is not understood")),
    };
    if fits {
        return Ok(());
    }
    let messages: Vec<_> = violations.iter().map(|v| v.message.as_str()).collect();
    Err(format!("wanted {assertion}, got {wanted} of {messages:?}"))
}

/// Gator takes the message as a regular expression. Suites use it for literal texts and `.*`;
/// anything else is not compared, only counted.
fn regex_free(message: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = message
        .split(".*")
        .map(|p| {
            p.trim_start_matches('^')
                .trim_end_matches('$')
                .replace("\\.", ".")
        })
        .collect();
    let literal =
        |p: &String| !p.contains(['[', ']', '(', ')', '|', '+', '*', '?', '\\', '{', '}']);
    parts.iter().all(literal).then_some(parts)
}
