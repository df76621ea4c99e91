//! Names of the metrics and the `/metrics` page.
//!
//! Whoever knows a figure sets it: `metrics::gauge!(metrics::LEDGER_SIZE).set(n as f64)`.
//! Labels come from closed lists (route patterns, states, severities), never from input,
//! so that the number of series stays bounded.

use crate::error::Problem;
use crate::limit::{Client, Peer};
use crate::state::AppState;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::net::IpAddr;
use std::sync::OnceLock;

/// Counter: requests, by `method`, `route` and `status`.
pub const HTTP_REQUESTS: &str = "bartizan_http_requests_total";
/// Histogram: seconds until the answer's head, by `method` and `route`.
pub const HTTP_SECONDS: &str = "bartizan_http_request_duration_seconds";
/// Gauge: requests at work.
pub const HTTP_ACTIVE: &str = "bartizan_http_requests_active";
/// Counter: sign-ins, by `outcome` (`ok`, `refused`, `throttled`).
pub const LOGINS: &str = "bartizan_logins_total";
/// Gauge: jobs, by `state`.
pub const JOBS: &str = "bartizan_jobs";
/// Counter: jobs ended, by `outcome` (`done`, `failed`, `retried`).
pub const JOBS_ENDED: &str = "bartizan_jobs_ended_total";
/// Gauge: jobs that wait.
pub const QUEUE_DEPTH: &str = "bartizan_queue_depth";
/// Gauge: seconds that the oldest waiting job has waited.
pub const QUEUE_AGE_SECONDS: &str = "bartizan_queue_age_seconds";
/// Gauge: active findings, by `severity`.
pub const FINDINGS: &str = "bartizan_findings";
/// Gauge: score, 0 to 1, by `framework` and `scope`.
pub const SCORE: &str = "bartizan_score_ratio";
/// Gauge: coverage, 0 to 1, by `framework` and `scope`.
pub const COVERAGE: &str = "bartizan_coverage_ratio";
/// Gauge: entries in the ledger.
pub const LEDGER_SIZE: &str = "bartizan_ledger_size";
/// Gauge: entries that wait for the sequencer.
pub const LEDGER_PENDING: &str = "bartizan_ledger_pending";
/// Counter: records put on the stream, by `source`; sources are configured, not given.
pub const CVE_PRODUCED: &str = "bartizan_cve_produced_total";
/// Counter: rounds in which a source could not be read to its end, by `source`.
pub const CVE_FEED_ERRORS: &str = "bartizan_cve_feed_errors_total";
/// Counter: records consumed, by `outcome` (`inserted`, `changed`, `unchanged`, `stale`, `dead`).
pub const CVE_APPLIED: &str = "bartizan_cve_applied_total";
/// Gauge: records on the stream that were not applied yet, by `group`.
pub const CVE_LAG: &str = "bartizan_cve_stream_lag";
/// Gauge: dead letters that nobody has retired.
pub const CVE_DEAD_LETTERS: &str = "bartizan_cve_dead_letters";
/// Gauge: seconds since a source was last read to its end, by `source`.
pub const CVE_FEED_AGE_SECONDS: &str = "bartizan_cve_feed_age_seconds";

/// The process's recorder: one, however many servers a test starts.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder; later calls do nothing. Without one, `/metrics` answers 503.
pub fn install() {
    RECORDER.get_or_init(|| {
        let buckets = [
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        ];
        let handle = PrometheusBuilder::new()
            .set_buckets(&buckets)
            .and_then(|builder| {
                // Admission is answered in thousandths of a second; buckets as Gatekeeper's.
                let fine = [
                    0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
                    1.0, 2.0, 3.0, 5.0, 10.0,
                ];
                let names = Matcher::Prefix("gatekeeper_".to_owned());
                builder.set_buckets_for_metric(names, &fine)
            })
            .map_err(|error| error.to_string())
            .and_then(|builder| builder.install_recorder().map_err(|e| e.to_string()));
        match handle {
            Ok(handle) => {
                describe();
                Some(handle)
            }
            Err(error) => {
                tracing::warn!(%error, "metrics are not kept");
                None
            }
        }
    });
}

/// Folds recorded samples into their buckets; call every few seconds.
pub fn upkeep() {
    if let Some(Some(handle)) = RECORDER.get() {
        handle.run_upkeep();
    }
}

