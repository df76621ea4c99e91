//! Certificates of the webhook: made and renewed here, or given as files and read again when
//! they change. Connections under way keep theirs; nothing restarts.
//!
//! What is made: an authority that lives ten years, kept in the data folder (its certificate
//! is what a webhook configuration wants as `caBundle`), and a serving certificate that lives
//! in memory and is renewed when a third of its life is left. An authority that is about to
//! expire gets a successor; the bundle then holds both, until it is written anew.

use super::CERTIFICATES;
use crate::config::Tls;
use crate::listen::{ListenError, chain_and_key};
use crate::state::Clock;
use bartizan_model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SignatureScheme};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

const DAY: i64 = 24 * 60 * 60;
/// How long an authority lives.
const AUTHORITY_DAYS: i64 = 3_650;
/// An authority with less than this is succeeded.
const AUTHORITY_LEFT: i64 = 180;

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Made here.
    Made {
        /// DNS names and addresses that the webhook is called by.
        names: Vec<String>,
        /// Days that a serving certificate lives; at least 1.
        days: u32,
        /// How often it is looked whether it is time.
        look: Duration,
    },
    /// Read from files, again when they change.
    Files {
        /// Chain and key.
        tls: Tls,
        /// How often they are looked at.
        look: Duration,
    },
}

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// Configuration: the files that were given.
    #[error(transparent)]
    Files(#[from] ListenError),
    /// The machine or damage: the folder of the authority.
    #[error("the webhook's certificate authority in {folder}: {why}")]
    Authority {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A certificate cannot be made: mostly a name that is none.
    #[error("the webhook's certificate cannot be made: {0}")]
    Make(String),
}

/// What is presented now.
#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    /// When it is renewed; none for files.
    renew: Option<Timestamp>,
    /// What the files looked like.
    seen: Option<Seen>,
}

type Seen = [Option<(SystemTime, u64)>; 2];

/// The certificate that the webhook presents now, for whatever this process asks in its name:
/// providers of external data take it for the webhook's, as they do of Gatekeeper.
#[derive(Debug, Default)]
pub struct Identity(RwLock<Option<Arc<CertifiedKey>>>);

impl Identity {
    fn set(&self, key: &Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(key));
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Certificates, present and future.
#[derive(Debug)]
pub struct Certs {
    source: Source,
    folder: PathBuf,
    current: RwLock<Current>,
    identity: Arc<Identity>,
}

impl ResolvesServerCert for Certs {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.key))
    }
}

impl Certs {
    /// Reads or makes what is presented first, also as the identity.
    pub fn open(
        source: &Source,
        data: &Path,
        now: Timestamp,
        identity: &Arc<Identity>,
    ) -> Result<Self, CertsError> {
        let folder = data.join("admission");
        let current = obtain(source, &folder, now)?;
        identity.set(&current.key);
        Ok(Self {
            source: source.clone(),
            folder,
            current: RwLock::new(current),
            identity: Arc::clone(identity),
        })
    }

    /// The authority's certificates, PEM; none where files are given.
    pub fn ca(&self) -> Option<String> {
        match self.source {
            Source::Made { .. } => fs::read_to_string(self.folder.join("ca.pem")).ok(),
            Source::Files { .. } => None,
        }
    }

    /// TLS 1.3 alone, with whatever is presented at the time of a handshake.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, CertsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| CertsError::Make(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Renews or reads again where it is time; whether it did.
    pub fn turn(&self, now: Timestamp) -> Result<bool, CertsError> {
        let due = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            match (&self.source, current.renew) {
                (Source::Made { .. }, renew) => renew.is_none_or(|at| at <= now),
                (Source::Files { tls, .. }, _) => current.seen != Some(seen(tls)),
            }
        };
        if !due {
            return Ok(false);
        }
        let next = obtain(&self.source, &self.folder, now)?;
        self.identity.set(&next.key);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(true)
    }
}

