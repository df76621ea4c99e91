//! A server on an embedded store, called without a socket.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bartizan_model::Timestamp;
use bartizan_server::limit::Peer;
use bartizan_server::state::{Clock, SystemRandom};
use bartizan_server::{AppState, Config, assemble, route, store_config};
use bartizan_store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tower::ServiceExt;

/// A clock that stands still until told.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub struct Server {
    pub app: Router,
    pub state: AppState,
    pub clock: Arc<TestClock>,
    /// The administrator's password: the one-time one until [`Server::admin`].
    pub secret: String,
    pub _folder: tempfile::TempDir,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// `name=value` of the cookie that was set.
    pub fn cookie(&self) -> String {
        let set = self.headers[header::SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }
}

/// A signed-in browser.
#[derive(Debug, Clone)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

pub const PASSWORD: &str = "correct horse battery";

/// A configuration whose rates are out of the way.
pub fn config() -> Config {
    let mut config = Config::default();
    config.limits.per_ip = 100_000;
    config.limits.per_user = 100_000;
    config.limits.global = 100_000;
    config.limits.logins_per_minute = 1000;
    config
}

impl Server {
    pub async fn start() -> Self {
        Self::with(config()).await
    }

    pub async fn with(mut config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        config.data = folder.path().join("data");
        let start = Timestamp::parse("2026-11-21T09:00:00Z").unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(start.micros())));
        let store = Store::open(&store_config(&config), start).await.unwrap();
        let (state, first) = assemble(config, store, clock.clone(), Arc::new(SystemRandom))
            .await
            .unwrap();
        Self {
            app: route::router(state.clone()),
            state,
            clock,
            secret: first.unwrap().secret.expose().to_owned(),
            _folder: folder,
        }
    }

    /// Sends a request from 127.0.0.1.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_from("127.0.0.1:50000", request).await
    }

    pub async fn send_from(&self, peer: &str, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, None)).await
    }

    pub async fn sign_in(&self, user: &str, password: &str) -> Answer {
        let body = json!({"username": user, "password": password});
        self.send(request(Method::POST, "/api/v1/session", Some(body)))
            .await
    }

    pub async fn browser(&self, user: &str, password: &str) -> Browser {
        let answer = self.sign_in(user, password).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        Browser {
            cookie: answer.cookie(),
            csrf: answer.json()["csrf_token"].as_str().unwrap().to_owned(),
        }
    }

    pub async fn by(
        &self,
        browser: &Browser,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = request(method, path, body);
        let headers = request.headers_mut();
        headers.insert(header::COOKIE, browser.cookie.parse().unwrap());
        headers.insert("x-csrf-token", browser.csrf.parse().unwrap());
        self.send(request).await
    }

    pub async fn by_token(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = request(method, path, body);
        let value = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        self.send(request).await
    }

    /// The administrator, with the password changed to [`PASSWORD`].
    pub async fn admin(&self) -> Browser {
        let first = self.browser("admin", &self.secret).await;
        let change = json!({"current": self.secret, "new": PASSWORD});
        let answer = self
            .by(
                &first,
                Method::POST,
                "/api/v1/session/password",
                Some(change),
            )
            .await;
        assert_eq!(
            answer.status,
            204,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        self.browser("admin", PASSWORD).await
    }

    /// A token of the administrator's, with this role.
    pub async fn token(&self, admin: &Browser, role: &str) -> String {
        let body = json!({"name": format!("{role}-test"), "role": role});
        let answer = self
            .by(admin, Method::POST, "/api/v1/tokens", Some(body))
            .await;
        assert_eq!(answer.status, 201, "{:?}", answer.json());
        answer.json()["token"].as_str().unwrap().to_owned()
    }
}

pub fn request(method: Method, path: &str, body: Option<Value>) -> Request<Body> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "127.0.0.1:8000");
    match body {
        Some(body) => builder
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
        None => builder.body(Body::empty()),
    }
    .unwrap()
}
