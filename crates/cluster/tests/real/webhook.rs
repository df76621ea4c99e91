//! A webhook small enough to trust, for the walk around it: it denies by label, and remembers what
//! it was asked. TLS with certificates that can be changed while it runs.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority of its own and a server certificate by it.
pub struct Certificates {
    pub authority: String,
    /// The server's own, for a process that reads files.
    pub chain: String,
    pub key: String,
    config: Arc<ServerConfig>,
}

impl Certificates {
    pub fn new() -> Self {
        let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], der)
            .unwrap();
        Self {
            authority: issuer.pem(),
            chain: leaf.pem(),
            key: key.serialize_pem(),
            config: Arc::new(config),
        }
    }
}

pub struct Webhook {
    pub address: SocketAddr,
    pub asked: Arc<Mutex<Vec<Value>>>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    task: JoinHandle<()>,
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Webhook {
    pub async fn start(certificates: &Certificates) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let config = Arc::new(Mutex::new(certificates.config.clone()));
        let (asking, serving) = (asked.clone(), config.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = TlsAcceptor::from(serving.lock().unwrap().clone());
                let asked = asking.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = answer(stream, &asked).await;
                    }
                });
            }
        });
        Self {
            address,
            asked,
            config,
            task,
        }
    }

    pub fn rotate(&self, certificates: &Certificates) {
        *self.config.lock().unwrap() = certificates.config.clone();
    }

    /// What it was asked since the last look, without the asker's own housekeeping.
    pub fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// One request a connection: then a rotated certificate is seen at once.
async fn answer(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    asked: &Mutex<Vec<Value>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let review: Value = serde_json::from_slice(&body).unwrap();
    let request = review["request"].clone();
    let label =
        |object: &str, name: &str| request[object]["metadata"]["labels"][name] == json!("yes");
    let replicas = request["object"]["spec"]["replicas"].as_u64();
    let reason = match request["operation"].as_str() {
        Some("CREATE" | "UPDATE") if label("object", "deny") => Some("it says deny"),
        Some("UPDATE") if request["subResource"] == "scale" && replicas > Some(5) => {
            Some("too many")
        }
        Some("UPDATE") if request["subResource"] == "ephemeralcontainers" => Some("no debugging"),
        Some("DELETE") if label("oldObject", "keep") => Some("it says keep"),
        _ => None,
    };
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {
            "uid": request["uid"], "allowed": reason.is_none(),
            "status": {"code": 403, "message": reason},
        },
    })
    .to_string();
    asked.lock().unwrap().push(request);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
