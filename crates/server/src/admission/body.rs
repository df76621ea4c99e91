//! Bodies of reviews: bounded one by one and together, so that many large ones at once cost no
//! more memory than a few.
//!
//! What is larger than is read is still taken off the wire, and thrown away, before it is refused:
//! a connection that is closed over unread bytes takes the answer with it.

use super::UNKNOWN;
use super::http::refuse;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bartizan_policy::{Review, ReviewLimits};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body larger than this is read into a tree on a thread that may block, and few at a time.
const LARGE: usize = 256 << 10;
/// Bytes of all large bodies that are read at once.
const TOGETHER: usize = 64 << 20;
/// What is counted in permits.
const UNIT: usize = 1 << 10;
/// How long bytes that nobody wants are taken, and how many.
const REST: Duration = Duration::from_secs(2);
const REST_BYTES: usize = 64 << 20;

/// How much may be read and understood at once.
pub(super) struct Limits {
    review: ReviewLimits,
    /// Bytes, in units.
    bytes: Arc<Semaphore>,
    /// Large trees that wait for their verdict.
    trees: Arc<Semaphore>,
}

impl Limits {
    /// For so many threads that judge.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            review: ReviewLimits::default(),
            bytes: Arc::new(Semaphore::new(TOGETHER / UNIT)),
            trees: Arc::new(Semaphore::new(workers.max(1))),
        }
    }

    /// Reads a review by `deadline`.
    pub(super) async fn review(
        &self,
        request: Request<Body>,
        deadline: Instant,
    ) -> Result<Read, Response> {
        let said = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let mut body = request.into_body();
        let late = || {
            let why = "the review did not come in time".to_owned();
            refuse(StatusCode::REQUEST_TIMEOUT, why)
        };
        let mut bytes: Vec<u8> = Vec::with_capacity(said.unwrap_or_default().min(LARGE));
        let mut permit = None;
        while let Some(frame) = tokio::time::timeout_at(deadline.into(), body.frame())
            .await
            .map_err(|_| late())?
        {
            let frame = frame.map_err(|error| {
                let why = format!("the review cannot be read: {error}");
                refuse(StatusCode::BAD_REQUEST, why)
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let so_far = bytes.len() + data.len();
            if so_far.max(said.unwrap_or_default()) > self.review.bytes {
                drop((bytes, permit));
                take_rest(&mut body, deadline).await;
                let why = format!("the review is larger than {} bytes", self.review.bytes);
                return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            if so_far > LARGE && permit.is_none() {
                // All of it at once: two that have half of it each would wait for each other.
                let whole = said.unwrap_or(self.review.bytes).max(so_far);
                permit = Some(self.room(whole, deadline).await?);
                bytes.reserve_exact(whole.saturating_sub(bytes.len()));
            }
            bytes.extend_from_slice(&data);
        }
        self.understand(bytes, permit, deadline).await
    }

    async fn room(&self, size: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, Response> {
        let units = u32::try_from(size.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let wait = Arc::clone(&self.bytes).acquire_many_owned(units);
        match tokio::time::timeout_at(deadline.into(), wait).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(busy()),
        }
    }

    async fn understand(
        &self,
        bytes: Vec<u8>,
        permit: Option<OwnedSemaphorePermit>,
        deadline: Instant,
    ) -> Result<Read, Response> {
        let limits = self.review;
        let size = bytes.len();
        let (parsed, room) = if permit.is_some() {
            let wait = Arc::clone(&self.trees).acquire_owned();
            let Ok(Ok(tree)) = tokio::time::timeout_at(deadline.into(), wait).await else {
                return Err(busy());
            };
            let work = tokio::task::spawn_blocking(move || {
                let parsed = Review::parse(&bytes, &limits);
                drop((bytes, permit));
                parsed
            });
            let parsed = work
                .await
                .map_err(|error| refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
            (parsed, Some(tree))
        } else {
            (Review::parse(&bytes, &limits), None)
        };
        match parsed {
            Ok(review) => Ok(Read {
                review: Arc::new(review),
                size,
                room,
            }),
            Err(error) => Err(refuse(StatusCode::BAD_REQUEST, error.to_string())),
        }
    }
}

/// A review that came whole.
pub(super) struct Read {
    pub review: Arc<Review>,
    /// Bytes of its body.
    pub size: usize,
    /// A large one's place, until it is answered.
    pub room: Option<OwnedSemaphorePermit>,
}

/// It may well be a review, but it was not read: there is no uid to answer to.
fn busy() -> Response {
    metrics::counter!(UNKNOWN, "reason" => "full").increment(1);
    let why = "too many large reviews at once";
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn take_rest(body: &mut Body, deadline: Instant) {
    let until = deadline.min(Instant::now() + REST);
    let mut left = REST_BYTES;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(until.into(), body.frame()).await {
        let size = frame.data_ref().map_or(0, |data| data.len());
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;

    fn request(parts: Vec<Vec<u8>>, length: Option<usize>) -> Request<Body> {
        let parts = parts
            .into_iter()
            .map(|part| Ok::<_, std::convert::Infallible>(Bytes::from(part)));
        let mut request = Request::new(Body::from_stream(futures::stream::iter(parts)));
        if let Some(length) = length {
            let headers = request.headers_mut();
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        request
    }

    fn review(fill: usize) -> Vec<u8> {
        format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u",
            "operation":"CREATE","kind":{{"group":"","version":"v1","kind":"Pod"}},
            "object":{{"kind":"Pod","x":"{}"}}}}}}"#,
            "a".repeat(fill)
        )
        .into_bytes()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(300)
    }

    #[tokio::test]
    async fn too_large_is_refused_whatever_length_is_said() {
        let limits = Limits::new(1);
        let parts = || vec![vec![b' '; 1 << 20]; 9];
        for length in [None, Some(9 << 20), Some(10)] {
            let refused = limits.review(request(parts(), length), soon()).await;
            let status = refused.err().map(|response| response.status());
            assert_eq!(status, Some(StatusCode::PAYLOAD_TOO_LARGE), "{length:?}");
        }
        assert_eq!(limits.bytes.available_permits(), TOGETHER / UNIT);
    }

    #[tokio::test]
    async fn large_ones_wait_for_each_other_and_small_ones_do_not() {
        let limits = Limits::new(1);
        let large = review(1 << 20);
        let length = Some(large.len());
        let first = limits.review(request(vec![large.clone()], length), soon());
        let first = first.await.unwrap_or_else(|refused| panic!("{refused:?}"));
        assert_eq!(first.size, large.len());
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let counted = recorder.handle();
        let local = metrics::set_default_local_recorder(&recorder);
        let second = limits.review(request(vec![large.clone()], length), soon());
        let status = second.await.err().map(|response| response.status());
        assert_eq!(status, Some(StatusCode::SERVICE_UNAVAILABLE));
        drop(local);
        let counted = counted.render();
        assert!(counted.contains("reason=\"full\"} 1"), "{counted}");
        assert!(!counted.contains(super::super::MALFORMED), "{counted}");
        let small = limits.review(request(vec![review(10)], None), soon());
        assert!(small.await.is_ok());
        drop(first);
        let third = limits.review(request(vec![large], length), soon());
        assert!(third.await.is_ok());
    }
}
