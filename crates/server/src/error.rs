//! What a request gets when it cannot be served: `application/problem+json` (RFC 9457).
//!
//! `detail` is a sentence for people: what is wrong and what to try. What went wrong inside
//! (an SQL text, a path) is logged under the request id and never shown.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bartizan_store::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of a handler.
pub type ApiResult<T> = Result<T, Problem>;

/// A refusal or a failure, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after: Option<u64>,
}

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A URN that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and what to try, for people.
    pub detail: String,
    /// The kind of problem, for programs.
    pub code: String,
    /// Names this request in the server's log.
    pub request_id: String,
}

impl Problem {
    /// A problem with any status; the named constructors below are usually clearer.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: who is asking is not known.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403: who is asking may not.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: `what` does not exist for this tenant.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("There is no {what}. Check the address, or list what exists."),
        )
    }

    /// 409: the present state does not allow it.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 413: more bytes than allowed.
    pub fn too_large(limit: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!(
                "The body is larger than the {limit} bytes this address takes. Send less, or split it."
            ),
        )
    }

    /// 422: well-formed, but not acceptable.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429: too fast; may try again after `seconds`.
    pub fn too_many(detail: impl Into<String>, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
        }
    }

    /// 503: not now; may try again after `seconds`.
    pub fn unavailable(code: &'static str, detail: impl Into<String>, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        }
    }

    /// 500: our fault. Logs `error` under the request id and shows none of it.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "request failed inside");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server could not do this, and the fault is its own. Try again; \
             if it stays, look for this request_id in the server's log.",
        )
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The code for programs.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:bartizan:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code.to_owned(),
            request_id: crate::log::request_id(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"bartizan\""),
            );
        }
        response
    }
}

/// An id in a path or body that is not one.
impl From<bartizan_model::IdError> for Problem {
    fn from(error: bartizan_model::IdError) -> Self {
        Self::bad_request("bad_id", format!("The {error}."))
    }
}

/// What the store refuses or cannot do. What went wrong inside it is logged, not shown.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what, id } => Self::not_found(format_args!("{what} {id:?}")),
            StoreError::Conflict(why) => Self::conflict("conflict", sentence(&why)),
            StoreError::Invalid(why) => Self::bad_request("invalid", sentence(&why)),
            StoreError::Report(why) => Self::unprocessable("bad_report", sentence(&why)),
            StoreError::TooLarge { limit } => Self::too_large(limit),
            StoreError::DigestMismatch { .. } => Self::unprocessable(
                "digest_mismatch",
                format!("{} Send it again.", sentence(&error.to_string())),
            ),
            StoreError::Upload(_) => Self::bad_request(
                "upload_broken",
                format!("{} Send it again.", sentence(&error.to_string())),
            ),
            StoreError::Database(_) | StoreError::Objects(_) => {
                tracing::error!(%error, "storage failed");
                Self::unavailable(
                    "storage_unavailable",
                    "The database or the object store did not do this. Try again; if it stays, \
                     look for this request_id in the server's log.",
                    2,
                )
            }
            StoreError::Fenced(_)
            | StoreError::Config(_)
            | StoreError::InUse { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::OlderSchema { .. }
            | StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    let end = if text.ends_with(['.', '?', '!']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_body_is_a_problem() {
        let response = Problem::too_many("Slow down.", 3).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        let body: ProblemBody = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            ProblemBody {
                kind: "urn:bartizan:problem:too_many_requests".into(),
                title: "Too Many Requests".into(),
                status: 429,
                detail: "Slow down.".into(),
                code: "too_many_requests".into(),
                request_id: "-".into(),
            }
        );
    }

    #[test]
    fn the_stores_inside_is_not_shown() {
        let problem = Problem::from(StoreError::Corrupt("/secret/path".into()));
        assert_eq!(problem.status(), 500);
        assert!(!problem.to_string().contains("/secret"), "{problem}");
        let problem = Problem::from(StoreError::NotFound {
            what: "scope",
            id: "cluster:prod".into(),
        });
        assert_eq!(
            problem.detail(),
            "There is no scope \"cluster:prod\". Check the address, or list what exists."
        );
        assert_eq!(
            Problem::from(StoreError::Conflict("taken".into())).detail(),
            "Taken."
        );
    }
}
