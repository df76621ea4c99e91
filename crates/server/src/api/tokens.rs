//! API tokens: an operator's own, all for administrators.

use super::session::RoleWord;
use crate::auth::{Caller, Via, token};
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::{Role, Timestamp};
use bartizan_store::people::Token;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Operator, list_tokens),
        route!(Operator, create_token),
        route!(Operator, revoke_token),
    ]
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenView {
    id: String,
    name: String,
    role: RoleWord,
    /// Who made it.
    owner: String,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: token.role.into(),
            owner: token.owner.to_string(),
            created: token.created,
            expires: token.expires,
        }
    }
}

/// Tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokens {
    items: Vec<TokenView>,
}

/// List tokens: one's own, all for administrators.
#[utoipa::path(get, path = "/tokens", tag = "tokens", responses((status = 200, body = Tokens)))]
pub(crate) async fn list_tokens(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Json<Tokens>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let items = tenant.tokens(own_only(&caller)).await?;
    Ok(Json(Tokens {
        items: items.into_iter().map(Into::into).collect(),
    }))
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewToken {
    /// What it is for; appears in the audit trail as `token:<name>`.
    name: String,
    /// Not above one's own.
    role: RoleWord,
    /// No end when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
}

/// A new token with its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenCreated {
    #[serde(flatten)]
    about: TokenView,
    /// The secret. It is shown this once and kept nowhere.
    token: String,
}

/// Make a token.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, body = TokenCreated)))]
pub(crate) async fn create_token(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<NewToken>,
) -> ApiResult<(StatusCode, Json<TokenCreated>)> {
    // Else a stolen token that ends soon could make itself one that does not.
    if let Via::Token { .. } = caller.via {
        return Err(Problem::forbidden(
            "needs_session",
            "A token makes no tokens. Sign in with user name and password, then make one.",
        ));
    }
    let role = Role::from(new.role);
    caller.require(role)?;
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(Problem::unprocessable(
            "bad_name",
            "A token's name has 1 to 64 printable characters. Say what it is for.",
        ));
    }
    let now = state.now();
    if new.expires.is_some_and(|end| end <= now) {
        return Err(Problem::unprocessable(
            "bad_expiry",
            "The token would have expired already. Give a time to come, or none.",
        ));
    }
    let (secret, id) = token::generate(state.random.as_ref());
    let token = Token {
        id,
        name: name.to_owned(),
        role,
        owner: caller.user.clone(),
        created: now,
        expires: new.expires,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    tenant
        .create_token(
            &token,
            &crate::auth::secret_hash(&secret),
            &state.act(caller.actor()),
        )
        .await?;
    let created = TokenCreated {
        about: token.into(),
        token: secret,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Withdraw a token: one's own, any for administrators.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "The token's id, not its secret")),
    responses((status = 204, description = "Withdrawn")))]
pub(crate) async fn revoke_token(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    tenant
        .revoke_token(&id, own_only(&caller), &state.act(caller.actor()))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose tokens a caller may see: all for administrators, else their own.
fn own_only(caller: &Caller) -> Option<&bartizan_model::UserName> {
    (caller.role < Role::Admin).then_some(&caller.user)
}
