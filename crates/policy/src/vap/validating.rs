//! ValidatingAdmissionPolicy.

use super::binding::{Binding, Params};
use super::matching::Match;
use super::{Denial, Request, Unknown, fails, globals, list, name, param_kind, spec, text};
use crate::budget::Budget;
use crate::cel::{Decision, Environment, Limits, Program, Rules, Told, Value as Cel};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest value of an audit annotation, in bytes.
const ANNOTATION: usize = 10 * 1024;

/// A ValidatingAdmissionPolicy, compiled. Share it between threads.
#[derive(Debug)]
pub struct ValidatingPolicy {
    name: String,
    matching: Match,
    rules: Rules,
    annotations: Vec<(String, Program)>,
    params: Option<(String, String)>,
    fail: bool,
}

/// What the policies say of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validated {
    /// It is denied if there is any.
    pub denied: Vec<Denial>,
    /// What the client is told beside.
    pub warnings: Vec<String>,
    /// Failures of bindings with the action Audit.
    pub failures: Vec<Failure>,
    /// Audit annotations, by `policy/key`.
    pub annotations: BTreeMap<String, String>,
    /// What could not be told.
    pub unknown: Vec<Unknown>,
}

/// A failure that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The policy's name.
    pub policy: String,
    /// The binding's name.
    pub binding: String,
    /// Which of the validations it was, counted from 0.
    pub expression: usize,
    /// What it says.
    pub message: String,
    /// The binding's actions.
    pub actions: Vec<String>,
}

impl ValidatingPolicy {
    /// Reads and compiles a policy.
    ///
    /// # Errors
    /// Says what is malformed, or which expression cannot be compiled.
    pub fn read(object: &Value) -> Result<Self, String> {
        let spec = spec(object)?;
        let params = param_kind(spec)?;
        let matching = Match::read(spec.get("matchConstraints"))
            .map_err(|why| format!("matchConstraints: {why}"))?;
        if !matching.has_rules() {
            return Err("matchConstraints.resourceRules is missing".into());
        }
        let mut environment = Environment::new(globals(params.is_some()));
        let rules = Rules::compile(spec, "matchConditions", &mut environment, &[])?;
        let mut annotations = Vec::new();
        for entry in list(spec, "auditAnnotations")? {
            let key = text(entry, "key")?.unwrap_or_default().to_owned();
            let expression = text(entry, "valueExpression")?.unwrap_or_default();
            let program = environment
                .compile(expression)
                .map_err(|why| format!("auditAnnotations {key}: {why}"))?;
            annotations.push((key, program));
        }
        Ok(Self {
            name: name(object)?,
            matching,
            rules,
            annotations,
            params,
            fail: fails(spec)?,
        })
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn error(&self, binding: Option<&Binding>, why: String, into: &mut Validated) {
        let binding = binding.map(|b| b.name.clone());
        let policy = self.name.clone();
        if self.fail {
            into.denied.push(Denial {
                policy,
                message: match &binding {
                    Some(_) => format!("failed to configure binding: {why}"),
                    None => format!("failed to configure policy: {why}"),
                },
                binding,
                reason: "Invalid".into(),
            });
        } else {
            into.unknown.push(Unknown {
                policy,
                binding,
                why,
                fail: false,
            });
        }
    }

    fn judge(
        &self,
        binding: &Binding,
        request: &Request<'_>,
        params: &Value,
        limits: Limits,
        into: &mut Judged<'_>,
    ) {
        let globals = request.globals(request.object, params);
        let mut session = self.rules.session(globals, Vec::new(), limits);
        let unknown = |why: String| Unknown {
            policy: self.name.clone(),
            binding: Some(binding.name.clone()),
            why,
            fail: self.fail,
        };
        let decisions = match self.rules.judge(&mut session, request.namespace_object()) {
            Ok(Told::Unmatched) => return,
            Ok(Told::MatchError(why)) => vec![Decision::Error(why)],
            Ok(Told::Judged(decisions)) => decisions,
            Err(why) => {
                into.said.unknown.push(unknown(why.to_string()));
                return;
            }
        };
        for (i, decision) in decisions.into_iter().enumerate() {
            match decision {
                Decision::Admit => {}
                Decision::Deny { message, reason } => into.act(self, binding, i, message, reason),
                Decision::Error(why) if self.fail => into.act(self, binding, i, why, None),
                Decision::Error(why) => into.said.unknown.push(unknown(why)),
            }
        }
        for (key, program) in &self.annotations {
            let fault = match session.evaluate(program) {
                Ok(Cel::Null) => continue,
                Ok(Cel::Text(value)) => {
                    into.annotate(key, value.trim());
                    continue;
                }
                Ok(_) => format!("the value of the audit annotation {key} is no text"),
                Err(why) if why.is_limit() || !self.fail => {
                    into.said.unknown.push(unknown(why.to_string()));
                    continue;
                }
                Err(why) => why.to_string(),
            };
            // An annotation that cannot be made denies, whatever the binding's actions are.
            into.said.denied.push(Denial {
                policy: self.name.clone(),
                binding: Some(binding.name.clone()),
                message: fault,
                reason: "Invalid".into(),
            });
        }
    }
}

/// What one policy has said so far.
struct Judged<'v> {
    said: &'v mut Validated,
    annotations: BTreeMap<String, Vec<String>>,
}

