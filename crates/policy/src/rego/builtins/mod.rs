//! Built-in functions that the engine lacks or has otherwise than OPA, by their own names.
//!
//! The engine asks these before its own. An error is undefined, as OPA has it, unless errors are
//! to be raised (see [`begin`]); one that OPA does not have is raised always, and the
//! answer is Unknown.

mod arithmetic;
mod bounds;
mod crypto;
mod encoding;
pub(crate) mod external;
pub(crate) mod format;
mod net;
mod order;
mod shapes;
mod text;

use regorus::{Engine, Value};
use std::cell::Cell;

/// Why there is no result.
pub(crate) enum Fault {
    /// OPA has an error here as well.
    Error(String),
    /// OPA would have told it; we cannot.
    Unknown(String),
}

impl Fault {
    fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }
}

type Function = fn(&[Value]) -> Result<Value, Fault>;

/// Name, number of arguments, what it does.
type Builtin = (&'static str, u8, Function);

/// Names of ours that a policy cannot write by accident.
pub(crate) const OPERATORS: &str = "bartizan_op";

fn all() -> impl Iterator<Item = &'static Builtin> {
    let tables: [&'static [Builtin]; 10] = [
        arithmetic::TABLE,
        bounds::TABLE,
        crypto::TABLE,
        encoding::TABLE,
        external::TABLE,
        format::TABLE,
        net::TABLE,
        order::TABLE,
        shapes::TABLE,
        text::TABLE,
    ];
    tables.into_iter().flatten()
}

/// How many arguments one of these takes.
pub(crate) fn arity(name: &str) -> Option<usize> {
    let found = all().find(|(known, _, _)| *known == name);
    found.map(|(_, arity, _)| usize::from(*arity))
}

thread_local! {
    static RAISE: Cell<bool> = const { Cell::new(false) };
}

/// An evaluation begins on this thread; whether errors of built-ins are raised in it.
pub(crate) fn begin(raise_errors: bool) {
    RAISE.set(raise_errors);
    bounds::begin();
}

/// Gives an engine these functions.
pub(crate) fn register(engine: &mut Engine) -> Result<(), String> {
    for (name, arity, function) in all() {
        let counts = bounds::counts(name);
        let answer = move |arguments: &[Value]| {
            let value = function(arguments)?;
            if counts {
                bounds::made(&value)?;
            }
            Ok(value)
        };
        let call = move |arguments: Vec<Value>| match answer(&arguments) {
            Ok(value) => Ok(value),
            Err(Fault::Error(_)) if !RAISE.get() => Ok(Value::Undefined),
            Err(Fault::Error(why)) => Err(std::io::Error::other(format!("{name}: {why}")).into()),
            Err(Fault::Unknown(why)) => {
                Err(std::io::Error::other(format!("{UNKNOWN}{name}: {why}")).into())
            }
        };
        engine
            .add_extension((*name).to_owned(), *arity, Box::new(call))
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Marks errors after which the answer is Unknown.
pub(crate) const UNKNOWN: &str = "cannot be told: ";

/// A text argument.
fn string(arguments: &[Value], at: usize) -> Result<&str, Fault> {
    match arguments.get(at) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Fault::error(format!("operand {} must be a string", at + 1))),
    }
}

/// A whole number.
fn integer(arguments: &[Value], at: usize) -> Result<i64, Fault> {
    let fault = || Fault::error(format!("operand {} must be an integer", at + 1));
    match arguments.get(at) {
        Some(Value::Number(n)) if n.is_integer() => n
            .as_i64()
            .ok_or_else(|| Fault::Unknown("a number that is too large".into())),
        _ => Err(fault()),
    }
}

#[cfg(test)]
fn call(name: &str, arguments: &[serde_json::Value]) -> Option<serde_json::Value> {
    let (_, _, function) = all().find(|(n, _, _)| *n == name).unwrap();
    let arguments: Vec<Value> = arguments
        .iter()
        .map(|a| Value::from_json_str(&a.to_string()).unwrap())
        .collect();
    let value = function(&arguments).ok()?;
    super::typed::typed(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once() {
        let mut names: Vec<_> = all().map(|(name, _, _)| *name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
