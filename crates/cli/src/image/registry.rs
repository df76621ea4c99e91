//! Images and their signatures from a registry, by the OCI distribution API.
//!
//! Over TLS, save for a registry on this machine itself. Every answer has a time limit and a
//! bound on its bytes. Credentials come from a docker `config.json`, go to the registry that they
//! are for and to the token server it names over TLS, and stand in no message.
//!
//! A registry that let a question run out of time is not asked for a while: who needs it hears at
//! once that it cannot be told, in place of waiting as long again.

use anyhow::{Context, Result};
use bartizan_model::Digest;
use bartizan_signature::{Absent, MAX_MANIFEST, Material, Reference};
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::redirect::{Action, Attempt};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json";
/// Answers of a token server.
const TOKEN: usize = 64 << 10;
/// Blobs and manifests by digest that are kept.
const KEPT: usize = 64 << 20;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a registry that did not answer is not asked.
const REST: Duration = Duration::from_secs(10);
/// Who had less time than this says nothing about the registry.
const PATIENCE: Duration = Duration::from_millis(500);

/// A registry client.
pub struct Registry {
    client: Client,
    logins: HashMap<String, String>,
    mirrors: HashMap<String, String>,
    tokens: Mutex<HashMap<String, String>>,
    kept: Mutex<(usize, HashMap<Digest, Vec<u8>>)>,
    /// Registries that did not answer, and until when they are not asked.
    silent: Mutex<HashMap<String, Instant>>,
}

/// The same with a moment at which all must be over.
pub struct Hurried<'r> {
    registry: &'r Registry,
    until: Instant,
}

impl Registry {
    /// With the logins of that file, and with other hosts for registries, `registry=host`.
    pub fn new(config: Option<&Path>, mirrors: &[String]) -> Result<Self> {
        let logins = match config {
            None => HashMap::new(),
            Some(path) => logins(path).with_context(|| format!("cannot use {}", path.display()))?,
        };
        let mut hosts = HashMap::new();
        for mirror in mirrors {
            let (from, to) = mirror
                .split_once('=')
                .context("a mirror is REGISTRY=HOST")?;
            hosts.insert(from.to_owned(), to.to_owned());
        }
        let client = Client::builder()
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::custom(redirect))
            .build()?;
        Ok(Self {
            client,
            logins,
            mirrors: hosts,
            tokens: Mutex::default(),
            kept: Mutex::default(),
            silent: Mutex::default(),
        })
    }

    /// To be done by then.
    pub fn until(&self, until: Instant) -> Hurried<'_> {
        let registry = self;
        Hurried { registry, until }
    }

    fn rests(&self, host: &str) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent
            .get(host)
            .is_some_and(|until| *until > Instant::now())
    }

    /// The registry did not answer somebody who had waited since then.
    fn silent(&self, host: &str, since: Instant) {
        if since.elapsed() < PATIENCE {
            return;
        }
        let now = Instant::now();
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|_, until| *until > now);
        silent.insert(host.to_owned(), now + REST);
    }

    fn known(&self, digest: &Digest) -> Option<Vec<u8>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.get(digest).cloned()
    }

    fn keep(&self, digest: &Digest, bytes: &[u8]) {
        if Digest::of(bytes) != *digest || bytes.len() > KEPT / 8 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 + bytes.len() > KEPT {
            *kept = (0, HashMap::new());
        }
        if kept.1.insert(digest.clone(), bytes.to_vec()).is_none() {
            kept.0 += bytes.len();
        }
    }
}

/// What a docker `config.json` knows: registry to `user:password` in base64.
fn logins(path: &Path) -> Result<HashMap<String, String>> {
    let bytes = std::fs::read(path)?;
    let config: Value = serde_json::from_slice(&bytes).map_err(|_| {
        // The parser's own words could quote a secret.
        anyhow::anyhow!("it is no JSON")
    })?;
    let mut all = HashMap::new();
    let auths = config.get("auths").and_then(Value::as_object);
    for (name, entry) in auths.into_iter().flatten() {
        let host = name.trim_start_matches("https://");
        let host = host.split('/').next().unwrap_or(host);
        let host = if host == "docker.io" {
            "index.docker.io"
        } else {
            host
        };
        if let Some(auth) = entry.get("auth").and_then(Value::as_str) {
            all.insert(host.to_owned(), auth.to_owned());
        }
    }
    Ok(all)
}

