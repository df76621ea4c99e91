//! A server under test: the built binary on a free loopback port, with a signed-in client.

use anyhow::{Context, Result, bail};
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The password that [`Server::sign_in`] sets.
pub const PASSWORD: &str = "a long enough test password 1";

/// How to start one.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The binary.
    pub binary: PathBuf,
    /// Its data folder, which may hold state of an earlier run.
    pub data: PathBuf,
    /// The database's address, or none for SQLite in the data folder.
    pub database: Option<String>,
    /// More arguments of `serve`.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(String, String)>,
}

impl Setup {
    /// The binary on SQLite in `data`.
    pub fn new(binary: impl Into<PathBuf>, data: &Path) -> Self {
        Self {
            binary: binary.into(),
            data: data.to_owned(),
            database: None,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// A running server, killed when dropped.
pub struct Server {
    child: Child,
    client: Client,
    /// Address with scheme.
    pub address: String,
    /// Address of the admission webhook, where it is served.
    pub webhook: Option<String>,
    /// The one-time secret, when this start printed one.
    pub secret: Option<String>,
    /// The API token in use; empty before [`Server::sign_in`].
    pub token: String,
}

impl Server {
    /// Starts the binary and waits until it listens.
    pub fn start(setup: &Setup) -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut command = Command::new(&setup.binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&setup.data)
            .args(&setup.arguments)
            .env("RUST_LOG", "warn")
            .envs(setup.environment.iter().cloned())
            .stdout(Stdio::piped());
        if let Some(url) = &setup.database {
            command.args(["--database", url]);
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", setup.binary.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let (mut address, mut secret, mut webhook) = (None, None, None);
        loop {
            let Some(line) = lines.next() else {
                let status = child.wait()?;
                bail!("the server ended before it was ready: {status}");
            };
            let line = line?;
            let after = |mark: &str| {
                line.split_once(mark)
                    .map(|(_, rest)| rest.trim().to_owned())
            };
            address = address.or(after("Address:"));
            secret = secret.or(after("One-time secret:"));
            webhook = webhook.or(after("Webhook:"));
            if line.starts_with("Ready") {
                break;
            }
        }
        // Keep the pipe drained, so that the server never blocks on it.
        std::thread::spawn(move || for _ in lines.map_while(std::result::Result::ok) {});
        Ok(Self {
            child,
            client: Client::builder()
                .timeout(Duration::from_secs(600))
                .build()?,
            address: address.context("no address was printed")?,
            secret,
            webhook,
            token: String::new(),
        })
    }

    /// Signs in with the one-time secret, sets [`PASSWORD`] and makes an API token.
    pub fn sign_in(&mut self) -> Result<()> {
        let secret = self
            .secret
            .clone()
            .context("no one-time secret was printed")?;
        let (cookie, csrf) = self.session("admin", &secret)?;
        let post = |path: &str, cookie: &str, csrf: &str, body: Value| {
            self.client
                .post(self.url(path))
                .header("cookie", cookie)
                .header("x-csrf-token", csrf)
                .json(&body)
                .send()
                .map_err(anyhow::Error::from)
                .and_then(|answer| checked(path, answer))
        };
        post(
            "/session/password",
            &cookie,
            &csrf,
            json!({"current": secret, "new": PASSWORD}),
        )?;
        let (cookie, csrf) = self.session("admin", PASSWORD)?;
        let token: Value = post(
            "/tokens",
            &cookie,
            &csrf,
            json!({"name": "test", "role": "admin"}),
        )?
        .json()?;
        self.token = token["token"].as_str().context("no token")?.to_owned();
        Ok(())
    }

    /// Cookie and CSRF token of a new session.
    pub fn session(&self, user: &str, password: &str) -> Result<(String, String)> {
        let answer = self
            .client
            .post(self.url("/session"))
            .json(&json!({"username": user, "password": password}))
            .send()?;
        let answer = checked("/session", answer)?;
        let cookie = answer
            .headers()
            .get("set-cookie")
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.split(';').next())
            .unwrap_or_default()
            .to_owned();
        let body: Value = answer.json()?;
        let csrf = body["csrf_token"].as_str().unwrap_or_default().to_owned();
        Ok((cookie, csrf))
    }

    /// GET, as JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        Ok(self.send(path, self.client.get(self.url(path)))?.json()?)
    }

    /// What a Prometheus would read.
    pub fn metrics(&self) -> Result<String> {
        let url = format!("{}/metrics", self.address);
        Ok(self.client.get(url).send()?.error_for_status()?.text()?)
    }

    /// GET, as bytes.
    pub fn download(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self
            .send(path, self.client.get(self.url(path)))?
            .bytes()?
            .to_vec())
    }

    /// POST of JSON, answered by JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self
            .send(path, self.client.post(self.url(path)).json(body))?
            .json()?)
    }

    /// Uploads a report; the job's id.
    pub fn upload(&self, report: Vec<u8>) -> Result<String> {
        let path = "/artifacts?kind=report";
        let request = self
            .client
            .post(self.url(path))
            .header("content-type", "application/vnd.bartizan.report+ndjson")
            .body(report);
        let accepted: Value = self.send(path, request)?.json()?;
        Ok(accepted["job"].as_str().context("no job")?.to_owned())
    }

    /// Waits until the job is done; fails with the job's own sentence.
    pub fn wait(&self, job: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let job = self.get(&format!("/jobs/{job}"))?;
            match job["state"].as_str() {
                Some("done") => return Ok(()),
                Some("failed") => bail!("the job failed: {}", job["error"]),
                _ if start.elapsed() > Duration::from_secs(600) => bail!("the job hangs: {job}"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Uploads a report and waits until it is queryable; the seconds that took.
    pub fn import(&self, report: Vec<u8>) -> Result<f64> {
        let start = Instant::now();
        let job = self.upload(report)?;
        self.wait(&job)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// A memory figure of the process in MiB: `VmRSS` now, `VmHWM` at its peak.
    pub fn memory(&self, field: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib: f64 = status
            .lines()
            .find_map(|line| {
                let rest = line.strip_prefix(field)?.strip_prefix(':')?;
                rest.split_whitespace().next()?.parse().ok()
            })
            .with_context(|| format!("no {field}"))?;
        Ok(kib / 1024.0)
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the process at once, as `kill -9` does.
    pub fn kill(mut self) {
        self.end();
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The full address of an API path.
    pub fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.address)
    }

    fn send(&self, path: &str, request: RequestBuilder) -> Result<Response> {
        checked(path, request.bearer_auth(&self.token).send()?)
    }
}

fn checked(path: &str, answer: Response) -> Result<Response> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    bail!("{path}: {status} {}", answer.text().unwrap_or_default())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
