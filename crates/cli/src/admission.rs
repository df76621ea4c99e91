//! The webhook's options, and policies read from folders.

mod images;

use crate::image::arguments::Signatures;
use crate::policy::providers::HttpProviders;
use crate::{content, files};
use anyhow::{Context, Result, ensure};
use bartizan_model::Scope;
use bartizan_policy::{Budget, Failure, Images, World};
use bartizan_server::admission::{Certificates, Config, Identity, Loaded, PodSecurity, Policies};
use bartizan_server::cluster::{Trust, Watched};
use bartizan_server::config::Tls;
use clap::{Args, ValueEnum};
use images::ImageSources;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything that its options name.
    All,
    /// The admission webhook must be served: its policies are required.
    Admission,
    /// Reads feeds of vulnerabilities and puts their records on the stream, and imports nothing.
    CveProducer,
    /// Applies the stream's records to the store, and imports nothing.
    CveConsumer,
}

/// What is answered where a policy cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    /// The request goes on, recorded as unknown.
    Open,
    /// The request is refused, recorded as unknown.
    Closed,
}

impl From<OnFailure> for Failure {
    fn from(word: OnFailure) -> Self {
        match word {
            OnFailure::Open => Self::Open,
            OnFailure::Closed => Self::Closed,
        }
    }
}

#[derive(Args)]
#[command(next_help_heading = "Admission webhook")]
pub struct Admission {
    /// What this process does
    #[arg(long, value_enum, default_value = "all")]
    pub role: Role,
    /// Folder or file of policies for the admission webhook, which is served then; repeatable
    #[arg(long, value_name = "PATH")]
    pub admission_policies: Vec<PathBuf>,
    /// Address of the admission webhook, always with TLS
    #[arg(
        long,
        env = "BARTIZAN_ADMISSION_LISTEN",
        default_value = "127.0.0.1:8443"
    )]
    pub admission_listen: SocketAddr,
    /// What is answered where a policy cannot be told
    #[arg(long, value_enum, default_value = "open")]
    pub admission_failure: OnFailure,
    /// Name or address that API servers call the webhook by, for the certificate; repeatable
    #[arg(long, value_name = "NAME",
          default_values = ["bartizan.bartizan-system.svc", "localhost", "127.0.0.1"])]
    pub admission_name: Vec<String>,
    /// Certificate chain of the webhook, PEM, in place of one that is made
    #[arg(long, requires = "admission_key", value_name = "FILE")]
    pub admission_cert: Option<PathBuf>,
    /// Private key of the webhook, PEM
    #[arg(long, requires = "admission_cert", value_name = "FILE")]
    pub admission_key: Option<PathBuf>,
    /// Days that a certificate which is made lives
    #[arg(long, default_value_t = 90, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=825), hide_short_help = true)]
    pub admission_certificate_days: u32,
    /// Threads that judge; as many as there are cores by default
    #[arg(long, value_name = "N")]
    pub admission_workers: Option<usize>,
    /// Reviews that may wait for each thread
    #[arg(long, default_value_t = 256, value_name = "N", hide_short_help = true)]
    pub admission_queue: usize,
    /// Milliseconds that one policy may take on one object
    #[arg(
        long,
        default_value_t = 1_000,
        value_name = "N",
        hide_short_help = true
    )]
    pub admission_budget: u64,
    /// The cluster that findings of admission are about
    #[arg(long, default_value = "cluster:default", value_name = "SCOPE")]
    pub admission_scope: String,
    /// Namespace that may carry the label admission.gatekeeper.sh/ignore; repeatable
    #[arg(long, value_name = "NAME")]
    pub exempt_namespace: Vec<String>,
    /// Honour the labels pod-security.kubernetes.io/enforce, audit and warn of namespaces
    #[arg(long)]
    pub pod_security: bool,
    /// Defaults and exemptions for --pod-security: a PodSecurityConfiguration as API servers take it
    #[arg(long, requires = "pod_security", value_name = "FILE")]
    pub pod_security_config: Option<PathBuf>,
    /// Seconds that an answer of a provider of external data counts; 0 asks each time
    #[arg(long, default_value_t = 180, value_name = "N", hide_short_help = true)]
    pub provider_cache: u64,
    /// Decisions that are kept
    #[arg(
        long,
        default_value_t = 1_000_000,
        value_name = "N",
        hide_short_help = true
    )]
    pub admission_keep: u64,
    /// Milliseconds between two looks at policies and certificates
    #[arg(
        long,
        default_value_t = 1_000,
        value_name = "N",
        hide_short_help = true
    )]
    pub admission_look: u64,
    /// What is answered where an image's signatures cannot be told: whoever asks for an image
    /// chooses the registry, so an open door here lets everything in that a registry keeps silent
    /// about
    #[arg(long, value_enum, default_value = "closed", hide_short_help = true)]
    pub image_failure: OnFailure,
    #[command(flatten)]
    pub signatures: Signatures,
}

