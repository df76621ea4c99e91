//! The connection to a chat endpoint. It carries bytes; what they mean is `ask`'s.

use anyhow::{Result, ensure};
use bartizan_ask::answer::{Chat, ChatRequest};
use reqwest::blocking::Client;
use std::io::Read;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// An answer of more bytes is cut off.
const MAX_BYTES: usize = 2 << 20;

/// One endpoint.
pub struct Endpoint {
    url: String,
    model: String,
    key: Option<String>,
    timeout: Duration,
}

impl Endpoint {
    /// Of an address that ends before `/chat/completions`.
    pub fn new(url: &str, model: &str, key: Option<String>, timeout: Duration) -> Result<Self> {
        ensure!(
            url.starts_with("http://") || url.starts_with("https://"),
            "the chat endpoint must be an http or https address"
        );
        let base = url
            .trim_end_matches('/')
            .trim_end_matches("/chat/completions");
        Ok(Self {
            url: format!("{base}/chat/completions"),
            model: model.to_owned(),
            key,
            timeout,
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
        let until = Instant::now() + self.timeout;
        // Where a request goes is the operator's choice alone: no redirects.
        let http = Client::builder()
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10).min(self.timeout))
            .timeout(self.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| "no connection can be made".to_owned())?;
        let mut post = http.post(&self.url).json(&request.body());
        if let Some(key) = &self.key {
            post = post.bearer_auth(key);
        }
        // Errors of the client may quote the address; a key may stand in it.
        let mut answer = post.send().map_err(|e| {
            if e.is_timeout() {
                format!("it took more than {} s", self.timeout.as_secs())
            } else {
                "it cannot be reached".to_owned()
            }
        })?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        let mut buffer = [0u8; 8192];
        let mut seen = 0;
        loop {
            if Instant::now() >= until {
                return Err(format!("it took more than {} s", self.timeout.as_secs()));
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
