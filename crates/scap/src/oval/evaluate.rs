//! Definitions evaluated.

use super::model::Document;
use super::outcome::Truth;
use crate::probe::Context;
use crate::xccdf::outcome::Why;
use std::collections::HashMap;
use std::sync::Arc;

/// Evaluates the definitions of one document, each once.
pub struct Evaluator<'a> {
    _document: &'a Document,
}

impl<'a> Evaluator<'a> {
    /// For a document with the values of its external variables.
    pub fn new(
        document: &'a Document,
        _context: &'a Context<'a>,
        _externals: &'a HashMap<Arc<str>, Vec<Arc<str>>>,
    ) -> Self {
        Self {
            _document: document,
        }
    }

    /// The result of a definition.
    pub fn definition(&mut self, _id: &str) -> Truth {
        Truth::NotEvaluated
    }

    /// The values that decided it.
    pub fn why(&self, _id: &str) -> Vec<Why> {
        Vec::new()
    }
}
