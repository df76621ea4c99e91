//! Signing in and out, and one's own password.

use crate::auth::access::Current;
use crate::auth::{Caller, Via, password, session};
use crate::config::Secret;
use crate::error::{ApiResult, Problem};
use crate::extract::Json;
use crate::limit::Client;
use crate::metrics::LOGINS;
use crate::route;
use crate::route::Route;
use crate::state::{AppState, random_bytes};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bartizan_model::audit::action;
use bartizan_model::{Role, TenantId, Timestamp, UserName};
use bartizan_store::people::{Session, User, UserChange};
use bartizan_store::{StoreError, TenantStore};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::IpAddr;
use utoipa::ToSchema;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Public, sign_in),
        route!(Session, get_session),
        route!(Session, sign_out),
        route!(Session, change_password),
    ]
}

/// The words of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub enum RoleWord {
    /// Reads.
    Viewer,
    /// Uploads, accepts, assesses, attests.
    Operator,
    /// Also manages users, tokens, keys and scopes.
    Admin,
}

impl From<Role> for RoleWord {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Viewer => Self::Viewer,
            RoleWord::Operator => Self::Operator,
            RoleWord::Admin => Self::Admin,
        }
    }
}

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Credentials {
    username: String,
    #[schema(format = Password)]
    password: String,
    /// The default tenant when absent.
    tenant: Option<String>,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    user: SessionUser,
    /// Repeat it as X-CSRF-Token on every change. Null for an API token, which needs none.
    csrf_token: Option<String>,
    /// When the session ends at the latest. Null for an API token.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
}

/// The person of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionUser {
    name: String,
    role: RoleWord,
    tenant: String,
    /// Nothing but a new password is taken until there is one.
    must_change_password: bool,
}

impl SessionView {
    fn of(tenant: &TenantId, user: &User, session: &Session) -> Self {
        Self {
            user: SessionUser {
                name: user.name.to_string(),
                role: user.role.into(),
                tenant: tenant.to_string(),
                must_change_password: user.must_change_password,
            },
            csrf_token: Some(session.csrf_token.clone()),
            expires: Some(session.expires),
        }
    }
}

/// Sign in. Sets the session cookie.
#[utoipa::path(post, path = "/session", tag = "session", request_body = Credentials,
    responses((status = 200, body = SessionView)))]
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    Extension(Client(client)): Extension<Client>,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> ApiResult<Response> {
    let Credentials {
        username,
        password,
        tenant,
    } = credentials;
    let password = Secret::new(password);
    let tenant = tenant.unwrap_or_else(|| TenantId::default_tenant().to_string());
    let counted = state.auth.count_attempt(
        &tenant.chars().take(64).collect::<String>(),
        &username.chars().take(128).collect::<String>(),
        client,
    );
    if let Err(problem) = counted {
        metrics::counter!(LOGINS, "outcome" => "throttled").increment(1);
        return Err(problem);
    }

    let known = find(&state, &tenant, &username).await?;
    let hash = known.as_ref().map(|(_, user)| user.password_hash.clone());
    let hash = hash.filter(|_| password.expose().len() <= password::MAX_BYTES);
    let right = state.auth.passwords.verify(&password, hash).await?;
    let (tenant, user) = match known {
        Some((tenant, user)) if right && !user.disabled => (tenant, user),
        known => {
            metrics::counter!(LOGINS, "outcome" => "refused").increment(1);
            record_refusal(&state, known, client).await?;
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "bad_credentials",
                "User name or password is wrong. Try again, or ask an administrator for a new password.",
            ));
        }
    };
    metrics::counter!(LOGINS, "outcome" => "ok").increment(1);
    // A cookie that came along is another sign-in's: end it rather than leave it behind.
    if let Some(old) = session::cookie(&headers, &state.config) {
        end(
            &state,
            &tenant,
            &crate::auth::secret_hash(&old),
            user.name.as_str(),
        )
        .await?;
    }
    let (secret, session) = session::begin(&state, &tenant, &user.name).await?;
    let view = SessionView::of(tenant.id(), &user, &session);
    Ok(with_cookie(Json(view).into_response(), &secret, &state))
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", tag = "session", responses((status = 200, body = SessionView)))]
pub(crate) async fn get_session(
    caller: Caller,
    current: Option<Extension<Current>>,
) -> Json<SessionView> {
    Json(match current {
        Some(Extension(Current { session, user })) => {
            SessionView::of(&caller.tenant, &user, &session)
        }
        None => SessionView {
            user: SessionUser {
                name: caller.user.to_string(),
                role: caller.role.into(),
                tenant: caller.tenant.to_string(),
                must_change_password: false,
            },
            csrf_token: None,
            expires: None,
        },
    })
}

