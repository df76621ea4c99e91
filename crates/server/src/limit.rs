//! Bounds before a handler runs: whose request it is, how fast, how many at once.

use crate::config::{Cidr, Limits};
use crate::error::Problem;
use axum::http::HeaderMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The other end of the connection; set by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The address that rates and logs go by: the peer, or what trusted proxies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// At most this many `X-Forwarded-For` hops are read, from the right.
const MAX_HOPS: usize = 32;

/// Who the client is. `X-Forwarded-For` counts only when the peer is a trusted proxy, and
/// then from the right: each trusted hop vouches for the one to its left, and the first
/// untrusted address is the client. What is left of it is the client's own invention.
/// A hop that is no address ends the walk at the last address that was vouched for.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut current = peer.to_canonical();
    if !is_trusted(current) {
        return current;
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = lines
        .iter()
        .rev()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.rsplit(','))
        .take(MAX_HOPS);
    for hop in hops {
        let Some(ip) = hop_address(hop.trim()) else {
            return current;
        };
        current = ip.to_canonical();
        if !is_trusted(current) {
            return current;
        }
    }
    current
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    hop.parse().ok().or_else(|| {
        hop.parse::<SocketAddr>().ok().map(|s| s.ip()).or_else(|| {
            hop.strip_prefix('[')?
                .strip_suffix(']')?
                .parse::<Ipv6Addr>()
                .ok()
                .map(IpAddr::V6)
        })
    })
}

/// What a rate is counted by: an IPv6 customer has a /64, so its hosts count as one.
pub fn rate_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let prefix = u128::from(ip) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 => v4,
    }
}

/// A rate per key that forgets idle keys.
#[derive(Debug)]
pub struct Keyed<K: Hash + Eq + Clone>(DefaultKeyedRateLimiter<K>);

/// Above this many keys a check sweeps first, so that a flood of keys stays bounded.
const MANY_KEYS: usize = 50_000;

impl<K: Hash + Eq + Clone> Keyed<K> {
    /// At most `quota` per key.
    pub fn new(quota: Quota) -> Self {
        Self(RateLimiter::keyed(quota))
    }

    /// Counts one; else the seconds to wait.
    pub fn check(&self, key: &K) -> Result<(), u64> {
        self.0.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            wait.as_secs().saturating_add(1)
        })
    }

    /// Forgets keys that have recovered.
    pub fn sweep(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }

    /// Keys remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `count` per second, in bursts of five seconds' worth.
fn per_second(count: u32) -> Quota {
    let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(count).allow_burst(count.saturating_mul(NonZeroU32::new(5).unwrap_or(count)))
}

/// All rates and the bound on requests at work.
#[derive(Debug)]
pub struct Throttle {
    per_ip: Keyed<IpAddr>,
    per_user: Keyed<String>,
    global: DefaultDirectRateLimiter,
    working: Arc<Semaphore>,
}

impl Throttle {
    /// With the rates of `limits`.
    pub fn new(limits: &Limits) -> Self {
        Self {
            per_ip: Keyed::new(per_second(limits.per_ip)),
            per_user: Keyed::new(per_second(limits.per_user)),
            global: RateLimiter::direct(per_second(limits.global)),
            working: Arc::new(Semaphore::new(limits.concurrency.max(1))),
        }
    }

    /// Admits a request from `client`: its own rate first, so that one client cannot use
    /// up what all share. Hold the permit while the request is at work.
    pub fn admit(&self, client: IpAddr) -> Result<OwnedSemaphorePermit, Problem> {
        if self.per_ip.len() > MANY_KEYS {
            self.per_ip.sweep();
        }
        self.per_ip.check(&rate_key(client)).map_err(|seconds| {
            Problem::too_many(
                format!("Too many requests from your address. Wait {seconds} s, then go slower."),
                seconds,
            )
        })?;
        self.global.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs().saturating_add(1);
            Problem::too_many(
                format!(
                    "The server gets more requests than it may take. Try again in {seconds} s."
                ),
                seconds,
            )
        })?;
        Arc::clone(&self.working).try_acquire_owned().map_err(|_| {
            Problem::unavailable(
                "busy",
                "The server works on as many requests as it may. Try again in a second.",
                1,
            )
        })
    }

    /// Counts a request of a signed-in user.
    pub fn user(&self, tenant: &str, user: &str) -> Result<(), Problem> {
        self.per_user
            .check(&format!("{tenant}\n{user}"))
            .map_err(|seconds| {
                Problem::too_many(
                    format!("Too many requests by this user. Wait {seconds} s, then go slower."),
                    seconds,
                )
            })
    }

    /// Forgets idle clients; call every half minute.
    pub fn sweep(&self) {
        self.per_ip.sweep();
        self.per_user.sweep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        client(ip(peer), &headers, &trusted).to_string()
    }

    #[test]
    fn forwarded_headers_only_from_trusted_proxies() {
        // No proxy: the header is the client's invention.
        assert_eq!(seen("203.0.113.5", &["1.1.1.1"]), "203.0.113.5");
        // One proxy.
        assert_eq!(seen("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        // The leftmost is forged; the rightmost untrusted counts.
        assert_eq!(
            seen("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.2.2.2"]),
            "198.51.100.7"
        );
        // Several header lines are one list.
        assert_eq!(
            seen("10.0.0.1", &["1.1.1.1", "198.51.100.7", "10.2.2.2"]),
            "198.51.100.7"
        );
        // All trusted: the leftmost of them.
        assert_eq!(seen("10.0.0.1", &["10.9.9.9, 10.2.2.2"]), "10.9.9.9");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        // Nonsense ends the walk.
        assert_eq!(
            seen("10.0.0.1", &["1.1.1.1, unknown, 10.2.2.2"]),
            "10.2.2.2"
        );
        assert_eq!(seen("::1", &["[2001:db8::5]:443"]), "2001:db8::5");
        assert_eq!(
            seen("::ffff:10.0.0.1", &["198.51.100.7:8080"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn ipv6_hosts_of_one_network_share_a_rate() {
        assert_eq!(rate_key(ip("2001:db8::1")), rate_key(ip("2001:db8::ffff")));
        assert_ne!(rate_key(ip("2001:db8::1")), rate_key(ip("2001:db8:0:1::1")));
        assert_ne!(rate_key(ip("192.0.2.1")), rate_key(ip("192.0.2.2")));
    }

    #[test]
    fn one_client_is_bounded_and_others_are_not() {
        let throttle = Throttle::new(&Limits {
            per_ip: 1,
            ..Limits::default()
        });
        for _ in 0..5 {
            assert!(throttle.admit(ip("192.0.2.1")).is_ok());
        }
        let refused = throttle.admit(ip("192.0.2.1")).unwrap_err();
        assert_eq!(refused.status(), 429);
        assert!(throttle.admit(ip("192.0.2.2")).is_ok());
    }

    #[test]
    fn work_is_bounded() {
        let throttle = Throttle::new(&Limits {
            concurrency: 1,
            ..Limits::default()
        });
        let held = throttle.admit(ip("192.0.2.1")).unwrap();
        assert_eq!(throttle.admit(ip("192.0.2.2")).unwrap_err().code(), "busy");
        drop(held);
        assert!(throttle.admit(ip("192.0.2.2")).is_ok());
    }
}
