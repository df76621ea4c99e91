//! The admission webhook: Kubernetes asks, policies answer, before the caller's time is over.
//!
//! ```text
//! API server ──TLS──► http ──bounded queues──► workers (threads, an Admitter each)
//!                      │ ▲                        ▲
//!                      │ └── deadline ────────────┘   policies: a new set is compiled beside
//!                      ▼                              the path and swapped whole
//!                    record ──batches──► store, ledger, findings, live stream
//! ```
//!
//! Its own listener, because its peer is the API server and not a person: no sessions, no
//! console, certificates of its own. What cannot be told in time, for whatever reason, is
//! answered by the failure setting, counted, and recorded as unknown. A large review that there is no
//! room for is not read: the call is refused and counted as unknown, and the API server goes by its own
//! failure policy.

mod authority;
mod body;
pub mod certs;
mod findings;
mod http;
mod images;
mod mutate;
pub mod policies;
pub mod pool;
pub mod record;

pub use certs::{CertsError, Identity, Source as Certificates};
pub use policies::{InForce, Loaded, Policies};

use crate::config::Limits;
use crate::listen::{ListenError, Listener};
use crate::state::AppState;
use bartizan_model::Scope;
pub use bartizan_policy::pod_security::admission::Configuration as PodSecurity;
use bartizan_policy::{Budget, Failure};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Gatekeeper's counter: validations, by `admission_status` and `admission_dryrun`.
pub const GK_VALIDATIONS: &str = "gatekeeper_validation_request_count";
/// Gatekeeper's histogram: seconds, by `admission_status`.
pub const GK_VALIDATION_SECONDS: &str = "gatekeeper_validation_request_duration_seconds";
/// Gatekeeper's counter: mutations, by `mutation_status`.
pub const GK_MUTATIONS: &str = "gatekeeper_mutation_request_count";
/// Gatekeeper's histogram: seconds, by `mutation_status`.
pub const GK_MUTATION_SECONDS: &str = "gatekeeper_mutation_request_duration_seconds";
/// Gatekeeper's gauge: known constraints, by `enforcement_action` and `status` (`active`, `error`).
pub const GK_CONSTRAINTS: &str = "gatekeeper_constraints";
/// Gatekeeper's gauge: templates, by `status` (`active`, `error`).
pub const GK_TEMPLATES: &str = "gatekeeper_constraint_templates";
/// Gauge: Kubernetes' own admission policies that are judged here, by `kind` and `status`.
pub const NATIVE_POLICIES: &str = "bartizan_admission_native_policies";
/// Counter: reviews answered, by `outcome`.
pub const REVIEWS: &str = "bartizan_admission_reviews_total";
/// Counter: reviews that could not be told, by `reason` (`policy`, `timeout`, `full`,
/// `not_loaded`).
pub const UNKNOWN: &str = "bartizan_admission_unknown_total";
/// Counter: requests that are no reviews.
pub const MALFORMED: &str = "bartizan_admission_malformed_total";
/// Gauge: reviews that wait for a worker or are judged.
pub const ACTIVE: &str = "bartizan_admission_active";
/// Counter: decisions that were not recorded because the queue was full.
pub const DECISIONS_SHED: &str = "bartizan_admission_decisions_shed_total";
/// Counter: violations recorded as decisions alone, because too many large objects waited.
pub const FINDINGS_SHED: &str = "bartizan_admission_findings_shed_total";
/// Counter: loads of policies, by `outcome` (`ok`, `failed`).
pub const LOADS: &str = "bartizan_admission_policy_loads_total";
/// Gauge: which set of policies judges, counted from 1.
pub const GENERATION: &str = "bartizan_admission_policy_generation";
/// Gauge: exceptions that let nothing pass, or have expired.
pub const UNUSED_EXCEPTIONS: &str = "bartizan_admission_unused_exceptions";
/// Counter: certificates put to use, by `source` (`made`, `files`).
pub const CERTIFICATES: &str = "bartizan_admission_certificates_total";

/// What the operator chose.
#[derive(Clone)]
pub struct Config {
    /// Address of the webhook.
    pub listen: SocketAddr,
    /// What is answered where something cannot be told.
    pub failure: Failure,
    /// What one evaluation may cost.
    pub budget: Budget,
    /// Threads that judge.
    pub workers: usize,
    /// Reviews that may wait for each of them.
    pub queue: usize,
    /// Where policies come from.
    pub policies: Arc<dyn Policies>,
    /// How often they are looked at.
    pub look: Duration,
    /// Certificates.
    pub certificates: Certificates,
    /// Who presents the same certificate where it asks others.
    pub identity: Arc<Identity>,
    /// The folder of everything that is kept.
    pub data: PathBuf,
    /// What is judged, for findings: a cluster.
    pub scope: Scope,
    /// Namespaces that may carry the label `admission.gatekeeper.sh/ignore`, with wildcards.
    pub exempt: Vec<String>,
    /// The Pod Security Standards, where they are judged here.
    pub pod_security: Option<Arc<PodSecurity>>,
    /// Decisions that are kept.
    pub keep: u64,
    /// The webhook configurations that are to trust us; none where others see to it.
    pub trust: Option<crate::cluster::Trust>,
}

