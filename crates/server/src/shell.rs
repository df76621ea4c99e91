//! What every request passes through, outermost first: request id, client address, rates,
//! panic guard, log line, metrics, security headers.

use crate::config::Config;
use crate::error::Problem;
use crate::limit::{self, Client, Peer};
use crate::log::REQUEST;
use crate::metrics as names;
use crate::state::{AppState, random_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::time::Instant;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer.
pub(crate) async fn shell(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let id = hex::encode(random_bytes::<8>(state.random.as_ref()));
    REQUEST
        .scope(id.clone(), async move {
            let mut response = inner(&state, request, next).await;
            let headers = response.headers_mut();
            crate::headers::secure(headers, state.config.tls.is_some());
            if let Ok(value) = HeaderValue::from_str(&id) {
                headers.insert(X_REQUEST_ID, value);
            }
            response
        })
        .await
}

async fn inner(state: &AppState, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let client = client_of(&state.config, &request);
    request.extensions_mut().insert(Client(client));
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(300).collect();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |route| route.as_str().to_owned());

    let active = Active::begin();
    let response = match state.throttle.admit(client) {
        Ok(_permit) => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| {
                Problem::internal(format!("a handler panicked: {}", panic_text(&*panic)))
                    .into_response()
            }),
        Err(problem) => problem.into_response(),
    };
    drop(active);

    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    let word = method_word(&method);
    metrics::counter!(names::HTTP_REQUESTS, "method" => word, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!(names::HTTP_SECONDS, "method" => word, "route" => route)
        .record(elapsed.as_secs_f64());
    tracing::info!(
        target: "bartizan_server::access",
        %method,
        path,
        status,
        ms = elapsed.as_secs_f64() * 1000.0,
        %client,
        "request"
    );
    response
}

/// Counts a request as at work; also one whose client hangs up, which ends by being dropped.
struct Active;

impl Active {
    fn begin() -> Self {
        metrics::gauge!(names::HTTP_ACTIVE).increment(1.0);
        Self
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        metrics::gauge!(names::HTTP_ACTIVE).decrement(1.0);
    }
}

/// A request without a known peer (only in tests) is nobody's: neither loopback nor trusted.
fn client_of(config: &Config, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    limit::client(peer, request.headers(), &config.trusted_proxies)
}

/// A method of the client's invention must not make a series of its own.
fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
