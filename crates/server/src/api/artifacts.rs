//! Artifacts: uploads by the one door, downloads by digest.

use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::{BodyLimit, Route};
use crate::state::AppState;
use crate::work::intake::{Received, Upload, receive};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bartizan_model::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Operator, upload_artifact)
            .body_limit(BodyLimit::Upload)
            .time_limit(Duration::from_secs(3600)),
        route!(Viewer, get_artifact).time_limit(Duration::from_secs(600)),
    ]
}

/// What the bytes are.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// `report`, `sarif`, `xccdf` or `evidence`; told from Content-Type and first bytes when absent.
    kind: Option<String>,
    /// The scope, `kind:name`; SARIF and XCCDF need it.
    scope: Option<String>,
    /// The file name; evidence needs it.
    name: Option<String>,
}

/// An upload that became a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The job's id; see `/jobs/{id}`.
    job: String,
    /// Digest of the bytes.
    artifact: String,
    /// Their length.
    size: u64,
    /// Whether the same was handed in before; then `job` is the earlier job.
    duplicate: bool,
}

/// Evidence that was stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredEvidence {
    /// Digest of the bytes, for assessments.
    artifact: String,
    /// Their length.
    size: u64,
    /// The file name.
    name: String,
}

/// Hand in a report, a SARIF file, XCCDF results or evidence.
///
/// The body is streamed into storage. `Content-Digest: sha-256=:…:` is checked when given.
/// A report is identified by its scan id, or by `Idempotency-Key` when given; handing in the
/// same again answers with the earlier job.
#[utoipa::path(post, path = "/artifacts", tag = "artifacts", operation_id = "uploadArtifact", params(UploadQuery,
        ("Content-Digest" = Option<String>, Header, description = "RFC 9530: `sha-256=:base64:`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Identifies the submission")),
    request_body(content(
        (Vec<u8> = "application/vnd.bartizan.report+ndjson"),
        (Vec<u8> = "application/sarif+json"),
        (Vec<u8> = "application/xccdf+xml"),
        (Vec<u8> = "application/arf+xml"),
        (Vec<u8> = "application/octet-stream"))),
    responses(
        (status = 202, description = "Queued", body = Accepted),
        (status = 201, description = "Evidence stored", body = StoredEvidence)))]
pub(crate) async fn upload_artifact(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Response> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let upload = Upload {
        kind: query.kind,
        scope: query.scope,
        name: query.name,
        content_type: text(&headers, header::CONTENT_TYPE.as_str())?,
        digest: text(&headers, "content-digest")?
            .map(|value| promised(&value))
            .transpose()?,
        idempotency_key: text(&headers, "idempotency-key")?
            .map(|key| idempotency_key(&key))
            .transpose()?,
    };
    let body = body.into_data_stream();
    Ok(
        match receive(&state, &tenant, caller.actor(), upload, body).await? {
            Received::Queued {
                job,
                artifact,
                size,
                duplicate,
            } => {
                let accepted = Accepted {
                    job: job.id.into(),
                    artifact: artifact.into(),
                    size,
                    duplicate,
                };
                (StatusCode::ACCEPTED, Json(accepted)).into_response()
            }
            Received::Evidence {
                artifact,
                size,
                name,
            } => {
                let stored = StoredEvidence {
                    artifact: artifact.into(),
                    size,
                    name,
                };
                (StatusCode::CREATED, Json(stored)).into_response()
            }
        },
    )
}

/// Download stored bytes.
#[utoipa::path(get, path = "/artifacts/{digest}", tag = "artifacts", operation_id = "getArtifact",
    params(("digest" = String, Path, description = "`sha256:…`")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")))]
pub(crate) async fn get_artifact(
    State(state): State<AppState>,
    caller: Caller,
    Path(digest): Path<String>,
) -> ApiResult<Response> {
    let digest = whole_digest(&digest)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let known = tenant.artifact(&digest).await?;
    let bytes = match tenant.objects().get_artifact(&digest).await {
        Ok(bytes) => bytes,
        Err(bartizan_store::StoreError::NotFound { .. }) => {
            return Err(Problem::not_found(format_args!("artifact {digest}")));
        }
        Err(error) => return Err(error.into()),
    };
    let name = known
        .as_ref()
        .map(|artifact| artifact.name.as_str())
        .filter(|name| !name.is_empty());
    let disposition = attachment(name.unwrap_or(digest.as_str()));
    // Always opaque: what people upload must not run in the console's origin.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

/// A `Content-Disposition` with a file name reduced to harmless characters.
pub(crate) fn attachment(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c,
            '.' | '-' | '_' => c,
            _ => '_',
        })
        .take(150)
        .collect();
    format!("attachment; filename=\"{safe}\"")
}

/// A digest that is `sha256:` and 64 lower-case hex digits.
pub(crate) fn whole_digest(text: &str) -> ApiResult<Digest> {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    let sound = hex.len() == 64
        && hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !sound {
        return Err(Problem::bad_request(
            "bad_id",
            "A digest is `sha256:` and 64 lower-case hexadecimal digits.",
        ));
    }
    Ok(Digest::new(text)?)
}

fn text(headers: &HeaderMap, name: &str) -> ApiResult<Option<String>> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| {
        Problem::bad_request("bad_header", format!("`{name}`: only ASCII is allowed."))
    })?;
    Ok(Some(value.to_owned()))
}

fn idempotency_key(key: &str) -> ApiResult<String> {
    let key = key.trim();
    if key.is_empty() || key.len() > 200 {
        return Err(Problem::bad_request(
            "bad_header",
            "`Idempotency-Key`: 1 to 200 characters are allowed.",
        ));
    }
    Ok(key.to_owned())
}

/// Reads RFC 9530; other algorithms beside SHA-256 are passed over.
fn promised(value: &str) -> ApiResult<Digest> {
    let bad = || {
        Problem::bad_request(
            "bad_header",
            "`Content-Digest`: write `sha-256=:<base64 of 32 bytes>:` (RFC 9530).",
        )
    };
    let encoded = value
        .split(',')
        .filter_map(|part| part.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("sha-256"))
        .and_then(|(_, value)| value.strip_prefix(':')?.strip_suffix(':'))
        .ok_or_else(bad)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| bad())?;
    if bytes.len() != 32 {
        return Err(bad());
    }
    Ok(Digest::new(format!("sha256:{}", hex::encode(bytes)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_digests() {
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let digest = Digest::of(b"");
        assert_eq!(promised(&format!("sha-256=:{empty}:")), Ok(digest.clone()));
        assert_eq!(
            promised(&format!("sha-512=:AAAA:, SHA-256=:{empty}:")),
            Ok(digest)
        );
        for bad in ["", "sha-256=abc", "sha-256=:AAAA:", "md5=:AAAA:"] {
            assert!(promised(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn file_names_cannot_break_out() {
        assert_eq!(
            attachment("a\"b\r\nX: y/../é.pdf"),
            "attachment; filename=\"a_b__X__y_..__.pdf\""
        );
        assert!(whole_digest("sha256:../../etc/passwd").is_err());
    }
}