impl Judged<'_> {
    fn act(
        &mut self,
        policy: &ValidatingPolicy,
        binding: &Binding,
        expression: usize,
        message: String,
        reason: Option<String>,
    ) {
        let (policy, name) = (policy.name.clone(), binding.name.clone());
        for action in &binding.actions {
            match action.as_str() {
                "Deny" => self.said.denied.push(Denial {
                    policy: policy.clone(),
                    binding: Some(name.clone()),
                    message: message.clone(),
                    reason: reason.clone().unwrap_or_else(|| "Invalid".into()),
                }),
                "Warn" => self.said.warnings.push(format!(
                    "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{name}': {message}"
                )),
                _ => self.said.failures.push(Failure {
                    policy: policy.clone(),
                    binding: name.clone(),
                    expression,
                    message: message.clone(),
                    actions: binding.actions.clone(),
                }),
            }
        }
    }

    fn annotate(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let end = (0..=value.len().min(ANNOTATION)).rev();
        let cut = end.into_iter().find_map(|end| value.get(..end));
        let all = self.annotations.entry(key.to_owned()).or_default();
        let cut = cut.unwrap_or_default().to_owned();
        if !all.contains(&cut) {
            all.push(cut);
        }
    }
}

/// Asks all policies through their bindings.
pub fn validate(
    policies: &[ValidatingPolicy],
    bindings: &[Binding],
    request: &Request<'_>,
    params: &dyn Params,
    budget: Budget,
) -> Validated {
    let mut said = Validated::default();
    if request.exempt() {
        return said;
    }
    for policy in policies {
        match policy.matching.test(request) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(why) => {
                policy.error(None, why, &mut said);
                continue;
            }
        }
        let mut annotations = BTreeMap::new();
        for binding in bindings.iter().filter(|b| b.policy == policy.name) {
            let found = match binding.test(request) {
                Ok(false) => continue,
                Ok(true) => binding.params(policy.params.as_ref(), request, params),
                Err(why) => Err(why),
            };
            let found = match found {
                Ok(found) => found,
                Err(why) => {
                    policy.error(Some(binding), why, &mut said);
                    continue;
                }
            };
            let mut judged = Judged {
                said: &mut said,
                annotations: std::mem::take(&mut annotations),
            };
            for params in found {
                policy.judge(binding, request, params, Limits::from(budget), &mut judged);
            }
            annotations = judged.annotations;
        }
        for (key, values) in annotations {
            let name = format!("{}/{key}", policy.name);
            said.annotations.insert(name, values.join(", "));
        }
    }
    said
}
