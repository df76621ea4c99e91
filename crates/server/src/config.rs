//! What the operator chose. `cli` fills it from arguments, environment and file.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything [`crate::serve`] needs to know.
#[derive(Clone)]
pub struct Config {
    /// Address to listen on. Anything but loopback needs `tls`.
    pub listen: SocketAddr,
    /// Folder of everything embedded: database, objects, keys. Made when absent.
    pub data: PathBuf,
    /// `sqlite:PATH` or `postgres://…`; `None` is a file in `data`.
    pub database: Option<String>,
    /// Folder or `s3://bucket/prefix`; `None` is a folder in `data`.
    pub objects: Option<String>,
    /// Passphrase that encrypts signing keys at rest; `None` uses a key file in `data`.
    pub key_passphrase: Option<Secret>,
    /// Certificate and key; without, plain HTTP on loopback only.
    pub tls: Option<Tls>,
    /// Peers whose forwarded headers are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Bearer token for `/metrics` from elsewhere than loopback; `None` refuses those.
    pub metrics_token: Option<Secret>,
    /// The public address, such as `https://bartizan.example.com`: issuer of attestations
    /// and the browser origin that may change things. `None` derives it from `listen`.
    pub public_url: Option<String>,
    /// Name of the ledger in its checkpoints, such as `bartizan.example.com/ledger`.
    pub ledger_origin: Option<String>,
    /// Frameworks as (file name, YAML bytes).
    pub frameworks: Vec<(String, Cow<'static, [u8]>)>,
    /// Import workers in this process; 0 runs the API alone.
    pub workers: usize,
    /// How long a worker holds a job without a sign of life.
    pub lease: Duration,
    /// The admission webhook; none does not serve it.
    pub admission: Option<crate::admission::Config>,
    /// Policies that live in a cluster; the webhook waits for them.
    pub watched: Option<std::sync::Arc<crate::cluster::Watched>>,
    /// The audit of a cluster by the webhook's policies; none does not audit.
    pub audit: Option<crate::audit::Config>,
    /// Feeds of vulnerabilities; none reads and applies none.
    pub sync: Option<crate::sync::Config>,
    /// The chat endpoint that words answers; none has them made of the records' own words.
    pub chat: Option<std::sync::Arc<dyn bartizan_ask::answer::Chat>>,
    /// The endpoint whose vectors records are found by; none has them learned from the records.
    pub embedding: Option<std::sync::Arc<dyn bartizan_ask::vectors::Embedding>>,
    /// Bounds.
    pub limits: Limits,
    /// How long sign-ins last.
    pub sessions: Sessions,
}

/// Certificate chain and private key, PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
}

/// Bounds on what requests may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a JSON body.
    pub json_body: u64,
    /// Bytes of an uploaded artifact.
    pub upload: u64,
    /// Time for the request line and headers.
    pub header_time: Duration,
    /// Time for a request, where the route does not say otherwise.
    pub request_time: Duration,
    /// Time for connections to end when the server stops.
    pub drain_time: Duration,
    /// Requests at work at once.
    pub concurrency: usize,
    /// Connections at once.
    pub connections: usize,
    /// Requests per second from one address (burst: five times that).
    pub per_ip: u32,
    /// Requests per second of one user, likewise.
    pub per_user: u32,
    /// Requests per second in all, likewise.
    pub global: u32,
    /// Sign-in attempts per minute for one user from one address.
    pub logins_per_minute: u32,
}

/// How long sign-ins last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// Ends a session without requests. Each process counts by itself: with several on one
    /// database, let the load balancer keep a browser on one of them.
    pub idle: Duration,
    /// Ends every session.
    pub absolute: Duration,
}

/// A text that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A network such as `10.0.0.0/8` or `fd00::/8`; a lone address is one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    bits: u8,
}

/// Why a text is not a network. The configuration's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a network: write an address such as 10.1.2.3, or a network such as 10.0.0.0/8 or fd00::/8"
)]
pub struct CidrError(String);

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000),
            data: PathBuf::from("data"),
            database: None,
            objects: None,
            key_passphrase: None,
            tls: None,
            trusted_proxies: Vec::new(),
            metrics_token: None,
            public_url: None,
            ledger_origin: None,
            frameworks: Vec::new(),
            workers: 1,
            lease: Duration::from_secs(30),
            admission: None,
            watched: None,
            audit: None,
            sync: None,
            chat: None,
            embedding: None,
            limits: Limits::default(),
            sessions: Sessions::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_body: 1 << 20,
            upload: 1 << 30,
            header_time: Duration::from_secs(10),
            request_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(10),
            concurrency: 256,
            connections: 1024,
            per_ip: 500,
            per_user: 500,
            global: 2000,
            logins_per_minute: 6,
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            absolute: Duration::from_secs(12 * 60 * 60),
        }
    }
}

impl Config {
    /// The address people and tokens name: `public_url`, or scheme and `listen`.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let scheme = if self.tls.is_some() { "https" } else { "http" };
                format!("{scheme}://{}", self.listen)
            }
        }
    }
}

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for comparing and for the one place that prints it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::str::FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let fail = || CidrError(text.chars().take(80).collect());
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| fail())?;
        let max = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| fail())?,
            None => max,
        };
        if bits > max {
            return Err(fail());
        }
        Ok(Self { base, bits })
    }
}

impl Cidr {
    /// Whether the network has this address; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits.min(32));
                u32::from(base).checked_shr(shift) == u32::from(address).checked_shr(shift)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                u128::from(base).checked_shr(shift) == u128::from(address).checked_shr(shift)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let has = |net: &str, ip: &str| net.parse::<Cidr>().unwrap().contains(ip.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1"));
        assert!(!has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(has("0.0.0.0/0", "203.0.113.9"));
        assert!(!has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("192.0.2.7", "192.0.2.7"));
        assert!(!has("192.0.2.7", "192.0.2.8"));
        assert!(has("fd00::/8", "fdff::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(***)");
    }
}
