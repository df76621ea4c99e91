//! Policies tried on manifests as if the API server had asked about them.
//!
//! ```text
//! {"kind": "AdmissionReview", "request": {"operation": "CREATE", "object": {…}}}
//! ```
//!
//! is made for each object of the manifests, and judged as the webhook would. Namespaces among
//! them are the cluster's. A DELETE has the object as the old one, an UPDATE as both.

use crate::admit::{AdmitOptions, Admitter, Verdict};
use crate::input::{self, Limits, Piece, Source};
use crate::library::Library;
use crate::object::{Found, Object, objects};
use crate::review::{Operation, Review, ReviewError, ReviewLimits};
use crate::world::World;
use bartizan_model::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Objects of one trial at most.
const MAX_OBJECTS: usize = 50;

/// What was said of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty where none is written.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The line where it begins.
    pub line: u32,
    /// The verdict.
    pub verdict: Verdict,
}

/// Why nothing can be tried. The fault of what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaygroundError {
    /// The manifests cannot be read.
    #[error("line {line}: {why}")]
    Unreadable {
        /// Where.
        line: u32,
        /// What is wrong.
        why: String,
    },
    /// There is nothing to try on.
    #[error("the manifests hold no Kubernetes object")]
    Empty,
    /// Too many objects.
    #[error("the manifests hold more than {MAX_OBJECTS} objects")]
    TooMany,
    /// An object makes no review.
    #[error("line {line}: {why}")]
    Review {
        /// Where the object begins.
        line: u32,
        /// What is wrong.
        why: ReviewError,
    },
}

/// Judges each object of the manifests. `time` is what all of it may take; what there is no
/// time for is Unknown.
pub fn play(
    library: &Library,
    manifests: &[u8],
    operation: Operation,
    options: AdmitOptions,
    time: &mut dyn FnMut() -> Duration,
    now: Timestamp,
) -> Result<Vec<Tried>, PlaygroundError> {
    let all = read(manifests)?;
    let world = Arc::new(World::of(library, &all));
    // A trial uses no exception.
    let mut admitter = Admitter::new(&library.apart(), world, options, now);
    let mut tried = Vec::new();
    for object in &all {
        let line = object.location.line;
        let review =
            review(object, operation).map_err(|why| PlaygroundError::Review { line, why })?;
        tried.push(Tried {
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            line,
            verdict: admitter.admit_within(&review, now, time),
        });
    }
    Ok(tried)
}

fn read(manifests: &[u8]) -> Result<Vec<Object>, PlaygroundError> {
    const NAME: &str = "manifests";
    let mut pieces = Vec::new();
    let limits = Limits {
        documents: MAX_OBJECTS * 2,
        ..Limits::default()
    };
    input::read(Source::new(NAME, manifests), &limits, &mut |p| {
        pieces.push(p)
    });
    let mut all = Vec::new();
    for piece in pieces {
        let document = match piece {
            Piece::Document(document) => document,
            Piece::Unreadable { line, why } => {
                return Err(PlaygroundError::Unreadable { line, why });
            }
            Piece::Unrendered { line } => {
                let why = "it is an unrendered template".to_owned();
                return Err(PlaygroundError::Unreadable { line, why });
            }
        };
        for found in objects(NAME, document) {
            match found {
                Found::Object(object) => all.push(*object),
                Found::Broken { line, why } => {
                    return Err(PlaygroundError::Unreadable { line, why });
                }
                Found::Other { .. } => {}
            }
        }
    }
    match all.len() {
        0 => Err(PlaygroundError::Empty),
        n if n > MAX_OBJECTS => Err(PlaygroundError::TooMany),
        _ => Ok(all),
    }
}

fn review(object: &Object, operation: Operation) -> Result<Review, ReviewError> {
    let (new, old) = match operation {
        Operation::Delete => (&Value::Null, &object.value),
        Operation::Update => (&object.value, &object.value),
        Operation::Create | Operation::Connect => (&object.value, &Value::Null),
    };
    let kind = json!({"group": object.group, "version": object.version, "kind": object.kind});
    let plural = crate::vap::manifest::resource_of(&object.kind);
    let resource = json!({"group": object.group, "version": object.version, "resource": plural});
    let asked = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "playground",
            "kind": kind, "resource": resource,
            "requestKind": kind, "requestResource": resource,
            "name": object.name, "namespace": object.namespace,
            "operation": operation.word(),
            "userInfo": {"username": "playground", "groups": ["system:authenticated"]},
            "object": new, "oldObject": old, "options": null, "dryRun": true,
        }
    });
    Review::parse(asked.to_string().as_bytes(), &ReviewLimits::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LibraryBuilder;

    const POLICY: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: wantsowner}
