//! Connections to endpoints of chat and of vectors. They carry bytes; what they mean is `ask`'s.

use anyhow::{Result, ensure};
use bartizan_ask::answer::{Chat, ChatRequest};
use bartizan_ask::vectors::{MAX_ANSWER, Post};
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use serde_json::Value;
use std::io::Read;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// An answer of more bytes is cut off.
const MAX_BYTES: usize = 2 << 20;
/// How often a batch of texts is sent where the endpoint is busy or gone.
const ATTEMPTS: u32 = 3;

/// Where requests go, and how.
struct Place {
    url: String,
    key: Option<String>,
    timeout: Duration,
}

/// Why a request has no answer.
struct Failure {
    why: String,
    /// Whether the next one may have.
    passing: bool,
}

impl Place {
    /// Of an address that ends before, or with, `method`.
    fn new(url: &str, method: &str, key: Option<String>, timeout: Duration) -> Result<Self> {
        ensure!(
            url.starts_with("http://") || url.starts_with("https://"),
            "an endpoint must be an http or https address"
        );
        let base = url.trim_end_matches('/').trim_end_matches(method);
        Ok(Self {
            url: format!("{base}{method}"),
            key,
            timeout,
        })
    }

    fn late(&self) -> String {
        format!("it took more than {} s", self.timeout.as_secs())
    }

    fn client(&self) -> Result<Client, String> {
        // Where a request goes is the operator's choice alone: no redirects.
        Client::builder()
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10).min(self.timeout))
            .timeout(self.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| "no connection can be made".to_owned())
    }

    fn send(&self, body: &Value) -> Result<Response, Failure> {
        let failure = |why, passing| Failure { why, passing };
        let client = self.client().map_err(|why| failure(why, false))?;
        let mut post = client.post(&self.url).json(body);
        if let Some(key) = &self.key {
            post = post.bearer_auth(key);
        }
        // Errors of the client may quote the address; a key may stand in it.
        let answer = post.send().map_err(|e| {
            if e.is_timeout() {
                failure(self.late(), false)
            } else {
                failure("it cannot be reached".to_owned(), true)
            }
        })?;
        let status = answer.status();
        if !status.is_success() {
            let busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            return Err(failure(format!("it answered {status}"), busy));
        }
        Ok(answer)
    }
}

/// An endpoint of chat.
pub struct Endpoint {
    place: Place,
    model: String,
}

impl Endpoint {
    /// Of an address that ends before `/chat/completions`.
    pub fn new(url: &str, model: &str, key: Option<String>, timeout: Duration) -> Result<Self> {
        Ok(Self {
            place: Place::new(url, "/chat/completions", key, timeout)?,
            model: model.to_owned(),
        })
    }
}

impl Chat for Endpoint {
    fn model(&self) -> String {
        self.model.clone()
    }

    fn stream(
        &self,
        request: &ChatRequest,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), String> {
        let until = Instant::now() + self.place.timeout;
        let mut answer = self.place.send(&request.body()).map_err(|f| f.why)?;
        let mut buffer = [0u8; 8192];
        let mut seen = 0;
        loop {
            if Instant::now() >= until {
                return Err(self.place.late());
            }
            let n = answer
                .read(&mut buffer)
                .map_err(|_| "the connection broke off".to_owned())?;
            if n == 0 {
                return Ok(());
            }
            seen += n;
            if seen > MAX_BYTES {
                return Err(format!("it answered with more than {MAX_BYTES} bytes"));
            }
            let piece = buffer.get(..n).unwrap_or(&[]);
            if take(piece).is_break() {
                return Ok(());
            }
        }
    }
}

/// An endpoint of vectors.
pub struct Vectors(Place);

impl Vectors {
    /// Of an address that ends before `/embeddings`.
    pub fn new(url: &str, key: Option<String>, timeout: Duration) -> Result<Self> {
        Place::new(url, "/embeddings", key, timeout).map(Self)
    }
}

impl Post for Vectors {
    fn post(&self, body: &Value) -> Result<Vec<u8>, String> {
        let mut attempt = 1;
        let answer = loop {
            match self.0.send(body) {
                Ok(answer) => break answer,
                Err(failure) if failure.passing && attempt < ATTEMPTS => {
                    std::thread::sleep(Duration::from_millis(250 << attempt));
                    attempt += 1;
                }
                Err(failure) => return Err(failure.why),
            }
        };
        let mut bytes = Vec::new();
        answer
            .take(MAX_ANSWER as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| "the connection broke off".to_owned())?;
        Ok(bytes)
    }
}
