//! Users, sessions and API tokens.

use crate::db::{Row, Tx, args};
use crate::{Act, Result, Store, StoreError, TenantStore};
use bartizan_model::audit::action;
use bartizan_model::{Role, TenantId, Timestamp, UserName};
use serde_json::json;

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

const USER: &str = "name, role, disabled, must_change, password, created, last_login";

fn role_of(word: &str) -> Result<Role> {
    Role::parse(word).ok_or_else(|| StoreError::Corrupt(format!("role {word:?} is not known")))
}

fn user_of(row: &Row, at: usize) -> Result<User> {
    Ok(User {
        name: row.id(at)?,
        role: role_of(&row.text(at + 1)?)?,
        disabled: row.flag(at + 2)?,
        must_change_password: row.flag(at + 3)?,
        password_hash: row.text(at + 4)?,
        created: row.time(at + 5)?,
        last_login: row.opt_time(at + 6)?,
    })
}

fn token_of(row: &Row, at: usize) -> Result<Token> {
    Ok(Token {
        id: row.text(at)?,
        name: row.text(at + 1)?,
        role: role_of(&row.text(at + 2)?)?,
        owner: row.id(at + 3)?,
        created: row.time(at + 4)?,
        expires: row.opt_time(at + 5)?,
    })
}

fn no_user(name: &UserName) -> StoreError {
    StoreError::NotFound {
        what: "user",
        id: name.to_string(),
    }
}

impl TenantStore {
    /// All users by name.
    pub async fn users(&self) -> Result<Vec<User>> {
        self.db()
            .all(
                &format!("SELECT {USER} FROM users WHERE tenant = $1 ORDER BY name"),
                args![self.t],
            )
            .await?
            .iter()
            .map(|row| user_of(row, 0))
            .collect()
    }

    /// One user.
    pub async fn user(&self, name: &UserName) -> Result<Option<User>> {
        self.db()
            .opt(
                &format!("SELECT {USER} FROM users WHERE tenant = $1 AND name = $2"),
                args![self.t, name.as_str()],
            )
            .await?
            .map(|row| user_of(&row, 0))
            .transpose()
    }

    /// Makes a user; [`StoreError::Conflict`] when the name is taken.
    pub async fn create_user(&self, user: &User, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let made = tx
            .exec(
                "INSERT INTO users (tenant, name, role, disabled, must_change, password, created, \
                 last_login) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (tenant, name) DO NOTHING",
                args![
                    self.t,
                    user.name.as_str(),
                    user.role.word(),
                    user.disabled,
                    user.must_change_password,
                    user.password_hash.as_str(),
                    user.created,
                    user.last_login
                ],
            )
            .await?;
        if made == 0 {
            return Err(StoreError::Conflict(format!(
                "there is a user {} already; choose another name",
                user.name
            )));
        }
        let detail = json!({"change": "created", "role": user.role.word()});
        self.record(
            &mut tx,
            act,
            action::USER_CHANGED,
            user.name.as_str(),
            &detail,
        )
        .await?;
        tx.commit().await
    }

    /// Changes a user.
    pub async fn change_user(&self, name: &UserName, change: &UserChange, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = tx
            .exec(
                "UPDATE users SET role = COALESCE($3, role), disabled = COALESCE($4, disabled), \
                 password = COALESCE($5, password), must_change = COALESCE($6, must_change) \
                 WHERE tenant = $1 AND name = $2",
                args![
                    self.t,
                    name.as_str(),
                    change.role.map(Role::word),
                    change.disabled.map(i64::from),
                    change.password_hash.as_deref(),
                    change.must_change_password.map(i64::from)
                ],
            )
            .await?;
        if done == 0 {
            return Err(no_user(name));
        }
        if change.disabled == Some(true) || change.password_hash.is_some() {
            self.end_sessions(&mut tx, name).await?;
        }
        let mut detail = json!({"change": "changed"});
        if let Some(detail) = detail.as_object_mut() {
            if let Some(role) = change.role {
                detail.insert("role".to_owned(), role.word().into());
            }
            if let Some(disabled) = change.disabled {
                detail.insert("disabled".to_owned(), disabled.into());
            }
            if change.password_hash.is_some() {
                detail.insert("password".to_owned(), "changed".into());
            }
        }
        self.record(&mut tx, act, action::USER_CHANGED, name.as_str(), &detail)
            .await?;
        tx.commit().await
    }

    async fn end_sessions(&self, tx: &mut Tx, name: &UserName) -> Result<u64> {
        tx.exec(
            "DELETE FROM sessions WHERE tenant = $1 AND name = $2",
            args![self.t, name.as_str()],
        )
        .await
    }

    /// Removes a user with sessions and tokens.
    pub async fn delete_user(&self, name: &UserName, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = tx
            .exec(
                "DELETE FROM users WHERE tenant = $1 AND name = $2",
                args![self.t, name.as_str()],
            )
            .await?;
        if done == 0 {
            return Err(no_user(name));
        }
        self.end_sessions(&mut tx, name).await?;
        tx.exec(
            "DELETE FROM tokens WHERE tenant = $1 AND owner = $2",
            args![self.t, name.as_str()],
        )
        .await?;
        let detail = json!({"change": "removed"});
        self.record(&mut tx, act, action::USER_CHANGED, name.as_str(), &detail)
            .await?;
        tx.commit().await
    }

