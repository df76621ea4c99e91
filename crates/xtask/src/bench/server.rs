//! A server under test: the built binary on a free loopback port, with a signed-in client.

use super::peer::Backend;
use anyhow::{Context, Result, bail};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server, stopped when dropped.
pub struct Server {
    child: Child,
    client: Client,
    address: String,
    token: String,
    // Removed after the process has ended.
    _data: tempfile::TempDir,
}

impl Server {
    /// Starts the binary with an empty data folder on the back end and signs in.
    pub fn start(backend: &Backend) -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let data = tempfile::tempdir()?;
        let mut command = Command::new(crate::tree::root().join("target/debug/bartizan"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped());
        if let Some(url) = backend.fresh()? {
            command.args(["--database", &url]);
        }
        let mut child = command
            .spawn()
            .context("cannot start target/debug/bartizan")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let (mut address, mut secret) = (None, None);
        while address.is_none() || secret.is_none() {
            let line = lines
                .next()
                .context("the server ended before it was ready")??;
            let word = |mark: &str| {
                line.split_once(mark)
                    .map(|(_, rest)| rest.trim().to_owned())
            };
            address = address.or(word("Address:"));
            secret = secret.or(word("One-time secret:"));
        }
        // Keep the pipe drained, so that the server never blocks on it.
        std::thread::spawn(move || for _ in lines.map_while(std::result::Result::ok) {});
        let client = Client::builder()
            .timeout(Duration::from_secs(600))
            .build()?;
        let mut server = Self {
            child,
            client,
            address: address.context("no address")?,
            token: String::new(),
            _data: data,
        };
        server.token = server.sign_in(&secret.context("no secret")?)?;
        Ok(server)
    }

    /// Signs in with the one-time secret, sets a password and makes an API token.
    fn sign_in(&self, secret: &str) -> Result<String> {
        let password = "a long enough bench password 1";
        let post = |path: &str, cookie: &str, csrf: &str, body: Value| {
            self.client
                .post(format!("{}/api/v1{path}", self.address))
                .header("cookie", cookie)
                .header("x-csrf-token", csrf)
                .json(&body)
                .send()
                .and_then(reqwest::blocking::Response::error_for_status)
        };
        let session = |password: &str| -> Result<(String, String)> {
            let answer = post(
                "/session",
                "",
                "",
                json!({"username": "admin", "password": password}),
            )?;
            let cookie = answer
                .headers()
                .get("set-cookie")
                .and_then(|v| v.to_str().ok())
                .and_then(|v| v.split(';').next())
                .unwrap_or_default()
                .to_owned();
            let body: Value = answer.json()?;
            Ok((
                cookie,
                body["csrf_token"].as_str().unwrap_or_default().to_owned(),
            ))
        };
        let (cookie, csrf) = session(secret)?;
        post(
            "/session/password",
            &cookie,
            &csrf,
            json!({"current": secret, "new": password}),
        )?;
        let (cookie, csrf) = session(password)?;
        let token: Value = post(
            "/tokens",
            &cookie,
            &csrf,
            json!({"name": "bench", "role": "admin"}),
        )?
        .json()?;
        Ok(token["token"].as_str().context("no token")?.to_owned())
    }

    /// GET, as JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        let answer = self
            .client
            .get(format!("{}/api/v1{path}", self.address))
            .bearer_auth(&self.token)
            .send()?;
        if !answer.status().is_success() {
            bail!("GET {path}: {} {}", answer.status(), answer.text()?);
        }
        Ok(answer.json()?)
    }

    /// Uploads a report and waits until its job is done; seconds from upload to queryable.
    pub fn import(&self, report: Vec<u8>) -> Result<f64> {
        let start = Instant::now();
        let answer = self
            .client
            .post(format!("{}/api/v1/artifacts?kind=report", self.address))
            .bearer_auth(&self.token)
            .header("content-type", "application/vnd.bartizan.report+ndjson")
            .body(report)
            .send()?;
        if !answer.status().is_success() {
            bail!("upload: {} {}", answer.status(), answer.text()?);
        }
        let accepted: Value = answer.json()?;
        let job = accepted["job"].as_str().context("no job")?.to_owned();
        loop {
            let job = self.get(&format!("/jobs/{job}"))?;
            match job["state"].as_str() {
                Some("done") => return Ok(start.elapsed().as_secs_f64()),
                Some("failed") => bail!("the import failed: {}", job["error"]),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// A memory figure of the process in MiB: `VmRSS` now, `VmHWM` at its peak.
    pub fn memory(&self, field: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib: f64 = status
            .lines()
            .find_map(|line| {
                line.strip_prefix(field)?
                    .strip_prefix(':')?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .with_context(|| format!("no {field}"))?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
