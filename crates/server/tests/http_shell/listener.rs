//! The real socket: HTTP, TLS 1.3, draining.

use crate::support::config;
use axum::Router;
use axum::routing::get;
use bartizan_server::listen::Listener;
use bartizan_server::{Config, Ready, Tls, serve};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

struct Running {
    ready: Ready,
    stop: CancellationToken,
    task: JoinHandle<Result<(), bartizan_server::ServeError>>,
    folder: tempfile::TempDir,
}

async fn start(change: impl FnOnce(&mut Config, &Path)) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.data = folder.path().join("data");
    change(&mut config, folder.path());
    let stop = CancellationToken::new();
    let (tell, told) = oneshot::channel();
    let task = tokio::spawn(serve(
        config,
        move |ready| {
            let _ = tell.send(ready);
        },
        stop.clone(),
    ));
    let Ok(ready) = told.await else {
        panic!("did not start: {:?}", task.await);
    };
    Running {
        ready,
        stop,
        task,
        folder,
    }
}

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

async fn ask(running: &Running, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(running.ready.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn starts_serves_and_stops() {
    let running = start(|_, _| {}).await;
    assert_eq!(
        running.ready.url,
        format!("http://{}", running.ready.address)
    );
    assert!(running.ready.first_secret.is_some());
    let text = ask(&running, GET).await;
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    running.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), running.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(running.ready.address).await.is_err());
    drop(running.folder);
}

#[tokio::test]
async fn a_second_start_keeps_the_users() {
    let running = start(|_, _| {}).await;
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
    let data = running.folder.path().join("data");
    let again = start(|config, _| config.data = data).await;
    assert!(again.ready.first_secret.is_none());
    again.stop.cancel();
    again.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_data_folder_in_use_is_a_clear_error() {
    let running = start(|_, _| {}).await;
    let mut config = config();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.data = running.folder.path().join("data");
    let error = serve(config, |_| {}, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is used by another bartizan process"),
        "{error}"
    );
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn slow_and_huge_heads_are_cut_off() {
    let running = start(|config, _| config.limits.header_time = Duration::from_millis(200)).await;
    let mut slow = TcpStream::connect(running.ready.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a half head kept the connection");

    let mut huge = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: ".to_vec();
    huge.extend(std::iter::repeat_n(b'a', 200 * 1024));
    let mut stream = TcpStream::connect(running.ready.address).await.unwrap();
    let _ = stream.write_all(&huge).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 431"),
        "{text}"
    );
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
}

/// Writes a fresh certificate; gives its DER for the client to trust.
fn certificate(folder: &Path) -> (Tls, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let tls = Tls {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    std::fs::write(&tls.cert, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    (tls, made.cert.der().clone())
}

async fn connect(
    running: &Running,
    trusted: &CertificateDer<'static>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(running.ready.address).await.unwrap();
    TlsConnector::from(Arc::new(client))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

#[tokio::test]
async fn tls_is_1_3_or_nothing() {
    let mut trusted = None;
    let running = start(|config, folder| {
        let (tls, der) = certificate(folder);
        config.tls = Some(tls);
        trusted = Some(der);
    })
    .await;
    let trusted = trusted.unwrap();
    let old = connect(&running, &trusted, &[&rustls::version::TLS12], &[]).await;
    assert!(old.is_err(), "TLS 1.2 was accepted");

    let mut stream = connect(&running, &trusted, &[&rustls::version::TLS13], &[])
        .await
        .unwrap();
    let version = stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    stream.write_all(GET).await.unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert!(
        text.to_lowercase()
            .contains("strict-transport-security: max-age="),
        "{text}"
    );

    // A peer that can, speaks HTTP/2.
    let stream = connect(&running, &trusted, &[&rustls::version::TLS13], &[b"h2"])
        .await
        .unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get("https://localhost/healthz")
        .body(String::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    drop(sender);

    // Plain HTTP on the same port gets no answer that a browser would take.
    let plain = TcpStream::connect(running.ready.address).await;
    let mut plain = plain.unwrap();
    plain.write_all(GET).await.unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP/1.1 200"));
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_key_of_another_certificate_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = certificate(folder.path());
    let other = tempfile::tempdir().unwrap();
    let (second, _) = certificate(other.path());
    let mut config = config();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.data = folder.path().join("data");
    config.tls = Some(Tls {
        cert: first.cert,
        key: second.key,
    });
    let error = serve(config, |_| {}, CancellationToken::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("--tls-key") && error.contains("does not go with"),
        "{error}"
    );
}

#[tokio::test]
async fn a_request_at_work_ends_before_the_server_does() {
    let listener = Listener::bind(&Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..config()
    })
    .await
    .unwrap();
    let address = listener.address();
    let begun = Arc::new(Notify::new());
    let tell = begun.clone();
    let app = Router::new().route(
        "/slow",
        get(async move || {
            tell.notify_one();
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        }),
    );
    let stop = CancellationToken::new();
    let (limits, token) = (config().limits, stop.clone());
    let server = tokio::spawn(async move { listener.run(app, &limits, token).await });
    let client = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    });
    begun.notified().await;
    stop.cancel();
    let text = client.await.unwrap();
    assert!(text.ends_with("done"), "{text}");
    tokio::time::timeout(Duration::from_secs(5), server)
        .await
        .unwrap()
        .unwrap();
}
