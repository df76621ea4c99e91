//! Users, sessions and API tokens.

use crate::{Act, Result, Store, StoreError, TenantStore};
use bartizan_model::{Role, TenantId, Timestamp, UserName};

/// A person that signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// Whether they are locked out.
    pub disabled: bool,
    /// Whether they must choose a new password first.
    pub must_change_password: bool,
    /// The encoded argon2 hash.
    pub password_hash: String,
    /// When made.
    pub created: Timestamp,
    /// Newest good sign-in.
    pub last_login: Option<Timestamp>,
}

/// What to change of a user; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserChange {
    /// New role.
    pub role: Option<Role>,
    /// Lock or unlock. Locking ends all sessions.
    pub disabled: Option<bool>,
    /// New encoded hash. Ends all sessions.
    pub password_hash: Option<String>,
    /// Whether a new password must be chosen.
    pub must_change_password: Option<bool>,
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Hash of the cookie's secret.
    pub token_hash: [u8; 32],
    /// Who.
    pub user: UserName,
    /// What unsafe requests must repeat.
    pub csrf_token: String,
    /// Since when.
    pub created: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

/// An API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its public id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may do; never more than its owner may.
    pub role: Role,
    /// Who made it.
    pub owner: UserName,
    /// When made.
    pub created: Timestamp,
    /// Until when; none for no end.
    pub expires: Option<Timestamp>,
}

impl TenantStore {
    /// All users by name.
    pub async fn users(&self) -> Result<Vec<User>> {
        crate::unfinished()
    }

    /// One user.
    pub async fn user(&self, name: &UserName) -> Result<Option<User>> {
        crate::unfinished()
    }

    /// Makes a user; [`StoreError::Conflict`] when the name is taken.
    pub async fn create_user(&self, user: &User, act: &Act) -> Result<()> {
        crate::unfinished()
    }

    /// Changes a user.
    pub async fn change_user(&self, name: &UserName, change: &UserChange, act: &Act) -> Result<()> {
        crate::unfinished()
    }

    /// Removes a user with sessions and tokens.
    pub async fn delete_user(&self, name: &UserName, act: &Act) -> Result<()> {
        crate::unfinished()
    }

    /// Begins a session, notes the sign-in on the user and in the ledger (`session.login`).
    pub async fn create_session(&self, session: &Session, act: &Act) -> Result<()> {
        crate::unfinished()
    }

    /// Ends a session (`session.logout`); an unknown one is no error.
    pub async fn delete_session(&self, token_hash: &[u8; 32], act: &Act) -> Result<()> {
        crate::unfinished()
    }

    /// Tokens of one owner, or all; newest first.
    pub async fn tokens(&self, owner: Option<&UserName>) -> Result<Vec<Token>> {
        crate::unfinished()
    }

    /// Makes a token, found later by the hash of its secret.
    pub async fn create_token(
        &self,
        token: &Token,
        secret_hash: &[u8; 32],
        act: &Act,
    ) -> Result<()> {
        crate::unfinished()
    }

    /// Withdraws a token; with `owner`, only one of theirs.
    pub async fn revoke_token(&self, id: &str, owner: Option<&UserName>, act: &Act) -> Result<()> {
        crate::unfinished()
    }
}

impl Store {
    /// The unexpired session of a cookie, with its user; none when the user is disabled.
    /// One of the three queries that cross tenants: the secret names the tenant.
    pub async fn session(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(TenantId, Session, User)>> {
        crate::unfinished()
    }

    /// The unexpired token of a secret, with its owner; none when the owner is disabled.
    pub async fn token(
        &self,
        secret_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(TenantId, Token, User)>> {
        crate::unfinished()
    }

    /// Removes sessions and tokens that ended before `now`; says how many.
    pub async fn sweep_credentials(&self, now: Timestamp) -> Result<u64> {
        crate::unfinished()
    }
}
