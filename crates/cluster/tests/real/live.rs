//! Policies that live in the cluster: `bartizan serve --cluster-policies`, without any folder.

use crate::admission::{config_map, configuration};
use crate::bartizan::{CONSTRAINT, Server, TEMPLATE, binary};
use crate::setup::{Real, until};
use std::time::Instant;

/// The kinds of policies.
const KINDS: &str = include_str!("../../../../deploy/kubernetes/10-policies.yaml");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn policies_are_the_clusters_own() {
    let real = Real::new().await;
    let folder = tempfile::tempdir().unwrap();
    real.namespace("walk").await;
    real.kubectl_with(&["apply", "-f", "-"], KINDS);
    let kubeconfig = std::env::var("KUBECONFIG").unwrap();
    let more = [
        "--kubeconfig",
        &kubeconfig,
        "--cluster-policies",
        "--manage-crds",
        "--webhook-configuration",
        crate::admission::CONFIGURATION,
    ];
    let server = Server::start(&binary(), folder.path(), "127.0.0.1:0", &more);
    // Nobody writes the authority but the webhook itself.
    real.apply(&configuration(server.address, "Fail"));
    let dry = ["create", "--dry-run=server", "-f", "-"];
    until("the authority is in the configuration", async || {
        let tried = real.try_kubectl(&dry, &config_map("free", "deny"));
        tried.status.success()
    })
    .await;

    real.kubectl_with(&["apply", "-f", "-"], TEMPLATE);
    until("the template makes its kind", async || {
        let applied = real.try_kubectl(&["apply", "-f", "-"], CONSTRAINT);
        applied.status.success()
    })
    .await;
    let created = real.kubectl(&[
        "get",
        "constrainttemplate",
        "walkrules",
        "-o",
        "jsonpath={.status.created}",
    ]);
    assert_eq!(created, "true");
    let begun = Instant::now();
    until("the constraint is in force", async || {
        let tried = real.try_kubectl(&dry, &config_map("bad", "deny"));
        String::from_utf8_lossy(&tried.stderr).contains("it says deny")
    })
    .await;
    eprintln!("a new constraint was in force after {:?}", begun.elapsed());

    // What cannot be used is left out; what can be stays in force.
    let broken = TEMPLATE
        .replace("walkrules", "brokenrules")
        .replace("WalkRules", "BrokenRules")
        .replace("== \"yes\"", "== ");
    real.kubectl_with(&["apply", "-f", "-"], &broken);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    real.refused(&dry, &config_map("bad", "deny"));

    real.kubectl(&["delete", "walkrules", "walk"]);
    until("the constraint is gone", async || {
        let tried = real.try_kubectl(&dry, &config_map("bad", "deny"));
        tried.status.success()
    })
    .await;
    real.kubectl(&["delete", "constrainttemplate", "walkrules", "brokenrules"]);
    let configuration = crate::admission::CONFIGURATION;
    real.kubectl(&["delete", "validatingwebhookconfiguration", configuration]);
    real.kubectl(&["delete", "namespace", "walk", "--wait=false"]);
}
