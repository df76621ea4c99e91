//! Findings as a file, streamed page by page.

use super::artifacts::attachment;
use super::findings::FindingQuery;
use super::view::{FindingView, bad_field};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::Query;
use crate::state::AppState;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bartizan_model::Finding;
use bartizan_report::csv::{self, CsvWriter};
use bartizan_store::findings::{FindingFilter, FindingRow, FindingSort};
use bartizan_store::{PageRequest, TenantStore};
use bytes::Bytes;
use std::io;

/// Rows that a file has at most.
const MAX_ROWS: u64 = 100_000;
/// Rows that are fetched at once.
const PAGE: u32 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
}

/// Download findings as CSV or JSON, at most 100,000 rows.
///
/// `X-Truncated: true` says that there are more than the file has.
#[utoipa::path(get, path = "/findings/export", tag = "findings", operation_id = "exportFindings",
    params(FindingQuery), responses((status = 200, content(
        (String = "text/csv"), (Vec<FindingView> = "application/json")))))]
pub(crate) async fn export_findings(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<FindingQuery>,
) -> ApiResult<Response> {
    let format = match query.format.as_deref().unwrap_or("csv") {
        "csv" | "" => Format::Csv,
        "json" => Format::Json,
        _ => return Err(bad_field("format", "it is not one of csv, json.")),
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let filter = query.filter(&state, &tenant).await?;
    let sort = query.order()?;
    let first = tenant
        .findings(
            &filter,
            sort,
            &PageRequest {
                cursor: None,
                limit: PAGE,
            },
        )
        .await?;
    // A capped count of fewer rows than the file's bound cannot be told apart from a full one.
    let truncated =
        first.page.total.is_some_and(|total| {
            total.count > MAX_ROWS || (total.capped && total.count >= MAX_ROWS)
        }) || first.search.is_some_and(|search| search.capped);
    let (name, media_type) = match format {
        Format::Csv => ("findings.csv", csv::MEDIA_TYPE),
        Format::Json => ("findings.json", "application/json"),
    };
    let csv = match format {
        Format::Csv => Some(CsvWriter::new(Vec::new()).map_err(Problem::internal)?),
        Format::Json => None,
    };
    let rows = Rows {
        tenant,
        filter,
        sort,
        csv,
        written: 0,
        next: Next::Page(first.page.items, first.page.next_cursor),
    };
    let blocks = futures::stream::try_unfold(rows, Rows::block);
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, attachment(name)),
        (
            header::HeaderName::from_static("x-truncated"),
            truncated.to_string(),
        ),
    ];
    Ok((headers, Body::from_stream(blocks)).into_response())
}

/// What is still to be written.
enum Next {
    Page(Vec<FindingRow>, Option<String>),
    Fetch(String),
    Done,
}

struct Rows {
    tenant: TenantStore,
    filter: FindingFilter,
    sort: FindingSort,
    /// For CSV; none for JSON.
    csv: Option<CsvWriter<Vec<u8>>>,
    written: u64,
    next: Next,
}

impl Rows {
    /// The next block of the file.
    async fn block(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let (items, cursor) = match std::mem::replace(&mut self.next, Next::Done) {
            Next::Done => return Ok(None),
            Next::Page(items, cursor) => (items, cursor),
            Next::Fetch(cursor) => {
                let request = PageRequest {
                    cursor: Some(cursor),
                    limit: PAGE,
                };
                let found = self.tenant.findings(&self.filter, self.sort, &request);
                let found = found.await.map_err(io::Error::other)?;
                (found.page.items, found.page.next_cursor)
            }
        };
        let left = usize::try_from(MAX_ROWS.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let first = self.written == 0;
        let count = items.len().min(left);
        self.written += count as u64;
        let last = cursor.is_none() || self.written >= MAX_ROWS;
        let items = items.into_iter().take(left);
        let bytes = match &mut self.csv {
            Some(writer) => {
                for row in items {
                    csv_row(writer, row)?;
                }
                // The column names are in the writer since it was made.
                std::mem::take(writer.get_mut())
            }
            None => json_block(items, first, last)?,
        };
        self.next = match cursor {
            Some(cursor) if !last => Next::Fetch(cursor),
            _ => Next::Done,
        };
        Ok(Some((bytes.into(), self)))
    }
}

/// A row as the CSV writer takes it.
fn csv_row(writer: &mut CsvWriter<Vec<u8>>, row: FindingRow) -> io::Result<()> {
    let asset = row.asset.clone();
    let finding = Finding {
        key: row.key,
        scope: row.scope,
        check: row.check,
        asset: row.asset.uid,
        locus: row.locus,
        status: row.status,
        severity: row.severity,
        title: row.title,
        message: row.message,
        first_seen: row.first_seen,
        changed: row.changed,
        acceptance: row.acceptance,
    };
    writer.row(&finding, &asset, None)
}

fn json_block(
    rows: impl Iterator<Item = FindingRow>,
    first: bool,
    last: bool,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if first {
        bytes.push(b'[');
    }
    for (n, row) in rows.enumerate() {
        if !first || n > 0 {
            bytes.push(b',');
        }
        bytes.push(b'\n');
        serde_json::to_writer(&mut bytes, &FindingView::from(row))?;
    }
    if last {
        bytes.extend_from_slice(b"\n]\n");
    }
    Ok(bytes)
}
