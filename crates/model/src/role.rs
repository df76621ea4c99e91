//! Who may do what.

use serde::{Deserialize, Serialize};

/// A role of seed document 001. Each may do all that the one below may:
/// Viewer reads, Operator works with findings and scans, Admin also manages people,
/// keys and scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Uploads, accepts, assesses, attests.
    Operator,
    /// Also manages users, tokens, keys and scopes.
    Admin,
}

impl Role {
    /// All, weakest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The stored word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Parses the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.word() == word)
    }
}