/// Looks now and then whether it is time.
pub(super) async fn keep(certs: Arc<Certs>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let (Source::Made { look, .. } | Source::Files { look, .. }) = &certs.source;
    let look = *look;
    loop {
        tokio::select! {
            () = tokio::time::sleep(look) => {}
            () = shutdown.cancelled() => return,
        }
        let (at, now) = (Arc::clone(&certs), clock.now());
        match tokio::task::spawn_blocking(move || at.turn(now)).await {
            Ok(Ok(true)) => tracing::info!("the webhook presents a new certificate"),
            Ok(Ok(false)) => {}
            // Half-written files, mostly: the next look may find them whole.
            Ok(Err(why)) => tracing::warn!(%why, "the webhook keeps its old certificate"),
            Err(error) => tracing::error!(%error, "looking at certificates ended badly"),
        }
    }
}

fn seen(tls: &Tls) -> Seen {
    [&tls.cert, &tls.key].map(|path| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    })
}

fn obtain(source: &Source, folder: &Path, now: Timestamp) -> Result<Current, CertsError> {
    match source {
        Source::Files { tls, .. } => {
            let seen = seen(tls);
            let (chain, key) = chain_and_key(tls)?;
            let key = certified(chain, &key)?;
            metrics::counter!(CERTIFICATES, "source" => "files").increment(1);
            Ok(Current {
                key,
                renew: None,
                seen: Some(seen),
            })
        }
        Source::Made { names, days, .. } => {
            let issuer = authority(folder, now)?;
            let (chain, key) = serving(&issuer, names, i64::from((*days).max(1)), now)?;
            let life = i64::from((*days).max(1)) * DAY;
            metrics::counter!(CERTIFICATES, "source" => "made").increment(1);
            Ok(Current {
                key: certified(chain, &key)?,
                renew: Some(now.plus_seconds(life - life / 3)),
                seen: None,
            })
        }
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, CertsError> {
    let make = |error: rustls::Error| CertsError::Make(error.to_string());
    let key = aws_lc_rs::sign::any_supported_type(key).map_err(make)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(make)?;
    Ok(Arc::new(certified))
}

fn made(error: rcgen::Error) -> CertsError {
    CertsError::Make(error.to_string())
}

fn authority_params(now: Timestamp) -> Result<CertificateParams, CertsError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(made)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Bartizan admission");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let until = now.plus_seconds(AUTHORITY_DAYS * DAY);
    live(&mut params, now.plus_seconds(-DAY), until);
    Ok(params)
}

/// The authority of the folder; a new one where there is none, or it is about to expire.
pub(super) fn authority(
    folder: &Path,
    now: Timestamp,
) -> Result<Issuer<'static, KeyPair>, CertsError> {
    let fault = |why: String| CertsError::Authority {
        folder: folder.to_owned(),
        why,
    };
    let at = |name: &str| folder.join(name);
    let read = |name: &str| match fs::read_to_string(at(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(format!("{name} cannot be read: {error}"))),
    };
    let old = read("ca.pem")?;
    if let (Some(_), Some(key), Some(until)) = (&old, read("ca.key")?, read("ca.until")?) {
        let key = KeyPair::from_pem(&key).map_err(|e| fault(format!("ca.key: {e}")))?;
        let until = Timestamp::parse(until.trim()).map_err(|e| fault(format!("ca.until: {e}")))?;
        if until > now.plus_seconds(AUTHORITY_LEFT * DAY) {
            return Ok(Issuer::new(authority_params(now)?, key));
        }
    }
    let key = KeyPair::generate().map_err(made)?;
    let params = authority_params(now)?;
    let mut pem = params.self_signed(&key).map_err(made)?.pem();
    if let Some(old) = old {
        // The one before alone: of those before it nothing is valid any more.
        const END: &str = "-----END CERTIFICATE-----";
        if let Some((first, _)) = old.split_once(END) {
            pem.push_str(&format!("{first}{END}\n"));
        }
    }
    let until = now.plus_seconds(AUTHORITY_DAYS * DAY).to_string();
    fs::create_dir_all(folder).map_err(|e| fault(e.to_string()))?;
    for (name, text) in [
        ("ca.key", key.serialize_pem()),
        ("ca.until", until),
        ("ca.pem", pem),
    ] {
        private(&at(name), text.as_bytes()).map_err(|e| fault(format!("{name}: {e}")))?;
    }
    Ok(Issuer::new(params, key))
}

