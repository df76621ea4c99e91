//! API tokens: `btz_` and 256 random bits, shown once, kept as their hash.

use crate::state::{Random, random_bytes};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Marks our tokens, so that secret scanners and our log mask find them.
pub const PREFIX: &str = "btz_";

/// A new secret and its public id.
pub fn generate(random: &dyn Random) -> (String, String) {
    let secret = format!(
        "{PREFIX}{}",
        URL_SAFE_NO_PAD.encode(random_bytes::<32>(random))
    );
    let id = format!("tok-{}", hex::encode(random_bytes::<8>(random)));
    (secret, id)
}

/// The header in which clients of Dependency-Track send their key.
const API_KEY: &str = "x-api-key";

/// What the `Authorization` header says, or `X-Api-Key` in its place.
#[derive(Debug, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// There is none.
    Absent,
    /// There is one that is not ours in form.
    Malformed,
    /// A token, to be looked up.
    Token(&'a str),
}

/// Reads the `Authorization` header; where there is none, `X-Api-Key` if it holds a token of ours:
/// proxies and browsers send keys of their own under that name.
pub fn bearer(headers: &HeaderMap) -> Bearer<'_> {
    let token = match (headers.get(header::AUTHORIZATION), headers.get(API_KEY)) {
        (Some(value), _) => value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("bearer")
                .then_some(token.trim())
        }),
        (None, Some(value)) => match value.to_str().map(str::trim) {
            Ok(key) if key.starts_with(PREFIX) => Some(key),
            _ => return Bearer::Absent,
        },
        (None, None) => return Bearer::Absent,
    };
    match token {
        Some(token) if token.starts_with(PREFIX) && token.len() == PREFIX.len() + 43 => {
            Bearer::Token(token)
        }
        _ => Bearer::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::SystemRandom;
    use axum::http::HeaderValue;

    #[test]
    fn a_generated_token_is_read_back() {
        let (secret, id) = generate(&SystemRandom);
        assert_ne!(generate(&SystemRandom).0, secret);
        assert_eq!(id.len(), 20);
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), Bearer::Absent);
        let key = HeaderValue::from_str(&secret).unwrap();
        headers.insert(API_KEY, key);
        assert_eq!(bearer(&headers), Bearer::Token(&secret));
        // One of ours that is broken is refused, somebody else's is not ours to judge.
        headers.insert(API_KEY, HeaderValue::from_static("btz_short"));
        assert_eq!(bearer(&headers), Bearer::Malformed);
        for foreign in [&b"x"[..], b"Bearer btz_short", b"\xff"] {
            headers.insert(API_KEY, HeaderValue::from_bytes(foreign).unwrap());
            assert_eq!(bearer(&headers), Bearer::Absent);
        }
        let value = HeaderValue::from_str(&format!("Bearer {secret}")).unwrap();
        headers.insert(header::AUTHORIZATION, value);
        assert_eq!(bearer(&headers), Bearer::Token(&secret));
        for bad in [
            "Basic YWxhZGRpbjpvcGVu",
            "Bearer btz_short",
            "Bearer",
            "bearer x",
        ] {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(bad));
            assert_eq!(bearer(&headers), Bearer::Malformed);
        }
    }
}