/// Why the webhook cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// Configuration: the address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Configuration or damage: certificates.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// Configuration: the policies cannot be used.
    #[error("the policies of the webhook cannot be used: {0}")]
    Policies(String),
    /// The cluster, or damage there: the authority that replicas share.
    #[error("the webhook's certificate authority: {0}")]
    Authority(String),
    /// The machine: no thread.
    #[error("a worker of the webhook cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// A webhook that listens.
pub struct Admission {
    listener: Listener,
    shared: Arc<http::Shared>,
    config: Config,
    certs: Arc<certs::Certs>,
}

impl Admission {
    /// Makes certificates, loads policies, binds.
    pub async fn open(config: Config, state: &AppState) -> Result<Self, AdmissionError> {
        if let Some(trust) = &config.trust
            && let Some(secret) = &trust.secret
        {
            authority::share(trust.cluster.as_ref(), secret, &config.data, state.now())
                .await
                .map_err(AdmissionError::Authority)?;
        }
        let (source, identity) = (&config.certificates, &config.identity);
        let certs = certs::Certs::open(source, &config.data, state.now(), identity)?;
        let certs = Arc::new(certs);
        let listener = Listener::with_tls(config.listen, certs.server_config()?).await?;
        let pool = pool::Pool::start(&config)?;
        let loaded = policies::load(&config)
            .await
            .map_err(AdmissionError::Policies)?;
        let (pool, with, now) = (Arc::new(pool), loaded.clone(), state.now());
        let at = Arc::clone(&pool);
        pool::aside(move || at.replace(&with, now))
            .await
            .ok_or_else(|| AdmissionError::Policies("compiling them ended badly".to_owned()))?;
        policies::tell(&loaded, &pool);
        state.work.in_force.set(&loaded);
        let recorder = record::Recorder::new();
        let shared = Arc::new(http::Shared {
            pool,
            in_force: Arc::clone(&state.work.in_force),
            recorder,
            clock: Arc::clone(&state.clock),
            failure: config.failure,
            budget: config.budget,
            exempt: config.exempt.clone(),
            bodies: body::Limits::new(config.workers),
            mutating: Arc::new(tokio::sync::Semaphore::new(config.workers.max(1) * 2)),
        });
        Ok(Self {
            listener,
            shared,
            config,
            certs,
        })
    }

    /// Where it listens, with the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The certificate authority to write into the webhook configuration, PEM; none where
    /// certificates are given.
    pub fn ca(&self) -> Option<String> {
        self.certs.ca()
    }

    /// Serves until `shutdown`; what was decided is recorded before it returns.
    pub async fn run(self, state: AppState, shutdown: CancellationToken) {
        let recording = CancellationToken::new();
        let record = tokio::spawn(record::run(
            state.clone(),
            Arc::clone(&self.shared),
            self.config.clone(),
            recording.clone(),
        ));
        let look = tokio::spawn(policies::watch(
            state.clone(),
            Arc::clone(&self.shared),
            self.config.clone(),
            shutdown.clone(),
        ));
        let renew = tokio::spawn(certs::keep(
            Arc::clone(&self.certs),
            Arc::clone(&state.clock),
            shutdown.clone(),
        ));
        let trust = self.config.trust.clone().map(|trust| {
            let certs = Arc::clone(&self.certs);
            let stop = shutdown.clone();
            tokio::spawn(crate::cluster::trust::keep(trust, move || certs.ca(), stop))
        });
        let limits = Limits {
            connections: 4_096,
            ..state.config.limits.clone()
        };
        let app = http::router(Arc::clone(&self.shared));
        let threads = (self.config.workers / 4).max(1);
        answer(self.listener, app, limits, threads, shutdown).await;
        recording.cancel();
        for task in [record, look, renew].into_iter().chain(trust) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the webhook ended badly");
            }
        }
        self.shared.pool.stop();
    }
}

/// Serves on a runtime of its own until `shutdown`: whatever imports, reports and the API do on
/// theirs, answers and deadlines do not wait behind it.
async fn answer(
    listener: Listener,
    app: axum::Router,
    limits: Limits,
    threads: usize,
    shutdown: CancellationToken,
) {
    const NAME: &str = "admission-io";
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let cancel = shutdown.clone();
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(NAME)
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(listener.run(app, &limits, shutdown));
                // A mutation that does not end holds nobody up.
                runtime.shutdown_timeout(Duration::from_secs(1));
            }
            Err(error) => failed(&error, &shutdown),
        }
        drop(ended);
    };
    if let Err(error) = std::thread::Builder::new().name(NAME.into()).spawn(serve) {
        failed(&error, &cancel);
    }
    let _ = end.await;
}

/// Better no process than one that seems to serve the webhook.
fn failed(error: &std::io::Error, shutdown: &CancellationToken) {
    tracing::error!(%error, "the webhook cannot be served");
    shutdown.cancel();
}
