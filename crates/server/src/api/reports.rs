//! Reports: a scope's state as a file, rendered by `report`.

use super::artifacts::attachment;
use super::frameworks::scope_or_newest;
use super::view::bad_field;
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::Query;
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::work::scores::standing;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bartizan_model::{Finding, FindingKey, FindingStatus, Scan, ScopeId, TenantId};
use bartizan_report::{
    ControlRow, FrameworkSection, Row, Snapshot, Subject, UnknownRow, html, json, sarif,
};
use bartizan_store::findings::{FindingFilter, FindingRow, FindingSort};
use bartizan_store::scans::{ResultFilter, ResultRow};
use bartizan_store::{PageRequest, TenantStore};
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;
use utoipa::IntoParams;

/// Findings, and unknown results, that a report has at most.
const MAX_ROWS: usize = 10_000;
/// Rows that are fetched at once.
const PAGE: u32 = 1000;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, get_report).time_limit(Duration::from_secs(120))]
}

/// Of what, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportQuery {
    /// The most recently scanned scope when absent.
    scope: Option<String>,
    /// `html` (default), `sarif` or `json`.
    format: Option<String>,
}

/// Download a scope's report.
#[utoipa::path(get, path = "/reports", tag = "reports", operation_id = "getReport",
    params(ReportQuery), responses((status = 200, content(
        (String = "text/html"), (String = "application/sarif+json"), (String = "application/json")))))]
pub(crate) async fn get_report(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ReportQuery>,
) -> ApiResult<Response> {
    let format = match query.format.as_deref().filter(|text| !text.is_empty()) {
        None | Some("html") => Format::Html,
        Some("sarif") => Format::Sarif,
        Some("json") => Format::Json,
        Some(_) => return Err(bad_field("format", "it is not one of html, sarif, json.")),
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let scope = scope_or_newest(&tenant, query.scope.as_deref())
        .await?
        .ok_or_else(|| Problem::not_found("scope: nothing has been scanned"))?;
    let snapshot = snapshot(&state, &tenant, &caller.tenant, &scope).await?;
    let (name, media_type) = match format {
        Format::Html => ("report.html", html::MEDIA_TYPE),
        Format::Sarif => ("report.sarif", sarif::MEDIA_TYPE),
        Format::Json => ("report.json", json::MEDIA_TYPE),
    };
    let rendered = tokio::task::spawn_blocking(move || format.render(&snapshot)).await;
    let bytes = rendered
        .map_err(Problem::internal)?
        .map_err(Problem::internal)?;
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            attachment(&format!("{scope}-{name}")),
        ),
    ];
    Ok((headers, bytes).into_response())
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Html,
    Sarif,
    Json,
}

impl Format {
    fn render(self, snapshot: &Snapshot) -> Result<Vec<u8>, bartizan_report::RenderError> {
        let mut out = Vec::new();
        match self {
            Self::Html => html::write(snapshot, &html::Options::default(), &mut out)?,
            Self::Sarif => sarif::write(snapshot, &sarif::Options::default(), &mut out)?,
            Self::Json => json::write(snapshot, &mut out)?,
        }
        Ok(out)
    }
}

async fn snapshot(
    state: &AppState,
    tenant: &TenantStore,
    tenant_id: &TenantId,
    scope: &ScopeId,
) -> ApiResult<Snapshot> {
    let now = state.now();
    let generator = concat!("bartizan ", env!("CARGO_PKG_VERSION"));
    let mut snapshot = Snapshot::empty(scope.clone(), generator, now);
    let scans = tenant.current_scans(scope).await?;
    let row = tenant.scope(scope).await?;
    snapshot.scan = scans
        .into_iter()
        .max_by_key(|scan| scan.finished)
        .zip(row)
        .map(|(scan, row)| Scan {
            id: scan.id,
            source: scan.source,
            source_version: scan.source_version,
            scope: row.scope,
            complete: scan.complete,
            started: scan.started,
            finished: scan.finished,
            content: scan.content,
        });
    if snapshot.scan.as_ref().is_some_and(|scan| !scan.complete) {
        let said = "The newest scan is incomplete: not everything of the scope was seen.";
        snapshot.notices.push(said.to_owned());
    }
    let checks = tenant.checks(Some(scope)).await?;
    let mut tallies = Vec::new();
    for (check, tally) in checks {
        snapshot.counts.pass += tally.pass;
        snapshot.counts.fail += tally.fail + tally.accepted + tally.false_positive;
        snapshot.counts.not_applicable += tally.not_applicable;
        snapshot.counts.unknown += tally.unknown;
        snapshot.checks.push(check);
        tallies.push(tally);
    }
    for entry in state.work.content.all() {
        let (posture, _) = standing(tenant, entry, scope, &tallies, now).await?;
        snapshot.frameworks.push(FrameworkSection {
            id: posture.framework.into(),
            title: posture.title,
            version: posture.version,
            counts: posture.counts,
            controls: posture
                .controls
                .into_iter()
                .map(|control| ControlRow {
                    id: control.id.into(),
                    title: control.title,
                    group: control.group,
                    status: control.status,
                    why: control.why,
                    checks: control.checks,
                })
                .collect(),
        });
    }
    rows(tenant, tenant_id, scope, &mut snapshot).await?;
    snapshot.sort();
    Ok(snapshot)
}

