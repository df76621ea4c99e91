//! The walk around a webhook: what the API server asks, and what it makes of the answers.

use crate::setup::{Real, until};
use crate::webhook::{Certificates, Webhook};
use bartizan_cluster::{Error, Name, Patch, Resource, WebhookKind, set_ca_bundle};
use serde_json::{Value, json};
use std::net::SocketAddr;

pub const CONFIGURATION: &str = "walk";

/// A configuration that installs the webhook for one namespace, by its address.
pub fn configuration(address: SocketAddr, failure: &str) -> Value {
    let hook = |name: &str, selector: Value, rules: Value| {
        json!({
            "name": name, "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 3,
            "failurePolicy": failure, "matchPolicy": "Equivalent",
            "clientConfig": {"url": format!("https://{}/v1/admit", address)},
            "namespaceSelector": selector, "rules": rules,
        })
    };
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": "walk"}});
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": CONFIGURATION},
        "webhooks": [hook("walk.bartizan.invalid", here, json!([{
            "apiGroups": ["*"], "apiVersions": ["*"], "scope": "*", "operations": ["CREATE", "UPDATE", "DELETE"],
            "resources": ["configmaps", "pods", "pods/ephemeralcontainers", "deployments", "deployments/scale", "namespaces"],
        }]))],
    })
}

pub fn config_map(name: &str, label: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "walk", "name": name, "labels": {label: "yes"}},
    })
    .to_string()
}

pub async fn trust(real: &Real, authority: &str) {
    let kind = WebhookKind::Validating;
    assert_eq!(
        set_ca_bundle(&*real.cluster, kind, CONFIGURATION, authority).await,
        Ok(true)
    );
}

/// The API server learns of a changed configuration a moment later.
pub async fn in_force(real: &Real) {
    until("the webhook is in force", async || {
        let tried = real.try_kubectl(
            &["create", "--dry-run=server", "-f", "-"],
            &config_map("probe", "deny"),
        );
        String::from_utf8_lossy(&tried.stderr).contains("it says deny")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn a_webhook_through_its_life() {
    let real = Real::new().await;
    let certificates = Certificates::new();
    let webhook = Webhook::start(&certificates).await;
    real.namespace("walk").await;
    real.apply(&configuration(webhook.address, "Fail"));
    trust(&real, &certificates.authority).await;
    in_force(&real).await;
    objects(&real, &webhook);
    subresources(&real, &webhook).await;

    // The server forgets nothing.
    real.restart().await;
    in_force(&real).await;

    rotation(&real, &webhook).await;
    drop(webhook);
    failures(&real).await;
    let webhook = Webhook::start(&certificates).await;
    real.apply(&configuration(webhook.address, "Ignore"));
    trust(&real, &certificates.authority).await;
    in_force(&real).await;
    deletion(&real, &webhook).await;
    real.kubectl(&["delete", "validatingwebhookconfiguration", CONFIGURATION]);
}

fn objects(real: &Real, webhook: &Webhook) {
    let create = ["create", "-f", "-"];
    let refused = real.refused(&create, &config_map("bad", "deny"));
    assert!(refused.contains("it says deny"), "{refused}");
    real.apply(&serde_json::from_str(&config_map("good", "keep")).unwrap());
    real.refused(
        &["-n", "walk", "label", "configmap", "good", "deny=yes"],
        "",
    );
    real.refused(&["-n", "walk", "delete", "configmap", "good"], "");
    webhook.take();

    real.kubectl(&[
        "-n",
        "walk",
        "create",
        "configmap",
        "dry",
        "--dry-run=server",
    ]);
    let asked = webhook.take();
    assert!(
        asked
            .iter()
            .any(|r| r["name"] == "dry" && r["dryRun"] == true),
        "{asked:?}"
    );
    real.refused(&["-n", "walk", "get", "configmap", "dry"], "");
}

async fn subresources(real: &Real, webhook: &Webhook) {
    let containers = json!([{"name": "c", "image": "example.invalid/c:1"}]);
    real.apply(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "walk", "name": "p"}, "spec": {"containers": containers},
    }));
    let pods = Resource::new("", "v1", "Pod", "pods", true);
    let debug = Patch::Merge(
        json!({"spec": {"ephemeralContainers": [{"name": "d", "image": "example.invalid/d:1"}]}}),
    );
    let tried = real
        .cluster
        .patch(
            &pods,
            &Name::within("walk", "p"),
            Some("ephemeralcontainers"),
            &debug,
        )
        .await;
    assert!(
        matches!(&tried, Err(Error::Denied(why)) if why.contains("no debugging")),
        "{tried:?}"
    );

    let labels = json!({"app": "d"});
    real.apply(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "walk", "name": "d"},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}},
    }));
    webhook.take();
    real.kubectl(&["-n", "walk", "scale", "deployment", "d", "--replicas=1"]);
    let refused = real.refused(
        &["-n", "walk", "scale", "deployment", "d", "--replicas=6"],
        "",
    );
    assert!(refused.contains("too many"), "{refused}");
    let asked = webhook.take();
    let scale = asked
        .iter()
        .find(|r| r["subResource"] == "scale")
        .expect("asked about scale");
    assert_eq!(scale["kind"]["kind"], "Scale");
    assert_eq!(scale["requestResource"]["resource"], "deployments");
}

