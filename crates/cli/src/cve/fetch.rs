//! Feeds over HTTP: conditional requests, tried again where that may help, every body bounded.

use crate::image::registry::redirect;
use anyhow::Result;
use bartizan_stream::source::{Fetch, FetchError, Fetched, Request};
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::redirect::Policy;
use std::io::{Read, Write};
use std::time::Duration;

/// How long a connection may take, and a whole answer.
const CONNECT: Duration = Duration::from_secs(15);
const WHOLE: Duration = Duration::from_secs(3600);
/// How often a request is tried, and how long is waited after the first failure.
const TRIES: u32 = 3;
const WAIT: Duration = Duration::from_secs(2);

/// A client of feeds.
pub struct HttpFetch {
    client: Client,
}

impl HttpFetch {
    /// With more authorities, in PEM.
    pub fn new(authorities: Option<&[u8]>) -> Result<Self> {
        let mut builder = Client::builder()
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(Policy::custom(redirect));
        if let Some(pem) = authorities {
            for certificate in reqwest::Certificate::from_pem_bundle(pem)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            client: builder.build()?,
        })
    }

    fn ask(&self, request: &Request<'_>) -> Result<Response, (bool, String)> {
        let mut sent = self.client.get(request.url);
        if let Some(etag) = request.etag {
            sent = sent.header(IF_NONE_MATCH, etag);
        }
        if let Some(modified) = request.modified {
            sent = sent.header(IF_MODIFIED_SINCE, modified);
        }
        let response = sent.send().map_err(|e| {
            let error = anyhow::Error::from(e.without_url());
            (true, format!("{error:#}"))
        })?;
        let status = response.status();
        let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let fine = status.is_success()
            || matches!(status, StatusCode::NOT_MODIFIED | StatusCode::NOT_FOUND);
        if fine {
            Ok(response)
        } else {
            Err((again, format!("the answer is {status}")))
        }
    }
}

fn header(response: &Response, name: HeaderName) -> Option<String> {
    let value = response.headers().get(name)?.to_str().ok()?;
    (value.len() <= 1000).then(|| value.to_owned())
}

impl Fetch for HttpFetch {
    fn fetch(&self, request: &Request<'_>, into: &mut dyn Write) -> Result<Fetched, FetchError> {
        let failed = |why: String| FetchError::new(request.url, why);
        let mut wait = WAIT;
        let mut tries = 1;
        let response = loop {
            match self.ask(request) {
                Ok(response) => break response,
                Err((true, _)) if tries < TRIES => {
                    std::thread::sleep(wait);
                    wait *= 4;
                    tries += 1;
                }
                Err((_, why)) => return Err(failed(why)),
            }
        };
        match response.status() {
            StatusCode::NOT_MODIFIED => return Ok(Fetched::Unchanged),
            StatusCode::NOT_FOUND => return Ok(Fetched::Absent),
            _ => {}
        }
        let etag = header(&response, ETAG);
        let modified = header(&response, LAST_MODIFIED);
        let promised = response.content_length();
        let bytes = std::io::copy(&mut response.take(request.max_bytes + 1), into)
            .map_err(|e| failed(format!("the answer broke off: {e}")))?;
        if bytes > request.max_bytes {
            return Err(failed(format!("more than {} bytes", request.max_bytes)));
        }
        if promised.is_some_and(|promised| promised != bytes) {
            return Err(failed("the answer is shorter than it says".to_owned()));
        }
        Ok(Fetched::Body {
            etag,
            modified,
            bytes,
        })
    }
}
