//! External data over HTTP: the `Provider` objects that policies and mutators name are asked by
//! POST, over TLS 1.3 with the authority that they give. The webhook presents its own certificate
//! to those that ask for one, as Gatekeeper does; it may be another after each renewal.
//!
//! All keys of a question that are not known yet go in one request. What is told of a key is
//! known for three minutes, as in Gatekeeper, or as long as the operator says. An answer is read up to a limit and within the
//! provider's timeout; whatever goes wrong is the question's error, never an empty answer.

use anyhow::{Context, Result};
use bartizan_policy::Object;
use bartizan_policy::providers::{Answer, Item, Provider, Providers, answer, request};
use reqwest::blocking::Client;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer counts where nothing is said.
const LIFE: Duration = Duration::from_secs(180);
/// Answers that are kept.
const MOST: usize = 10_000;
/// Keys of one request.
const KEYS: usize = 1_000;
/// Bytes of one answer.
const ANSWER: u64 = 8 << 20;

/// Asks the providers of a heap of objects.
pub struct HttpProviders {
    all: HashMap<String, (Provider, Client)>,
    known: Mutex<HashMap<(String, String), Known>>,
    life: Duration,
}

struct Known {
    since: Instant,
    item: Item,
    idempotent: bool,
}

impl HttpProviders {
    /// The Providers among the objects; connects to nothing yet.
    pub fn of(objects: &[Object]) -> Result<Self> {
        let mut parsed = Vec::new();
        for object in objects {
            let Some(read) = Provider::read(object) else {
                continue;
            };
            let place = || format!("Provider {}", object.name);
            parsed.push(read.map_err(anyhow::Error::msg).with_context(place)?);
        }
        Self::of_parsed(&parsed)
    }

    /// Of Providers that were read already.
    pub fn of_parsed(providers: &[Provider]) -> Result<Self> {
        Self::made(providers, None, LIFE)
    }

    /// Of Providers that were read already, asked in the name of the webhook; answers count for
    /// so long.
    pub fn presenting(
        providers: &[Provider],
        identity: Arc<dyn ResolvesClientCert>,
        life: Duration,
    ) -> Result<Self> {
        Self::made(providers, Some(identity), life)
    }

    fn made(
        providers: &[Provider],
        identity: Option<Arc<dyn ResolvesClientCert>>,
        life: Duration,
    ) -> Result<Self> {
        let mut all = HashMap::new();
        for provider in providers {
            let client = client(provider, identity.clone())
                .with_context(|| format!("Provider {}", provider.name))?;
            all.insert(provider.name.clone(), (provider.clone(), client));
        }
        Ok(Self {
            all,
            known: Mutex::default(),
            life,
        })
    }

    fn post(&self, name: &str, keys: &[String]) -> Result<Answer, String> {
        let found = self.all.get(name);
        let (provider, client) = found.ok_or("there is no such Provider")?;
        let body = request(keys).to_string();
        let sent = client
            .post(&provider.url)
            .header("content-type", "application/json")
            .body(body)
            .send();
        let response = sent.map_err(|e| told(&e))?;
        let status = response.status();
        let mut bytes = Vec::new();
        let read = response.take(ANSWER + 1).read_to_end(&mut bytes);
        read.map_err(|e| format!("the answer broke off: {e}"))?;
        if bytes.len() as u64 > ANSWER {
            return Err(format!("the answer is larger than {ANSWER} bytes"));
        }
        // A provider may say what is wrong with a status of an error too.
        answer(&bytes, keys).map_err(|why| match status.is_success() {
            true => why,
            false => format!("status {status}: {why}"),
        })
    }
}

fn client(provider: &Provider, identity: Option<Arc<dyn ResolvesClientCert>>) -> Result<Client> {
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(provider.ca_bundle.as_bytes()) {
        authorities
            .add(certificate.context("spec.caBundle")?)
            .context("spec.caBundle")?;
    }
    let suite = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(suite)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(authorities);
    let tls = match identity {
        Some(identity) => {
            let mut tls = tls.with_client_cert_resolver(identity);
            // A session that is taken up again would go by the certificate of before.
            tls.resumption = Resumption::disabled();
            tls
        }
        None => tls.with_no_client_auth(),
    };
    let builder = Client::builder()
        .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(provider.timeout)
        .timeout(provider.timeout);
    Ok(builder.build()?)
}

