//! ValidatingAdmissionPolicy.

use super::binding::{Binding, Missing, Params};
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

/// A validation that failed, or had no value where the policy takes that for a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The policy's name.
    pub policy: String,
    /// The binding's name.
    pub binding: String,
    /// Which of the validations it was, counted from 0; none where it was a match condition,
    /// a parameter or an audit annotation.
    pub expression: Option<usize>,
    /// What it says.
    pub message: String,
    /// The reason of the status, where the policy names one.
    pub reason: Option<String>,
    /// Whether it is an error, which `failurePolicy: Fail` makes a failure.
    pub error: bool,
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

    /// The version and kind of its parameters.
    pub(crate) fn param_kind(&self) -> Option<&(String, String)> {
        self.params.as_ref()
    }

    /// Asks it through its bindings.
    pub(crate) fn ask<'b>(
        &self,
        bindings: impl IntoIterator<Item = &'b Binding>,
        request: &Request<'_>,
        params: &dyn Params,
        budget: Budget,
    ) -> Judged {
        let mut judged = Judged::default();
        if request.exempt() {
            return judged;
        }
        match self.matching.test(request) {
            Ok(true) => {}
            Ok(false) => return judged,
            Err(why) => {
                judged.unknown.push(self.unknown(None, why));
                return judged;
            }
        }
        let mut annotations = BTreeMap::new();
        for binding in bindings {
            let found = match binding.test(request) {
                Ok(false) => continue,
                Ok(true) => binding.params(self.params.as_ref(), request, params),
                Err(why) => Err(Missing::Unknown(why)),
            };
            judged.asked += 1;
            match found {
                Ok(found) => {
                    for params in found {
                        let limits = Limits::from(budget);
                        self.judge(
                            binding,
                            request,
                            params,
                            limits,
                            &mut judged,
                            &mut annotations,
                        );
                    }
                }
                Err(Missing::Error(why)) if self.fail => {
                    let message = format!("failed to configure binding: {why}");
                    let mut failure = self.failure(binding, None, message);
                    // It denies, whatever the binding's actions are.
                    failure.actions = vec!["Deny".to_owned()];
                    judged.failures.push(failure);
                }
                Err(Missing::Error(why) | Missing::Unknown(why)) => {
                    judged.unknown.push(self.unknown(Some(binding), why));
                }
            }
        }
        for (key, values) in annotations {
            judged.annotations.push((key, values.join(", ")));
        }
        judged
    }

    fn unknown(&self, binding: Option<&Binding>, why: String) -> Unknown {
        Unknown {
            policy: self.name.clone(),
            binding: binding.map(|b| b.name.clone()),
            why,
            fail: self.fail,
        }
    }

    fn failure(&self, binding: &Binding, expression: Option<usize>, message: String) -> Failure {
        Failure {
            policy: self.name.clone(),
            binding: binding.name.clone(),
            expression,
            message,
            reason: None,
            error: true,
            actions: binding.actions.clone(),
        }
    }

    fn judge(
        &self,
        binding: &Binding,
        request: &Request<'_>,
        params: &Value,
        limits: Limits,
        into: &mut Judged,
        annotations: &mut BTreeMap<String, Vec<String>>,
    ) {
        let globals = request.globals(request.object, params);
        let mut session = self.rules.session(globals, Vec::new(), limits);
        let decisions = match self.rules.judge(&mut session, request.namespace_object()) {
            Ok(Told::Unmatched) => return,
            Ok(Told::MatchError(why)) if self.fail => {
                into.failures.push(self.failure(binding, None, why));
                Vec::new()
            }
            Ok(Told::MatchError(why)) => {
                into.unknown.push(self.unknown(Some(binding), why));
                Vec::new()
            }
            Ok(Told::Judged(decisions)) => decisions,
            Err(why) => {
                into.unknown
                    .push(self.unknown(Some(binding), why.to_string()));
                return;
            }
        };
        into.judged = true;
        for (i, decision) in decisions.into_iter().enumerate() {
            match decision {
                Decision::Admit => {}
                Decision::Deny { message, reason } => into.failures.push(Failure {
                    reason,
                    error: false,
                    ..self.failure(binding, Some(i), message)
                }),
                Decision::Error(why) if self.fail => {
                    into.failures.push(self.failure(binding, Some(i), why));
                }
                Decision::Error(why) => into.unknown.push(self.unknown(Some(binding), why)),
            }
        }
        for (key, program) in &self.annotations {
            let fault = match session.evaluate(program) {
                Ok(Cel::Null) => continue,
                Ok(Cel::Text(value)) => {
                    annotate(annotations, key, value.trim());
                    continue;
                }
                Ok(_) => format!("the value of the audit annotation {key} is no text"),
                Err(why) if why.is_limit() || !self.fail => {
                    into.unknown
                        .push(self.unknown(Some(binding), why.to_string()));
                    continue;
                }
                Err(why) => why.to_string(),
            };
            // An annotation that cannot be made denies, whatever the binding's actions are.
            let mut failure = self.failure(binding, None, fault);
            failure.actions = vec!["Deny".to_owned()];
            into.failures.push(failure);
        }
    }
}

/// What one policy says of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// What failed, with the actions of the bindings.
    pub failures: Vec<Failure>,
    /// Audit annotations.
    pub annotations: Vec<(String, String)>,
    /// What could not be told.
    pub unknown: Vec<Unknown>,
    /// How many bindings look at the request.
    pub asked: usize,
    /// Whether any validation was looked at.
    pub judged: bool,
}

fn annotate(annotations: &mut BTreeMap<String, Vec<String>>, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let end = (0..=value.len().min(ANNOTATION)).rev();
    let cut = end.into_iter().find_map(|end| value.get(..end));
    let all = annotations.entry(key.to_owned()).or_default();
    let cut = cut.unwrap_or_default().to_owned();
    if !all.contains(&cut) {
        all.push(cut);
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
    for policy in policies {
        let own = bindings.iter().filter(|b| b.policy == policy.name);
        let judged = policy.ask(own, request, params, budget);
        for failure in judged.failures {
            said.act(failure);
        }
        said.unknown.extend(judged.unknown);
        let named = judged.annotations.into_iter();
        said.annotations
            .extend(named.map(|(key, value)| (format!("{}/{key}", policy.name), value)));
    }
    said
}

impl Validated {
    fn act(&mut self, failure: Failure) {
        let (policy, binding, message) = (&failure.policy, &failure.binding, &failure.message);
        for action in &failure.actions {
            match action.as_str() {
                "Deny" => self.denied.push(Denial {
                    policy: policy.clone(),
                    binding: Some(binding.clone()),
                    message: message.clone(),
                    reason: failure.reason.clone().unwrap_or_else(|| "Invalid".into()),
                }),
                "Warn" => self.warnings.push(format!(
                    "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': {message}"
                )),
                _ => self.failures.push(failure.clone()),
            }
        }
    }
}
