//! What admission policies have in common, whichever object holds them: variables, match
//! conditions, validations with messages, and what an error means.

use super::error::Error;
use super::{Environment, Limits, Meter, Program, Session, Value, Variable};
use serde_json::Value as Json;

/// The longest message that an expression may make, in bytes.
const MESSAGE: usize = 5 * 1024;

/// The expressions of one policy, compiled.
#[derive(Debug)]
pub(crate) struct Rules {
    variables: Vec<Variable>,
    /// How many variables come from outside.
    given: usize,
    conditions: Vec<(String, Program)>,
    validations: Vec<Validation>,
}

#[derive(Debug)]
struct Validation {
    program: Program,
    message: Option<String>,
    message_program: Option<Program>,
    reason: Option<String>,
}

/// What one validation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Admit,
    Deny {
        message: String,
        reason: Option<String>,
    },
    /// It has no value, and why.
    Error(String),
}

/// What a policy says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// A match condition is false: the policy does not look at the request.
    Unmatched,
    /// Whether it looks could not be told.
    MatchError(String),
    /// One decision for each validation.
    Judged(Vec<Decision>),
}

/// The text of a field, if it has one.
pub(super) fn text<'v>(value: &'v Json, field: &str) -> Result<Option<&'v str>, String> {
    match value.get(field) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{field} is no text")),
    }
}

/// The entries of a list, if it is there.
pub(super) fn list<'v>(value: &'v Json, field: &str) -> Result<&'v [Json], String> {
    match value.get(field) {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err(format!("{field} is no list")),
    }
}

fn needed<'v>(value: &'v Json, field: &str, holder: &str) -> Result<&'v str, String> {
    text(value, field)?
        .filter(|t| !t.trim().is_empty())
        .ok_or_else(|| format!("{holder} is without {field}"))
}

impl Rules {
    /// Reads `variables`, the conditions under the name given, and `validations`. `given` are
    /// variables that the caller sets; they come before the policy's own.
    pub(crate) fn compile(
        spec: &Json,
        conditions: &str,
        environment: &mut Environment,
        given: &[&str],
    ) -> Result<Self, String> {
        let mut variables = Vec::new();
        for name in given {
            environment.declare(name);
            variables.push(Variable {
                name: (*name).to_owned(),
                program: Err("it was not set".into()),
            });
        }
        for variable in list(spec, "variables")? {
            let name = needed(variable, "name", "a variable")?;
            let text = needed(variable, "expression", name)?;
            let program = environment
                .compile(text)
                .map_err(|why| format!("the variable {name}: {why}"))?;
            environment.declare(name);
            variables.push(Variable {
                name: name.to_owned(),
                program: Ok(program),
            });
        }
        let mut compiled = Vec::new();
        for condition in list(spec, conditions)? {
            let name = needed(condition, "name", "a match condition")?;
            let text = needed(condition, "expression", name)?;
            let program = environment
                .compile(text)
                .map_err(|why| format!("the match condition {name}: {why}"))?;
            compiled.push((name.to_owned(), program));
        }
        let mut validations = Vec::new();
        for (i, entry) in list(spec, "validations")?.iter().enumerate() {
            let at = |why: String| format!("validations[{i}]: {why}");
            let expression = needed(entry, "expression", "it").map_err(at)?;
            let message = text(entry, "messageExpression").map_err(at)?;
            validations.push(Validation {
                program: environment.compile(expression).map_err(at)?,
                message: text(entry, "message").map_err(at)?.map(str::to_owned),
                message_program: match message.filter(|m| !m.is_empty()) {
                    Some(message) => Some(environment.compile(message).map_err(at)?),
                    None => None,
                },
                reason: text(entry, "reason").map_err(at)?.map(str::to_owned),
            });
        }
        Ok(Self {
            variables,
            given: given.len(),
            conditions: compiled,
            validations,
        })
    }

    /// A session for one request. Its globals are the environment's, `given` the variables
    /// that come from outside.
    pub(crate) fn session<'a>(
        &'a self,
        globals: Vec<Value<'a>>,
        given: Vec<Value<'a>>,
        limits: Limits,
    ) -> Session<'a> {
        let mut session = Session::new(globals, &self.variables, Meter::new(limits));
        for (place, value) in given.into_iter().take(self.given).enumerate() {
            session.set(place, value);
        }
        session
    }

    /// Asks conditions and validations. An error is a budget that is spent.
    pub(crate) fn judge<'a>(&'a self, session: &mut Session<'a>) -> Result<Told, Error> {
        if let Some(told) = self.unmatched(session)? {
            return Ok(told);
        }
        let mut decisions = Vec::with_capacity(self.validations.len());
        for validation in &self.validations {
            decisions.push(validation.decide(session)?);
        }
        Ok(Told::Judged(decisions))
    }

    /// What the match conditions say, unless they all hold.
    pub(crate) fn unmatched<'a>(
        &'a self,
        session: &mut Session<'a>,
    ) -> Result<Option<Told>, Error> {
        let mut faults = Vec::new();
        for (_, condition) in &self.conditions {
            match session.evaluate(condition) {
                Ok(Value::Bool(false)) => return Ok(Some(Told::Unmatched)),
                Ok(Value::Bool(true)) => {}
                Ok(_) => faults.push(failed(condition, &Error::overload())),
                Err(why) if why.is_limit() => return Err(why),
                Err(why) => faults.push(failed(condition, &why)),
            }
        }
        Ok((!faults.is_empty()).then(|| Told::MatchError(faults.join("; "))))
    }
}

impl Validation {
    fn decide<'a>(&'a self, session: &mut Session<'a>) -> Result<Decision, Error> {
        match session.evaluate(&self.program) {
            Ok(Value::Bool(true)) => Ok(Decision::Admit),
            Ok(_) => Ok(Decision::Deny {
                message: self.message(session),
                reason: self.reason.clone(),
            }),
            Err(why) if why.is_limit() => Err(why),
            Err(why) => Ok(Decision::Error(failed(&self.program, &why))),
        }
    }

    /// What the message's expression says, if it says one line of text; else the message; else
    /// the expression itself.
    fn message<'a>(&'a self, session: &mut Session<'a>) -> String {
        let made = match self.message_program.as_ref().map(|p| session.evaluate(p)) {
            Some(Ok(Value::Text(text))) => text.trim().to_owned(),
            _ => String::new(),
        };
        if !made.is_empty() && made.len() <= MESSAGE && !made.contains('\n') {
            return made;
        }
        match self.message.as_deref().map(str::trim) {
            Some(message) if !message.is_empty() => message.to_owned(),
            _ => format!("failed expression: {}", self.program.text().trim()),
        }
    }
}

fn failed(program: &Program, why: &Error) -> String {
    format!(
        "expression '{}' resulted in error: {why}",
        program.text().trim()
    )
}
