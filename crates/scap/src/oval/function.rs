//! OVAL's functions of variables.

use super::model::Function;
use crate::probe::Context;
use std::sync::Arc;

/// Applies a function to its arguments, each a list of values.
pub fn apply(
    _function: &Function,
    _arguments: Vec<Vec<Arc<str>>>,
    _context: &Context<'_>,
) -> Result<Vec<Arc<str>>, String> {
    Err("not built yet".into())
}
