//! Everything at a glance.

use super::frameworks::{scope_or_newest, trend_of};
use super::scopes::{LastScanView, by_severity};
use super::view::{BySeverity, ScoreView, SeverityWord, TrendPoint, optional};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::work::scores::standing;
use axum::extract::State;
use bartizan_ledger::TreeHead;
use bartizan_model::{AuditEntry, FindingKey, ScopeId, Severity, Timestamp};
use bartizan_store::audit::{AuditFilter, AuditRow};
use bartizan_store::{PageRequest, TenantStore};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Newest changes that are shown.
const CHANGES: usize = 12;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, get_overview)]
}

/// Of what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OverviewQuery {
    /// One scope; all when absent.
    scope: Option<String>,
}

/// Findings at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingFigures {
    /// Open and reopened.
    active: BySeverity,
    accepted: u64,
    /// Fixed within 30 days.
    fixed_30d: u64,
    /// Results that could not tell.
    unknown_results: u64,
}

/// A framework at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FrameworkScore {
    id: String,
    title: String,
    version: String,
    score: Option<f64>,
    coverage: Option<f64>,
    counts: ScoreView,
    trend: Vec<TrendPoint>,
}

/// Something that changed lately.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Change {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Such as `finding.opened`.
    action: String,
    /// A finding's key.
    subject: String,
    title: String,
    #[schema(value_type = Option<SeverityWord>)]
    severity: Option<Severity>,
    scope: Option<String>,
    entry_id: String,
}

/// The queue at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobFigures {
    queued: u64,
    running: u64,
    failed: u64,
}

/// The ledger at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerFigures {
    size: u64,
    /// Entries that wait for the sequencer.
    pending: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    checkpoint_at: Option<Timestamp>,
    /// Hexadecimal.
    root: String,
}

/// Everything at a glance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub(crate) struct OverviewView {
    /// The scope that the scores are of; null while nothing was scanned.
    scope: Option<String>,
    /// Scopes that are not archived.
    scopes: u64,
    last_scan: Option<LastScanView>,
    findings: FindingFigures,
    frameworks: Vec<FrameworkScore>,
    changes: Vec<Change>,
    jobs: JobFigures,
    ledger: LedgerFigures,
}

/// Scores, findings, changes, queue and ledger at a glance.
#[utoipa::path(get, path = "/overview", tag = "overview", operation_id = "getOverview",
    params(OverviewQuery), responses((status = 200, body = OverviewView)))]
pub(crate) async fn get_overview(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<OverviewQuery>,
) -> ApiResult<Json<OverviewView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let asked: Option<ScopeId> = optional("scope", query.scope.as_deref())?;
    let scope = scope_or_newest(&tenant, query.scope.as_deref()).await?;
    let figures = tenant.overview(asked.as_ref(), state.now()).await?;
    let ledger = ledger_figures(&tenant).await?;
    Ok(Json(OverviewView {
        frameworks: framework_scores(&state, &tenant, scope.as_ref()).await?,
        changes: changes(&tenant, asked.as_ref()).await?,
        scope: scope.map(String::from),
        scopes: figures.scopes,
        last_scan: figures.last_scan.map(LastScanView::from),
        findings: FindingFigures {
            active: by_severity(&figures.active),
            accepted: figures.accepted,
            fixed_30d: figures.fixed_30d,
            unknown_results: figures.unknown_results,
        },
        jobs: JobFigures {
            queued: figures.jobs.queued,
            running: figures.jobs.running,
            failed: figures.jobs.failed,
        },
        ledger,
    }))
}

async fn ledger_figures(tenant: &TenantStore) -> ApiResult<LedgerFigures> {
    let stored = tenant.ledger_state().await?;
    let pending = tenant.pending_audit_count().await?;
    Ok(match stored {
        None => LedgerFigures {
            size: 0,
            pending,
            checkpoint_at: None,
            root: TreeHead::empty().root.hex(),
        },
        Some(stored) => LedgerFigures {
            size: stored.size,
            pending,
            checkpoint_at: Some(stored.at),
            root: hex::encode(stored.root),
        },
    })
}

async fn framework_scores(
    state: &AppState,
    tenant: &TenantStore,
    scope: Option<&ScopeId>,
) -> ApiResult<Vec<FrameworkScore>> {
    let now = state.now();
    let tallies = match scope {
        Some(scope) => tenant.tallies(scope).await?,
        None => Vec::new(),
    };
    let mut scores = Vec::new();
    for entry in state.work.content.all() {
        let (posture, trend) = match scope {
            Some(scope) => (
                standing(tenant, entry, scope, &tallies, now).await?.0,
                trend_of(tenant, entry, scope).await?,
            ),
            None => (entry.evaluate(&[], &[], now), Vec::new()),
        };
        scores.push(FrameworkScore {
            id: posture.framework.into(),
            title: posture.title,
            version: posture.version,
            score: posture.score,
            coverage: posture.coverage,
            counts: posture.counts.into(),
            trend,
        });
    }
    Ok(scores)
}

/// The newest transitions of findings; of one scope where one is asked for.
async fn changes(tenant: &TenantStore, scope: Option<&ScopeId>) -> ApiResult<Vec<Change>> {
    let filter = AuditFilter::default();
    let mut changes = Vec::new();
    let mut request = PageRequest {
        cursor: None,
        limit: 100,
    };
    // A few pages at most: a scope that has been quiet for long shows fewer.
    for _ in 0..4 {
        let page = tenant.audit(&filter, &request).await?;
        for row in page.items {
            let moved = row
                .entry
                .as_ref()
                .is_some_and(|e| e.action.starts_with("finding."));
            if moved
                && changes.len() < CHANGES
                && let Some(change) = change(tenant, row, scope).await?
            {
                changes.push(change);
            }
        }
        request.cursor = page.next_cursor;
        if changes.len() >= CHANGES || request.cursor.is_none() {
            break;
        }
    }
    Ok(changes)
}

async fn change(
    tenant: &TenantStore,
    row: AuditRow,
    wanted: Option<&ScopeId>,
) -> ApiResult<Option<Change>> {
    let Some(entry) = row.entry else {
        return Ok(None);
    };
    let AuditEntry {
        at,
        action,
        subject,
        detail,
        ..
    } = entry;
    let text = |name: &str| detail.get(name)?.as_str().map(str::to_owned);
    let mut change = Change {
        at,
        action,
        title: text("title").unwrap_or_default(),
        severity: text("severity").and_then(|word| Severity::parse(&word)),
        scope: text("scope"),
        entry_id: row.entry_id,
        subject,
    };
    if let (Some(wanted), Some(scope)) = (wanted, &change.scope)
        && scope != wanted.as_str()
    {
        return Ok(None);
    }
    if change.title.is_empty() || change.scope.is_none() {
        // People's actions say only why; the finding says what.
        let key = FindingKey::new(change.subject.clone()).map_err(Problem::from)?;
        let Some(found) = tenant.finding(&key).await? else {
            return Ok(None);
        };
        change.title = found.row.title;
        change.severity = Some(found.row.severity);
        change.scope = Some(found.row.scope.into());
    }
    let elsewhere = wanted.is_some_and(|wanted| change.scope.as_deref() != Some(wanted.as_str()));
    Ok((!elsewhere).then_some(change))
}
