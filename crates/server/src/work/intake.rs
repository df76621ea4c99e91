//! The one door: bytes come in, are stored by digest, and become a job.
//!
//! The body is never whole in memory: its first line is looked at on the way into the
//! object store, for the scope and the scan id that identify the submission.

use crate::error::{ApiResult, Problem};
use crate::state::AppState;
use bartizan_formats::Format;
use bartizan_formats::report::{Limits, ReportReader};
use bartizan_model::{Digest, JobId, Scan, ScanId, Scope, ScopeId, TenantId};
use bartizan_store::TenantStore;
use bartizan_store::queue::{Job, JobState, Submission};
use bartizan_store::records::Artifact;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use serde_json::json;
use std::fmt::Display;
use std::time::Duration;

/// The longest first line of a report that is looked at.
const MAX_HEADER: usize = 1 << 20;

/// How much of XML is looked at.
const XML_HEAD: usize = 4096;

/// What came with the bytes.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// `report`, `sarif`, `xccdf` or `evidence`; none to tell from type and content.
    pub kind: Option<String>,
    /// The scope, which files of other tools do not say themselves.
    pub scope: Option<String>,
    /// A file name, for evidence.
    pub name: Option<String>,
    /// The media type.
    pub content_type: Option<String>,
    /// The digest that the sender promises.
    pub digest: Option<Digest>,
    /// The `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

/// What became of an upload.
#[derive(Debug, Clone)]
pub enum Received {
    /// It was queued, now or earlier.
    Queued {
        /// The job.
        job: Box<Job>,
        /// The bytes.
        artifact: Digest,
        /// Their length.
        size: u64,
        /// Whether the same was handed in before.
        duplicate: bool,
    },
    /// Evidence, stored and recorded.
    Evidence {
        /// The bytes.
        artifact: Digest,
        /// Their length.
        size: u64,
        /// The name.
        name: String,
    },
}

/// Takes an upload for a tenant on behalf of `actor`.
pub async fn receive<S, E>(
    state: &AppState,
    tenant: &TenantStore,
    actor: String,
    upload: Upload,
    mut body: S,
) -> ApiResult<Received>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Display + Send,
{
    let head = first_line(&mut body, state.config.limits.upload).await?;
    let subject = subject(&upload, &head)?;
    // What the stream ended with is kept apart: the store reports it as text alone.
    let rest = futures::stream::once(async { Ok(head.freeze()) }).chain(body);
    let stored = tenant
        .objects()
        .put_artifact(
            Box::pin(rest),
            state.config.limits.upload,
            upload.digest.as_ref(),
        )
        .await
        .map_err(|error| match error {
            // The guard's own bound ends the stream a little before the store's.
            bartizan_store::StoreError::Upload(why) if why.contains("length limit") => {
                Problem::too_large(state.config.limits.upload)
            }
            error => error.into(),
        })?;
    let act = state.act(actor);
    let media_type = upload.content_type.unwrap_or_else(|| {
        match subject {
            Subject::Evidence { .. } => "application/octet-stream",
            Subject::Report { .. } => bartizan_formats::report::MEDIA_TYPE,
            Subject::Foreign { format, .. } => format
                .media_types
                .first()
                .copied()
                .unwrap_or("application/octet-stream"),
        }
        .to_owned()
    });
    let submission = match subject {
        Subject::Evidence { name } => {
            let artifact = Artifact {
                digest: stored.digest.clone(),
                size: stored.size,
                media_type,
                name: name.clone(),
                created: act.at,
            };
            tenant.record_artifact(&artifact, &act).await?;
            state.work.nudge();
            return Ok(Received::Evidence {
                artifact: stored.digest,
                size: stored.size,
                name,
            });
        }
        Subject::Report { scan, scope } => Submission {
            job: new_job_id()?,
            kind: super::import::REPORT.to_owned(),
            artifact: stored.digest.clone(),
            size: stored.size,
            media_type,
            scope,
            scan: Some(scan),
            idempotency_key: upload.idempotency_key,
            payload: json!({}),
        },
        Subject::Foreign { format, scope } => {
            let job = new_job_id()?;
            Submission {
                kind: format!("import.{}", format.name),
                artifact: stored.digest.clone(),
                size: stored.size,
                media_type,
                scope: scope.id()?,
                scan: None,
                idempotency_key: upload.idempotency_key,
                payload: json!({
                    "scan": format!("{}-{job}", format.name),
                    "received": act.at,
                    "run": 0,
                    "scope": scope,
                }),
                job,
            }
        }
    };
    let submitted = tenant.submit(&submission, &act).await?;
    state.work.nudge();
    Ok(Received::Queued {
        job: Box::new(submitted.job),
        artifact: stored.digest,
        size: stored.size,
        duplicate: submitted.duplicate,
    })
}

