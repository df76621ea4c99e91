//! Signing in, staying in, signing out, and what other sites may not do.

use crate::support::{Browser, PASSWORD, Server, config, request};
use axum::http::{Method, header};
use serde_json::json;

#[tokio::test]
async fn the_first_secret_opens_nothing_but_the_password_change() {
    let server = Server::start().await;
    let first = server.browser("admin", &server.secret).await;
    let session = server
        .by(&first, Method::GET, "/api/v1/session", None)
        .await;
    assert_eq!(session.json()["user"]["must_change_password"], true);
    let users = server.by(&first, Method::GET, "/api/v1/users", None).await;
    assert_eq!(
        (users.status.as_u16(), users.code().as_str()),
        (403, "password_change_due")
    );

    let admin = server.admin().await;
    let users = server.by(&admin, Method::GET, "/api/v1/users", None).await;
    assert_eq!(users.status, 200);
    assert_eq!(users.json()["items"][0]["name"], "admin");
    // The change ended the sessions before it, and the one-time secret.
    let old = server
        .by(&first, Method::GET, "/api/v1/session", None)
        .await;
    assert_eq!(old.status, 401);
    assert_eq!(server.sign_in("admin", &server.secret).await.status, 401);
}

#[tokio::test]
async fn unknown_user_and_wrong_password_look_the_same() {
    let server = Server::start().await;
    let mut bodies = Vec::new();
    for (user, password) in [
        ("admin", "wrong"),
        ("nobody", "wrong"),
        ("a\nb", "x"),
        ("", ""),
    ] {
        let answer = server.sign_in(user, password).await;
        assert_eq!(answer.status, 401);
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
        let mut body = answer.json();
        body["request_id"] = json!("");
        bodies.push(body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    // Each left its mark in the audit trail, and none the name that was typed.
    let tenant = bartizan_model::TenantId::default_tenant();
    let tenant = server.state.store.tenant(&tenant).await.unwrap();
    let marks = tenant.pending_audit(100).await.unwrap();
    let subjects: Vec<_> = marks
        .iter()
        .filter(|mark| mark.entry.action == "session.login")
        .map(|mark| mark.entry.subject.as_str())
        .collect();
    assert_eq!(subjects, ["admin", "unknown", "unknown", "unknown"]);
    let other = json!({"username": "admin", "password": server.secret, "tenant": "other"});
    let answer = server
        .send(request(Method::POST, "/api/v1/session", Some(other)))
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_change_needs_the_token_of_its_session() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let second = server.browser("admin", PASSWORD).await;
    let try_with = async |csrf: &str| {
        let browser = Browser {
            csrf: csrf.to_owned(),
            ..admin.clone()
        };
        let body = json!({"name": "t", "role": "viewer"});
        server
            .by(&browser, Method::POST, "/api/v1/tokens", Some(body))
            .await
    };
    for csrf in ["", "wrong", second.csrf.as_str()] {
        let answer = try_with(csrf).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (403, "csrf")
        );
    }
    assert_eq!(try_with(&admin.csrf).await.status, 201);
}

#[tokio::test]
async fn another_sites_page_can_change_nothing() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        // Even with everything else right.
        let mut change = request(Method::DELETE, "/api/v1/session", None);
        let headers = change.headers_mut();
        headers.insert(header::COOKIE, admin.cookie.parse().unwrap());
        headers.insert("x-csrf-token", admin.csrf.parse().unwrap());
        headers.insert(name, value.parse().unwrap());
        let answer = server.send(change).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (403, "foreign_origin")
        );

        let credentials = json!({"username": "admin", "password": PASSWORD});
        let mut sign_in = request(Method::POST, "/api/v1/session", Some(credentials));
        sign_in.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(server.send(sign_in).await.code(), "foreign_origin");
    }
}

