//! The web console: files of `ui/dist`, embedded; unknown addresses get its first page.

use crate::error::Problem;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use rust_embed::{Embed, EmbeddedFile};
use tower_http::compression::CompressionLayer;

#[derive(Embed)]
#[folder = "../../ui/dist"]
#[exclude = "*.map"]
struct Files;

const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<title>Bartizan</title><h1>Bartizan runs, but its console is not built in</h1>\
<p>Build it with <code>make ui</code> (or <code>cd ui &amp;&amp; npm ci &amp;&amp; npm run build</code>), \
then build and start the binary again with <code>make up</code>.</p>\
<p>The API works: see <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p></html>";

/// Serves whatever no route took.
pub(crate) fn fallback<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().fallback_service(any(serve).layer(CompressionLayer::new()))
}

async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::new(
            StatusCode::NOT_FOUND,
            "no_such_route",
            format!(
                "There is no {method} {}. See /api/v1/openapi.json for what there is.",
                uri.path().chars().take(200).collect::<String>()
            ),
        )
        .into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return method_not_allowed().await.into_response();
    }
    if !path.is_empty()
        && let Some(file) = Files::get(path)
    {
        return answer(path, &file, &headers);
    }
    // A missing file is missing; a missing page is the console's to route.
    if path
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'))
    {
        return Problem::not_found("such file").into_response();
    }
    match Files::get("index.html") {
        Some(file) => answer("index.html", &file, &headers),
        None => (
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            MISSING,
        )
            .into_response(),
    }
}

/// 405 as problem+json.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This address does not take that method. See /api/v1/openapi.json.",
    )
}

fn answer(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    // Weak, because compression may change the bytes on the way.
    let tag = format!("W/\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let cache = if is_hashed(path) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let same = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|one| one.trim() == tag));
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(file.data.clone()).into_response()
    };
    let out = response.headers_mut();
    let mut put = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.insert(name, value);
        }
    };
    put(header::ETAG, &tag);
    put(header::CACHE_CONTROL, cache);
    put(header::CONTENT_TYPE, &media_type(file.metadata.mimetype()));
    response
}

fn media_type(guess: &str) -> String {
    if guess.starts_with("text/") || guess.ends_with("javascript") || guess.ends_with("json") {
        format!("{guess}; charset=utf-8")
    } else {
        guess.to_owned()
    }
}

/// Whether the bundler put a content hash into the name: `assets/index-B7xYz123.js`.
fn is_hashed(path: &str) -> bool {
    path.strip_prefix("assets/")
        .and_then(|name| name.rsplit_once('.'))
        .and_then(|(stem, _)| stem.rsplit_once('-'))
        .is_some_and(|(_, hash)| hash.len() >= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashed_names_are_kept_forever() {
        assert!(is_hashed("assets/index-B7xYz123.js"));
        assert!(!is_hashed("assets/logo.svg"));
        assert!(!is_hashed("index.html"));
        assert!(!is_hashed("favicon-12345678.ico"));
    }

    #[tokio::test]
    async fn addresses() {
        let get = |path: &str| serve(Method::GET, path.parse().unwrap(), HeaderMap::new());
        assert_eq!(get("/api/v1/nothing").await.status(), 404);
        assert_eq!(get("/missing.js").await.status(), 404);
        assert_eq!(get("/findings/f1-0").await.status(), 200);
        let post = serve(Method::POST, "/".parse().unwrap(), HeaderMap::new()).await;
        assert_eq!(post.status(), 405);
        for page in ["/", "/../../etc/passwd"] {
            let response = get(page).await;
            assert_eq!(response.status(), 200);
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "text/html; charset=utf-8"
            );
        }
    }
}
