//! Users and API tokens.

use crate::support::{PASSWORD, Server};
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn a_users_life() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let new =
        json!({"name": "ann@example.com", "role": "viewer", "password": "first words of ann"});
    let answer = server
        .by(&admin, Method::POST, "/api/v1/users", Some(new.clone()))
        .await;
    assert_eq!(answer.status, 201);
    assert!(!String::from_utf8_lossy(&answer.body).contains("argon2"));
    let twice = server
        .by(&admin, Method::POST, "/api/v1/users", Some(new))
        .await;
    assert_eq!(twice.status, 409);

    let ann = server
        .browser("ann@example.com", "first words of ann")
        .await;
    let due = server.by(&ann, Method::GET, "/api/v1/users", None).await;
    assert_eq!(due.code(), "password_change_due");
    let change = json!({"current": "first words of ann", "new": PASSWORD});
    let answer = server
        .by(&ann, Method::POST, "/api/v1/session/password", Some(change))
        .await;
    assert_eq!(answer.status, 204);
    let ann = server.browser("ann@example.com", PASSWORD).await;
    let low = server.by(&ann, Method::GET, "/api/v1/users", None).await;
    assert_eq!(low.code(), "role_too_low");

    // Locking out ends the session at once.
    let path = "/api/v1/users/ann%40example.com";
    let lock = json!({"disabled": true});
    let answer = server.by(&admin, Method::PATCH, path, Some(lock)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["disabled"].as_bool()),
        (200, Some(true))
    );
    assert_eq!(
        server
            .by(&ann, Method::GET, "/api/v1/session", None)
            .await
            .status,
        401
    );
    assert_eq!(
        server.sign_in("ann@example.com", PASSWORD).await.status,
        401
    );

    assert_eq!(
        server.by(&admin, Method::DELETE, path, None).await.status,
        204
    );
    assert_eq!(
        server.by(&admin, Method::DELETE, path, None).await.status,
        404
    );
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let path = "/api/v1/users/admin";
    for change in [json!({"role": "operator"}), json!({"disabled": true})] {
        let answer = server.by(&admin, Method::PATCH, path, Some(change)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (409, "last_admin")
        );
    }
    assert_eq!(
        server.by(&admin, Method::DELETE, path, None).await.code(),
        "last_admin"
    );
    let second = json!({"name": "second", "role": "admin", "password": "one more to be safe"});
    server
        .by(&admin, Method::POST, "/api/v1/users", Some(second))
        .await;
    let answer = server
        .by(
            &admin,
            Method::PATCH,
            path,
            Some(json!({"role": "operator"})),
        )
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn weak_passwords_are_refused_with_a_reason() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let new = json!({"name": "bob", "role": "viewer", "password": "short"});
    let answer = server
        .by(&admin, Method::POST, "/api/v1/users", Some(new))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (422, "weak_password")
    );
    assert_eq!(
        answer.json()["detail"],
        "The password is shorter than 12 characters. A few words make a good one."
    );
}

#[tokio::test]
async fn a_tokens_life() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let new = json!({"name": "ci", "role": "operator", "expires": "2026-11-21T10:00:00Z"});
    let answer = server
        .by(&admin, Method::POST, "/api/v1/tokens", Some(new))
        .await;
    assert_eq!(answer.status, 201);
    let secret = answer.json()["token"].as_str().unwrap().to_owned();
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let listed = server.by(&admin, Method::GET, "/api/v1/tokens", None).await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&secret));
    assert_eq!(listed.json()["items"][0]["id"], id);

    let who = server
        .by_token(&secret, Method::GET, "/api/v1/session", None)
        .await;
    assert_eq!(who.json()["user"]["role"], "operator");
    // It needs no CSRF token, and makes no tokens.
    let another = json!({"name": "another", "role": "viewer"});
    let answer = server
        .by_token(&secret, Method::POST, "/api/v1/tokens", Some(another))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (403, "needs_session")
    );

    server.clock.advance(3600);
    let late = server
        .by_token(&secret, Method::GET, "/api/v1/session", None)
        .await;
    assert_eq!(late.status, 401);
    let past = json!({"name": "past", "role": "viewer", "expires": "2026-11-21T09:00:00Z"});
    // The session of `admin` is idle by now.
    let admin = server.browser("admin", PASSWORD).await;
    let answer = server
        .by(&admin, Method::POST, "/api/v1/tokens", Some(past))
        .await;
    assert_eq!(answer.code(), "bad_expiry");
}

#[tokio::test]
async fn nobody_makes_a_token_above_themselves() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let new = json!({"name": "olga", "role": "operator", "password": "one more to be safe"});
    server
        .by(&admin, Method::POST, "/api/v1/users", Some(new))
        .await;
    let olga = server.browser("olga", "one more to be safe").await;
    let change = json!({"current": "one more to be safe", "new": PASSWORD});
    server
        .by(
            &olga,
            Method::POST,
            "/api/v1/session/password",
            Some(change),
        )
        .await;
    let olga = server.browser("olga", PASSWORD).await;
    for (role, status) in [("admin", 403), ("operator", 201), ("viewer", 201)] {
        let body = json!({"name": "t", "role": role});
        let answer = server
            .by(&olga, Method::POST, "/api/v1/tokens", Some(body))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{role}");
    }
}

#[tokio::test]
async fn a_withdrawn_token_and_a_demoted_makers() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let new = json!({"name": "bob", "role": "admin", "password": "first words of b0b"});
    server
        .by(&admin, Method::POST, "/api/v1/users", Some(new))
        .await;
    let bob = server.browser("bob", "first words of b0b").await;
    let change = json!({"current": "first words of b0b", "new": PASSWORD});
    server
        .by(&bob, Method::POST, "/api/v1/session/password", Some(change))
        .await;
    let bob = server.browser("bob", PASSWORD).await;
    let token = server.token(&bob, "admin").await;
    let users = server
        .by_token(&token, Method::GET, "/api/v1/users", None)
        .await;
    assert_eq!(users.status, 200);

    let demote = json!({"role": "viewer"});
    server
        .by(&admin, Method::PATCH, "/api/v1/users/bob", Some(demote))
        .await;
    let users = server
        .by_token(&token, Method::GET, "/api/v1/users", None)
        .await;
    assert_eq!(users.status, 403);

    let list = server.by(&admin, Method::GET, "/api/v1/tokens", None).await;
    let id = list.json()["items"][0]["id"].as_str().unwrap().to_owned();
    // Operators see and withdraw their own alone.
    let other = server.token(&admin, "operator").await;
    let own = server
        .by_token(&other, Method::GET, "/api/v1/tokens", None)
        .await;
    assert_eq!(own.json()["items"].as_array().unwrap().len(), 1);
    let path = format!("/api/v1/tokens/{id}");
    assert_eq!(
        server
            .by_token(&other, Method::DELETE, &path, None)
            .await
            .status,
        404
    );
    assert_eq!(
        server.by(&admin, Method::DELETE, &path, None).await.status,
        204
    );
    let gone = server
        .by_token(&token, Method::GET, "/api/v1/session", None)
        .await;
    assert_eq!(gone.status, 401);
}