    /// Begins a session, notes the sign-in on the user and in the ledger (`session.login`).
    pub async fn create_session(&self, session: &Session, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.exec(
            "INSERT INTO sessions (tenant, hash, name, csrf, created, expires) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            args![
                self.t,
                &session.token_hash[..],
                session.user.as_str(),
                session.csrf_token.as_str(),
                session.created,
                session.expires
            ],
        )
        .await?;
        tx.exec(
            "UPDATE users SET last_login = $3 WHERE tenant = $1 AND name = $2",
            args![self.t, session.user.as_str(), session.created],
        )
        .await?;
        let detail = json!({"ok": true});
        self.record(
            &mut tx,
            act,
            action::SESSION_LOGIN,
            session.user.as_str(),
            &detail,
        )
        .await?;
        tx.commit().await
    }

    /// Ends a session (`session.logout`); an unknown one is no error.
    pub async fn delete_session(&self, token_hash: &[u8; 32], act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let gone = tx
            .all(
                "DELETE FROM sessions WHERE tenant = $1 AND hash = $2 RETURNING name",
                args![self.t, &token_hash[..]],
            )
            .await?;
        if let Some(row) = gone.first() {
            self.record(
                &mut tx,
                act,
                action::SESSION_LOGOUT,
                &row.text(0)?,
                &json!({}),
            )
            .await?;
        }
        tx.commit().await
    }

    /// Tokens of one owner, or all; newest first.
    pub async fn tokens(&self, owner: Option<&UserName>) -> Result<Vec<Token>> {
        self.db()
            .all(
                "SELECT id, name, role, owner, created, expires FROM tokens WHERE tenant = $1 \
                 AND ($2 IS NULL OR owner = $2) ORDER BY created DESC, id",
                args![self.t, owner.map(UserName::as_str)],
            )
            .await?
            .iter()
            .map(|row| token_of(row, 0))
            .collect()
    }

    /// Makes a token, found later by the hash of its secret.
    pub async fn create_token(
        &self,
        token: &Token,
        secret_hash: &[u8; 32],
        act: &Act,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.exec(
            "INSERT INTO tokens (tenant, id, hash, name, role, owner, created, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            args![
                self.t,
                token.id.as_str(),
                &secret_hash[..],
                token.name.as_str(),
                token.role.word(),
                token.owner.as_str(),
                token.created,
                token.expires
            ],
        )
        .await?;
        let detail = json!({"name": token.name, "role": token.role.word(), "owner": token.owner});
        self.record(&mut tx, act, action::TOKEN_CREATED, &token.id, &detail)
            .await?;
        tx.commit().await
    }

    /// Withdraws a token; with `owner`, only one of theirs.
    pub async fn revoke_token(&self, id: &str, owner: Option<&UserName>, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let gone = tx
            .all(
                "DELETE FROM tokens WHERE tenant = $1 AND id = $2 \
                 AND ($3 IS NULL OR owner = $3) RETURNING name",
                args![self.t, id, owner.map(UserName::as_str)],
            )
            .await?;
        let Some(row) = gone.first() else {
            return Err(StoreError::NotFound {
                what: "token",
                id: id.to_owned(),
            });
        };
        let detail = json!({"name": row.text(0)?});
        self.record(&mut tx, act, action::TOKEN_REVOKED, id, &detail)
            .await?;
        tx.commit().await
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
        let row = self
            .db()
            .opt(
                "SELECT t.uid, s.name, s.csrf, s.created, s.expires, u.name, u.role, u.disabled, \
                 u.must_change, u.password, u.created, u.last_login FROM sessions s \
                 JOIN tenants t ON t.id = s.tenant \
                 JOIN users u ON u.tenant = s.tenant AND u.name = s.name \
                 WHERE s.hash = $1 AND s.expires > $2 AND u.disabled = 0",
                args![&token_hash[..], now],
            )
            .await?;
        row.map(|row| {
            Ok((
                row.id(0)?,
                Session {
                    token_hash: *token_hash,
                    user: row.id(1)?,
                    csrf_token: row.text(2)?,
                    created: row.time(3)?,
                    expires: row.time(4)?,
                },
                user_of(&row, 5)?,
            ))
        })
        .transpose()
    }

    /// The unexpired token of a secret, with its owner; none when the owner is disabled.
    pub async fn token(
        &self,
        secret_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(TenantId, Token, User)>> {
        let row = self
            .db()
            .opt(
                "SELECT t.uid, k.id, k.name, k.role, k.owner, k.created, k.expires, u.name, \
                 u.role, u.disabled, u.must_change, u.password, u.created, u.last_login \
                 FROM tokens k JOIN tenants t ON t.id = k.tenant \
                 JOIN users u ON u.tenant = k.tenant AND u.name = k.owner \
                 WHERE k.hash = $1 AND (k.expires IS NULL OR k.expires > $2) AND u.disabled = 0",
                args![&secret_hash[..], now],
            )
            .await?;
        row.map(|row| Ok((row.id(0)?, token_of(&row, 1)?, user_of(&row, 7)?)))
            .transpose()
    }

    /// Removes sessions and tokens that ended before `now`; says how many.
    pub async fn sweep_credentials(&self, now: Timestamp) -> Result<u64> {
        let mut gone = 0;
        for sql in [
            "DELETE FROM sessions WHERE expires <= $1",
            "DELETE FROM tokens WHERE expires <= $1",
        ] {
            gone += self.db().exec(sql, args![now]).await?;
        }
        Ok(gone)
    }
}
