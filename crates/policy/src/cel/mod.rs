//! The Common Expression Language as Kubernetes' admission policies use it.
//!
//! ```text
//! text ─► lexer ─► parser, macros ─► resolve ─► Program ─► Session ─► Value
//! ```
//!
//! **Why not the crate `cel`.** Version 0.15.0 was measured and read: 34 seconds of CPU to
//! build (a tenth of all our dependencies) with a parser generator's runtime, a second
//! calendar and a second parser library; no budget of steps, no two-variable comprehensions,
//! none of Kubernetes' libraries, and values that own all they hold, so that each object would
//! be copied. An interpreter of our own is small, borrows the review's JSON, and counts.
//!
//! **What it does not do.** There is no type checker: an expression that Kubernetes refuses
//! when it is stored may be accepted here, and is an error when it is evaluated. Steps are our
//! own, not Kubernetes' units of cost. Named time zones are an error.

mod arithmetic;
mod ast;
mod error;
mod functions;
mod lexer;
mod library;
mod macros;
mod meter;
mod native;
#[cfg(test)]
mod native_tests;
mod parser;
mod request;
mod resolve;
mod rules;
mod session;
#[cfg(test)]
mod tests;
mod time;
mod value;

pub use meter::Limits;
pub(crate) use meter::Meter;
pub(crate) use native::{Activation, NativeCode};
pub(crate) use session::Session;
pub(crate) use value::Value;

/// What expressions may name: variables, and types of mutation.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    globals: Vec<&'static str>,
    variables: Vec<String>,
    mutation: bool,
}

/// An expression that is compiled: share it between threads, evaluate it often.
#[derive(Debug)]
pub struct Program {
    expr: ast::Expr,
    text: String,
}

/// A variable of a policy. One that does not compile is an error where it is asked for.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) program: Result<Program, String>,
}

impl Environment {
    /// An environment with those global variables.
    pub fn new(globals: &[&'static str]) -> Self {
        Self {
            globals: globals.to_vec(),
            ..Self::default()
        }
    }

    /// With `Object{…}`, `JSONPatch{…}` and `jsonpatch.escapeKey`, as mutating policies have.
    #[must_use]
    pub fn with_mutation(mut self) -> Self {
        self.mutation = true;
        self
    }

    /// Declares one more of `variables.…`; the later of two of one name is meant.
    pub(crate) fn declare(&mut self, name: &str) {
        self.variables.push(name.to_owned());
    }

    /// Reads an expression and finds all that it names.
    ///
    /// # Errors
    /// Says what cannot be read or is not known.
    pub fn compile(&self, text: &str) -> Result<Program, String> {
        let expr = resolve::resolve(parser::parse(text)?, self)?;
        Ok(Program {
            expr,
            text: text.to_owned(),
        })
    }
}

impl Program {
    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value as JSON; globals come in the order of the environment.
    ///
    /// # Errors
    /// Says why there is no value, or none that JSON can write.
    pub fn evaluate(
        &self,
        globals: &[&serde_json::Value],
        limits: Limits,
    ) -> Result<serde_json::Value, String> {
        let globals = globals.iter().map(|json| Value::json(json)).collect();
        let mut session = Session::new(globals, &[], Meter::new(limits));
        let value = session.evaluate(self).map_err(|e| e.to_string())?;
        value.to_json().map_err(|e| e.to_string())
    }
}
