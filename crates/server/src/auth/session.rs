//! Browser sessions: a cookie of 256 random bits, kept as its hash.

use crate::config::Config;
use crate::state::{AppState, random_bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use bartizan_model::{Timestamp, UserName};
use bartizan_store::TenantStore;
use bartizan_store::people::Session;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::sync::Mutex;

const PLAIN_NAME: &str = "bartizan_session";
const HOST_NAME: &str = "__Host-bartizan_session";

/// Whether browsers reach us by TLS, ended here or by the proxy that `public_url` names.
fn is_secure(config: &Config) -> bool {
    config.tls.is_some() || config.public_url().starts_with("https://")
}

fn cookie_name(config: &Config) -> &'static str {
    if is_secure(config) {
        HOST_NAME
    } else {
        PLAIN_NAME
    }
}

/// The session cookie's value, if there is exactly one plausible.
pub fn cookie(headers: &HeaderMap, config: &Config) -> Option<String> {
    let name = cookie_name(config);
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let value = found.next()?;
    // Two of the name means that someone planted one; neither is believed.
    if found.next().is_some() || value.len() != 43 {
        return None;
    }
    Some(value.to_owned())
}

/// `Set-Cookie` for a new session; lives until the browser closes or the server says.
pub fn set_cookie(secret: &str, config: &Config) -> Option<HeaderValue> {
    let name = cookie_name(config);
    let secure = if is_secure(config) { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{name}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}"
    ))
    .ok()
    .map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

/// `Set-Cookie` that removes the cookie.
pub fn clear_cookie(config: &Config) -> HeaderValue {
    HeaderValue::from_static(if is_secure(config) {
        "__Host-bartizan_session=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0"
    } else {
        "bartizan_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
    })
}

/// Begins a session; gives the cookie's value, which is kept nowhere, and the session.
pub async fn begin(
    state: &AppState,
    tenant: &TenantStore,
    user: &UserName,
) -> Result<(String, Session), bartizan_store::StoreError> {
    let secret = URL_SAFE_NO_PAD.encode(random_bytes::<32>(state.random.as_ref()));
    let now = state.now();
    let seconds = i64::try_from(state.config.sessions.absolute.as_secs()).unwrap_or(i64::MAX);
    let session = Session {
        token_hash: super::secret_hash(&secret),
        user: user.clone(),
        csrf_token: URL_SAFE_NO_PAD.encode(random_bytes::<32>(state.random.as_ref())),
        created: now,
        expires: now.plus_seconds(seconds),
    };
    tenant
        .create_session(&session, &state.act(user.as_str()))
        .await?;
    state.auth.seen.touch(session.token_hash, now);
    Ok((secret, session))
}

/// When each session was last used, in memory: the idle bound is this process's own view,
/// and a restart begins it anew; the absolute bound is in the store.
#[derive(Debug, Default)]
pub(crate) struct LastSeen(Mutex<HashMap<[u8; 32], Timestamp>>);

impl LastSeen {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Timestamp>> {
        // A panic elsewhere cannot leave a map of plain values half changed.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes a use.
    pub(crate) fn touch(&self, hash: [u8; 32], now: Timestamp) {
        self.map().insert(hash, now);
    }

    /// Notes a use, unless the last one is more than `idle_seconds` ago.
    pub(crate) fn still_active(&self, hash: [u8; 32], now: Timestamp, idle_seconds: i64) -> bool {
        let mut map = self.map();
        let last = map.entry(hash).or_insert(now);
        if now > last.plus_seconds(idle_seconds) {
            return false;
        }
        *last = now;
        true
    }

    /// Forgets a session that ended.
    pub(crate) fn forget(&self, hash: &[u8; 32]) {
        self.map().remove(hash);
    }

    /// Forgets sessions not used since `before`, which have ended by their absolute bound.
    pub(crate) fn sweep(&self, before: Timestamp) {
        let mut map = self.map();
        map.retain(|_, last| *last >= before);
        map.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tls;

    const VALUE: &str = "0123456789012345678901234567890123456789012";

    fn found(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_str(line).unwrap());
        }
        cookie(&headers, &Config::default())
    }

    #[test]
    fn reading_the_cookie() {
        assert_eq!(
            found(&[&format!("theme=dark; bartizan_session={VALUE}")]),
            Some(VALUE.to_owned())
        );
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["bartizan_session=short"]), None);
        let two = format!("bartizan_session={VALUE}; bartizan_session={VALUE}");
        assert_eq!(found(&[&two]), None);
        let one = format!("bartizan_session={VALUE}");
        assert_eq!(found(&[&one, &one]), None);
    }

    #[test]
    fn cookie_rules() {
        let plain = Config::default();
        let tls = Config {
            tls: Some(Tls {
                cert: "c".into(),
                key: "k".into(),
            }),
            ..Config::default()
        };
        let text = |config| {
            set_cookie("v", config)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            text(&plain),
            "bartizan_session=v; Path=/; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            text(&tls),
            "__Host-bartizan_session=v; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        for config in [&plain, &tls] {
            assert!(
                clear_cookie(config)
                    .to_str()
                    .unwrap()
                    .starts_with(cookie_name(config))
            );
        }
    }

    #[test]
    fn idle_sessions_end() {
        let seen = LastSeen::default();
        let at = |s: i64| Timestamp::from_micros(s * 1_000_000);
        assert!(seen.still_active([1; 32], at(0), 60));
        assert!(seen.still_active([1; 32], at(60), 60));
        assert!(seen.still_active([1; 32], at(120), 60));
        assert!(!seen.still_active([1; 32], at(181), 60));
        // It does not come back by asking again.
        assert!(!seen.still_active([1; 32], at(182), 60));
        seen.sweep(at(121));
        assert!(seen.map().is_empty());
    }
}
