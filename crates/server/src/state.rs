//! What every handler can reach.

use crate::config::Config;
use crate::work::Work;
use bartizan_model::Timestamp;
use bartizan_store::Act;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use bartizan_store::Store;

/// The clock. `server` and `cli` alone read it; tests set it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The source of random bytes, fit for secrets.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// The operating system's generator, through aws-lc.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // aws-lc aborts rather than return weak bytes; an error here cannot be survived
        // with a guessable secret, so the process ends.
        if aws_lc_rs::rand::fill(bytes).is_err() {
            tracing::error!("the system's random source failed");
            std::process::abort();
        }
    }
}

/// `N` random bytes.
pub fn random_bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// Shared state; cloning is cheap. Fields are reached directly: `state.store`.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppState")
    }
}

/// The fields of [`AppState`].
pub struct Shared {
    /// As started.
    pub config: Config,
    /// Database, objects and queue.
    pub store: Store,
    /// Keyring, ledger, frameworks, sequencer and workers: the domain half's own.
    pub work: Work,
    /// The index of records that questions are asked of.
    pub ask: crate::ask::Asker,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Random>,
    /// Passwords, sign-in throttles.
    pub auth: crate::auth::Auth,
    /// Request rates.
    pub throttle: crate::limit::Throttle,
}

impl AppState {
    /// Wraps the fields.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who does something now, for the store's audit entry: `state.act(caller.actor())`.
    pub fn act(&self, actor: impl Into<String>) -> Act {
        Act {
            at: self.now(),
            actor: actor.into(),
            salt: random_bytes(self.random.as_ref()),
        }
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
