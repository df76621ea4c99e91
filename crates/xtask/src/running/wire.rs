//! A TLS client for webhooks that costs little itself: one connection, requests one after
//! another, HTTP/1.1 or HTTP/2.

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How requests are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Version {
    /// The name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// Where a webhook is, and whom it must prove to be.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    authority: String,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    version: Version,
}

impl Target {
    /// The webhook at `https://IP:PORT`, with certificates of the authority `ca` (PEM).
    pub fn new(webhook: &str, ca: &[u8], version: Version) -> Result<Self> {
        let authority = webhook
            .strip_prefix("https://")
            .context("the webhook's address has no TLS")?
            .trim_end_matches('/')
            .to_owned();
        let address: SocketAddr = authority.parse()?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Each connection shakes hands in full, so that the certificate is always looked at.
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = vec![match version {
            Version::Http1 => b"http/1.1".to_vec(),
            Version::Http2 => b"h2".to_vec(),
        }];
        Ok(Self {
            address,
            authority,
            name: ServerName::IpAddress(address.ip().into()),
            config: Arc::new(config),
            version,
        })
    }

    /// The socket's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shakes hands, and leaves the rest to the caller.
    pub async fn open(&self) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        Ok(connector.connect(self.name.clone(), stream).await?)
    }

    /// A connection for requests.
    pub async fn connect(&self) -> Result<Connection> {
        let stream = self.open().await?;
        let leaf = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|leaf| leaf.to_vec())
            .unwrap_or_default();
        let io = TokioIo::new(stream);
        let sender = match self.version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Ok(Connection {
            sender,
            authority: self.authority.clone(),
            leaf,
        })
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An open connection.
pub struct Connection {
    sender: Sender,
    authority: String,
    /// The certificate that the server presented, DER.
    pub leaf: Vec<u8>,
}

impl Connection {
    /// Another user of the same connection; HTTP/2 alone has that.
    pub fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                authority: self.authority.clone(),
                leaf: self.leaf.clone(),
            }),
        }
    }

    /// Posts, and reads the whole answer: status and body.
    pub async fn post(&mut self, path: &str, body: Bytes) -> Result<(u16, Bytes)> {
        let request = Request::post(match self.sender {
            Sender::Http1(_) => path.to_owned(),
            Sender::Http2(_) => format!("https://{}{path}", self.authority),
        })
        .header("content-type", "application/json");
        let answer: Response<Incoming> = match &mut self.sender {
            Sender::Http1(sender) => {
                let request = request.header("host", &self.authority);
                sender.ready().await?;
                sender.send_request(request.body(Full::new(body))?).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request.body(Full::new(body))?).await?
            }
        };
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }
}
