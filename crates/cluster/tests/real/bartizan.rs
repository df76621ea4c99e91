//! The same walk around the real webhook: `bartizan serve --role admission`, asked by a real API
//! server. The binary is the one beside this test, or `BARTIZAN_BIN`.

use crate::admission::{CONFIGURATION, config_map, configuration, failures, in_force, trust};
use crate::setup::{Real, until};
use crate::webhook::Certificates;
use bartizan_cluster::{Error, Name, Patch, Resource};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub const TEMPLATE: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: walkrules}
spec:
  crd: {spec: {names: {kind: WalkRules}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package walkrules
        violation[{"msg": "it says deny"}] {
          input.review.operation != "DELETE"
          input.review.object.metadata.labels.deny == "yes"
        }
        violation[{"msg": "it says keep"}] {
          input.review.operation == "DELETE"
          input.review.oldObject.metadata.labels.keep == "yes"
        }
        violation[{"msg": "too many"}] {
          input.review.kind.kind == "Scale"
          input.review.object.spec.replicas > 5
        }
        violation[{"msg": "no debugging"}] {
          input.review.object.spec.ephemeralContainers[_]
        }
"#;

pub const CONSTRAINT: &str = r#"
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: WalkRules
metadata: {name: walk}
spec:
  match: {namespaces: [walk]}
"#;

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts the webhook and waits until it is ready.
    pub fn start(binary: &Path, folder: &Path, listen: &str, more: &[&str]) -> Self {
        let mut child = Command::new(binary)
            .args(["serve", "--role", "admission", "--listen", "127.0.0.1:0"])
            .args(["--admission-name", "127.0.0.1", "--admission-look", "200"])
            .args(["--admission-listen", listen])
            .arg("--data")
            .arg(folder.join("data"))
            .args(policies(folder))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = None;
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some(found) = line.trim().strip_prefix("Webhook: https://") {
                address = Some(found.parse().unwrap());
            }
            if line.starts_with("Ready") {
                break;
            }
        }
        // What it prints later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address: address.expect("the webhook's address"),
        }
    }
}

/// The folder of policies, where there is one.
fn policies(folder: &Path) -> Vec<std::ffi::OsString> {
    let policies = folder.join("policies");
    match policies.is_dir() {
        true => vec!["--admission-policies".into(), policies.into()],
        false => Vec::new(),
    }
}

/// The binary. One that is too old to have a webhook fails the test: it must not pass unasked.
pub fn binary() -> PathBuf {
    let beside = || {
        let test = std::env::current_exe().unwrap();
        test.parent().unwrap().parent().unwrap().join("bartizan")
    };
    let path = std::env::var_os("BARTIZAN_BIN").map_or_else(beside, PathBuf::from);
    let help = Command::new(&path).args(["serve", "--help"]).output();
    let help = help.unwrap_or_else(|e| panic!("{}: {e}; make build", path.display()));
    let has = String::from_utf8_lossy(&help.stdout).contains("--cluster-policies");
    assert!(has, "{} is too old; make build", path.display());
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn bartizans_webhook_through_its_life() {
    let real = Real::new().await;
    let binary = binary();
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("template.yaml"), TEMPLATE).unwrap();
    std::fs::write(policies.join("constraint.yaml"), CONSTRAINT).unwrap();
    real.namespace("walk").await;

    // With the authority that it makes.
    let server = Server::start(&binary, folder.path(), "127.0.0.1:0", &[]);
    let address = server.address;
    real.apply(&configuration(address, "Fail"));
    let made = std::fs::read_to_string(folder.path().join("data/admission/ca.pem")).unwrap();
    trust(&real, &made).await;
    in_force(&real).await;
    objects(&real);
    subresources(&real).await;
    changed_policies(&real, &policies).await;
    real.restart().await;
    in_force(&real).await;

    // Down, under both settings; the second lets an object pass that it would have denied.
    drop(server);
    failures(&real).await;

    // Back on the same address, with certificates that are given and change while it runs.
    let given = |certificates: &Certificates| {
        std::fs::write(folder.path().join("chain.pem"), &certificates.chain).unwrap();
        std::fs::write(folder.path().join("key.pem"), &certificates.key).unwrap();
    };
    let (first, second) = (Certificates::new(), Certificates::new());
    given(&first);
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let more = [
        "--admission-cert",
        &file("chain.pem"),
        "--admission-key",
        &file("key.pem"),
    ];
    let listen = address.to_string();
    let _server = Server::start(&binary, folder.path(), &listen, &more);
    trust(&real, &first.authority).await;
    in_force(&real).await;
    given(&second);
    trust(&real, &format!("{}{}", first.authority, second.authority)).await;
    in_force(&real).await;
    trust(&real, &second.authority).await;
    in_force(&real).await;

    deletion(&real).await;
}

