//! The layer of one route: its line of the table, enforced before the handler runs.

use super::{Caller, Via, csrf, session, token};
use crate::error::Problem;
use crate::route::{Access, BodyLimit};
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bartizan_store::people::{Session, User};
use http_body_util::Limited;
use std::time::Duration;

/// A route's rules, as its layer needs them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) access: Access,
    pub(crate) body: BodyLimit,
    pub(crate) time: Option<Duration>,
}

/// The session behind a caller, for the session routes.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) session: Session,
    pub(crate) user: User,
}

/// Enforces the rule: who, from where, how fast, how much, how long; in that order.
pub(crate) async fn guard(
    State((state, rule)): State<(AppState, Rule)>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = admit(&state, rule.access, &mut request).await {
        return problem.into_response();
    }
    let limit = match rule.body {
        BodyLimit::Json => state.config.limits.json_body,
        BodyLimit::Upload => state.config.limits.upload,
    };
    let request = match bounded(request, limit) {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    let time = rule.time.unwrap_or(state.config.limits.request_time);
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable(
            "timeout",
            format!(
                "This took longer than the {} s allowed and was given up. Ask for less, or try again.",
                time.as_secs()
            ),
            5,
        )
        .into_response(),
    }
}

async fn admit(state: &AppState, access: Access, request: &mut Request) -> Result<(), Problem> {
    let changes = csrf::is_unsafe(request.method());
    let Some(least) = access.role() else {
        // Signing in, too, must not be another site's idea.
        if changes {
            csrf::check_origin(request.headers(), request.uri(), &state.config)?;
        }
        return Ok(());
    };
    let (caller, current) = authenticate(state, request.headers()).await?;
    state
        .throttle
        .user(caller.tenant.as_str(), caller.user.as_str())?;
    if let Some(current) = &current {
        if changes {
            csrf::check_origin(request.headers(), request.uri(), &state.config)?;
            csrf::check_token(request.headers(), &current.session.csrf_token)?;
        }
        if current.user.must_change_password && access != Access::Session {
            return Err(Problem::forbidden(
                "password_change_due",
                "Choose a new password first: POST /api/v1/session/password.",
            ));
        }
    }
    caller.require(least)?;
    let extensions = request.extensions_mut();
    extensions.insert(caller);
    if let Some(current) = current {
        extensions.insert(current);
    }
    Ok(())
}

/// Who sends these headers. A token that is sent and is wrong is refused, whatever cookie
/// comes along.
async fn authenticate(
    state: &AppState,
    headers: &HeaderMap,
) -> Result<(Caller, Option<Current>), Problem> {
    match token::bearer(headers) {
        token::Bearer::Token(secret) => by_token(state, secret).await.map(|c| (c, None)),
        token::Bearer::Malformed => Err(bad_token()),
        token::Bearer::Absent => by_cookie(state, headers).await.map(|(c, s)| (c, Some(s))),
    }
}

async fn by_token(state: &AppState, secret: &str) -> Result<Caller, Problem> {
    let hash = super::secret_hash(secret);
    let (tenant, token, owner) = state
        .store
        .token(&hash, state.now())
        .await?
        .ok_or_else(bad_token)?;
    Ok(Caller {
        tenant,
        user: owner.name,
        // A maker who was demoted since takes the token along.
        role: token.role.min(owner.role),
        via: Via::Token {
            id: token.id,
            name: token.name,
        },
    })
}

async fn by_cookie(state: &AppState, headers: &HeaderMap) -> Result<(Caller, Current), Problem> {
    let secret = session::cookie(headers, &state.config).ok_or_else(sign_in_first)?;
    let hash = super::secret_hash(&secret);
    let now = state.now();
    let (tenant, session, user) = state
        .store
        .session(&hash, now)
        .await?
        .ok_or_else(session_over)?;
    let idle = i64::try_from(state.config.sessions.idle.as_secs()).unwrap_or(i64::MAX);
    if !state.auth.seen.still_active(hash, now, idle) {
        // Ended for good: this process's memory alone would not outlast a restart.
        let tenant = state.store.tenant(&tenant).await?;
        tenant.delete_session(&hash, &state.act("system")).await?;
        state.auth.seen.forget(&hash);
        return Err(session_over());
    }
    let caller = Caller {
        tenant,
        user: user.name.clone(),
        role: user.role,
        via: Via::Session { hash },
    };
    Ok((caller, Current { session, user }))
}

/// 401 for a request without any credentials.
pub(crate) fn sign_in_first() -> Problem {
    Problem::unauthorized("Sign in first, or send an API token as `Authorization: Bearer btz_…`.")
}

fn session_over() -> Problem {
    Problem::unauthorized("The session has ended. Sign in again.")
}

fn bad_token() -> Problem {
    Problem::unauthorized(
        "The API token is not valid: it is mistyped, expired or withdrawn. Make a new one under Settings.",
    )
}

/// Refuses a body that says it is too long, and cuts off one that turns out to be.
fn bounded(request: Request, limit: u64) -> Result<Request, Problem> {
    let promised = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if promised.is_some_and(|length| length > limit) {
        return Err(Problem::too_large(limit));
    }
    let max = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(request.map(|body| axum::body::Body::new(Limited::new(body, max))))
}

/// Whether reading a body failed because it is longer than the route takes.
pub fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}
