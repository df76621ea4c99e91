//! Bounds, headers and errors that every answer keeps to.

use crate::support::{Server, config, request};
use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::json;

#[tokio::test]
async fn every_answer_bears_the_security_headers() {
    let server = Server::start().await;
    for path in [
        "/",
        "/api/v1/openapi.json",
        "/api/v1/users",
        "/api/v1/nothing",
        "/healthz",
    ] {
        let answer = server.get(path).await;
        for name in [
            "content-security-policy",
            "cross-origin-opener-policy",
            "permissions-policy",
            "referrer-policy",
            "x-content-type-options",
            "x-frame-options",
            "x-request-id",
        ] {
            assert!(answer.headers.contains_key(name), "{path} lacks {name}");
        }
        assert!(!answer.headers.contains_key("strict-transport-security"));
        let cache = answer.headers[header::CACHE_CONTROL].to_str().unwrap();
        assert!(cache == "no-store" || path == "/", "{path}: {cache}");
    }
}

#[tokio::test]
async fn errors_are_problems() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let missing = server.get("/api/v1/nothing").await;
    assert_eq!(
        (missing.status.as_u16(), missing.code().as_str()),
        (404, "no_such_route")
    );
    assert_eq!(
        missing.json()["request_id"],
        missing.headers["x-request-id"].to_str().unwrap()
    );
    let method = server
        .send(request(Method::PUT, "/api/v1/session", None))
        .await;
    assert_eq!(
        (method.status.as_u16(), method.code().as_str()),
        (405, "method_not_allowed")
    );
    for (body, kind, status) in [
        ("{", "application/json", 400),
        ("{}", "application/json", 422),
        ("{}", "text/plain", 415),
    ] {
        let post = Request::post("/api/v1/session")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body))
            .unwrap();
        let answer = server.send(post).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, "bad_body")
        );
        assert_eq!(
            answer.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
    }
    let name = server
        .by(&admin, Method::DELETE, "/api/v1/users/%00", None)
        .await;
    assert_eq!(
        (name.status.as_u16(), name.code().as_str()),
        (400, "bad_id")
    );
    let utf8 = server
        .by(&admin, Method::DELETE, "/api/v1/users/%ff", None)
        .await;
    assert_eq!(
        (utf8.status.as_u16(), utf8.code().as_str()),
        (400, "bad_path")
    );
}

#[tokio::test]
async fn long_bodies_are_refused_promised_or_not() {
    let mut config = config();
    config.limits.json_body = 1000;
    let server = Server::with(config).await;
    let long = json!({"username": "x".repeat(2000), "password": "y"});
    let promised = request(Method::POST, "/api/v1/session", Some(long.clone()));
    let mut promised = promised;
    promised
        .headers_mut()
        .insert(header::CONTENT_LENGTH, "2100".parse().unwrap());
    let answer = server.send(promised).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (413, "too_large")
    );
    let silent = server
        .send(request(Method::POST, "/api/v1/session", Some(long)))
        .await;
    assert_eq!(silent.status, 413);
}

#[tokio::test]
async fn rates_answer_429_with_a_time() {
    let mut config = config();
    config.limits.per_ip = 1;
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let server = Server::with(config).await;
    let from = async |peer: &str, forwarded: &str| {
        let mut get = request(Method::GET, "/healthz", None);
        if !forwarded.is_empty() {
            get.headers_mut()
                .insert("x-forwarded-for", forwarded.parse().unwrap());
        }
        server.send_from(peer, get).await
    };
    for _ in 0..5 {
        assert_eq!(from("192.0.2.1:1", "").await.status, 200);
    }
    let refused = from("192.0.2.1:1", "").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (429, "too_many_requests")
    );
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    // A forged header does not help one who is no proxy.
    assert_eq!(from("192.0.2.1:1", "198.51.100.1").await.status, 429);
    // Behind a proxy each client has a rate of its own.
    for client in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        for _ in 0..3 {
            assert_eq!(from("10.0.0.1:1", client).await.status, 200);
        }
    }
    // What a client adds on the left does not make it another.
    for n in 0..2 {
        let forged = format!("203.0.113.{n}, 198.51.100.1");
        assert_eq!(from("10.0.0.1:1", &forged).await.status, 200);
    }
    assert_eq!(
        from("10.0.0.1:1", "203.0.113.9, 198.51.100.1").await.status,
        429
    );
}

#[tokio::test]
async fn one_user_is_bounded_across_addresses() {
    let mut config = config();
    config.limits.per_user = 1;
    let server = Server::with(config).await;
    let browser = server.browser("admin", &server.secret).await;
    let mut statuses = Vec::new();
    for n in 0..7 {
        let mut get = request(Method::GET, "/api/v1/session", None);
        get.headers_mut()
            .insert(header::COOKIE, browser.cookie.parse().unwrap());
        let peer = format!("192.0.2.{n}:1");
        statuses.push(server.send_from(&peer, get).await.status.as_u16());
    }
    assert_eq!(statuses[..5], [200; 5]);
    assert_eq!(statuses[6], 429);
}

#[tokio::test]
async fn health_and_metrics() {
    bartizan_server::metrics::install();
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.json()["status"], "ok");
    assert_eq!(server.get("/readyz").await.json()["status"], "ok");
    let page = server.get("/metrics").await;
    let text = String::from_utf8(page.body).unwrap();
    assert!(
        text.contains(
            r#"bartizan_http_requests_total{method="GET",route="/healthz",status="200"}"#
        ),
        "{text}"
    );
    let away = server
        .send_from("192.0.2.1:1", request(Method::GET, "/metrics", None))
        .await;
    assert_eq!(away.status, 401);
    let token = server.get("/api/v1/tokens/../../metrics").await;
    assert_ne!(token.status, 200);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_next_request_is_served() {
    use axum::Router;
    use axum::routing::get;
    use bartizan_server::route::around;
    let server = Server::start().await;
    let broken = Router::new().route(
        "/panics",
        get(async || -> String { panic!("secret inside") }),
    );
    let app = around(broken, server.state.clone());
    let server = Server { app, ..server };
    for _ in 0..2 {
        let answer = server.get("/panics").await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (500, "internal")
        );
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret inside"));
        assert!(answer.headers.contains_key("content-security-policy"));
    }
}

#[tokio::test]
async fn console_files_are_compressed_and_revalidated() {
    let server = Server::start().await;
    let mut get = request(Method::GET, "/", None);
    get.headers_mut()
        .insert(header::ACCEPT_ENCODING, "gzip".parse().unwrap());
    let page = server.send(get).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers[header::CONTENT_ENCODING], "gzip");
    assert_eq!(page.body[..2], [0x1f, 0x8b]);
    let plain = server.get("/findings?severity=high").await;
    assert_eq!(plain.status, 200);
    assert!(
        plain.body.starts_with(b"<!doctype html>") || plain.body.starts_with(b"<!DOCTYPE html>")
    );
    // Only a built console has tags.
    if let Some(tag) = plain.headers.get(header::ETAG) {
        let mut again = request(Method::GET, "/", None);
        again
            .headers_mut()
            .insert(header::IF_NONE_MATCH, tag.clone());
        let answer = server.send(again).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0));
    }
}