spec:
  crd: {spec: {names: {kind: WantsOwner}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package wantsowner
        violation[{"msg": msg}] {
          not input.review.object.metadata.labels.owner
          msg := sprintf("%v has no owner (%v)", [input.review.object.metadata.name, input.review.operation])
        }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: WantsOwner
metadata: {name: owners}
spec:
  match: {namespaceSelector: {matchLabels: {team: web}}}
"#;
    const MANIFESTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: web, owner: me}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: shop}
";

    fn said(operation: Operation, manifests: &str) -> Result<Vec<String>, PlaygroundError> {
        let mut builder = LibraryBuilder::new();
        builder.add("mine", "p.yaml", POLICY.as_bytes()).unwrap();
        let library = builder.build().unwrap();
        let options = AdmitOptions::default();
        let time = &mut || Duration::from_secs(5);
        let now = Timestamp::from_micros(0);
        let tried = play(
            &library,
            manifests.as_bytes(),
            operation,
            options,
            time,
            now,
        )?;
        Ok(tried
            .iter()
            .map(|t| {
                let why: Vec<_> = t.verdict.explains.iter().map(|e| &*e.message).collect();
                let word = t.verdict.outcome.word();
                format!("{}:{} {word} {}", t.kind, t.line, why.join("; "))
            })
            .collect())
    }

    #[test]
    fn objects_are_judged_as_the_webhook_would() {
        assert_eq!(
            said(Operation::Create, MANIFESTS).unwrap(),
            [
                "Namespace:2 allowed ",
                "ConfigMap:6 denied a has no owner (CREATE)"
            ]
        );
        let deleted = said(Operation::Delete, MANIFESTS).unwrap();
        assert_eq!(
            deleted.last().map(String::as_str),
            Some("ConfigMap:6 denied a has no owner (DELETE)")
        );
    }

    #[test]
    fn a_trial_uses_no_exception() {
        const EXCEPTION: &str = "apiVersion: bartizan.dev/v1\nkind: PolicyException\nmetadata: {name: e}\nspec: {policies: ['*'], owner: me, reason: x, expires: 2100-01-01}\n";
        let load = || {
            let mut builder = LibraryBuilder::new();
            builder.add("mine", "p.yaml", POLICY.as_bytes()).unwrap();
            builder.add("mine", "e.yaml", EXCEPTION.as_bytes()).unwrap();
            builder.build().unwrap()
        };
        let library = load();
        let options = AdmitOptions::default();
        let now = Timestamp::from_micros(0);
        let time = &mut || Duration::from_secs(5);
        let create = Operation::Create;
        let tried = play(&library, MANIFESTS.as_bytes(), create, options, time, now).unwrap();
        assert!(tried[1].verdict.explains[0].exception.is_some());
        assert_eq!(library.unused_exceptions(now).len(), 1);
        // At the webhook it is used, and the same exception of the next load knows of it.
        let all = read(MANIFESTS.as_bytes()).unwrap();
        let world = Arc::new(World::of(&library, &all));
        let asked = review(&all[1], create).unwrap();
        let mut admitter = Admitter::new(&library, world, options, now);
        let next = load().continuing(&library);
        admitter.admit(&asked, now);
        assert!(library.unused_exceptions(now).is_empty());
        assert!(next.unused_exceptions(now).is_empty());
        assert_eq!(load().unused_exceptions(now).len(), 1);
        assert_eq!(library.constraint_counts()[&("deny", "active")], 1);
    }

    #[test]
    fn what_cannot_be_tried_says_where() {
        assert_eq!(said(Operation::Create, "x: y"), Err(PlaygroundError::Empty));
        let broken = said(Operation::Create, "a: [").unwrap_err();
        assert!(broken.to_string().starts_with("line "), "{broken}");
    }
}