/// Hands a report in from within the process, by the same door; returns the job's id.
pub async fn submit_report<S, E>(
    state: &AppState,
    tenant: &TenantStore,
    body: S,
    actor: &str,
) -> ApiResult<JobId>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Display + Send,
{
    let upload = Upload {
        kind: Some("report".to_owned()),
        content_type: Some(bartizan_formats::report::MEDIA_TYPE.to_owned()),
        ..Upload::default()
    };
    match receive(state, tenant, actor.to_owned(), upload, body).await? {
        Received::Queued { job, .. } => Ok(job.id),
        Received::Evidence { .. } => Err(Problem::internal("a report was taken for evidence")),
    }
}

/// Hands in a report that is in memory and waits until it is imported. A job that fails is
/// an error with the job's own reason.
pub async fn import_now(state: &AppState, report: Vec<u8>, actor: &str) -> ApiResult<JobId> {
    let body = futures::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(report))]);
    let tenant = state.store.tenant(&TenantId::default_tenant()).await?;
    let id = submit_report(state, &tenant, body, actor).await?;
    let job = await_job(&tenant, &id, Duration::from_secs(600)).await?;
    match job.error {
        Some(error) if job.state == JobState::Failed => {
            Err(Problem::unprocessable("import_failed", error))
        }
        _ => Ok(id),
    }
}

