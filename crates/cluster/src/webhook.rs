//! The certificate that an API server trusts when it calls our webhook.

use crate::{Cluster, Error, Name, Patch, Resource};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Which of the two kinds of webhook configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookKind {
    /// `MutatingWebhookConfiguration`
    Mutating,
    /// `ValidatingWebhookConfiguration`
    Validating,
}

impl WebhookKind {
    /// Where such configurations are.
    pub fn resource(self) -> Resource {
        let (kind, plural) = match self {
            Self::Mutating => (
                "MutatingWebhookConfiguration",
                "mutatingwebhookconfigurations",
            ),
            Self::Validating => (
                "ValidatingWebhookConfiguration",
                "validatingwebhookconfigurations",
            ),
        };
        Resource::new("admissionregistration.k8s.io", "v1", kind, plural, false)
    }
}

/// The operations that make every webhook of the configuration trust these certificates (PEM), and
/// change nothing else; none when it does already. They fail if the configuration changed meanwhile.
pub fn ca_bundle_patch(configuration: &Value, pem: &str) -> Option<Value> {
    let wanted = STANDARD.encode(pem);
    let webhooks = configuration.get("webhooks")?.as_array()?;
    let mut operations = Vec::new();
    for (at, webhook) in webhooks.iter().enumerate() {
        if webhook
            .pointer("/clientConfig/caBundle")
            .and_then(Value::as_str)
            != Some(&wanted)
        {
            operations.push(json!({
                "op": "add", "path": format!("/webhooks/{at}/clientConfig/caBundle"), "value": wanted,
            }));
        }
    }
    if operations.is_empty() {
        return None;
    }
    if let Some(version) = configuration.pointer("/metadata/resourceVersion") {
        operations.insert(
            0,
            json!({"op": "test", "path": "/metadata/resourceVersion", "value": version}),
        );
    }
    Some(Value::Array(operations))
}

/// Makes a webhook configuration trust these certificates (PEM). True when it had to be changed.
/// It needs the verbs `get` and `patch` on that one object and no others.
pub async fn set_ca_bundle(
    cluster: &dyn Cluster,
    kind: WebhookKind,
    name: &str,
    pem: &str,
) -> Result<bool, Error> {
    let (resource, name) = (kind.resource(), Name::of_cluster(name));
    let mut tries = 5;
    loop {
        let there = cluster.get(&resource, &name).await?;
        let Some(operations) = ca_bundle_patch(&there.value, pem) else {
            return Ok(false);
        };
        match cluster
            .patch(&resource, &name, None, &Patch::Json(operations))
            .await
        {
            Ok(_) => return Ok(true),
            // Somebody was faster: a failed test is a 422.
            Err(Error::Conflict(_) | Error::Rejected { code: 422, .. }) if tries > 1 => tries -= 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn configuration() -> Value {
        json!({"metadata": {"name": "b"}, "webhooks": [
            {"name": "a.b.c", "clientConfig": {"service": {"name": "s", "namespace": "n"}}},
            {"name": "d.b.c", "clientConfig": {"caBundle": STANDARD.encode("PEM")}},
        ]})
    }

    #[test]
    fn only_what_differs_is_changed() {
        let patch = ca_bundle_patch(&configuration(), "PEM").unwrap();
        assert_eq!(patch.as_array().unwrap().len(), 1);
        assert_eq!(patch[0]["path"], "/webhooks/0/clientConfig/caBundle");
        assert_eq!(ca_bundle_patch(&json!({}), "PEM"), None);
    }

    #[tokio::test]
    async fn it_is_written_once() {
        let resource = WebhookKind::Validating.resource();
        let fake = Fake::new(vec![resource.clone()]);
        fake.put(&resource, configuration()).unwrap();
        let set = async |pem| set_ca_bundle(&fake, WebhookKind::Validating, "b", pem).await;
        assert_eq!(set("PEM").await, Ok(true));
        assert_eq!(set("PEM").await, Ok(false));
        assert_eq!(set("NEW").await, Ok(true));
        let there = fake.get(&resource, &Name::of_cluster("b")).await.unwrap();
        for at in 0..2 {
            assert_eq!(
                there.value["webhooks"][at]["clientConfig"]["caBundle"],
                STANDARD.encode("NEW")
            );
        }
        let missing = set_ca_bundle(&fake, WebhookKind::Mutating, "x", "PEM").await;
        assert!(matches!(missing, Err(Error::NotFound(_))));
    }
}
