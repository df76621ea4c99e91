//! Starting and stopping.

use crate::admission::{Admission, AdmissionError};
use crate::auth::Auth;
use crate::auth::bootstrap::{BootstrapError, OneTimeSecret, bootstrap_admin};
use crate::config::Config;
use crate::limit::Throttle;
use crate::listen::{ListenError, Listener};
use crate::state::{AppState, Clock, Random, Shared, SystemClock, SystemRandom};
use crate::work::{Work, WorkError};
use bartizan_store::{Store, StoreError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What there is to say once the server listens.
#[derive(Debug)]
pub struct Ready {
    /// Where it listens, with the real port where 0 was asked for.
    pub address: SocketAddr,
    /// What to type into a browser.
    pub url: String,
    /// On the first start: the administrator's one-time password. Show it once.
    pub first_secret: Option<OneTimeSecret>,
    /// Where the admission webhook listens, and its certificate authority.
    pub webhook: Option<(SocketAddr, Option<String>)>,
    /// What the server serves, for work in the same process.
    pub state: AppState,
}

/// Why the server cannot start; each variant says whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Configuration: address, port or TLS files.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Configuration: the admission webhook.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// Configuration or peer: the data folder, the database, the objects.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Configuration or damage: keys, frameworks, ledger.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The first administrator could not be made.
    #[error("the first administrator could not be made: {0}")]
    Bootstrap(#[from] BootstrapError),
}

/// The store's part of `config`.
pub fn store_config(config: &Config) -> bartizan_store::Config {
    let mut store = bartizan_store::Config::embedded(&config.data);
    if let Some(database) = &config.database {
        store.database.clone_from(database);
    }
    if let Some(objects) = &config.objects {
        store.objects.clone_from(objects);
    }
    store
}

/// Opens everything, listens, calls `ready`, and serves until `shutdown` is cancelled; then
/// lets requests and work end in order.
pub async fn serve(
    config: Config,
    ready: impl FnOnce(Ready),
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    crate::metrics::install();
    let mut config = config;
    let admission = config.admission.take();
    let audit = config.audit.take();
    let sync = config.sync.take();
    let watched = config.watched.take();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    // The socket first: a port in use should be told before anything is made.
    let listener = Listener::bind(&config).await?;
    let store = Store::open(&store_config(&config), clock.now()).await?;
    let limits = config.limits.clone();
    let url = match &config.public_url {
        Some(_) => config.public_url(),
        None => {
            let scheme = if config.tls.is_some() {
                "https"
            } else {
                "http"
            };
            format!("{scheme}://{}", listener.address())
        }
    };
    let (state, first_secret) = assemble(config, store, clock, random).await?;

    // Work outlives the listener: requests that drain may still wait for the sequencer.
    let work_shutdown = CancellationToken::new();
    let work = tokio::spawn(Work::run(state.clone(), work_shutdown.clone()));
    let chores = tokio::spawn(chores(state.clone(), work_shutdown.clone()));
    let watching = watched.map(|watched| {
        let (of, stop) = (Arc::clone(&watched), shutdown.clone());
        (watched, tokio::spawn(async move { of.run(stop).await }))
    });
    if let Some((watched, _)) = &watching {
        // Half a set of policies would let pass what the other half denies.
        watched.ready(&shutdown).await;
    }
    let webhook = match admission {
        Some(config) => Some(Admission::open(config, &state).await?),
        None => None,
    };
    let app = crate::route::router(state.clone());
    tracing::info!(address = %listener.address(), "listening");
    ready(Ready {
        address: listener.address(),
        url,
        first_secret,
        webhook: webhook.as_ref().map(|w| (w.address(), w.ca())),
        state: state.clone(),
    });
    let webhook = webhook.map(|w| tokio::spawn(w.run(state.clone(), shutdown.clone())));
    let audit = audit.map(|a| tokio::spawn(crate::audit::run(state.clone(), a, shutdown.clone())));
    let sync = sync.map(|s| tokio::spawn(crate::sync::run(state.clone(), s, shutdown.clone())));
    let (live, stopping) = (state.clone(), shutdown.clone());
    tokio::spawn(async move {
        stopping.cancelled().await;
        // Watchers would hold their connections open until they are cut off.
        live.work.decisions.close();
    });
    listener.run(app, &limits, shutdown).await;
    if let Some(Err(error)) = match webhook {
        Some(task) => Some(task.await),
        None => None,
    } {
        tracing::error!(%error, "the webhook ended badly");
    }
    if let Some(task) = audit
        && let Err(error) = task.await
    {
        tracing::error!(%error, "the audit ended badly");
    }
    if let Some(task) = sync
        && let Err(error) = task.await
    {
        tracing::error!(%error, "the work on feeds ended badly");
    }
    if let Some((_, task)) = watching
        && let Err(error) = task.await
    {
        tracing::error!(%error, "the watch of policies ended badly");
    }
    work_shutdown.cancel();
    for (task, name) in [(work, "work"), (chores, "chores")] {
        if let Err(error) = task.await {
            tracing::error!(%error, name, "a task ended badly");
        }
    }
    state.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The state of a server, and the first administrator where there was none. Tests call it
/// with their own clock.
pub async fn assemble(
    config: Config,
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<(AppState, Option<OneTimeSecret>), ServeError> {
    let first_secret = bootstrap_admin(&store, clock.as_ref(), random.as_ref()).await?;
    let work = Work::open(&config, &store, &clock, &random).await?;
    let state = AppState::new(Shared {
        auth: Auth::new(&config),
        throttle: Throttle::new(&config.limits),
        ask: crate::ask::Asker::new(config.data.join("ask"), config.embedding.clone()),
        config,
        store,
        work,
        clock,
        random,
    });
    Ok((state, first_secret))
}

/// Forgets what is over: rates, sessions, samples.
async fn chores(state: AppState, shutdown: CancellationToken) {
    const TICK: Duration = Duration::from_secs(5);
    const SWEEP_EVERY: u32 = 6;
    let mut tick: u32 = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.cancelled() => return,
        }
        crate::metrics::upkeep();
        tick = tick.wrapping_add(1);
        if !tick.is_multiple_of(SWEEP_EVERY) {
            continue;
        }
        state.throttle.sweep();
        state.auth.sweep();
        let now = state.now();
        let absolute = i64::try_from(state.config.sessions.absolute.as_secs()).unwrap_or(i64::MAX);
        state.auth.seen.sweep(now.plus_seconds(-absolute));
        if let Err(error) = state.store.sweep_credentials(now).await {
            tracing::warn!(%error, "ended sessions could not be removed");
        }
    }
}
