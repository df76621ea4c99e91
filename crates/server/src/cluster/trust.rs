//! The API server trusts the webhook: its authority stands in the webhook configurations, and is
//! put back when somebody takes it out.

use bartizan_cluster::{Cluster, Error, Name, WebhookKind, set_ca_bundle};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the configurations are looked at.
const LOOK: Duration = Duration::from_secs(15);
/// How soon after an error.
const AGAIN: Duration = Duration::from_secs(2);

/// Which configurations are ours.
#[derive(Clone)]
pub struct Trust {
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// Names of webhook configurations; each may be of either kind or of both.
    pub names: Vec<String>,
    /// The Secret by which replicas share one authority.
    pub secret: Option<Name>,
}

/// Keeps the authority there until `shutdown`. `authority` is asked each time: it may be renewed.
pub async fn keep(
    trust: Trust,
    authority: impl Fn() -> Option<String> + Send,
    shutdown: CancellationToken,
) {
    // Told once, not at each look.
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let mut wait = LOOK;
        if let Some(pem) = authority() {
            for name in &trust.names {
                let outcome = write(trust.cluster.as_ref(), name, &pem).await;
                match outcome {
                    Ok(true) => tracing::info!(%name, "the webhook configuration trusts us now"),
                    Ok(false) => {}
                    Err(error) => {
                        wait = AGAIN;
                        let why = error.to_string();
                        if said.insert(name.clone(), why.clone()) != Some(why.clone()) {
                            tracing::warn!(%name, %why, "the authority cannot be written into the webhook configuration");
                        }
                        continue;
                    }
                }
                said.remove(name);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// True when something was written. An error where no configuration of the name is there.
async fn write(cluster: &dyn Cluster, name: &str, pem: &str) -> Result<bool, Error> {
    let mut written = None;
    let mut missing = None;
    for kind in [WebhookKind::Validating, WebhookKind::Mutating] {
        match set_ca_bundle(cluster, kind, name, pem).await {
            Ok(changed) => written = Some(changed || written.unwrap_or_default()),
            // By least privilege a name is allowed in one of the two kinds alone.
            Err(error @ (Error::NotFound(_) | Error::Denied(_))) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (written, missing) {
        (Some(written), _) => Ok(written),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_cluster::fake::Fake;
    use serde_json::json;

    #[tokio::test]
    async fn a_name_of_either_kind_is_found() {
        let of = WebhookKind::Validating.resource();
        let fake = Fake::new(vec![of.clone()]);
        assert!(matches!(
            write(&fake, "ours", "pem").await,
            Err(Error::NotFound(_))
        ));
        let webhooks = json!([{"name": "a.b.c", "clientConfig": {}}]);
        let configuration = json!({"metadata": {"name": "ours"}, "webhooks": webhooks});
        fake.put(&of, configuration).unwrap();
        assert_eq!(write(&fake, "ours", "pem").await, Ok(true));
        assert_eq!(write(&fake, "ours", "pem").await, Ok(false));
        let now = fake.object(&of, &Name::of_cluster("ours")).unwrap();
        assert_eq!(now.value["webhooks"][0]["clientConfig"]["caBundle"], "cGVt");
    }
}
