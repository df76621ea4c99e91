//! Requests that another site makes a browser send. Three walls: the cookie is
//! SameSite=Strict, the request must come from our own pages, and it must repeat a token
//! that only our pages can read.

use crate::config::Config;
use crate::error::Problem;
use axum::http::{HeaderMap, Method, Uri, header};

/// The header that repeats the session's token.
pub const HEADER: &str = "x-csrf-token";

/// Whether a method may change something.
pub fn is_unsafe(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// Refuses an unsafe request that a browser says came from another site. One that says
/// nothing (not a browser) passes here; the token decides then.
pub fn check_origin(headers: &HeaderMap, uri: &Uri, config: &Config) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return Err(foreign());
    }
    let Some(origin) = text("origin") else {
        return Ok(());
    };
    let host = text(header::HOST.as_str()).or_else(|| uri.authority().map(|a| a.as_str()));
    let ours = config.public_url.is_some() && origin.eq_ignore_ascii_case(&config.public_url());
    let scheme = if config.tls.is_some() {
        "https://"
    } else {
        "http://"
    };
    let direct = origin
        .strip_prefix(scheme)
        .is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)));
    if ours || direct {
        Ok(())
    } else {
        Err(foreign())
    }
}

/// Refuses a request whose token is not the session's.
pub fn check_token(headers: &HeaderMap, session: &str) -> Result<(), Problem> {
    let given = headers.get(HEADER).map(|value| value.as_bytes());
    if given.is_some_and(|given| super::same(given, session.as_bytes())) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "csrf",
        "The header X-CSRF-Token is missing or not this session's. Read it from \
         GET /api/v1/session and send it with every change; in a browser, reload the page.",
    ))
}

fn foreign() -> Problem {
    Problem::forbidden(
        "foreign_origin",
        "This change was asked for by another site's page, so it was not done. Use the console \
         at its own address; behind a proxy, start the server with --public-url.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn allowed(config: &Config, pairs: &[(&str, &str)]) -> bool {
        let headers = pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        check_origin(&headers, &Uri::from_static("/x"), config).is_ok()
    }

    #[test]
    fn origins() {
        let plain = Config::default();
        let host = ("host", "127.0.0.1:8000");
        assert!(allowed(&plain, &[host]));
        assert!(allowed(&plain, &[host, ("sec-fetch-site", "same-origin")]));
        assert!(!allowed(&plain, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!allowed(&plain, &[host, ("sec-fetch-site", "same-site")]));
        assert!(allowed(
            &plain,
            &[host, ("origin", "http://127.0.0.1:8000")]
        ));
        assert!(!allowed(
            &plain,
            &[host, ("origin", "http://127.0.0.1:8001")]
        ));
        assert!(!allowed(
            &plain,
            &[host, ("origin", "https://127.0.0.1:8000")]
        ));
        assert!(!allowed(&plain, &[host, ("origin", "null")]));
        assert!(!allowed(&plain, &[("origin", "http://127.0.0.1:8000")]));
        let proxied = Config {
            public_url: Some("https://b.example.com/".into()),
            ..Config::default()
        };
        assert!(allowed(
            &proxied,
            &[host, ("origin", "https://b.example.com")]
        ));
        assert!(!allowed(
            &proxied,
            &[host, ("origin", "https://c.example.com")]
        ));
    }

    #[test]
    fn tokens() {
        let mut headers = HeaderMap::new();
        assert!(check_token(&headers, "t").is_err());
        headers.insert(HEADER, HeaderValue::from_static("u"));
        assert!(check_token(&headers, "t").is_err());
        headers.insert(HEADER, HeaderValue::from_static("t"));
        assert!(check_token(&headers, "t").is_ok());
    }
}
