//! `oval_definitions` read into the model.

use super::model::Document;
use crate::xml::Element;

/// What is wrong with the content.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ContentError(pub String);

/// Reads a document.
pub fn document(_root: &Element) -> Result<Document, ContentError> {
    Err(ContentError("not built yet".into()))
}