/// Waits until a job has ended, well or badly.
pub async fn await_job(tenant: &TenantStore, job: &JobId, patience: Duration) -> ApiResult<Job> {
    let wait = async {
        let mut pause = Duration::from_millis(5);
        loop {
            match tenant.job(job).await? {
                None => return Err(Problem::not_found(format_args!("job {job}"))),
                Some(found) if matches!(found.state, JobState::Done | JobState::Failed) => {
                    return Ok(found);
                }
                Some(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    };
    tokio::time::timeout(patience, wait).await.map_err(|_| {
        Problem::unavailable(
            "job_not_finished",
            format!("The job {job} is not finished yet. Ask for it again in a moment."),
            2,
        )
    })?
}

fn new_job_id() -> ApiResult<JobId> {
    Ok(JobId::new(uuid::Uuid::now_v7().to_string())?)
}

/// What the bytes are about.
#[derive(Debug)]
enum Subject {
    Evidence {
        name: String,
    },
    Report {
        scan: ScanId,
        scope: ScopeId,
    },
    /// A file of another tool.
    Foreign {
        format: &'static Format,
        scope: Scope,
    },
}

fn subject(upload: &Upload, head: &[u8]) -> ApiResult<Subject> {
    let kind = match upload.kind.as_deref().filter(|kind| !kind.is_empty()) {
        Some(kind) => kind,
        None => upload
            .content_type
            .as_deref()
            .and_then(Format::by_media_type)
            .or_else(|| Format::by_content(head))
            .map(|format| format.name)
            .ok_or_else(|| {
                Problem::bad_request(
                    "unknown_kind",
                    "What this is cannot be told from its Content-Type or first bytes. \
                     Give `kind=report`, `kind=sarif`, `kind=xccdf` or `kind=evidence`.",
                )
            })?,
    };
    let said = upload
        .scope
        .as_deref()
        .filter(|scope| !scope.is_empty())
        .map(Scope::parse)
        .transpose()?;
    match kind {
        "evidence" => {
            let name = upload.name.as_deref().unwrap_or_default().trim();
            if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
                return Err(Problem::bad_request(
                    "bad_parameter",
                    "`name`: evidence needs a file name of 1 to 255 printable bytes.",
                ));
            }
            if head.is_empty() {
                return Err(Problem::unprocessable(
                    "empty",
                    "The body is empty. Send the file's bytes.",
                ));
            }
            Ok(Subject::Evidence {
                name: name.to_owned(),
            })
        }
        "report" => {
            let scan = header(head)?;
            let scope = scan.scope.id()?;
            if said.is_some_and(|said| said != scan.scope) {
                return Err(Problem::unprocessable(
                    "scope_differs",
                    format!(
                        "The report is about {scope}, but `scope` says something else. \
                         Leave `scope` out for reports."
                    ),
                ));
            }
            Ok(Subject::Report {
                scan: scan.id,
                scope,
            })
        }
        "sarif" | "xccdf" => match (Format::by_name(kind), said) {
            (Some(format), Some(scope)) => Ok(Subject::Foreign { format, scope }),
            _ => Err(Problem::bad_request(
                "bad_parameter",
                "`scope`: a file of another tool does not say which of your scopes it is about; \
                 give `scope=repository:<name>`, `cluster:<name>` or `host:<name>`.",
            )),
        },
        other => {
            let other: String = other.chars().take(40).collect();
            Err(Problem::bad_request(
                "bad_parameter",
                format!("`kind`: {other:?} is not one of report, sarif, xccdf, evidence."),
            ))
        }
    }
}

fn header(head: &[u8]) -> ApiResult<Scan> {
    ReportReader::open(head, Limits::default())
        .map(|reader| reader.header().clone())
        .map_err(|error| {
            Problem::unprocessable(
                "bad_report",
                format!("This is no report that can be read: {error}."),
            )
        })
}

/// Takes bytes until the first line feed, so that the header can be read; of XML, some more.
async fn first_line<S, E>(body: &mut S, limit: u64) -> ApiResult<BytesMut>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    let mut head = BytesMut::new();
    while head.len() < MAX_HEADER {
        let Some(block) = body.next().await else {
            break;
        };
        let block = block.map_err(|error| {
            let why = error.to_string();
            if why.contains("length limit") {
                Problem::too_large(limit)
            } else {
                Problem::bad_request(
                    "upload_broken",
                    format!("The upload broke off: {why}. Send it again."),
                )
            }
        })?;
        head.extend_from_slice(&block);
        // The first line of XML is often its declaration, which does not tell what it is.
        let tells = head.first() != Some(&b'<') || head.len() >= XML_HEAD;
        if tells && block.contains(&b'\n') {
            break;
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = br#"{"header":{"format":"bartizan.report","version":1,"scan":{"id":"s1","source":"t","source_version":"1","scope":{"kind":"cluster","name":"prod"},"complete":true,"started":"2026-11-21T09:00:00Z","finished":"2026-11-21T09:01:00Z"}}}
{"#;

    fn of(kind: Option<&str>, scope: Option<&str>, head: &[u8]) -> Result<Subject, String> {
        let upload = Upload {
            kind: kind.map(str::to_owned),
            scope: scope.map(str::to_owned),
            ..Upload::default()
        };
        subject(&upload, head).map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn the_subject_is_told_or_asked_for() {
        for (kind, scope) in [(None, None), (Some("report"), Some("cluster:prod"))] {
            let Subject::Report { scan, scope } = of(kind, scope, HEADER).unwrap() else {
                panic!("it is a report");
            };
            assert_eq!((scan.as_str(), scope.as_str()), ("s1", "cluster:prod"));
        }
        let results = b"<TestResult xmlns='http://checklists.nist.gov/xccdf/1.2'>";
        let Subject::Foreign { format, scope } = of(None, Some("host:h"), results).unwrap() else {
            panic!("it is a file of another tool");
        };
        assert_eq!((format.name, scope.name.as_str()), ("xccdf", "h"));
        assert!(
            of(None, Some("cluster:other"), HEADER)
                .unwrap_err()
                .starts_with("The report is about cluster:prod")
        );
        assert!(
            of(Some("sarif"), None, b"{}")
                .unwrap_err()
                .starts_with("`scope`")
        );
        assert!(
            of(Some("report"), None, b"{}\n")
                .unwrap_err()
                .contains("line 1")
        );
        assert!(
            of(Some("evidence"), None, b"x")
                .unwrap_err()
                .starts_with("`name`")
        );
        assert!(
            of(Some("pdf"), None, b"x")
                .unwrap_err()
                .starts_with("`kind`")
        );
        assert!(of(None, None, b"PK").unwrap_err().contains("kind=report"));
    }
}