fn failed(error: &reqwest::Error) -> Absent {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    Absent::Failed(text)
}

fn read(response: impl Read, most: usize) -> Result<Vec<u8>, Absent> {
    let mut bytes = Vec::new();
    let told = response.take(most as u64 + 1).read_to_end(&mut bytes);
    told.map_err(|e| Absent::Failed(format!("the answer broke off: {e}")))?;
    match bytes.len() > most {
        true => Err(Absent::TooLarge(most)),
        false => Ok(bytes),
    }
}

/// A few, and none that leaves TLS.
pub(crate) fn redirect(attempt: Attempt<'_>) -> Action {
    let plain = |url: &reqwest::Url| url.scheme() != "https";
    let secure = attempt.previous().iter().any(|url| !plain(url));
    if attempt.previous().len() > 5 {
        return attempt.error("it redirects too often");
    }
    match secure && plain(attempt.url()) {
        true => attempt.error("it redirects to a place without TLS"),
        false => attempt.follow(),
    }
}

/// What is left of an answer; the client's own limit begins anew with each part of it.
struct Timed {
    response: Response,
    until: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.until > Instant::now() {
            true => self.response.read(buffer),
            false => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }
}

/// `https`, save for a registry on this machine.
fn scheme(host: &str) -> &'static str {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match matches!(name, "localhost" | "127.0.0.1" | "[::1]") {
        true => "http",
        false => "https",
    }
}

impl Hurried<'_> {
    fn left(&self) -> Result<Duration, Absent> {
        let left = self.until.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(Absent::Failed("there is no time left".into())),
            false => Ok(left),
        }
    }

    fn read(&self, response: Response, most: usize) -> Result<Vec<u8>, Absent> {
        let until = self.until;
        read(Timed { response, until }, most)
    }

    /// A blob as a stream, for what is too large to be held. Who reads it compares it with the digest.
    pub fn stream(&self, place: &Reference, digest: &Digest) -> Result<impl Read + use<>, Absent> {
        let registry = self.registry;
        let host = registry.mirrors.get(&place.registry);
        let host = host.unwrap_or(&place.registry);
        let response = self.fetch(host, place, &format!("blobs/{digest}"), "*/*")?;
        let until = self.until;
        Ok(Timed { response, until })
    }

    fn get(
        &self,
        place: &Reference,
        path: &str,
        accept: &str,
        most: usize,
    ) -> Result<Vec<u8>, Absent> {
        let registry = self.registry;
        let host = registry
            .mirrors
            .get(&place.registry)
            .unwrap_or(&place.registry);
        if registry.rests(host) {
            let why = format!("{host} gave no answer a moment ago");
            return Err(Absent::Failed(why));
        }
        let since = Instant::now();
        let told = self.fetch(host, place, path, accept);
        let told = told.and_then(|response| self.read(response, most));
        let late = self.left().is_err() || since.elapsed() >= CONNECT;
        if late && matches!(told, Err(Absent::Failed(_))) {
            registry.silent(host, since);
        }
        told
    }

    fn fetch(
        &self,
        host: &str,
        place: &Reference,
        path: &str,
        accept: &str,
    ) -> Result<Response, Absent> {
        let registry = self.registry;
        let url = format!("{}://{host}/v2/{}/{path}", scheme(host), place.repository);
        let scope = format!("{host}/{}", place.repository);
        let token = {
            let tokens = registry
                .tokens
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            tokens.get(&scope).cloned()
        };
        let ask = |authorization: Option<&str>| {
            let mut request = registry
                .client
                .get(&url)
                .header("accept", accept)
                .timeout(self.left()?);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            request.send().map_err(|e| failed(&e))
        };
        let mut response = ask(token.as_deref())?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = response.headers().get("www-authenticate");
            let challenge = challenge
                .and_then(|v| v.to_str().ok())
                .unwrap_or("")
                .to_owned();
            let token = self.login(host, &place.repository, &challenge)?;
            response = ask(Some(&token))?;
            let mut tokens = registry
                .tokens
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if tokens.len() > 1_000 {
                tokens.clear();
            }
            tokens.insert(scope, token);
        }
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(Absent::Missing),
            status => Err(Absent::Failed(format!("{host} answers {status}"))),
        }
    }

    /// What to send as authorization, by the registry's challenge.
    fn login(&self, host: &str, repository: &str, challenge: &str) -> Result<String, Absent> {
        let own = self.registry.logins.get(host);
        let refuse = |why: &str| Absent::Failed(format!("{host}: {why}"));
        let (kind, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if kind.eq_ignore_ascii_case("basic") {
            let auth = own.ok_or_else(|| refuse("it wants a login"))?;
            return Ok(format!("Basic {auth}"));
        }
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(refuse("it wants a login of an unknown kind"));
        }
        let field = |name: &str| {
            let at = rest.find(&format!("{name}=\""))? + name.len() + 2;
            rest.get(at..)?.split('"').next()
        };
        let realm = field("realm").ok_or_else(|| refuse("it names no token server"))?;
        let realm: reqwest::Url = realm
            .parse()
            .map_err(|_| refuse("its token server is no address"))?;
        let local = scheme(host) == "http" && realm.host_str().map(scheme) == Some("http");
        if realm.scheme() != "https" && !local {
            return Err(refuse("its token server has no TLS"));
        }
        let scope = format!("repository:{repository}:pull");
        let mut realm = realm;
        realm.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = field("service") {
            realm.query_pairs_mut().append_pair("service", service);
        }
        let mut request = self.registry.client.get(realm).timeout(self.left()?);
        if let Some(auth) = own {
            request = request.header("authorization", format!("Basic {auth}"));
        }
        let response = request.send().map_err(|e| failed(&e))?;
        if !response.status().is_success() {
            return Err(refuse(&format!(
                "its token server answers {}",
                response.status()
            )));
        }
        let bytes = self.read(response, TOKEN)?;
        let answer: Value =
            serde_json::from_slice(&bytes).map_err(|_| refuse("its token server sends no JSON"))?;
        let token = answer.get("token").or(answer.get("access_token"));
        let token = token
            .and_then(Value::as_str)
            .ok_or_else(|| refuse("no token came"))?;
        Ok(format!("Bearer {token}"))
    }
}