/// An error with its causes: that of the outermost alone says nothing.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

impl Providers for HttpProviders {
    fn ask(&self, provider: &str, keys: &[String]) -> Result<Answer, String> {
        let place = |key: &String| (provider.to_owned(), key.clone());
        let mut answer = Answer {
            idempotent: true,
            ..Answer::default()
        };
        let mut open = Vec::new();
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for key in keys {
                match known.get(&place(key)) {
                    Some(told) if told.since.elapsed() < self.life => {
                        answer.items.push(told.item.clone());
                        answer.idempotent &= told.idempotent;
                    }
                    _ => open.push(key.clone()),
                }
            }
        }
        for batch in open.chunks(KEYS) {
            let new = self.post(provider, batch)?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() + new.items.len() > MOST {
                known.retain(|_, told| told.since.elapsed() < self.life);
            }
            if known.len() + new.items.len() > MOST {
                known.clear();
            }
            for item in new.items {
                let told = Known {
                    since: Instant::now(),
                    item: item.clone(),
                    idempotent: new.idempotent,
                };
                known.insert(place(&item.key), told);
                answer.items.push(item);
            }
            answer.idempotent &= new.idempotent;
            if !new.system_error.is_empty() {
                answer.system_error = new.system_error;
            }
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_policy::check;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Fake {
        objects: Vec<Object>,
        asked: Arc<AtomicUsize>,
    }

    /// A provider that answers keys in capitals; `slow` it keeps waiting, `huge` it floods.
    fn fake(timeout: u32) -> Fake {
        fake_for(timeout, None)
    }

    /// One that answers only whom this authority has signed for, where there is one.
    fn fake_for(timeout: u32, clients: Option<&str>) -> Fake {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for authority in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    roots.add(authority.unwrap()).unwrap();
                }
                let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots));
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = config
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let _ = serve(rustls::StreamOwned::new(session, stream), &count);
            }
        });
        let pem = made.cert.pem();
        let bundle = data_encoding(pem.as_bytes());
        let yaml = format!(
            "apiVersion: externaldata.gatekeeper.sh/v1beta1\nkind: Provider\nmetadata: {{name: p}}\n\
             spec: {{url: 'https://localhost:{port}/ask', timeout: {timeout}, caBundle: {bundle}}}\n"
        );
        let objects = check::read("p.yaml", yaml.as_bytes(), &mut Vec::new()).unwrap();
        Fake { objects, asked }
    }

    fn data_encoding(bytes: &[u8]) -> String {
        const ABC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let mut bits = [0_u8; 3];
            bits[..chunk.len()].copy_from_slice(chunk);
            let word = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
            for i in 0..4 {
                let at = (word >> (18 - 6 * i)) & 63;
                out.push(if i <= chunk.len() {
                    ABC[at as usize] as char
                } else {
                    '='
                });
            }
        }
        out
    }

    fn serve<S: Read + Write>(mut stream: S, asked: &AtomicUsize) -> std::io::Result<()> {
        let mut reader = BufReader::new(&mut stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            if let Some(told) = line.to_lowercase().strip_prefix("content-length:") {
                length = told.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        asked.fetch_add(1, Ordering::SeqCst);
        let asked: serde_json::Value = serde_json::from_slice(&body)?;
        let keys = asked["request"]["keys"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let is = |word: &str| keys.iter().any(|key| key == word);
        if is("slow") {
            std::thread::sleep(Duration::from_secs(3));
        }
        let items: Vec<_> = keys
            .iter()
            .map(|key| match key.as_str().unwrap_or_default() {
                "bad" => serde_json::json!({"key": "bad", "error": "unknown"}),
                key => serde_json::json!({"key": key, "value": key.to_uppercase()}),
            })
            .collect();
        let answer = serde_json::json!({
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderResponse",
            "response": {"idempotent": true, "items": items}
        });
        let mut text = answer.to_string();
        if is("huge") {
            text.push_str(&" ".repeat(ANSWER as usize + 1));
        }
        if is("junk") {
            text = "no JSON".to_owned();
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        )?;
        stream.flush()
    }

    #[test]
    fn keys_go_together_and_answers_are_kept() {
        let fake = fake(5);
        let providers = HttpProviders::of(&fake.objects).unwrap();
        let ask = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|k| (*k).to_owned()).collect();
            let mut answer = providers.ask("p", &keys).unwrap();
            answer.items.sort_by(|a, b| a.key.cmp(&b.key));
            assert!(answer.idempotent && answer.system_error.is_empty());
            let told = answer.items.iter();
            told.map(|i| format!("{}={}{}", i.key, i.value, i.error))
                .collect::<Vec<_>>()
        };
        assert_eq!(ask(&["a", "bad"]), ["a=\"A\"", "bad=nullunknown"]);
        assert_eq!(fake.asked.load(Ordering::SeqCst), 1);
        assert_eq!(ask(&["a"]), ["a=\"A\""]);
        assert_eq!(fake.asked.load(Ordering::SeqCst), 1);
        assert_eq!(ask(&["a", "b"]), ["a=\"A\"", "b=\"B\""]);
        assert_eq!(fake.asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn the_webhooks_certificate_is_presented_also_after_its_renewal() {
        use bartizan_model::Timestamp;
        use bartizan_server::admission::certs::Certs;
        use bartizan_server::admission::{Certificates, Identity};
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let source = Certificates::Made {
            names: vec!["localhost".into()],
            days: 90,
            look: Duration::from_secs(1),
        };
        let identity: Arc<Identity> = Arc::default();
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = Timestamp::from_micros(wall.unwrap().as_micros() as i64);
        let certs = Certs::open(&source, folder.path(), now, &identity).unwrap();
        let fake = fake_for(5, certs.ca().as_deref());
        let provider = Provider::read(&fake.objects[0]).unwrap().unwrap();
        let keys = ["a".to_owned()];
        let ask = |p: &HttpProviders| p.ask("p", &keys);
        // Whoever presents nothing is not answered.
        let stranger = HttpProviders::of_parsed(std::slice::from_ref(&provider)).unwrap();
        assert!(ask(&stranger).is_err());
        let own = || Arc::<Identity>::clone(&identity);
        let providers =
            HttpProviders::presenting(std::slice::from_ref(&provider), own(), Duration::ZERO);
        let providers = providers.unwrap();
        assert_eq!(ask(&providers).unwrap().items[0].value, "A");
        assert!(certs.turn(now.plus_seconds(61 * 86_400)).unwrap());
        // Days begin at midnight: what is made for later is not valid yet, what is there was.
        let asked = fake.asked.load(Ordering::SeqCst);
        assert!(ask(&providers).is_err());
        assert_eq!(fake.asked.load(Ordering::SeqCst), asked);
        certs.turn(now).unwrap();
        let renewed = Certs::open(&source, folder.path(), now, &identity).unwrap();
        assert_eq!(renewed.ca(), certs.ca());
        // Nothing is kept where answers count for no time.
        assert_eq!(ask(&providers).unwrap().items[0].value, "A");
        assert_eq!(fake.asked.load(Ordering::SeqCst), asked + 1);
    }

    #[test]
    fn what_goes_wrong_is_an_error() {
        let fake = fake(1);
        let mut providers = HttpProviders::of(&fake.objects).unwrap();
        let ask = |p: &HttpProviders, key: &str| p.ask("p", &[key.to_owned()]).unwrap_err();
        assert!(ask(&providers, "huge").contains("larger than"));
        assert!(ask(&providers, "junk").contains("no JSON"));
        assert!(providers.ask("other", &["a".to_owned()]).is_err());
        // A certificate of another authority.
        let stranger = super::tests::fake(1);
        let (other, _) = HttpProviders::of(&stranger.objects)
            .unwrap()
            .all
            .remove("p")
            .unwrap();
        let (own, _) = providers.all.remove("p").unwrap();
        let mixed = Provider {
            ca_bundle: other.ca_bundle,
            ..own
        };
        let both = client(&mixed, None).unwrap();
        let right = HttpProviders::of(&fake.objects).unwrap();
        providers.all.insert("p".into(), (mixed, both));
        let why = ask(&providers, "a");
        assert!(why.to_lowercase().contains("certificate"), "{why}");
        // Last, since the fake answers one after the other.
        let why = ask(&right, "slow");
        assert!(why.contains("timed out"), "{why}");
    }
}
