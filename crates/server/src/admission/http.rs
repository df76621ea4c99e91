//! What API servers call: reviews in, answers out, always before the caller's time is over.

use super::body::Limits;
use super::policies::InForce;
use super::pool::{Pool, Task};
use super::record::Recorder;
use super::{GK_VALIDATION_SECONDS, GK_VALIDATIONS, MALFORMED, REVIEWS, UNKNOWN};
use crate::state::Clock;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bartizan_model::Timestamp;
use bartizan_policy::review::{Operation, Response as Answer};
use bartizan_policy::{Budget, Failure, Outcome, Review, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// A caller that says no time gets this; it is what API servers take by default.
const DEFAULT_TIME: Duration = Duration::from_secs(10);
/// Kubernetes allows no more.
const MAX_TIME: Duration = Duration::from_secs(30);

/// What the handlers share.
pub(super) struct Shared {
    pub pool: Arc<Pool>,
    pub in_force: Arc<InForce>,
    pub recorder: Recorder,
    pub clock: Arc<dyn Clock>,
    pub failure: Failure,
    pub budget: Budget,
    pub exempt: Vec<String>,
    pub bodies: Limits,
    /// Objects that are mutated at once.
    pub mutating: Arc<Semaphore>,
}

/// The webhook's addresses.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/admit", post(admit))
        .route("/v1/admitlabel", post(admit_label))
        .route("/v1/mutate", post(super::mutate::mutate))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .with_state(shared)
}

/// A review that came, and how long it may take.
pub(super) struct Asked {
    pub review: Arc<Review>,
    /// Bytes that it came in.
    pub size: usize,
    pub at: Timestamp,
    pub begun: Instant,
    pub deadline: Instant,
    /// The place that a large review has among those that are judged.
    _room: Option<OwnedSemaphorePermit>,
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.pool.generation() {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "no policies yet").into_response(),
        _ => "ok".into_response(),
    }
}

async fn admit(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let asked = match read(&shared, request).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let (verdict, policies, reason) = judge(&shared, &asked).await;
    let answer = verdict.response();
    let took = asked.begun.elapsed();
    let status = match (verdict.outcome, verdict.allowed) {
        // Gatekeeper's word for what it could not judge.
        (Outcome::Unknown, _) => "error",
        (_, true) => "allow",
        (_, false) => "deny",
    };
    let dry_run = if asked.review.dry_run {
        "true"
    } else {
        "false"
    };
    metrics::counter!(GK_VALIDATIONS, "admission_status" => status, "admission_dryrun" => dry_run)
        .increment(1);
    metrics::histogram!(GK_VALIDATION_SECONDS, "admission_status" => status).record(took);
    metrics::counter!(REVIEWS, "outcome" => verdict.outcome.word()).increment(1);
    if verdict.outcome == Outcome::Unknown {
        metrics::counter!(UNKNOWN, "reason" => reason).increment(1);
    }
    let bytes = answer.bytes(&asked.review.api_version, &asked.review.uid);
    shared.recorder.take(&asked, verdict, policies, took);
    json(bytes)
}

/// The verdict, or what the failure setting says where there is none in time; the policies
/// that it is by; and why it is unknown, if it is.
async fn judge(shared: &Shared, asked: &Asked) -> (Verdict, Arc<str>, &'static str) {
    let none = || Arc::from("");
    if shared.pool.generation() == 0 {
        let verdict = Verdict::unknown("no policies are loaded", shared.failure);
        return (verdict, none(), "not_loaded");
    }
    let (answer, told) = oneshot::channel();
    let task = Task {
        review: Arc::clone(&asked.review),
        now: asked.at,
        // The worker stops a little before the caller is told.
        deadline: asked
            .deadline
            .checked_sub(Duration::from_millis(20))
            .unwrap_or(asked.deadline),
        answer,
    };
    if shared.pool.submit(task).is_err() {
        let verdict = Verdict::unknown("too many reviews wait", shared.failure);
        return (verdict, none(), "full");
    }
    match tokio::time::timeout_at(asked.deadline.into(), told).await {
        Ok(Ok(judged)) => (judged.verdict, judged.policies, "policy"),
        Ok(Err(_)) => {
            let verdict = Verdict::unknown("the worker gave no verdict", shared.failure);
            (verdict, none(), "policy")
        }
        Err(_) => {
            let verdict = Verdict::unknown("there was no verdict in time", shared.failure);
            (verdict, none(), "timeout")
        }
    }
}

