//! What a policy is asked: one review and one constraint's parameters, each in the form that
//! an engine wants, made once and only when one wants it.

use crate::engine::Shared;
use serde_json::{Value, json};
use std::cell::OnceCell;

/// One review. An engine takes the parts, as JSON or as the Rego engine's values.
pub(crate) struct Ask<'r> {
    /// The object under review; of a DELETE the one that goes, as Gatekeeper has it.
    pub object: &'r Value,
    /// The object before; null where there is none.
    pub old_object: &'r Value,
    /// The Namespace that the review is in, where it is known.
    pub namespace: Option<Known<'r>>,
    /// All other fields of `input.review`: kind, name, operation, userInfo and so on, named
    /// and shaped as an AdmissionRequest's.
    pub request: &'r Value,
    rego: OnceCell<Shared>,
}

/// A Namespace that is kept in both forms, because reviews share it.
#[derive(Clone)]
pub(crate) struct Known<'r> {
    pub json: &'r Value,
    pub rego: Shared,
}

impl<'r> Ask<'r> {
    pub(crate) fn new(
        object: &'r Value,
        old_object: &'r Value,
        namespace: Option<Known<'r>>,
        request: &'r Value,
    ) -> Self {
        Self {
            object,
            old_object,
            namespace,
            request,
            rego: OnceCell::new(),
        }
    }

    /// `input.review`.
    pub(crate) fn rego(&self) -> &Shared {
        self.rego.get_or_init(|| {
            let mut fields = vec![
                ("object", Shared::of(self.object)),
                ("oldObject", Shared::of(self.old_object)),
            ];
            for (key, value) in self.request.as_object().into_iter().flatten() {
                fields.push((key.as_str(), Shared::of(value)));
            }
            if let Some(namespace) = &self.namespace {
                let namespace = &namespace.rego;
                let unstable = Shared::object([("namespace", namespace.clone())]);
                fields.push(("_unstable", unstable));
                fields.push(("namespaceObject", namespace.clone()));
            } else {
                fields.push(("namespaceObject", Shared::of(&Value::Null)));
            }
            Shared::object(fields)
        })
    }
}

/// A constraint's parameters.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    /// Null where it has none.
    pub json: Value,
    /// An empty object where it has none.
    pub rego: Shared,
}

impl Parameters {
    pub(crate) fn of(value: &Value) -> Self {
        Self {
            rego: match value {
                Value::Null => Shared::of(&json!({})),
                other => Shared::of(other),
            },
            json: value.clone(),
        }
    }
}