impl Admission {
    /// The webhook's configuration; none where it is not served.
    pub fn config(
        &self,
        data: &Path,
        watched: Option<Arc<Watched>>,
        trust: Option<Trust>,
    ) -> Result<Option<Config>> {
        if self.admission_policies.is_empty() && watched.is_none() {
            ensure!(
                self.role != Role::Admission,
                "--role admission needs --admission-policies or --cluster-policies: without policies it would let everything pass"
            );
            return Ok(None);
        }
        let look = Duration::from_millis(self.admission_look.max(50));
        let certificates = match (&self.admission_cert, &self.admission_key) {
            (Some(cert), Some(key)) => Certificates::Files {
                tls: Tls {
                    cert: cert.clone(),
                    key: key.clone(),
                },
                look,
            },
            _ => Certificates::Made {
                names: self.admission_name.clone(),
                days: self.admission_certificate_days,
                look: look.max(Duration::from_secs(60)),
            },
        };
        let identity: Arc<Identity> = Arc::default();
        let cores = || std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Some(Config {
            listen: self.admission_listen,
            failure: self.admission_failure.into(),
            budget: Budget {
                time: Duration::from_millis(self.admission_budget.max(1)),
            },
            workers: self.admission_workers.unwrap_or_else(cores),
            queue: self.admission_queue,
            policies: Arc::new(Sources {
                folders: self.admission_policies.clone(),
                watched,
                identity: Arc::clone(&identity),
                cache: Duration::from_secs(self.provider_cache),
                images: ImageSources::of(self)?,
            }),
            trust,
            identity,
            look,
            certificates,
            data: data.to_owned(),
            scope: Scope::parse(&self.admission_scope).context("--admission-scope")?,
            exempt: self.exempt_namespace.clone(),
            pod_security: self.pod_security()?.map(Arc::new),
            keep: self.admission_keep,
        }))
    }

    fn pod_security(&self) -> Result<Option<PodSecurity>> {
        let Some(path) = &self.pod_security_config else {
            return Ok(self.pod_security.then(PodSecurity::default));
        };
        let name = path.display().to_string();
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        let parsed = PodSecurity::parse(&name, &bytes).map_err(anyhow::Error::msg)?;
        Ok(Some(parsed))
    }
}

/// Policies in folders and in a cluster. Namespaces and other objects there are what policies know
/// of the cluster.
struct Sources {
    folders: Vec<PathBuf>,
    watched: Option<Arc<Watched>>,
    identity: Arc<Identity>,
    cache: Duration,
    images: ImageSources,
}

impl Sources {
    /// A number that differs when the files do, and the files, each with the path that it is
    /// found by.
    fn look(&self) -> Result<(u64, Vec<(PathBuf, PathBuf)>)> {
        let mut hash = DefaultHasher::new();
        let mut all = Vec::new();
        for path in &self.folders {
            for file in files::manifests(std::slice::from_ref(path))? {
                let meta = std::fs::metadata(&file)?;
                file.hash(&mut hash);
                meta.len().hash(&mut hash);
                meta.modified()?.hash(&mut hash);
                all.push((path.clone(), file));
            }
        }
        if let Some(root) = &self.images.signatures.trusted_root {
            let meta = std::fs::metadata(root)?;
            (meta.len(), meta.modified()?).hash(&mut hash);
        }
        Ok((hash.finish(), all))
    }

    fn read(&self) -> Result<Loaded> {
        let (before, found) = self.look()?;
        let mut files = Vec::new();
        for (path, file) in found {
            let bytes =
                std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            files.push((path, file.display().to_string(), bytes));
        }
        // A set that changed while it was read may be half old and half new.
        ensure!(
            self.look()?.0 == before,
            "the files change while they are read"
        );
        let snapshot = self.watched.as_ref().map(|watched| watched.snapshot());
        let snapshot = snapshot.transpose().map_err(anyhow::Error::msg)?;
        let snapshot = snapshot.unwrap_or_default();
        let of_folders = files.len();
        for (name, bytes) in snapshot.policies {
            files.push((PathBuf::from(content::FROM_CLUSTER), name, bytes));
        }
        let (library, mut faults) = content::library_of(&files)?;
        let images = self.images.judge(&library, &mut faults)?;
        let manifests = files.iter().take(of_folders);
        let manifests = manifests.map(|(_, name, bytes)| (name.as_str(), bytes.as_slice()));
        let world =
            World::read(&library, manifests, &snapshot.world).map_err(anyhow::Error::msg)?;
        if let Some(watched) = &self.watched {
            watched.used(&library, faults);
        }
        // They are made here, on a thread that may block.
        let providers = HttpProviders::presenting(
            library.providers(),
            Arc::<Identity>::clone(&self.identity),
            self.cache,
        )?;
        Ok(Loaded {
            library,
            world: Arc::new(world),
            providers: Some(Arc::new(providers)),
            images: Some(images as Arc<dyn Images + Send + Sync>),
        })
    }
}

impl Policies for Sources {
    fn fingerprint(&self) -> u64 {
        // What cannot be read now is read as soon as it can.
        let folders = self.look().map_or(0, |(print, _)| print);
        let cluster = self.watched.as_ref().map_or(0, |watched| watched.version());
        folders ^ cluster.rotate_left(1)
    }

    fn load(&self) -> Result<Loaded, String> {
        self.read().map_err(|error| format!("{error:#}"))
    }
}
