//! Extractors whose refusals are problem+json. They bear axum's names, so that utoipa
//! reads parameters and bodies from handler signatures: use these, not axum's.

use crate::error::Problem;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A JSON body, taken or given.
#[derive(Debug, Clone, Copy, Default, FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body as it is, of at most so many bytes.
pub async fn whole(body: Body, most: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, most)
        .await
        .map_err(|_| Problem::too_large(most as u64))
}

/// Parameters after `?`.
#[derive(Debug, Clone, Copy, Default, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

/// Parameters in the path, percent-decoded.
#[derive(Debug, Clone, Copy, Default, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(
            rejection.status(),
            "bad_body",
            format!(
                "{}. See /api/v1/openapi.json for what this address takes.",
                rejection.body_text()
            ),
        )
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(
            rejection.status(),
            "bad_query",
            format!(
                "{}. See /api/v1/openapi.json for the parameters.",
                rejection.body_text()
            ),
        )
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(
            rejection.status(),
            "bad_path",
            format!(
                "{}. Percent-encode each path segment.",
                rejection.body_text()
            ),
        )
    }
}
