//! A scope's results as `PolicyReport` objects, streamed page by page.

use super::artifacts::attachment;
use super::frameworks::scope_or_newest;
use super::view::bad_field;
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::Query;
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bartizan_model::{FindingStatus, ScopeId, Severity};
use bartizan_report::policy_report::{self, Line, Options, Reports, Word};
use bartizan_store::findings::{FindingFilter, FindingRow, FindingSort};
use bartizan_store::scans::{ResultFilter, ResultRow};
use bartizan_store::{PageRequest, TenantStore};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;
use utoipa::IntoParams;

/// Rows that are fetched at once.
const PAGE: u32 = 1000;
/// Results that are no failures, in this order; failures are told by their findings.
const OUTCOMES: [&str; 3] = ["unknown", "not_applicable", "pass"];

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, get_policy_reports).time_limit(Duration::from_secs(600))]
}

/// Of what, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PolicyReportQuery {
    /// The most recently scanned scope when absent.
    scope: Option<String>,
    /// `yaml` (default): a document for each object; `json`: one list of kind `List`. Both are
    /// what `kubectl apply -f` reads.
    format: Option<String>,
}

/// Download a scope's results as PolicyReport and ClusterPolicyReport objects.
///
/// Of `wgpolicyk8s.io/v1alpha2`. Accepted failures are `warn`, unknown is `error`.
#[utoipa::path(get, path = "/policy-reports", tag = "reports", operation_id = "getPolicyReports",
    params(PolicyReportQuery), responses((status = 200, content(
        (String = "application/yaml"), (String = "application/json")))))]
pub(crate) async fn get_policy_reports(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<PolicyReportQuery>,
) -> ApiResult<Response> {
    let is_json = match query.format.as_deref().filter(|text| !text.is_empty()) {
        None | Some("yaml") => false,
        Some("json") => true,
        Some(_) => return Err(bad_field("format", "it is not one of yaml, json.")),
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let scope = scope_or_newest(&tenant, query.scope.as_deref())
        .await?
        .ok_or_else(|| Problem::not_found("scope: nothing has been scanned"))?;
    let checks = tenant.checks(Some(&scope)).await?;
    let severities = checks
        .into_iter()
        .map(|(check, _)| (check.uid.into(), check.severity))
        .collect();
    let rows = Rows {
        tenant,
        reports: Reports::new(Options::new(scope.as_str())),
        severities,
        is_json,
        written: 0,
        next: Next::Findings(None),
        scope: scope.clone(),
    };
    let blocks = futures::stream::try_unfold(rows, Rows::block);
    let (name, media_type) = if is_json {
        ("policy-reports.json", "application/json")
    } else {
        ("policy-reports.yaml", "application/yaml")
    };
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            attachment(&format!("{scope}-{name}")),
        ),
    ];
    Ok((headers, Body::from_stream(blocks)).into_response())
}

/// What is to be read next, from which cursor.
enum Next {
    Findings(Option<String>),
    /// Results with the outcome of this place in [`OUTCOMES`].
    Results(usize, Option<String>),
    End,
    Done,
}

struct Rows {
    tenant: TenantStore,
    scope: ScopeId,
    severities: HashMap<String, Severity>,
    reports: Reports,
    is_json: bool,
    written: u64,
    next: Next,
}