/// Writes a file that its owner alone reads, whole or not at all.
pub(super) fn private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let beside = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

type Serving = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn serving(
    issuer: &Issuer<'static, KeyPair>,
    names: &[String],
    days: i64,
    now: Timestamp,
) -> Result<Serving, CertsError> {
    let mut params = CertificateParams::new(names.to_vec()).map_err(made)?;
    let name = names.first().map_or("bartizan", String::as_str);
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    // Days count by midnights and months end at 28 here: some more, so that it lives as long
    // as was said.
    let until = now.plus_seconds((days + 4) * DAY);
    live(&mut params, now.plus_seconds(-DAY), until);
    let key = KeyPair::generate().map_err(made)?;
    let certificate = params.signed_by(&key, issuer).map_err(made)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((vec![certificate.der().clone()], der))
}

/// Sets a certificate's life, in whole days.
fn live(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let day = |at: Timestamp| {
        let text = at.to_string();
        let part = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse::<u16>().ok());
        date_time_ymd(
            i32::from(part(0, 4).unwrap_or(2026)),
            part(5, 7).unwrap_or(1).clamp(1, 12) as u8,
            part(8, 10).unwrap_or(1).clamp(1, 28) as u8,
        )
    };
    params.not_before = day(from);
    params.not_after = day(until);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::Made {
            names: vec!["localhost".into(), "127.0.0.1".into()],
            days: 90,
            look: Duration::from_secs(1),
        }
    }

    fn presented(certs: &Certs) -> Vec<u8> {
        let current = certs.current.read().unwrap();
        current.key.cert[0].to_vec()
    }

    #[test]
    fn the_authority_stays_and_the_certificate_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::parse("2026-11-25T10:00:00Z").unwrap();
        let certs = Certs::open(&source(), folder.path(), now, &Arc::default()).unwrap();
        let (ca, first) = (certs.ca().unwrap(), presented(&certs));
        assert!(!certs.turn(now.plus_seconds(59 * DAY)).unwrap());
        assert_eq!(presented(&certs), first);
        assert!(certs.turn(now.plus_seconds(61 * DAY)).unwrap());
        assert_ne!(presented(&certs), first);
        let again = Certs::open(&source(), folder.path(), now, &Arc::default()).unwrap();
        assert_eq!(again.ca().unwrap(), ca);
        let late = now.plus_seconds(3_600 * DAY);
        let successor = Certs::open(&source(), folder.path(), late, &Arc::default()).unwrap();
        let bundle = successor.ca().unwrap();
        assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(bundle.contains(ca.trim()));
    }

    #[test]
    fn given_files_are_read_again_and_broken_ones_keep_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls {
            cert: folder.path().join("c.pem"),
            key: folder.path().join("k.pem"),
        };
        let write = || {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            fs::write(&tls.cert, made.cert.pem()).unwrap();
            fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
        };
        write();
        let source = Source::Files {
            tls: tls.clone(),
            look: Duration::from_secs(1),
        };
        let now = Timestamp::from_micros(0);
        let certs = Certs::open(&source, folder.path(), now, &Arc::default()).unwrap();
        let first = presented(&certs);
        assert!(!certs.turn(now).unwrap());
        fs::write(&tls.cert, "half").unwrap();
        assert!(certs.turn(now).is_err());
        assert_eq!(presented(&certs), first);
        write();
        assert!(certs.turn(now).unwrap());
        assert_ne!(presented(&certs), first);
    }
}
