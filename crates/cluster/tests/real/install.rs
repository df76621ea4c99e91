//! What is under `deploy/kubernetes`, installed with kubectl alone.

use crate::setup::{Real, until};
use serde_json::json;

/// Whether somebody may do something, as the API server sees it.
fn may(real: &Real, account: &str, question: &[&str]) -> bool {
    let account = format!("--as=system:serviceaccount:bartizan-system:{account}");
    let output = real.try_kubectl(&[&["auth", "can-i", &account], question].concat(), "");
    String::from_utf8_lossy(&output.stdout).trim() == "yes"
}

#[tokio::test]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn everything_is_installed_and_may_do_what_it_must_and_no_more() {
    let real = Real::new().await;
    let folder = real.repository().join("deploy/kubernetes");
    let apply = ["apply", "--validate=strict", "-f", folder.to_str().unwrap()];
    real.kubectl(&apply);
    let again = real.kubectl(&apply);
    assert!(!again.contains("created"), "{again}");

    definitions(&real).await;
    policies_as_people_have_them(&real);
    roles(&real);

    // The webhook itself cannot run here: there is no node. Its configurations let requests pass.
    let sample = ["create", "configmap", "passes", "-n", "default"];
    real.kubectl(&sample);
    real.kubectl(&["delete", "configmap", "passes", "-n", "default"]);
    // The guard of the label does not.
    real.kubectl(&["create", "namespace", "exempt"]);
    real.refused(
        &[
            "label",
            "namespace",
            "exempt",
            "admission.gatekeeper.sh/ignore=yes",
        ],
        "",
    );
    real.kubectl(&["delete", "--wait=false", "-f", folder.to_str().unwrap()]);
    real.kubectl(&["delete", "--wait=false", "namespace", "exempt"]);
}

/// The definitions are structural and served, each in every version.
async fn definitions(real: &Real) {
    let wanted = [
        (
            "templates.gatekeeper.sh",
            "ConstraintTemplate",
            &["v1", "v1beta1", "v1alpha1"][..],
        ),
        ("config.gatekeeper.sh", "Config", &["v1alpha1"]),
        ("syncset.gatekeeper.sh", "SyncSet", &["v1alpha1"]),
        (
            "expansion.gatekeeper.sh",
            "ExpansionTemplate",
            &["v1beta1", "v1alpha1"],
        ),
        (
            "externaldata.gatekeeper.sh",
            "Provider",
            &["v1beta1", "v1alpha1"],
        ),
        (
            "mutations.gatekeeper.sh",
            "Assign",
            &["v1", "v1beta1", "v1alpha1"],
        ),
        (
            "mutations.gatekeeper.sh",
            "AssignMetadata",
            &["v1", "v1beta1", "v1alpha1"],
        ),
        (
            "mutations.gatekeeper.sh",
            "ModifySet",
            &["v1", "v1beta1", "v1alpha1"],
        ),
        ("mutations.gatekeeper.sh", "AssignImage", &["v1alpha1"]),
        (
            "policy.sigstore.dev",
            "ClusterImagePolicy",
            &["v1beta1", "v1alpha1"],
        ),
        ("policy.sigstore.dev", "TrustRoot", &["v1alpha1"]),
    ];
    until("all kinds are served", async || {
        let found = real.cluster.discover().await.unwrap();
        wanted.iter().all(|(group, kind, versions)| {
            versions
                .iter()
                .all(|v| found.find_at(group, v, kind).is_some())
        })
    })
    .await;
    let conditions = r#"jsonpath={range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="NonStructuralSchema")].status}{"\n"}{end}"#;
    let unsound = real.kubectl(&["get", "crd", "-o", conditions]);
    assert!(!unsound.contains("True"), "{unsound}");
}

/// Every template that we ship is taken as it is.
fn policies_as_people_have_them(real: &Real) {
    let mut templates = 0;
    for entry in std::fs::read_dir(real.repository().join("content/policies")).unwrap() {
        let template = entry.unwrap().path().join("template.yaml");
        if template.is_file() {
            real.kubectl(&[
                "apply",
                "--dry-run=server",
                "--validate=strict",
                "-f",
                template.to_str().unwrap(),
            ]);
            templates += 1;
        }
    }
    assert!(templates >= 10, "{templates} templates");
    real.apply(&json!({
        "apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": "pull-always"},
        "spec": {
            "applyTo": [{"groups": [""], "kinds": ["Pod"], "versions": ["v1"]}],
            "match": {"scope": "Namespaced", "kinds": [{"apiGroups": ["*"], "kinds": ["Pod"]}],
                "excludedNamespaces": ["kube-*"], "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}},
            "location": "spec.containers[name:*].imagePullPolicy",
            "parameters": {"assign": {"value": "Always"}, "pathTests": [{"subPath": "spec.containers", "condition": "MustExist"}]},
        },
    }));
    let value = "jsonpath={.spec.parameters.assign.value}";
    assert_eq!(
        real.kubectl(&["get", "assign", "pull-always", "-o", value]),
        "Always"
    );
}

fn roles(real: &Real) {
    let webhook = |question: &[&str]| may(real, "bartizan-admission", question);
    let here = "--namespace=bartizan-system";
    for question in [
        &["list", "constrainttemplates.templates.gatekeeper.sh"][..],
        &["watch", "assign.mutations.gatekeeper.sh"],
        &["watch", "namespaces"],
        &["watch", "clusterimagepolicies.policy.sigstore.dev"],
        &[
            "patch",
            "constrainttemplates.templates.gatekeeper.sh",
            "--subresource=status",
        ],
        &["create", "customresourcedefinitions"],
        &[
            "patch",
            "validatingwebhookconfigurations/bartizan-validation",
        ],
        &["patch", "mutatingwebhookconfigurations/bartizan-mutation"],
        &["update", "leases/bartizan-admission", here],
        &["get", "secrets/bartizan-authority", here],
    ] {
        assert!(webhook(question), "must be allowed: {question:?}");
    }
    for question in [
        &["get", "secrets", "--namespace=default"][..],
        &["list", "secrets", here],
        &["get", "secrets/other", here],
        &["list", "pods", "-A"],
        &["create", "pods", here],
        &["patch", "constrainttemplates.templates.gatekeeper.sh"],
        &["delete", "customresourcedefinitions"],
        &["patch", "validatingwebhookconfigurations/another"],
        &["create", "validatingwebhookconfigurations"],
        &["impersonate", "users"],
        &["create", "clusterrolebindings"],
    ] {
        assert!(!webhook(question), "must not be allowed: {question:?}");
    }
    assert!(may(real, "bartizan-audit", &["list", "pods", "-A"]));
    for verb in ["create", "update", "patch", "delete"] {
        assert!(
            !may(real, "bartizan-audit", &[verb, "pods", "-A"]),
            "{verb}"
        );
    }
}
