//! MutatingAdmissionPolicy.

use super::binding::{Binding, Missing, Params};
use super::matching::Match;
use super::patch::{Fault, Operation};
use super::{
    Denial, Request, Unknown, fails, globals, list, merge, name, param_kind, patch, spec, text,
};
use crate::budget::Budget;
use crate::cel::{Environment, Limits, Program, Rules, Told, Value as Cel};
use serde_json::Value;

/// A MutatingAdmissionPolicy, compiled. Share it between threads.
#[derive(Debug)]
pub struct MutatingPolicy {
    name: String,
    matching: Match,
    rules: Rules,
    mutations: Vec<(Patch, Program)>,
    params: Option<(String, String)>,
    fail: bool,
    /// Whether it is asked again when a later one has changed the object.
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patch {
    ApplyConfiguration,
    Json,
}

/// What policies made of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutated {
    /// The object as it is now.
    pub object: Value,
    /// It is denied if there is any.
    pub denied: Vec<Denial>,
    /// What could not be told; such a mutation was not made.
    pub unknown: Vec<Unknown>,
}

/// How a mutation ended that was not made.
enum Failed {
    /// Because of what is not known here, or a budget that is spent.
    Unknown(String),
    /// As in the API server.
    Error(String),
}

impl MutatingPolicy {
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
        let mut environment = Environment::new(globals(params.is_some())).with_mutation();
        let rules = Rules::compile(spec, "matchConditions", &mut environment, &[])?;
        let mut mutations = Vec::new();
        for (i, entry) in list(spec, "mutations")?.iter().enumerate() {
            let at = |why: String| format!("mutations[{i}]: {why}");
            let (patch, field) = match text(entry, "patchType").map_err(at)? {
                Some("ApplyConfiguration") => (Patch::ApplyConfiguration, "applyConfiguration"),
                Some("JSONPatch") => (Patch::Json, "jsonPatch"),
                other => return Err(at(format!("patchType {other:?} is not known"))),
            };
            let holder = entry.get(field).unwrap_or(&Value::Null);
            let expression = text(holder, "expression").map_err(at)?;
            let expression =
                expression.ok_or_else(|| at(format!("{field}.expression is missing")))?;
            mutations.push((patch, environment.compile(expression).map_err(at)?));
        }
        if mutations.is_empty() {
            return Err("mutations is missing".into());
        }
        Ok(Self {
            name: name(object)?,
            matching,
            rules,
            mutations,
            params,
            fail: fails(spec)?,
            again: match text(spec, "reinvocationPolicy")? {
                Some("IfNeeded") => true,
                None | Some("Never") => false,
                Some(other) => return Err(format!("reinvocationPolicy {other:?} is not known")),
            },
        })
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is asked again when others have changed the object.
    pub(crate) fn again(&self) -> bool {
        self.again
    }

    /// Whether a request about this resource may be looked at at all.
    pub(crate) fn may_match(&self, request: &Request<'_>) -> bool {
        self.matching.reaches(
            request.text(&["resource", "group"]),
            request.text(&["resource", "resource"]),
            request.text(&["subResource"]),
            request.operation(),
        )
    }

    /// The version and kind of its parameters.
    pub(crate) fn param_kind(&self) -> Option<&(String, String)> {
        self.params.as_ref()
    }

    fn fault(&self, binding: Option<&Binding>, failed: Failed, into: &mut Mutated) {
        let binding = binding.map(|b| b.name.clone());
        let policy = self.name.clone();
        let fail = self.fail;
        match failed {
            Failed::Error(message) if fail => into.denied.push(Denial {
                policy,
                binding,
                message,
                reason: "Invalid".into(),
            }),
            Failed::Error(why) | Failed::Unknown(why) => into.unknown.push(Unknown {
                policy,
                binding,
                why,
                fail,
            }),
        }
    }

    /// One binding and one object of parameters; whether the object was changed.
    fn run(
        &self,
        binding: &Binding,
        request: &Request<'_>,
        params: &Value,
        limits: Limits,
        into: &mut Mutated,
    ) -> bool {
        if into.object.is_null() {
            return false;
        }
        let before = into.object.clone();
        let matched = {
            let globals = request.globals(&before, params);
            let mut session = self.rules.session(globals, Vec::new(), limits);
            self.rules.unmatched(&mut session)
        };
        let failed = match matched {
            Ok(None) => None,
            Ok(Some(Told::MatchError(why))) => Some(Failed::Error(why)),
            Ok(Some(_)) => return false,
            Err(why) => Some(Failed::Unknown(why.to_string())),
        };
        if let Some(failed) = failed {
            self.fault(Some(binding), failed, into);
            return false;
        }
        for (kind, program) in &self.mutations {
            let now = into.object.clone();
            let globals = request.globals(&now, params);
            let mut session = self.rules.session(globals, Vec::new(), limits);
            self.rules.beyond(&mut session, request.namespace_object());
            let made = match session.evaluate(program) {
                Ok(value) => patched(*kind, &now, &value),
                Err(why) if why.is_limit() => Err(Failed::Unknown(why.to_string())),
                Err(why) => {
                    let text = program.text().trim();
                    let why = format!("expression '{text}' resulted in error: {why}");
                    Err(Failed::Error(why))
                }
            };
            match made {
                Ok(object) => into.object = object,
                Err(failed) => self.fault(Some(binding), failed, into),
            }
        }
        into.object != before
    }
}

