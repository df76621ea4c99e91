//! Who is asking, and whether they may.
//!
//! The access layer (`access`) turns a session cookie or an API token into a [`Caller`]
//! before a handler runs, by the route's line in the table; a handler takes it as an argument.

use crate::error::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bartizan_model::{Role, TenantId, UserName};

/// Who is asking: present on every route that is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose data.
    pub tenant: TenantId,
    /// The person; for a token, the one who made it.
    pub user: UserName,
    /// What they may: a token's role where a token was used, never above its maker's.
    pub role: Role,
    /// How they signed in.
    pub via: Via,
}

/// How a caller proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// A session cookie; the hash names the session.
    Session {
        /// SHA-256 of the cookie's value, hex.
        id_hash: String,
    },
    /// An API token.
    Token {
        /// The token's id.
        id: String,
        /// The token's name.
        name: String,
    },
}

impl Caller {
    /// The actor of audit entries: the user's name, or `token:<name>`.
    pub fn actor(&self) -> String {
        match &self.via {
            Via::Session { .. } => self.user.to_string(),
            Via::Token { name, .. } => format!("token:{name}"),
        }
    }

    /// Refuses callers below `role`, for the rare decision that the route's line cannot make.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::forbidden(
            "role_too_low",
            format!(
                "This needs the role {}; yours is {}. Ask an administrator.",
                role.word(),
                self.role.word()
            ),
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::unauthorized(
                "Sign in first, or send an API token as `Authorization: Bearer btz_…`.",
            )
        })
    }
}

/// Passwords and throttles, shared by the process.
#[derive(Debug, Default)]
pub struct Auth {}