#[tokio::test]
async fn sessions_end_by_idleness_by_age_and_by_will() {
    let server = Server::start().await;
    server.admin().await;
    let alive = async |browser: &Browser| {
        let answer = server
            .by(browser, Method::GET, "/api/v1/session", None)
            .await;
        answer.status == 200
    };
    let idle = server.browser("admin", PASSWORD).await;
    let busy = server.browser("admin", PASSWORD).await;
    server.clock.advance(29 * 60);
    assert!(alive(&busy).await);
    server.clock.advance(2 * 60);
    assert!(!alive(&idle).await);
    assert!(alive(&busy).await);
    for _ in 0..23 {
        server.clock.advance(29 * 60);
        assert!(alive(&busy).await);
    }
    // 12 hours after signing in, use or not.
    server.clock.advance(29 * 60);
    assert!(!alive(&busy).await);

    let leaving = server.browser("admin", PASSWORD).await;
    let answer = server
        .by(&leaving, Method::DELETE, "/api/v1/session", None)
        .await;
    assert_eq!(answer.status, 204);
    assert!(
        answer.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert!(!alive(&leaving).await);
}

#[tokio::test]
async fn signing_in_rotates_the_cookie_and_the_store_keeps_hashes_only() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let credentials = json!({"username": "admin", "password": PASSWORD});
    let mut again = request(Method::POST, "/api/v1/session", Some(credentials));
    again
        .headers_mut()
        .insert(header::COOKIE, admin.cookie.parse().unwrap());
    let answer = server.send(again).await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.cookie(), admin.cookie);
    let old = server
        .by(&admin, Method::GET, "/api/v1/session", None)
        .await;
    assert_eq!(old.status, 401);

    // No file of the data folder has the secret.
    let secret = answer.cookie().split_once('=').unwrap().1.to_owned();
    let mut folders = vec![server.state.config.data.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{} has a session's secret", path.display());
        }
    }
    assert!(files > 0);
}

#[tokio::test]
async fn guessing_is_slowed_per_user_and_address() {
    let mut config = config();
    config.limits.logins_per_minute = 3;
    let server = Server::with(config).await;
    let attempt = async |peer: &str, user: &str| {
        let body = json!({"username": user, "password": "wrong"});
        server
            .send_from(peer, request(Method::POST, "/api/v1/session", Some(body)))
            .await
    };
    for _ in 0..3 {
        assert_eq!(attempt("192.0.2.1:1", "admin").await.status, 401);
    }
    let refused = attempt("192.0.2.1:1", "admin").await;
    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.headers[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds));
    // Another address is not locked out by it, nor another user here.
    assert_eq!(attempt("192.0.2.2:1", "admin").await.status, 401);
    assert_eq!(attempt("192.0.2.1:1", "ann").await.status, 401);
    // But one address cannot try user after user.
    let mut last = 0;
    for n in 0..15 {
        last = attempt("192.0.2.1:1", &format!("user{n}"))
            .await
            .status
            .as_u16();
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn a_wrong_token_is_refused_whatever_the_cookie() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for value in ["Bearer btz_nonsense", "Basic YTpi", "Bearer "] {
        let mut get = request(Method::GET, "/api/v1/session", None);
        let headers = get.headers_mut();
        headers.insert(header::COOKIE, admin.cookie.parse().unwrap());
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        assert_eq!(server.send(get).await.status, 401, "{value}");
    }
}

#[tokio::test]
async fn a_key_of_somebody_else_does_not_end_a_session() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for (value, status) in [("a-proxy-of-ours", 200), ("btz_nonsense", 401)] {
        for (cookie, status) in [(true, status), (false, 401)] {
            let mut get = request(Method::GET, "/api/v1/session", None);
            let headers = get.headers_mut();
            headers.insert("x-api-key", value.parse().unwrap());
            if cookie {
                headers.insert(header::COOKIE, admin.cookie.parse().unwrap());
            }
            assert_eq!(server.send(get).await.status, status, "{value}");
        }
    }
}
