//! Users, for administrators.

use super::session::RoleWord;
use crate::auth::{Caller, password};
use crate::config::Secret;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path};
use crate::route;
use crate::route::Route;
use crate::state::{AppState, random_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::{Role, Timestamp, UserName};
use bartizan_store::TenantStore;
use bartizan_store::people::{User, UserChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Admin, list_users),
        route!(Admin, create_user),
        route!(Admin, change_user),
        route!(Admin, delete_user),
    ]
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    name: String,
    role: RoleWord,
    /// Locked out.
    disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_login: Option<Timestamp>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            name: user.name.to_string(),
            role: user.role.into(),
            disabled: user.disabled,
            created: user.created,
            last_login: user.last_login,
        }
    }
}

/// All users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Users {
    items: Vec<UserView>,
}

/// List the users.
#[utoipa::path(get, path = "/users", tag = "users", responses((status = 200, body = Users)))]
pub(crate) async fn list_users(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Json<Users>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let items = tenant.users().await?.into_iter().map(Into::into).collect();
    Ok(Json(Users { items }))
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewUser {
    /// Letters, digits and `-_.@+`.
    name: String,
    role: RoleWord,
    /// A first password of 12 characters or more; the user must change it.
    #[schema(format = Password)]
    password: String,
}

/// Make a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = UserView)))]
pub(crate) async fn create_user(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<NewUser>,
) -> ApiResult<(StatusCode, Json<UserView>)> {
    let password = Secret::new(new.password);
    let name = new_name(&new.name)?;
    password::acceptable(&password, name.as_str())?;
    let user = User {
        role: new.role.into(),
        disabled: false,
        must_change_password: true,
        password_hash: hash(&state, &password).await?,
        created: state.now(),
        last_login: None,
        name,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    tenant
        .create_user(&user, &state.act(caller.actor()))
        .await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// What to change; what is absent stays.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangeUser {
    role: Option<RoleWord>,
    disabled: Option<bool>,
    /// A new first password; the user must change it, and all their sessions end.
    #[schema(format = Password)]
    password: Option<String>,
}

/// Change a user.
#[utoipa::path(patch, path = "/users/{name}", tag = "users", request_body = ChangeUser,
    params(("name" = String, Path, description = "The user's name")),
    responses((status = 200, body = UserView)))]
pub(crate) async fn change_user(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    Json(wanted): Json<ChangeUser>,
) -> ApiResult<Json<UserView>> {
    let name = UserName::new(name)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let role = wanted.role.map(Role::from);
    if role.is_some_and(|role| role < Role::Admin) || wanted.disabled == Some(true) {
        keep_an_admin(&tenant, &name).await?;
    }
    let password = wanted.password.map(Secret::new);
    let password_hash = match &password {
        Some(password) => {
            password::acceptable(password, name.as_str())?;
            Some(hash(&state, password).await?)
        }
        None => None,
    };
    let change = UserChange {
        role,
        disabled: wanted.disabled,
        must_change_password: password_hash.as_ref().map(|_| true),
        password_hash,
    };
    tenant
        .change_user(&name, &change, &state.act(caller.actor()))
        .await?;
    let user = tenant.user(&name).await?;
    let user = user.ok_or_else(|| Problem::not_found(format_args!("user {name}")))?;
    Ok(Json(user.into()))
}

/// Remove a user with their sessions and tokens.
#[utoipa::path(delete, path = "/users/{name}", tag = "users",
    params(("name" = String, Path, description = "The user's name")),
    responses((status = 204, description = "Removed")))]
pub(crate) async fn delete_user(
    State(state): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    let name = UserName::new(name)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    keep_an_admin(&tenant, &name).await?;
    tenant
        .delete_user(&name, &state.act(caller.actor()))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses to take away the last administrator who can sign in.
async fn keep_an_admin(tenant: &TenantStore, leaving: &UserName) -> ApiResult<()> {
    let users = tenant.users().await?;
    let is_admin = |user: &&User| user.role == Role::Admin && !user.disabled;
    let others = users
        .iter()
        .filter(is_admin)
        .any(|user| user.name != *leaving);
    let leaves = users
        .iter()
        .filter(is_admin)
        .any(|user| user.name == *leaving);
    if leaves && !others {
        return Err(Problem::conflict(
            "last_admin",
            "This is the last administrator who can sign in. Make another one first.",
        ));
    }
    Ok(())
}

/// A name for a new user: printable in logs, addresses and audit entries, and not one that
/// the audit trail gives to machines.
fn new_name(name: &str) -> ApiResult<UserName> {
    let letters = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b));
    if !letters || name.eq_ignore_ascii_case("system") {
        return Err(Problem::unprocessable(
            "bad_name",
            "A user name is made of letters, digits and -_.@+, and is not `system`.",
        ));
    }
    Ok(UserName::new(name)?)
}

async fn hash(state: &AppState, password: &Secret) -> ApiResult<String> {
    let salt = random_bytes(state.random.as_ref());
    state.auth.passwords.hash(password, salt).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["ann", "ann@example.com", "a.b-c_d+e"] {
            assert!(new_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "system", "token:x", "a/b", "é", "a\nb"] {
            assert!(new_name(bad).is_err(), "{bad:?}");
        }
    }
}
