//! `K8sNativeValidation`, the CEL of Gatekeeper's ConstraintTemplates.
//!
//! As in Gatekeeper, an error under `failurePolicy: Fail` (the default) is a violation. Under
//! `Ignore` Gatekeeper lets the object pass; here the evaluation is an error, which becomes
//! Unknown. So is a budget that is spent, under both.

use super::request::{namespace, request};
use super::rules::{Decision, Rules, Told, text};
use super::{Environment, Limits, Value};
use crate::budget::Budget;
use crate::engine::Violation;
use serde_json::Value as Json;

/// The code of a template, compiled: shared by all workers.
#[derive(Debug)]
pub(crate) struct NativeCode {
    rules: Rules,
    /// Whether an error is a violation.
    fail: bool,
}

/// What an evaluation sees. What is absent is null.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activation<'a> {
    pub object: &'a Json,
    pub old_object: &'a Json,
    pub request: &'a Json,
    pub namespace_object: &'a Json,
    pub params: &'a Json,
}

/// No name of a template may begin like this.
const RESERVED: &str = "gatekeeper_internal_";

impl NativeCode {
    /// Reads `code[].source`.
    pub(crate) fn compile(source: &Json) -> Result<Self, String> {
        if !source.is_object() {
            return Err("code[].source is no mapping".into());
        }
        let fail = match text(source, "failurePolicy")? {
            None | Some("Fail") => true,
            Some("Ignore") => false,
            Some(other) => return Err(format!("failurePolicy {other:?} is not known")),
        };
        for variable in super::rules::list(source, "variables")? {
            let name = text(variable, "name")?.unwrap_or_default();
            if matches!(name, "params" | "anyObject") || name.starts_with(RESERVED) {
                return Err(format!("a variable may not be named {name:?}"));
            }
        }
        for condition in super::rules::list(source, "matchCondition")? {
            let name = text(condition, "name")?.unwrap_or_default();
            if name.starts_with(RESERVED) {
                return Err(format!("a match condition may not be named {name:?}"));
            }
        }
        let mut environment =
            Environment::new(&["object", "oldObject", "request", "namespaceObject"]);
        // The field is `matchCondition` to Gatekeeper, whatever its documents say.
        let given = ["anyObject", "params"];
        let rules = Rules::compile(source, "matchCondition", &mut environment, &given)?;
        Ok(Self { rules, fail })
    }

    /// What the template says. The error says why it could not be told.
    pub(crate) fn evaluate(
        &self,
        activation: &Activation<'_>,
        budget: &Budget,
    ) -> Result<Vec<Violation>, String> {
        let operation = activation.request.get("operation").and_then(Json::as_str);
        // Gatekeeper's reviews carry the object that goes; CEL sees it as `oldObject` only.
        let object = match operation {
            Some("DELETE") => &Json::Null,
            _ => activation.object,
        };
        let any = match (operation, object) {
            (Some("DELETE"), Json::Null) => activation.old_object,
            _ => object,
        };
        let globals = vec![
            Value::json(object),
            Value::json(activation.old_object),
            request(activation.request),
            Value::Null,
        ];
        let namespace = namespace(activation.namespace_object);
        let given = vec![Value::json(any), Value::json(activation.params)];
        let mut session = self.rules.session(globals, given, Limits::from(*budget));
        let told = self
            .rules
            .judge(&mut session, namespace)
            .map_err(|e| e.to_string())?;
        let decisions = match told {
            Told::Unmatched => return Ok(Vec::new()),
            Told::MatchError(why) => vec![Decision::Error(why)],
            Told::Judged(decisions) => decisions,
        };
        let mut all = Vec::new();
        let mut ignored = None;
        for decision in decisions {
            match decision {
                Decision::Admit => {}
                Decision::Deny { message, .. } => all.push(violation(message)),
                Decision::Error(why) if self.fail => all.push(violation(why)),
                Decision::Error(why) => {
                    ignored.get_or_insert(why);
                }
            }
        }
        match ignored {
            Some(why) if all.is_empty() => Err(why),
            _ => Ok(all),
        }
    }
}

fn violation(message: String) -> Violation {
    Violation {
        message,
        locus: None,
        container: None,
        path: None,
        actual: None,
        expected: None,
        details: None,
    }
}