impl Rows {
    /// The next block of the file; it may be empty.
    async fn block(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let mut bytes = Vec::new();
        if self.written == 0 && self.is_json && matches!(self.next, Next::Findings(None)) {
            bytes.extend_from_slice(b"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[");
        }
        match std::mem::replace(&mut self.next, Next::Done) {
            Next::Done => return Ok(None),
            Next::Findings(cursor) => {
                use FindingStatus::{Accepted, FalsePositive, Open, Reopened};
                let filter = FindingFilter {
                    scope: Some(self.scope.clone()),
                    status: vec![Open, Reopened, Accepted, FalsePositive],
                    ..FindingFilter::default()
                };
                let request = PageRequest {
                    cursor,
                    limit: PAGE,
                };
                let sort = FindingSort::Severity;
                let found = self.tenant.findings(&filter, sort, &request);
                let page = found.await.map_err(io::Error::other)?.page;
                for row in page.items {
                    let line = failure(&self.scope, row);
                    self.push(&line, &mut bytes)?;
                }
                self.next = match page.next_cursor {
                    Some(cursor) => Next::Findings(Some(cursor)),
                    None => Next::Results(0, None),
                };
            }
            Next::Results(at, cursor) => {
                let filter = ResultFilter {
                    scope: Some(self.scope.clone()),
                    outcome: OUTCOMES.get(at).map(|&word| word.to_owned()),
                    ..ResultFilter::default()
                };
                let request = PageRequest {
                    cursor,
                    limit: PAGE,
                };
                let found = self.tenant.results(&filter, &request);
                let page = found.await.map_err(io::Error::other)?;
                for row in page.items {
                    let severity = self.severities.get(row.check.as_str()).copied();
                    let line = other(&self.scope, row, severity);
                    self.push(&line, &mut bytes)?;
                }
                self.next = match page.next_cursor {
                    Some(cursor) => Next::Results(at, Some(cursor)),
                    None if at + 1 < OUTCOMES.len() => Next::Results(at + 1, None),
                    None => Next::End,
                };
            }
            Next::End => {
                let empty = Reports::new(Options::new(""));
                for report in std::mem::replace(&mut self.reports, empty).finish() {
                    self.write(&report, &mut bytes)?;
                }
                if self.is_json {
                    bytes.extend_from_slice(b"\n]}\n");
                }
            }
        }
        Ok(Some((bytes.into(), self)))
    }

    fn push(&mut self, line: &Line, bytes: &mut Vec<u8>) -> io::Result<()> {
        for report in self.reports.push(line) {
            self.write(&report, bytes)?;
        }
        Ok(())
    }

    fn write(&mut self, report: &Value, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.extend_from_slice(match (self.is_json, self.written) {
            // A JSON object is a YAML document, and no text needs another kind of quotes.
            (false, _) => b"---\n",
            (true, 0) => b"\n",
            (true, _) => b",\n",
        });
        serde_json::to_writer(&mut *bytes, report)?;
        if !self.is_json {
            bytes.push(b'\n');
        }
        self.written += 1;
        Ok(())
    }
}

/// A failure, as its finding tells it: scored only while it is open.
fn failure(scope: &ScopeId, row: FindingRow) -> Line {
    let (policy, rule) = policy_report::policy_and_rule(&row.check);
    let mut properties = BTreeMap::from([
        ("asset".to_owned(), row.asset.uid.to_string()),
        ("finding".to_owned(), row.key.to_string()),
        ("status".to_owned(), row.status.word().to_owned()),
        ("title".to_owned(), row.title),
    ]);
    if !row.locus.is_empty() {
        properties.insert("locus".to_owned(), row.locus);
    }
    if let Some(accepted) = row.acceptance {
        properties.insert("owner".to_owned(), accepted.owner);
        properties.insert("reason".to_owned(), accepted.reason);
        if let Some(until) = accepted.expires {
            properties.insert("expires".to_owned(), until.to_string());
        }
    }
    Line {
        policy,
        rule,
        category: String::new(),
        severity: Some(row.severity),
        subject: policy_report::object(scope, &row.asset),
        outcome: if row.status.is_active() {
            Word::Fail
        } else {
            Word::Warn
        },
        message: row.message,
        at: Some(row.changed),
        properties,
    }
}

fn other(scope: &ScopeId, row: ResultRow, severity: Option<Severity>) -> Line {
    let (policy, rule) = policy_report::policy_and_rule(&row.check);
    let mut properties = BTreeMap::from([
        ("asset".to_owned(), row.asset.uid.to_string()),
        ("scan".to_owned(), row.scan.to_string()),
    ]);
    if !row.locus.is_empty() {
        properties.insert("locus".to_owned(), row.locus);
    }
    Line {
        policy,
        rule,
        category: String::new(),
        severity,
        subject: policy_report::object(scope, &row.asset),
        outcome: Word::of(&row.outcome, false),
        message: policy_report::message(&row.outcome, &row.message),
        at: None,
        properties,
    }
}
