//! Where the webhook's policies come from, and when they change.

use super::{
    Config, GENERATION, GK_CONSTRAINTS, GK_TEMPLATES, LOADS, UNUSED_EXCEPTIONS, http, pool::Pool,
    pool::aside,
};
use crate::state::AppState;
use bartizan_model::Digest;
use bartizan_policy::{Images, Library, Point, Providers, World};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_util::sync::CancellationToken;

/// A source of policies; `cli` reads folders, a cluster's watch may be another.
pub trait Policies: Send + Sync {
    /// Something that differs when the policies may differ; cheap.
    fn fingerprint(&self) -> u64;

    /// Reads everything. An error is told and leaves the set that judges in force.
    fn load(&self) -> Result<Loaded, String>;
}

/// Policies, and what they may know of the cluster.
#[derive(Clone)]
pub struct Loaded {
    /// Templates, constraints, exceptions, Config.
    pub library: Library,
    /// Namespaces and inventory.
    pub world: Arc<World>,
    /// Who is asked for external data; without, policies that ask for it cannot be told.
    pub providers: Option<Arc<dyn Providers + Send + Sync>>,
    /// Who judges images by their signatures; without, no image is asked for.
    pub images: Option<Arc<dyn Images + Send + Sync>>,
}

/// The policies by which this process judges, in one place for all who look.
#[derive(Default)]
pub struct InForce(RwLock<Option<Loaded>>);

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InForce")
    }
}

impl InForce {
    /// From now on it judges by these.
    pub(crate) fn set(&self, loaded: &Loaded) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded.clone());
    }

    /// What tells them from others.
    pub fn digest(&self) -> Option<Digest> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|loaded| loaded.library.digest())
    }

    /// None where this process serves no webhook.
    pub fn get(&self) -> Option<Loaded> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }
}

/// Reads on a thread of its own.
pub(super) async fn load(config: &Config) -> Result<Loaded, String> {
    let source = Arc::clone(&config.policies);
    aside(move || source.load())
        .await
        .unwrap_or_else(|| Err("reading the policies ended badly".to_owned()))
}

/// Says what is in force now.
pub(super) fn tell(loaded: &Loaded, pool: &Pool) {
    let library = &loaded.library;
    metrics::counter!(LOADS, "outcome" => "ok").increment(1);
    metrics::gauge!(GENERATION).set(pool.generation() as f64);
    let refused = library.refused();
    metrics::gauge!(GK_TEMPLATES, "status" => "error").set(refused as f64);
    let active = library.all_checks().len().saturating_sub(refused);
    metrics::gauge!(GK_TEMPLATES, "status" => "active").set(active as f64);
    for ((action, status), count) in library.constraint_counts() {
        metrics::gauge!(GK_CONSTRAINTS, "enforcement_action" => action, "status" => status)
            .set(count as f64);
    }
    for (kind, status, count) in library.native_counts() {
        metrics::gauge!(super::NATIVE_POLICIES, "kind" => kind, "status" => status)
            .set(count as f64);
    }
    for notice in library.notices() {
        tracing::warn!(file = %notice.file, line = notice.line, "{}", notice.text);
    }
    tracing::info!(
        generation = pool.generation(),
        policies = %library.digest(),
        constraints = library.constraints_at(Point::Webhook),
        image_policies = library.image_policies().len(),
        "the webhook judges by these policies"
    );
}

/// Looks at the source and swaps what has changed.
pub(super) async fn watch(
    state: AppState,
    shared: Arc<http::Shared>,
    config: Config,
    shutdown: CancellationToken,
) {
    let mut seen = config.policies.fingerprint();
    let mut failed = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(config.look) => {}
            () = shutdown.cancelled() => return,
        }
        metrics::gauge!(super::ACTIVE).set(shared.pool.active() as f64);
        if let Some(loaded) = state.work.in_force.get() {
            let unused = loaded.library.unused_exceptions(state.now()).len();
            metrics::gauge!(UNUSED_EXCEPTIONS).set(unused as f64);
        }
        let source = Arc::clone(&config.policies);
        let Ok(found) = tokio::task::spawn_blocking(move || source.fingerprint()).await else {
            continue;
        };
        if found == seen {
            continue;
        }
        match load(&config).await {
            Ok(mut loaded) => {
                if let Some(before) = state.work.in_force.get() {
                    loaded.library = loaded.library.continuing(&before.library);
                }
                seen = found;
                let before = shared.pool.generation();
                failed = None;
                let (at, with, now) = (Arc::clone(&shared), loaded.clone(), state.now());
                let compiled = aside(move || at.pool.replace(&with, now));
                if compiled.await.is_some() {
                    if shared.pool.generation() != before {
                        tell(&loaded, &shared.pool);
                    }
                    state.work.in_force.set(&loaded);
                } else {
                    metrics::counter!(LOADS, "outcome" => "failed").increment(1);
                    tracing::error!(
                        "compiling the policies ended badly: the old ones stay in force"
                    );
                }
            }
            // Tried again at every look, told once.
            Err(why) if failed == Some(found) => drop(why),
            Err(why) => {
                failed = Some(found);
                metrics::counter!(LOADS, "outcome" => "failed").increment(1);
                tracing::error!(%why, "changed policies cannot be used: the old ones stay in force");
            }
        }
    }
}