/// Who may set the label that takes a namespace out of admission: those that are exempt.
async fn admit_label(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    const LABEL: &str = "admission.gatekeeper.sh/ignore";
    let asked = match read(&shared, request).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let review = &asked.review;
    let metadata = review.object.get("metadata");
    let name = metadata
        .and_then(|m| m.get("name"))
        .and_then(|n| n.as_str());
    let labels = metadata.and_then(|m| m.get("labels"));
    let exempt = name.is_some_and(|name| {
        let mut patterns = shared.exempt.iter();
        patterns.any(|pattern| bartizan_policy::namespace_matches(pattern, name))
    });
    let is_namespace = review.kind.kind == "Namespace" && review.kind.group.is_empty();
    let free = review.operation == Operation::Delete || !is_namespace || exempt;
    let answer = if free || labels.is_none_or(|labels| labels.get(LABEL).is_none()) {
        allowed()
    } else {
        Answer {
            allowed: false,
            code: 403,
            reason: "Forbidden".to_owned(),
            message: format!("Only exempt namespace can have the {LABEL} label"),
            ..Answer::default()
        }
    };
    json(answer.bytes(&review.api_version, &review.uid))
}

pub(super) fn allowed() -> Answer {
    Answer {
        allowed: true,
        code: 200,
        ..Answer::default()
    }
}

/// Reads a review. What is none is refused as a call, so that the API server goes by its own
/// failure policy; there is no uid to answer to.
pub(super) async fn read(shared: &Shared, request: Request<Body>) -> Result<Asked, Response> {
    let begun = Instant::now();
    let at = shared.clock.now();
    let time = allowed_time(request.uri().query());
    let deadline = begun + time;
    let read = shared.bodies.review(request, deadline).await?;
    Ok(Asked {
        review: read.review,
        size: read.size,
        at,
        begun,
        deadline,
        _room: read.room,
    })
}

/// What is no review, or cannot be taken.
pub(super) fn refuse(status: StatusCode, why: String) -> Response {
    metrics::counter!(MALFORMED).increment(1);
    (status, why).into_response()
}

/// The time until which an answer must have left: the caller's, less some for the way back.
fn allowed_time(query: Option<&str>) -> Duration {
    let said = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(duration);
    let time = said.unwrap_or(DEFAULT_TIME).min(MAX_TIME);
    // On a busy machine threads run some hundredths of a second late.
    let way_back = (time / 5).clamp(Duration::from_millis(50), Duration::from_millis(500));
    time.saturating_sub(way_back)
}

/// A time as API servers write it: `10s`, `1m30s`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let unit = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => return None,
        };
        total += Duration::from_millis(number.checked_mul(millis)?);
        rest = tail;
    }
    (!total.is_zero()).then_some(total)
}

pub(super) fn json(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_time_is_kept() {
        for (query, millis) in [
            (Some("timeout=10s"), 9_500),
            (Some("a=b&timeout=2s"), 1_600),
            (Some("timeout=1m30s"), 29_500),
            (Some("timeout=500ms"), 400),
            (Some("timeout=soon"), 9_500),
            (Some("timeout="), 9_500),
            (None, 9_500),
        ] {
            assert_eq!(
                allowed_time(query),
                Duration::from_millis(millis),
                "{query:?}"
            );
        }
        assert_eq!(duration("99999999999999999999s"), None);
    }
}
