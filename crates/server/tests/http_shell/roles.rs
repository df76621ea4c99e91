//! Every route, every role.

use crate::support::{Server, request};
use axum::http::{Method, header};
use bartizan_model::Role;
use bartizan_server::openapi::document;
use bartizan_server::route::{Access, entries};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Puts something into the holes of a path.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

fn body_for(method: &Method) -> Option<Value> {
    (*method != Method::GET && *method != Method::DELETE).then(|| json!({}))
}

#[tokio::test]
async fn each_role_may_what_the_table_says() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let mut callers = vec![(None, None)];
    for role in Role::ALL {
        callers.push((Some(role), Some(server.token(&admin, role.word()).await)));
    }
    let mut wrong = Vec::new();
    let mut walked = 0;
    // A live stream ends when the server stops; here nobody waits for that.
    server.state.work.decisions.close();
    for entry in entries() {
        for (role, token) in &callers {
            let mut request = request(
                entry.method.clone(),
                &filled(&entry.path),
                body_for(&entry.method),
            );
            if let Some(token) = token {
                let value = format!("Bearer {token}").parse().unwrap();
                request.headers_mut().insert(header::AUTHORIZATION, value);
            }
            // The metrics page has a rule of its own, where a bearer is the metrics token.
            if entry.path == "/metrics" {
                request.headers_mut().remove(header::AUTHORIZATION);
            }
            let status = server.send(request).await.status.as_u16();
            let ok = match (entry.access.role(), role) {
                (None, _) => status != 401 && status != 403 || is_sign_in(&entry.path),
                (Some(_), None) => status == 401,
                (Some(least), Some(role)) if *role < least => status == 403,
                (Some(_), Some(_)) => status != 401 && status != 403,
            };
            if !ok {
                wrong.push(format!(
                    "{} {} as {role:?}: {status}",
                    entry.method, entry.path
                ));
            }
            walked += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(walked, entries().len() * 4);
}

/// Signing in answers 401 to whom it does not know, and is public nonetheless.
fn is_sign_in(path: &str) -> bool {
    path == "/api/v1/session"
}

#[test]
fn the_table_lists_each_route_once() {
    let lines = entries();
    let distinct: BTreeSet<_> = lines
        .iter()
        .map(|entry| (entry.method.to_string(), entry.path.clone()))
        .collect();
    assert_eq!(distinct.len(), lines.len());
    assert!(lines.len() >= 14, "only {} routes", lines.len());
}

#[test]
fn only_these_are_public() {
    let public: Vec<_> = entries()
        .into_iter()
        .filter(|entry| entry.access == Access::Public)
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    let allowed = [
        "GET /.well-known/jwks.json",
        "GET /api/v1/.well-known/jwks.json",
        "GET /api/v1/jwks",
        "GET /api/v1/openapi.json",
        "GET /healthz",
        "GET /metrics",
        "GET /readyz",
        "POST /api/v1/session",
    ];
    for line in public {
        assert!(allowed.contains(&line.as_str()), "{line} is public");
    }
}

#[test]
fn each_route_has_an_operation_that_says_who_may() {
    let document: Value = serde_json::to_value(document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations = 0;
    for item in document["paths"].as_object().unwrap().values() {
        operations += item
            .as_object()
            .unwrap()
            .values()
            .filter(|operation| operation.get("responses").is_some())
            .count();
    }
    assert_eq!(operations, entries().len());
    let mut ids = BTreeSet::new();
    for entry in entries() {
        let path = entry.path.replace("{*", "{");
        let operation = &document["paths"][&path][entry.method.as_str().to_lowercase()];
        assert_eq!(operation["x-access"], entry.access.word(), "{path}");
        assert_eq!(
            operation["security"].is_array(),
            entry.access != Access::Public,
            "{path}"
        );
        assert!(
            operation["responses"]["default"]["content"]["application/problem+json"].is_object(),
            "{path}"
        );
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id.clone()), "operation id {id} is there twice");
    }
}

#[test]
fn each_reference_of_the_document_leads_somewhere() {
    let document: Value = serde_json::to_value(document()).unwrap();
    let mut missing = BTreeSet::new();
    walk(&document, &mut |reference| {
        let pointer = reference.trim_start_matches('#');
        if document.pointer(pointer).is_none() {
            missing.insert(reference.to_owned());
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

fn walk(value: &Value, seen: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                seen(reference);
            }
            map.values().for_each(|value| walk(value, seen));
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, seen)),
        _ => {}
    }
}
