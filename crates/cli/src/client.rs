//! A client of the HTTP interface.

use crate::arguments::Access;
use anyhow::{Context, Result, bail};
use reqwest::blocking::{Body, Client as Http, RequestBuilder, Response};
use serde_json::Value;
use std::time::Duration;

/// Speaks to one server with one token.
pub struct Client {
    http: Http,
    server: String,
    token: String,
}

impl Client {
    /// Reads the token and the certificate authority; connects to nothing yet.
    pub fn new(server: &str, access: &Access) -> Result<Self> {
        let token = match &access.token_file {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the token file {}", path.display()))?,
            None => std::env::var("BARTIZAN_TOKEN").unwrap_or_default(),
        };
        let token = token.trim().to_owned();
        if token.is_empty() {
            bail!(
                "no API token: set BARTIZAN_TOKEN or --token-file; make one under Settings in the console"
            );
        }
        Self::with_token(server, token, access)
    }

    /// As [`Client::new`], with the token given.
    pub fn with_token(server: &str, token: String, access: &Access) -> Result<Self> {
        let mut builder = Http::builder()
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(600));
        if let Some(path) = &access.ca_file {
            let pem = std::fs::read(path)
                .with_context(|| format!("cannot read the authority file {}", path.display()))?;
            builder = builder.add_root_certificate(
                reqwest::Certificate::from_pem(&pem)
                    .with_context(|| format!("{} is no PEM certificate", path.display()))?,
            );
        }
        Ok(Self {
            http: builder.build()?,
            server: server.trim_end_matches('/').to_owned(),
            token,
        })
    }

    /// GET, as JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        Ok(self.send(self.http.get(self.url(path)))?.json()?)
    }

    /// GET, as bytes.
    pub fn download(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.send(self.http.get(self.url(path)))?.bytes()?.to_vec())
    }

    /// POST of JSON, answered by JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self
            .send(self.http.post(self.url(path)).json(body))?
            .json()?)
    }

    /// POST of JSON, answered as asked for; the body is not read yet.
    pub fn post_as(&self, path: &str, body: &Value, accept: &str) -> Result<Response> {
        let request = self.http.post(self.url(path)).json(body);
        self.send(request.header("accept", accept))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.send(self.http.delete(self.url(path))).map(drop)
    }

    /// POST of bytes, answered by JSON.
    pub fn upload(&self, path: &str, media_type: &str, body: Body) -> Result<Value> {
        let request = self
            .http
            .post(self.url(path))
            .header("content-type", media_type)
            .body(body);
        Ok(self.send(request)?.json()?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.server)
    }

    fn send(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request
            .bearer_auth(&self.token)
            .send()
            .with_context(|| format!("cannot reach {}", self.server))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.text().unwrap_or_default();
        let sentence = serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|problem| text(&problem, "detail").map(str::to_owned));
        match sentence {
            Some(sentence) => bail!("the server refused ({status}): {sentence}"),
            None => bail!("the server answered {status}"),
        }
    }
}

/// Percent-encodes one path segment or query value.
pub fn segment(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// The text of a member, if it is there and is text.
pub fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}