/// Sign out.
#[utoipa::path(delete, path = "/session", tag = "session",
    responses((status = 204, description = "Signed out")))]
pub(crate) async fn sign_out(State(state): State<AppState>, caller: Caller) -> ApiResult<Response> {
    let Via::Session { hash } = caller.via else {
        return Err(only_sessions());
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    end(&state, &tenant, &hash, caller.user.as_str()).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response
        .headers_mut()
        .insert(header::SET_COOKIE, session::clear_cookie(&state.config));
    Ok(response)
}

/// The old and the new password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PasswordChange {
    #[schema(format = Password)]
    current: String,
    /// 12 characters or more.
    #[schema(format = Password)]
    new: String,
}

/// Change one's own password. Ends all sessions of the user and begins a new one: read the
/// new CSRF token from GET /session.
#[utoipa::path(post, path = "/session/password", tag = "session", request_body = PasswordChange,
    responses((status = 204, description = "Changed; the cookie is a new one")))]
pub(crate) async fn change_password(
    State(state): State<AppState>,
    Extension(Client(client)): Extension<Client>,
    caller: Caller,
    current: Option<Extension<Current>>,
    Json(change): Json<PasswordChange>,
) -> ApiResult<Response> {
    let (old, new) = (Secret::new(change.current), Secret::new(change.new));
    let Some(Extension(Current { user, .. })) = current else {
        return Err(only_sessions());
    };
    // A stolen session must not be a place to guess the password.
    state
        .auth
        .count_attempt(caller.tenant.as_str(), user.name.as_str(), client)?;
    if !state
        .auth
        .passwords
        .verify(&old, Some(user.password_hash))
        .await?
    {
        return Err(Problem::unprocessable(
            "wrong_password",
            "The current password is wrong. Try again.",
        ));
    }
    if old == new {
        return Err(Problem::unprocessable(
            "weak_password",
            "The new password is the old one. Choose another.",
        ));
    }
    password::acceptable(&new, user.name.as_str())?;
    let hash = state
        .auth
        .passwords
        .hash(&new, random_bytes(state.random.as_ref()))
        .await?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let change = UserChange {
        password_hash: Some(hash),
        must_change_password: Some(false),
        ..UserChange::default()
    };
    tenant
        .change_user(&user.name, &change, &state.act(caller.actor()))
        .await?;
    let (secret, _) = session::begin(&state, &tenant, &user.name).await?;
    let response = StatusCode::NO_CONTENT.into_response();
    Ok(with_cookie(response, &secret, &state))
}

/// The user of a name, if tenant and user exist and both are names at all.
async fn find(
    state: &AppState,
    tenant: &str,
    user: &str,
) -> Result<Option<(TenantStore, User)>, StoreError> {
    let (Ok(tenant), Ok(user)) = (TenantId::new(tenant), UserName::new(user)) else {
        return Ok(None);
    };
    let tenant = match state.store.tenant(&tenant).await {
        Ok(tenant) => tenant,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let user = tenant.user(&user).await?;
    Ok(user.map(|user| (tenant, user)))
}

/// Records a refused sign-in: for an unknown name the same work as for a known one, so that
/// time tells nothing, and without the name, for people type passwords into that field.
async fn record_refusal(
    state: &AppState,
    known: Option<(TenantStore, User)>,
    client: IpAddr,
) -> Result<(), StoreError> {
    if !state.auth.may_record_refusal() {
        return Ok(());
    }
    let (tenant, subject, why) = match known {
        Some((tenant, user)) => {
            let why = if user.disabled {
                "disabled"
            } else {
                "password"
            };
            (tenant, user.name.to_string(), why)
        }
        None => {
            let tenant = state.store.tenant(&TenantId::default_tenant()).await?;
            (tenant, "unknown".to_owned(), "unknown user")
        }
    };
    let detail = json!({"outcome": "refused", "why": why, "from": client.to_string()});
    tenant
        .append_audit(
            &state.act("system"),
            action::SESSION_LOGIN,
            &subject,
            detail,
        )
        .await?;
    Ok(())
}

async fn end(
    state: &AppState,
    tenant: &TenantStore,
    hash: &[u8; 32],
    actor: &str,
) -> Result<(), StoreError> {
    tenant.delete_session(hash, &state.act(actor)).await?;
    state.auth.seen.forget(hash);
    Ok(())
}

fn with_cookie(mut response: Response, secret: &str, state: &AppState) -> Response {
    if let Some(cookie) = session::set_cookie(secret, &state.config) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn only_sessions() -> Problem {
    Problem::bad_request(
        "not_a_session",
        "This is for people who signed in with a password; an API token is withdrawn by DELETE /api/v1/tokens/{id}.",
    )
}
