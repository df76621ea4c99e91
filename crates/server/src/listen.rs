//! The socket: TLS 1.3 or plain HTTP on loopback, bounded connections, an orderly end.

use crate::config::{Config, Limits, Tls};
use crate::limit::Peer;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Why the server cannot listen; each is the configuration's or the machine's.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Plain HTTP would leave the machine.
    #[error(
        "plain HTTP is served on loopback addresses alone, and {0} is not one: \
         give --tls-cert and --tls-key, or listen on 127.0.0.1"
    )]
    NotLoopback(SocketAddr),
    /// Someone else has the port.
    #[error(
        "port {} on {} is in use by another program: stop that program \
         (`ss -ltnp 'sport = :{}'` names it), or choose another port with --listen {}:{}",
        .0.port(), .0.ip(), .0.port(), .0.ip(), .0.port().wrapping_add(1).max(1024)
    )]
    PortInUse(SocketAddr),
    /// A port below 1024, without the right to it.
    #[error(
        "listening on {0} is not permitted: choose a port of 1024 or above with --listen, \
         or give the program CAP_NET_BIND_SERVICE"
    )]
    NotPermitted(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Certificate or key is not usable.
    #[error("{option} {}: {why}", path.display())]
    Tls {
        /// The option that named the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// A bound socket.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// Time for a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

impl Listener {
    /// Reads certificate and key, then binds.
    pub async fn bind(config: &Config) -> Result<Self, ListenError> {
        let wanted = config.listen;
        if config.tls.is_none() && !wanted.ip().to_canonical().is_loopback() {
            return Err(ListenError::NotLoopback(wanted));
        }
        let tls = match &config.tls {
            Some(tls) => Some(TlsAcceptor::from(Arc::new(tls_config(tls)?))),
            None => None,
        };
        Self::at(wanted, tls).await
    }

    /// Binds with a TLS configuration that is there already.
    pub async fn with_tls(wanted: SocketAddr, tls: ServerConfig) -> Result<Self, ListenError> {
        Self::at(wanted, Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn at(wanted: SocketAddr, tls: Option<TlsAcceptor>) -> Result<Self, ListenError> {
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => ListenError::PortInUse(wanted),
            ErrorKind::PermissionDenied => ListenError::NotPermitted(wanted),
            _ => ListenError::Bind {
                address: wanted,
                source,
            },
        };
        let socket = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self {
            socket,
            address,
            tls,
        })
    }

    /// The address, with the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `app` until `shutdown`, then lets requests at work end within
    /// `limits.drain_time`.
    pub async fn run(self, app: Router, limits: &Limits, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(limits.connections.max(1)));
        let graceful = GracefulShutdown::new();
        let serving = Serving {
            app,
            header_time: limits.header_time,
        };
        loop {
            // A connection too many waits in the system's backlog.
            let slot = tokio::select! {
                slot = Arc::clone(&slots).acquire_owned() => slot,
                () = shutdown.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: wait for some to come back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let tls = self.tls.clone();
            let serving = serving.clone();
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                serving.connection(stream, peer, tls, watcher).await;
                drop(slot);
            });
        }
        drop(self.socket);
        if tokio::time::timeout(limits.drain_time, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not end in time and were cut off");
        }
    }
}

#[derive(Clone)]
struct Serving {
    app: Router,
    header_time: Duration,
}

impl Serving {
    async fn connection(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        watcher: hyper_util::server::graceful::Watcher,
    ) {
        let _best_effort = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return self.http1(stream, peer, watcher).await;
        };
        match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    self.http2(stream, peer, watcher).await;
                } else {
                    self.http1(stream, peer, watcher).await;
                }
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn http1<I>(self, io: I, peer: SocketAddr, watcher: hyper_util::server::graceful::Watcher)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_time)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(io), self.service(peer));
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    }

    async fn http2<I>(self, io: I, peer: SocketAddr, watcher: hyper_util::server::graceful::Watcher)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(64)
            .max_header_list_size(16 * 1024)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .serve_connection(TokioIo::new(io), self.service(peer));
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    }

    fn service(
        self,
        peer: SocketAddr,
    ) -> impl hyper::service::Service<
        hyper::Request<Incoming>,
        Response = axum::response::Response,
        Error = Infallible,
        Future: Send,
    > + Send {
        hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            self.app.clone().oneshot(request.map(axum::body::Body::new))
        })
    }
}

/// Reads a chain and its key; the error names the file.
pub(crate) fn chain_and_key(
    files: &Tls,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ListenError> {
    let cert_error = |why: String| ListenError::Tls {
        option: "--tls-cert",
        path: files.cert.clone(),
        why,
    };
    let key_error = |why: String| ListenError::Tls {
        option: "--tls-key",
        path: files.key.clone(),
        why,
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(&files.cert).map_err(cert_error)?)
            .collect::<Result<_, _>>()
            .map_err(|error| cert_error(pem_text(&error, "a PEM certificate")))?;
    if chain.is_empty() {
        return Err(cert_error(
            "it holds no PEM certificate (-----BEGIN CERTIFICATE-----)".to_owned(),
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key).map_err(key_error)?)
        .map_err(|error| key_error(pem_text(&error, "a PEM private key, not encrypted")))?;
    Ok((chain, key))
}

/// TLS 1.3 alone, with aws-lc; HTTP/2 where the peer can.
fn tls_config(files: &Tls) -> Result<ServerConfig, ListenError> {
    let (chain, key) = chain_and_key(files)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| ListenError::Tls {
            option: "--tls-key",
            path: files.key.clone(),
            why: format!("it does not go with the certificate of --tls-cert ({error})"),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A certificate or key is small; anything else was named by mistake.
const MAX_PEM: u64 = 1 << 20;

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    if size > MAX_PEM {
        return Err(format!("is {size} bytes long, which no PEM file is"));
    }
    std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}

fn pem_text(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("it does not hold {wanted}"),
        other => format!("it is not {wanted}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str) -> Config {
        Config {
            listen: listen.parse().unwrap(),
            ..Config::default()
        }
    }

    async fn refused(config: &Config) -> String {
        match Listener::bind(config).await {
            Ok(_) => "bound".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn plain_http_stays_on_loopback() {
        insta::assert_snapshot!(refused(&config("0.0.0.0:0")).await, @"plain HTTP is served on loopback addresses alone, and 0.0.0.0:0 is not one: give --tls-cert and --tls-key, or listen on 127.0.0.1");
        assert_eq!(refused(&config("127.0.0.1:0")).await, "bound");
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let first = Listener::bind(&config("127.0.0.1:0")).await.unwrap();
        let port = first.address().port();
        let text = refused(&config(&format!("127.0.0.1:{port}"))).await;
        assert!(
            text.starts_with(&format!(
                "port {port} on 127.0.0.1 is in use by another program"
            )),
            "{text}"
        );
    }

    #[tokio::test]
    async fn bad_tls_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let cert = folder.path().join("cert.pem");
        let with = |cert: &Path| Config {
            tls: Some(Tls {
                cert: cert.to_owned(),
                key: cert.to_owned(),
            }),
            ..config("127.0.0.1:0")
        };
        let absent = refused(&with(&cert)).await;
        assert!(
            absent.contains("--tls-cert") && absent.contains("cannot be read"),
            "{absent}"
        );
        std::fs::write(&cert, "not a certificate").unwrap();
        let empty = refused(&with(&cert)).await;
        assert!(empty.contains("no PEM certificate"), "{empty}");
    }
}
