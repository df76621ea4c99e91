//! A report for a terminal.

use crate::Snapshot;

/// How to lay it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether to colour. The caller knows of terminals and `NO_COLOR`.
    pub colour: bool,
    /// Columns; below 60 is taken as 60.
    pub width: u16,
    /// The most rows in each list; how many were left out is said.
    pub max_rows: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            colour: false,
            width: 100,
            max_rows: usize::MAX,
        }
    }
}

/// Renders a snapshot as text.
pub fn render(snapshot: &Snapshot, options: &Options) -> String {
    let _ = options;
    snapshot.scope.to_string()
}