fn objects(real: &Real) {
    let refused = real.refused(&["create", "-f", "-"], &config_map("bad", "deny"));
    assert!(refused.contains("it says deny"), "{refused}");
    assert!(refused.contains("[walk]"), "which constraint: {refused}");
    real.apply(&serde_json::from_str(&config_map("good", "keep")).unwrap());
    let refused = real.refused(
        &["-n", "walk", "label", "configmap", "good", "deny=yes"],
        "",
    );
    assert!(refused.contains("it says deny"), "{refused}");
    let refused = real.refused(&["-n", "walk", "delete", "configmap", "good"], "");
    assert!(refused.contains("it says keep"), "{refused}");
    let dry = ["create", "--dry-run=server", "-f", "-"];
    real.refused(&dry, &config_map("dry", "deny"));
    // Other namespaces are not the constraint's.
    real.kubectl(&["-n", "default", "create", "configmap", "free"]);
    real.kubectl(&["-n", "default", "label", "configmap", "free", "deny=yes"]);
    real.kubectl(&["-n", "default", "delete", "configmap", "free"]);
}

async fn subresources(real: &Real) {
    let containers = json!([{"name": "c", "image": "example.invalid/c:1"}]);
    real.apply(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "walk", "name": "p"},
        "spec": {"containers": containers},
    }));
    let pods = Resource::new("", "v1", "Pod", "pods", true);
    let debug =
        json!({"spec": {"ephemeralContainers": [{"name": "d", "image": "example.invalid/d:1"}]}});
    let (name, debug) = (Name::within("walk", "p"), Patch::Merge(debug));
    let tried = real
        .cluster
        .patch(&pods, &name, Some("ephemeralcontainers"), &debug)
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
    real.kubectl(&["-n", "walk", "scale", "deployment", "d", "--replicas=1"]);
    let refused = real.refused(
        &["-n", "walk", "scale", "deployment", "d", "--replicas=6"],
        "",
    );
    assert!(refused.contains("too many"), "{refused}");
}

/// A changed policy is in force soon, without a request that nobody answers in between.
async fn changed_policies(real: &Real, policies: &Path) {
    let warning = CONSTRAINT.replace("spec:\n", "spec:\n  enforcementAction: warn\n");
    std::fs::write(policies.join("constraint.yaml"), warning).unwrap();
    let dry = ["create", "--dry-run=server", "-f", "-"];
    until("the constraint only warns", async || {
        let tried = real.try_kubectl(&dry, &config_map("warned", "deny"));
        let said = String::from_utf8_lossy(&tried.stderr);
        assert!(!said.contains("failed calling"), "{said}");
        tried.status.success() && said.contains("Warning") && said.contains("it says deny")
    })
    .await;
    std::fs::write(policies.join("constraint.yaml"), CONSTRAINT).unwrap();
    in_force(real).await;
}

async fn deletion(real: &Real) {
    real.kubectl(&["delete", "namespace", "walk", "--wait=false"]);
    until("the deployment is gone", async || {
        !real
            .try_kubectl(&["-n", "walk", "get", "deployment", "d"], "")
            .status
            .success()
    })
    .await;
    let there = real.kubectl(&["-n", "walk", "get", "configmaps", "-o", "name"]);
    assert!(there.contains("configmap/good"), "{there}");
    real.kubectl(&["delete", "validatingwebhookconfiguration", CONFIGURATION]);
    until("the namespace is gone", async || {
        !real
            .try_kubectl(&["get", "namespace", "walk"], "")
            .status
            .success()
    })
    .await;
}
