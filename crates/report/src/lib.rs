//! A snapshot rendered for people and machines: terminal, JSON, SARIF, HTML, CSV.
//!
//! **Invariant:** no queries, no clock; whoever calls gathers a [`Snapshot`] and gives the
//! time. Everything in it is taken as hostile text and escaped here, at the edge: control
//! and bidirectional characters for terminals, markup for HTML, formulas for CSV.

pub mod csv;
pub mod html;
pub mod json;
pub mod sarif;
pub mod snapshot;
pub mod terminal;
mod text;

pub use snapshot::{
    ControlRow, Counts, FrameworkSection, Row, Snapshot, Subject, UnknownRow, UnusedSuppression,
};

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The place written to failed.
    #[error("the report could not be written: {0}")]
    Io(#[from] std::io::Error),
    /// A value has no JSON form. A fault of the program.
    #[error("the report has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
    /// The page's template failed. A fault of the program.
    #[error("the page could not be made: {0}")]
    Template(String),
}