fn describe() {
    metrics::describe_counter!(HTTP_REQUESTS, "Requests answered.");
    metrics::describe_histogram!(HTTP_SECONDS, "Seconds until the answer's head.");
    metrics::describe_gauge!(HTTP_ACTIVE, "Requests at work.");
    metrics::describe_counter!(LOGINS, "Sign-ins by outcome.");
    metrics::describe_gauge!(JOBS, "Jobs by state.");
    metrics::describe_counter!(JOBS_ENDED, "Jobs ended, by outcome.");
    metrics::describe_gauge!(QUEUE_DEPTH, "Jobs that wait.");
    metrics::describe_gauge!(QUEUE_AGE_SECONDS, "Age of the oldest waiting job.");
    metrics::describe_gauge!(FINDINGS, "Active findings by severity.");
    metrics::describe_gauge!(SCORE, "Share of assessed controls that passed.");
    metrics::describe_gauge!(COVERAGE, "Share of controls that were assessed.");
    metrics::describe_gauge!(LEDGER_SIZE, "Entries in the ledger.");
    metrics::describe_gauge!(LEDGER_PENDING, "Entries that wait for the sequencer.");
    metrics::describe_counter!(CVE_PRODUCED, "Records put on the stream, by source.");
    metrics::describe_counter!(CVE_FEED_ERRORS, "Rounds in which a source failed.");
    metrics::describe_counter!(CVE_APPLIED, "Records consumed, by outcome.");
    metrics::describe_gauge!(CVE_LAG, "Records on the stream that were not applied yet.");
    metrics::describe_gauge!(CVE_DEAD_LETTERS, "Dead letters that nobody has retired.");
    metrics::describe_gauge!(
        CVE_FEED_AGE_SECONDS,
        "Seconds since a source was last read."
    );
}

/// Proof that the caller may read the metrics: see [`may_read`].
pub(crate) struct Reader;

impl FromRequestParts<AppState> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        let client = parts.extensions.get::<Client>().map(|client| client.0);
        let token = state.config.metrics_token.as_ref().map(|t| t.expose());
        let host = parts
            .headers
            .get(header::HOST)
            .map(|host| host.to_str().unwrap_or("?"))
            .or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
        if may_read(peer, client, &parts.headers, host, token) {
            return Ok(Self);
        }
        Err(Problem::unauthorized(
            "Metrics are open on the loopback address alone. From elsewhere send \
             `Authorization: Bearer` with the token that the server was started with (--metrics-token).",
        ))
    }
}

/// Open to a loopback peer that speaks for itself: not through a proxy on this machine
/// (a forwarded header), nor by a browser that was led here by another name (`Host`).
/// Everyone else needs the token.
fn may_read(
    peer: Option<IpAddr>,
    client: Option<IpAddr>,
    headers: &HeaderMap,
    host: Option<&str>,
    token: Option<&str>,
) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if let (Some(given), Some(token)) = (given, token) {
        return crate::auth::same(given.as_bytes(), token.as_bytes());
    }
    let local = |ip: Option<IpAddr>| ip.is_some_and(|ip| ip.to_canonical().is_loopback());
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    local(peer) && local(client) && !forwarded && host.is_none_or(is_local_name)
}

fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The metrics in Prometheus's text form.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(_reader: Reader) -> Response {
    match RECORDER.get() {
        Some(Some(handle)) => (
            StatusCode::OK,
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            handle.render(),
        )
            .into_response(),
        _ => Problem::unavailable(
            "no_metrics",
            "This process keeps no metrics; the log says why.",
            60,
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn who_may_read() {
        let local: Option<IpAddr> = Some("127.0.0.1".parse().unwrap());
        let away: Option<IpAddr> = Some("192.0.2.1".parse().unwrap());
        let none = HeaderMap::new();
        let ok = |peer, headers: &HeaderMap, token| may_read(peer, peer, headers, None, token);
        let named = |host| may_read(local, local, &none, Some(host), None);
        assert!(ok(local, &none, None));
        assert!(named("localhost:8000") && named("[::1]:8000") && named("127.0.0.1"));
        assert!(!named("rebound.example:8000"));
        assert!(!ok(
            local,
            &headers(&[("x-forwarded-for", "127.0.0.1")]),
            None
        ));
        assert!(!may_read(local, away, &none, None, None));
        assert!(!ok(away, &none, None));
        assert!(!ok(None, &none, None));
        let bearer = headers(&[("authorization", "Bearer t0ken")]);
        assert!(ok(away, &bearer, Some("t0ken")));
        assert!(!ok(away, &bearer, Some("t0keN")));
        assert!(!ok(away, &bearer, None));
        assert!(!ok(local, &bearer, Some("other")));
    }
}
