//! Who is asking, and whether they may.
//!
//! The access layer ([`access`]) turns a session cookie or an API token into a [`Caller`]
//! before a handler runs, by the route's line in the table; a handler takes it as an argument.

pub mod access;
pub mod bootstrap;
pub mod csrf;
pub mod password;
pub mod session;
pub mod token;

use crate::config::{Config, Limits};
use crate::error::Problem;
use crate::limit::{Keyed, rate_key};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bartizan_model::{Role, TenantId, UserName};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::num::NonZeroU32;

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
    /// A session cookie.
    Session {
        /// SHA-256 of the cookie's value: names the session.
        hash: [u8; 32],
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
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(access::sign_in_first)
    }
}

/// Refused sign-ins in the audit trail, at most.
const RECORDED_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// Passwords, sign-in throttles and the sessions seen lately; one a process.
#[derive(Debug)]
pub struct Auth {
    /// Bounded hashing.
    pub passwords: password::Passwords,
    /// Sign-in attempts by user and address.
    by_user: Keyed<(String, IpAddr)>,
    /// Sign-in attempts by address, whatever the user.
    by_address: Keyed<IpAddr>,
    /// Refused sign-ins that are recorded; the rest of a flood is only counted.
    recorded: DefaultDirectRateLimiter,
    /// When sessions were last used.
    pub(crate) seen: session::LastSeen,
}

impl Auth {
    /// With the bounds of `config`.
    pub fn new(config: &Config) -> Self {
        let Limits {
            logins_per_minute, ..
        } = config.limits;
        let one = NonZeroU32::new(logins_per_minute).unwrap_or(NonZeroU32::MIN);
        let five = one.saturating_mul(NonZeroU32::new(5).unwrap_or(one));
        Self {
            passwords: password::Passwords::new(),
            by_user: Keyed::new(Quota::per_minute(one)),
            by_address: Keyed::new(Quota::per_minute(five)),
            recorded: RateLimiter::direct(Quota::per_minute(RECORDED_PER_MINUTE)),
            seen: session::LastSeen::default(),
        }
    }

    /// Counts a sign-in attempt. Before any hashing, so that a flood costs little.
    pub fn count_attempt(&self, tenant: &str, user: &str, client: IpAddr) -> Result<(), Problem> {
        let address = rate_key(client);
        let user = format!("{tenant}\n{user}");
        self.by_address
            .check(&address)
            .and_then(|()| self.by_user.check(&(user, address)))
            .map_err(|seconds| {
                Problem::too_many(
                    format!("Too many sign-in attempts. Wait {seconds} s, then try again."),
                    seconds,
                )
            })
    }

    /// Whether one more refused sign-in goes into the audit trail. Strangers must not be
    /// able to fill it.
    pub(crate) fn may_record_refusal(&self) -> bool {
        self.recorded.check().is_ok()
    }

    /// Forgets idle keys; call every half minute.
    pub fn sweep(&self) {
        self.by_user.sweep();
        self.by_address.sweep();
    }
}

/// Whether two secrets are the same, in time that does not depend on where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// What is stored of a secret of 256 random bits; such a one needs no slow hash.
pub(crate) fn secret_hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
