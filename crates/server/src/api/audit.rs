//! The audit trail, and proof that an entry is in the ledger.

use super::artifacts::attachment;
use super::view::{LedgerPlace, Page, optional_time, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::work::proof::{Proven, prove};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bartizan_model::Timestamp;
use bartizan_store::PageRequest;
use bartizan_store::audit::{AuditFilter, AuditRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, list_audit), route!(Viewer, get_proof)]
}

/// An audit entry.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct EntryView {
    pub(crate) entry_id: String,
    /// When; null once the body was erased.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) at: Option<Timestamp>,
    /// A user, `token:<name>` or `system`.
    pub(crate) actor: String,
    /// Such as `finding.accepted`.
    pub(crate) action: String,
    /// To what.
    pub(crate) subject: String,
    /// The particulars.
    pub(crate) detail: Value,
    /// Where it stands in the ledger.
    pub(crate) ledger: LedgerPlace,
}

impl From<AuditRow> for EntryView {
    fn from(row: AuditRow) -> Self {
        let ledger = LedgerPlace::of(row.index);
        match row.entry {
            Some(entry) => Self {
                entry_id: row.entry_id,
                at: Some(entry.at),
                actor: entry.actor,
                action: entry.action,
                subject: entry.subject,
                detail: entry.detail,
                ledger,
            },
            None => Self {
                entry_id: row.entry_id,
                at: None,
                actor: String::new(),
                action: "erased".to_owned(),
                subject: String::new(),
                detail: Value::Null,
                ledger,
            },
        }
    }
}

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Text that action, subject, actor or particulars contain.
    q: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    /// Not before this time or date.
    from: Option<String>,
    /// Before this time or date.
    to: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// List audit entries, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", operation_id = "listAudit",
    params(AuditQuery), responses((status = 200, body = Page<EntryView>)))]
pub(crate) async fn list_audit(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> ApiResult<Json<Page<EntryView>>> {
    let text = |value: Option<String>| value.filter(|text| !text.is_empty());
    let filter = AuditFilter {
        q: text(query.q),
        actor: text(query.actor),
        action: text(query.action),
        subject: text(query.subject),
        from: optional_time("from", query.from.as_deref())?,
        to: optional_time("to", query.to.as_deref())?,
    };
    let request = PageRequest {
        cursor: query.cursor,
        limit: page_size(query.limit)?,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let page = tenant.audit(&filter, &request).await?;
    Ok(Json(Page::of(page, EntryView::from)))
}

/// What a leaf commits to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Opening {
    /// The entry's canonical JSON, as text: the bytes that were committed to.
    body: String,
    /// 32 bytes, hexadecimal.
    salt: String,
}

/// An inclusion proof in the newest signed tree.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Included {
    index: u64,
    tree_size: u64,
    /// Hexadecimal; null once the body was erased.
    leaf_hash: Option<String>,
    /// Hexadecimal.
    root: String,
    /// Sibling hashes from the leaf up, hexadecimal.
    path: Vec<String>,
    /// The signed checkpoint (C2SP tlog-checkpoint).
    checkpoint: String,
    /// Null once the body was erased.
    entry: Option<Opening>,
    /// Whether the server, too, got from body to signed root.
    verified: bool,
}

/// Where an entry stands, with proof once there is one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum ProofView {
    /// The sequencer has not reached it yet.
    Pending,
    /// It is under a signed checkpoint.
    Included(Box<Included>),
}

/// How the proof is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProofQuery {
    /// `tlog-proof` for a C2SP proof file; JSON when absent.
    format: Option<String>,
}

/// Prove that an entry is in the ledger.
#[utoipa::path(get, path = "/audit/{entry_id}/proof", tag = "audit", operation_id = "getProof",
    params(("entry_id" = String, Path), ProofQuery),
    responses((status = 200, content(
        (ProofView = "application/json"), (String = "text/plain")))))]
pub(crate) async fn get_proof(
    State(state): State<AppState>,
    caller: Caller,
    Path(entry_id): Path<String>,
    Query(query): Query<ProofQuery>,
) -> ApiResult<Response> {
    let as_file = match query.format.as_deref().unwrap_or("json") {
        "" | "json" => false,
        "tlog-proof" => true,
        _ => {
            return Err(super::view::bad_field(
                "format",
                "it is not one of json, tlog-proof.",
            ));
        }
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let row = tenant
        .audit_entry(&entry_id)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("audit entry {entry_id:?}")))?;
    let proven = prove(&tenant, &state.work.keys, &row)
        .await
        .map_err(Problem::internal)?;
    match proven {
        None if as_file => Err(Problem::unavailable(
            "not_in_the_ledger_yet",
            "The entry waits for the ledger's sequencer. Ask again in a moment.",
            2,
        )),
        None => Ok(Json(ProofView::Pending).into_response()),
        Some(proven) if as_file => Ok(file(&entry_id, proven)),
        Some(proven) => Ok(Json(ProofView::Included(Box::new(included(proven)))).into_response()),
    }
}

fn included(proven: Proven) -> Included {
    let entry = proven
        .body
        .and_then(|body| String::from_utf8(body).ok())
        .map(|body| Opening {
            body,
            salt: proven.salt.hex(),
        });
    Included {
        index: proven.proof.index,
        tree_size: proven.head.size,
        leaf_hash: proven.leaf.map(|leaf| leaf.hex()),
        root: proven.head.root.hex(),
        path: proven.proof.path.iter().map(|hash| hash.hex()).collect(),
        checkpoint: proven.proof.checkpoint,
        entry,
        verified: proven.verified,
    }
}

/// The proof as a file. Its extra data, not authenticated by itself, is what opens the leaf:
/// 32 bytes of salt, then the body.
fn file(entry_id: &str, mut proven: Proven) -> Response {
    proven.proof.extra = proven.body.map(|body| {
        let mut extra = proven.salt.0.to_vec();
        extra.extend_from_slice(&body);
        extra
    });
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            attachment(&format!("{entry_id}.tlog-proof")),
        ),
    ];
    (headers, proven.proof.to_string()).into_response()
}