impl Material for Hurried<'_> {
    fn resolve(&self, image: &Reference) -> Result<Digest, Absent> {
        Ok(Digest::of(&self.manifest(image)?))
    }

    fn manifest(&self, place: &Reference) -> Result<Vec<u8>, Absent> {
        if let Some(known) = place.digest.as_ref().and_then(|d| self.registry.known(d)) {
            return Ok(known);
        }
        let name = match (&place.digest, &place.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, tag) => tag.as_deref().unwrap_or("latest"),
        };
        let path = format!("manifests/{name}");
        let bytes = self.get(place, &path, ACCEPT, MAX_MANIFEST)?;
        if let Some(digest) = &place.digest {
            self.registry.keep(digest, &bytes);
        }
        Ok(bytes)
    }

    fn referrers(&self, image: &Reference) -> Result<Vec<u8>, Absent> {
        let digest = image.digest.as_ref().ok_or(Absent::Missing)?;
        let told = self.get(
            image,
            &format!("referrers/{digest}"),
            "application/vnd.oci.image.index.v1+json",
            MAX_MANIFEST,
        );
        match told {
            // Registries without the API answer in many ways; the tag in its place decides.
            Err(Absent::Failed(why))
                if why.contains("answers 4") && !why.contains("answers 429") =>
            {
                Err(Absent::Missing)
            }
            other => other,
        }
    }

    fn blob(&self, place: &Reference, digest: &Digest, most: usize) -> Result<Vec<u8>, Absent> {
        if let Some(known) = self.registry.known(digest) {
            return Ok(known);
        }
        let bytes = self.get(place, &format!("blobs/{digest}"), "*/*", most)?;
        self.registry.keep(digest, &bytes);
        Ok(bytes)
    }
}