fn patched(kind: Patch, object: &Value, value: &Cel<'_>) -> Result<Value, Failed> {
    let error = |why: String| Failed::Error(why);
    match kind {
        Patch::ApplyConfiguration => {
            if value.struct_name() != Some("Object") {
                return Err(error("an apply configuration must be an Object".into()));
            }
            value.check_types("Object").map_err(error)?;
            let configuration = value.to_json().map_err(|e| error(e.to_string()))?;
            let merged = merge::apply(object, &configuration);
            merged.map_err(|why| error(format!("error applying patch: {why}")))
        }
        Patch::Json => {
            let mut operations = Vec::new();
            let items = value
                .items()
                .ok_or_else(|| error("a JSON patch must be a list".into()))?;
            for item in items {
                operations.push(operation(&item).map_err(error)?);
            }
            match patch::apply(object, &operations) {
                Ok(object) => Ok(object),
                Err(Fault::Test) => Ok(object.clone()),
                Err(Fault::Malformed(why)) => Err(error(format!("JSON Patch: {why}"))),
            }
        }
    }
}

fn operation(item: &Cel<'_>) -> Result<Operation, String> {
    if item.struct_name() != Some("JSONPatch") {
        return Err("an operation of a JSON patch must be a JSONPatch".into());
    }
    if let Some(value) = item.member("value")
        && let Some(name) = value.struct_name()
    {
        value.check_types(name)?;
    }
    let json = item.to_json().map_err(|e| e.to_string())?;
    let field = |name: &str| text(&json, name).map(|t| t.unwrap_or_default().to_owned());
    Ok(Operation {
        op: field("op")?,
        path: field("path")?,
        from: field("from")?,
        value: json.get("value").cloned(),
    })
}

/// Applies all policies through their bindings, each in the order of its name; then once more
/// those that want to be asked again, where a later one has changed the object.
pub fn mutate(
    policies: &[MutatingPolicy],
    bindings: &[Binding],
    request: &Request<'_>,
    params: &dyn Params,
    budget: Budget,
) -> Mutated {
    let mut order: Vec<(&MutatingPolicy, &Binding)> = Vec::new();
    for policy in policies {
        let own = bindings.iter().filter(|b| b.policy == policy.name);
        order.extend(own.map(|binding| (policy, binding)));
    }
    order.sort_by(|(a, x), (b, y)| (&a.name, &x.name).cmp(&(&b.name, &y.name)));
    mutate_in_order(&order, request, params, budget)
}

/// The same with policies and bindings in their order.
pub(crate) fn mutate_in_order(
    order: &[(&MutatingPolicy, &Binding)],
    request: &Request<'_>,
    params: &dyn Params,
    budget: Budget,
) -> Mutated {
    let mut out = Mutated {
        object: request.object.clone(),
        denied: Vec::new(),
        unknown: Vec::new(),
    };
    if request.exempt() || request.object.is_null() {
        return out;
    }
    let limits = Limits::from(budget);
    let mut ran = Vec::new();
    let mut last_change = None;
    for (place, (policy, binding)) in order.iter().enumerate() {
        // Selectors look at the object as it came, conditions and mutations as it is now.
        let found = match (policy.matching.test(request), binding.test(request)) {
            (Ok(false), _) | (_, Ok(false)) => continue,
            (Ok(true), Ok(true)) => match binding.params(policy.params.as_ref(), request, params) {
                Ok(found) => Ok(found),
                Err(Missing::Unknown(why)) => Err(Failed::Unknown(why)),
                Err(Missing::Error(why)) => {
                    Err(Failed::Error(format!("failed to configure binding: {why}")))
                }
            },
            (Err(why), _) | (_, Err(why)) => Err(Failed::Unknown(why)),
        };
        match found {
            Ok(found) => {
                for params in found {
                    if policy.run(binding, request, params, limits, &mut out) {
                        last_change = Some(place);
                    }
                    ran.push((place, params));
                }
            }
            Err(failed) => policy.fault(Some(binding), failed, &mut out),
        }
    }
    for (place, params) in ran {
        let later = last_change.is_some_and(|change| change > place);
        if let Some((policy, binding)) = order.get(place).filter(|(p, _)| p.again && later) {
            policy.run(binding, request, params, limits, &mut out);
        }
    }
    out
}