/// Findings joined with the results that they are about, and the unknown results.
async fn rows(
    tenant: &TenantStore,
    tenant_id: &TenantId,
    scope: &ScopeId,
    snapshot: &mut Snapshot,
) -> ApiResult<()> {
    let (fails, _) = results(tenant, scope, "fail").await?;
    let mut by_key: HashMap<FindingKey, ResultRow> = fails
        .into_iter()
        .map(|row| {
            let key = FindingKey::of(tenant_id, &row.check, &row.asset.uid, &row.locus);
            (key, row)
        })
        .collect();
    let (findings, cut) = findings(tenant, scope).await?;
    if cut {
        snapshot.notices.push(format!(
            "Only the {MAX_ROWS} worst findings are listed; the counts are of all."
        ));
    }
    for finding in findings {
        let active = finding.status.is_active();
        let row = report_row(by_key.remove(&finding.key), finding);
        if active {
            snapshot.failing.push(row);
        } else {
            snapshot.suppressed.push(row);
        }
    }
    let (unknown, cut) = results(tenant, scope, "unknown").await?;
    if cut {
        snapshot.notices.push(format!(
            "Only {MAX_ROWS} of the subjects that could not be judged are listed."
        ));
    }
    snapshot.unknown = unknown
        .into_iter()
        .map(|row| UnknownRow {
            why: row.outcome.why().unwrap_or_default().to_owned(),
            subject: Subject {
                check: row.check,
                asset: row.asset,
                locus: row.locus,
                location: row.location,
            },
        })
        .collect();
    Ok(())
}

fn report_row(result: Option<ResultRow>, row: FindingRow) -> Row {
    let (location, evidence) = result.map_or((None, Vec::new()), |result| {
        (result.location, result.evidence)
    });
    Row {
        finding: Finding {
            key: row.key,
            scope: row.scope,
            check: row.check,
            asset: row.asset.uid.clone(),
            locus: row.locus,
            status: row.status,
            severity: row.severity,
            title: row.title,
            message: row.message,
            first_seen: row.first_seen,
            changed: row.changed,
            acceptance: row.acceptance,
        },
        asset: row.asset,
        location,
        evidence,
    }
}

/// The worst findings that still fail, and whether some were left out.
async fn findings(tenant: &TenantStore, scope: &ScopeId) -> ApiResult<(Vec<FindingRow>, bool)> {
    use FindingStatus::{Accepted, FalsePositive, Open, Reopened};
    let filter = FindingFilter {
        scope: Some(scope.clone()),
        status: vec![Open, Reopened, Accepted, FalsePositive],
        ..FindingFilter::default()
    };
    let mut all = Vec::new();
    let mut request = PageRequest {
        cursor: None,
        limit: PAGE,
    };
    loop {
        let found = tenant.findings(&filter, FindingSort::Severity, &request);
        let page = found.await?.page;
        all.extend(page.items);
        request.cursor = page.next_cursor;
        if request.cursor.is_none() || all.len() >= MAX_ROWS {
            return Ok((all, request.cursor.is_some()));
        }
    }
}

/// Current results with an outcome, and whether some were left out.
async fn results(
    tenant: &TenantStore,
    scope: &ScopeId,
    outcome: &str,
) -> ApiResult<(Vec<ResultRow>, bool)> {
    let filter = ResultFilter {
        scope: Some(scope.clone()),
        outcome: Some(outcome.to_owned()),
        ..ResultFilter::default()
    };
    let mut all = Vec::new();
    let mut request = PageRequest {
        cursor: None,
        limit: PAGE,
    };
    loop {
        let page = tenant.results(&filter, &request).await?;
        all.extend(page.items);
        request.cursor = page.next_cursor;
        if request.cursor.is_none() || all.len() >= MAX_ROWS {
            return Ok((all, request.cursor.is_some()));
        }
    }
}
