//! Why an expression has no value.

use std::fmt;

/// An error of an evaluation. `&&` and `||` absorb it, unless it is a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    text: Box<str>,
    limit: bool,
}

impl Error {
    pub(super) fn new(text: impl Into<Box<str>>) -> Self {
        Self {
            text: text.into(),
            limit: false,
        }
    }

    /// The budget is spent: the evaluation ends, whatever stands around it.
    pub(super) fn limit(what: &str) -> Self {
        Self {
            text: format!("it exceeds the budget of one evaluation ({what})").into(),
            limit: true,
        }
    }

    pub(super) fn overload() -> Self {
        Self::new("no such overload")
    }

    pub(super) fn no_key(key: &str) -> Self {
        Self::new(format!("no such key: {key}"))
    }

    /// Whether the budget was spent.
    pub(crate) fn is_limit(&self) -> bool {
        self.limit
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