async fn rotation(real: &Real, webhook: &Webhook) {
    let new = Certificates::new();
    webhook.rotate(&new);
    // Nobody trusts it yet, and the configuration says to fail.
    let refused = real.refused(&["create", "-f", "-"], &config_map("early", "x"));
    assert!(refused.contains("certificate"), "{refused}");
    trust(real, &new.authority).await;
    in_force(real).await;
    real.apply(&serde_json::from_str(&config_map("later", "x")).unwrap());
}

/// The webhook is gone: nothing passes under Fail, everything under Ignore.
pub async fn failures(real: &Real) {
    let refused = real.refused(&["create", "-f", "-"], &config_map("down", "deny"));
    assert!(refused.contains("failed calling webhook"), "{refused}");
    let ignore = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]);
    let name = Name::of_cluster(CONFIGURATION);
    let kind = WebhookKind::Validating.resource();
    real.cluster
        .patch(&kind, &name, None, &Patch::Json(ignore))
        .await
        .unwrap();
    until("failures are ignored", async || {
        real.try_kubectl(&["create", "-f", "-"], &config_map("down", "deny"))
            .status
            .success()
    })
    .await;
}

/// A namespace that is deleted takes its objects along; the webhook is asked about each.
async fn deletion(real: &Real, webhook: &Webhook) {
    webhook.take();
    real.kubectl(&["delete", "namespace", "walk", "--wait=false"]);
    // What may not be deleted keeps its namespace alive; behind the first such object of a kind the
    // API server asks about no others.
    until("the webhook is asked about what goes", async || {
        let asked = webhook.asked.lock().unwrap();
        // Objects of a collection come without `name`: who they are stands in `oldObject` alone.
        let deleted = |name: &str| {
            asked
                .iter()
                .any(|r| r["operation"] == "DELETE" && r["oldObject"]["metadata"]["name"] == name)
        };
        deleted("walk") && deleted("good") && deleted("d") && deleted("down")
    })
    .await;
    let phase = real.kubectl(&["get", "namespace", "walk", "-o", "jsonpath={.status.phase}"]);
    assert_eq!(phase, "Terminating");
    let there = real.kubectl(&["-n", "walk", "get", "configmaps", "-o", "name"]);
    assert!(there.contains("configmap/good"), "{there}");
    // Nobody is asked any more: the namespace goes.
    real.kubectl(&["delete", "validatingwebhookconfiguration", CONFIGURATION]);
    until("the namespace is gone", async || {
        !real
            .try_kubectl(&["get", "namespace", "walk"], "")
            .status
            .success()
    })
    .await;
    real.apply(&configuration(webhook.address, "Ignore"));
}
