//! Requests of the API server, answered as Kubernetes' own admission answers them.
//!
//! Pods are refused where they fail the standard that their namespace enforces. Workloads are
//! never refused for their template: what it fails is audited and warned of. A namespace whose
//! labels become stricter gets a warning that names Pods which would not be let in now.

use super::labels::Policy;
use super::levels::Standard;
use super::pod::{Container, Pod};
use super::{Failed, judge, namespace, violates, would_violate};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub use super::configuration::Configuration;

/// What the API server asks.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// API group of the resource; empty for the core group.
    pub group: &'a str,
    /// Such as `pods`.
    pub resource: &'a str,
    /// Such as `ephemeralcontainers`; empty for the object itself.
    pub subresource: &'a str,
    /// `CREATE`, `UPDATE`, …
    pub operation: &'a str,
    /// The namespace; for a namespace its own name.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// Who asks.
    pub user: &'a str,
    /// The object as it would be.
    pub object: &'a Value,
    /// The object as it is.
    pub old_object: &'a Value,
}

/// What is known of the cluster.
pub trait Cluster {
    /// The labels of a namespace; none when they could not be had.
    fn labels(&self, namespace: &str) -> Option<Map<String, Value>>;

    /// The Pods of a namespace; none when they could not be had.
    fn pods(&self, namespace: &str) -> Option<Vec<Value>>;
}

/// What the API server is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// Why the request is refused; none when it is not.
    pub refused: Option<Refusal>,
    /// Shown to whoever asked.
    pub warnings: Vec<String>,
    /// For the audit log.
    pub audit: BTreeMap<&'static str, String>,
    /// What the Pod fails of what is enforced.
    pub failed: Vec<Failed>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: u16,
    /// The message.
    pub message: String,
}

impl Response {
    pub(super) fn refuse(code: u16, message: String) -> Self {
        let refused = Some(Refusal { code, message });
        Self {
            refused,
            ..Self::default()
        }
    }

    pub(super) fn note(mut self, key: &'static str, text: impl Into<String>) -> Self {
        self.audit.insert(key, text.into());
        self
    }

    fn error(code: u16, message: &str) -> Self {
        Self::refuse(code, message.to_owned()).note("error", message)
    }
}

/// Resources other than Pods that have a Pod's template, and where.
const TEMPLATES: [(&str, &str, &str); 8] = [
    ("", "podtemplates", "/template"),
    ("", "replicationcontrollers", "/spec/template"),
    ("apps", "daemonsets", "/spec/template"),
    ("apps", "deployments", "/spec/template"),
    ("apps", "replicasets", "/spec/template"),
    ("apps", "statefulsets", "/spec/template"),
    ("batch", "cronjobs", "/spec/jobTemplate/spec/template"),
    ("batch", "jobs", "/spec/template"),
];

/// Subresources of Pods that change nothing the standards look at.
const HARMLESS: [&str; 8] = [
    "exec",
    "attach",
    "binding",
    "eviction",
    "log",
    "portforward",
    "proxy",
    "status",
];

/// Answers a request.
pub fn decide(config: &Configuration, cluster: &dyn Cluster, request: &Request<'_>) -> Response {
    match (request.group, request.resource) {
        ("", "namespaces") => namespace::decide(config, cluster, request),
        ("", "pods") => pod(config, cluster, request),
        (group, resource) => {
            let found = TEMPLATES
                .iter()
                .find(|(g, r, _)| (*g, *r) == (group, resource));
            match found {
                Some((_, _, place)) if request.subresource.is_empty() => {
                    workload(config, cluster, request, place)
                }
                _ => Response::default(),
            }
        }
    }
}

fn exempt(config: &Configuration, request: &Request<'_>) -> Option<Response> {
    let is = |list: &[String], what: &str| !what.is_empty() && list.iter().any(|l| l == what);
    if is(&config.namespaces, request.namespace) {
        return Some(Response::default().note("exempt", "namespace"));
    }
    is(&config.users, request.user).then(|| Response::default().note("exempt", "user"))
}

fn pod(config: &Configuration, cluster: &dyn Cluster, request: &Request<'_>) -> Response {
    if HARMLESS.contains(&request.subresource) {
        return Response::default();
    }
    if let Some(response) = exempt(config, request) {
        return response;
    }
    let Some(labels) = cluster.labels(request.namespace) else {
        return Response::error(500, &lookup(request.namespace));
    };
    let (policy, faults) = Policy::of_labels(&labels, &config.defaults);
    if faults.is_empty() && policy.is_privileged() {
        return Response::default().note("enforce-policy", Standard::PRIVILEGED.to_string());
    }
    if !request.object.is_object() {
        return Response::error(400, "failed to decode object");
    }
    if request.operation == "UPDATE" && !changes(request.old_object, request.object) {
        return Response::default();
    }
    let null = &Value::Null;
    let part = |name: &str| request.object.get(name).unwrap_or(null);
    evaluate(
        config,
        &policy,
        &faults,
        (part("metadata"), part("spec")),
        request,
        true,
    )
}

fn workload(
    config: &Configuration,
    cluster: &dyn Cluster,
    request: &Request<'_>,
    place: &str,
) -> Response {
    if let Some(response) = exempt(config, request) {
        return response;
    }
    let Some(labels) = cluster.labels(request.namespace) else {
        return Response::default().note("error", lookup(request.namespace));
    };
    let (policy, faults) = Policy::of_labels(&labels, &config.defaults);
    let silent = Policy {
        enforce: Standard::PRIVILEGED,
        ..policy
    };
    if faults.is_empty() && silent.is_privileged() {
        return Response::default();
    }
    if !request.object.is_object() {
        return Response::default().note("error", "failed to decode object");
    }
    let template = match request.object.pointer(place) {
        Some(Value::Object(template)) => template,
        // Only a ReplicationController may be without.
        Some(Value::Null) | None if request.resource == "replicationcontrollers" => {
            return Response::default();
        }
        Some(Value::Null) | None => &Map::new(),
        Some(_) => return Response::default().note("error", "failed to decode object"),
    };
    let null = &Value::Null;
    let part = |name: &str| template.get(name).unwrap_or(null);
    evaluate(
        config,
        &policy,
        &faults,
        (part("metadata"), part("spec")),
        request,
        false,
    )
}

fn evaluate(
    config: &Configuration,
    policy: &Policy,
    faults: &[String],
    (metadata, spec): (&Value, &Value),
    request: &Request<'_>,
    enforce: bool,
) -> Response {
    let class = spec
        .get("runtimeClassName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !class.is_empty() && config.runtime_classes.iter().any(|c| c == class) {
        return Response::default().note("exempt", "runtimeClass");
    }
    let fails = |s: Standard| judge(s.level, s.version, metadata, spec);
    let mut response = Response::default();
    if enforce {
        let failed = fails(policy.enforce);
        if !failed.is_empty() {
            let why = violates(policy.enforce, &failed);
            let (resource, name) = (request.resource, request.name);
            response = Response::refuse(403, format!("{resource} \"{name}\" is forbidden: {why}"));
        }
        response.failed = failed;
        response = response.note("enforce-policy", policy.enforce.to_string());
    }
    if !faults.is_empty() {
        response = response.note(
            "error",
            format!("Failed to parse policy: {}", aggregate(faults)),
        );
    }
    let audited = fails(policy.audit);
    if !audited.is_empty() {
        response = response.note("audit-violations", would_violate(policy.audit, &audited));
    }
    if response.refused.is_none() {
        let warned = fails(policy.warn);
        if !warned.is_empty() {
            response.warnings.push(would_violate(policy.warn, &warned));
        }
    }
    response
}

/// One fault as it is, several in brackets.
pub(super) fn aggregate(faults: &[String]) -> String {
    match faults {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

fn lookup(namespace: &str) -> String {
    format!("failed to lookup namespace \"{namespace}\"")
}

/// Whether an update changes what the standards look at: of what may be changed in a Pod, images
/// and the ephemeral containers. What cannot be read counts as changed.
fn changes(old: &Value, new: &Value) -> bool {
    let null = &Value::Null;
    let (Ok(old), Ok(new)) = (
        Pod::read(null, old.get("spec").unwrap_or(null)),
        Pod::read(null, new.get("spec").unwrap_or(null)),
    ) else {
        return true;
    };
    let differ = |a: &[Container<'_>], b: &[Container<'_>]| {
        a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.image != b.image)
    };
    if differ(&old.spec.containers, &new.spec.containers)
        || differ(&old.spec.init_containers, &new.spec.init_containers)
    {
        return true;
    }
    new.spec.ephemeral_containers.iter().any(|new| {
        let before = old
            .spec
            .ephemeral_containers
            .iter()
            .find(|old| old.name == new.name);
        before.is_none_or(|old| old.image != new.image)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Fixed(Option<Value>);

    impl Cluster for Fixed {
        fn labels(&self, _: &str) -> Option<Map<String, Value>> {
            let labels = self.0.as_ref()?.as_object()?;
            let named = |k: &String| format!("{}{k}", super::super::labels::PREFIX);
            Some(labels.iter().map(|(k, v)| (named(k), v.clone())).collect())
        }

        fn pods(&self, _: &str) -> Option<Vec<Value>> {
            None
        }
    }

    fn asked<'a>(resource: &'a str, object: &'a Value) -> Request<'a> {
        Request {
            group: match resource {
                "deployments" => "apps",
                _ => "",
            },
            resource,
            subresource: "",
            operation: "CREATE",
            namespace: "shop",
            name: "web",
            user: "ann",
            object,
            old_object: &Value::Null,
        }
    }

    fn answer(labels: Value, request: &Request<'_>) -> Response {
        decide(&Configuration::default(), &Fixed(Some(labels)), request)
    }

    fn bad() -> Value {
        json!({"spec": {"hostPID": true, "containers": [{"name": "a", "image": "x"}]}})
    }

    #[test]
    fn pods_are_refused() {
        let pod = bad();
        let got = answer(
            json!({"enforce": "baseline", "audit": "restricted"}),
            &asked("pods", &pod),
        );
        let refusal = got.refused.unwrap();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (
                403,
                "pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": \
                 host namespaces (hostPID=true)"
            )
        );
        assert_eq!(got.audit["enforce-policy"], "baseline:latest");
        assert!(
            got.audit["audit-violations"].starts_with("would violate PodSecurity \"restricted:l")
        );
        assert!(got.warnings.is_empty());
    }

    #[test]
    fn workloads_are_warned_of_only() {
        let deployment = json!({"spec": {"template": bad()}});
        let got = answer(
            json!({"enforce": "baseline"}),
            &asked("deployments", &deployment),
        );
        assert_eq!(got.refused, None);
        assert_eq!(
            got.warnings,
            ["would violate PodSecurity \"baseline:latest\": host namespaces (hostPID=true)"]
        );
        let broken = json!({"spec": {"template": 7}});
        let got = answer(
            json!({"enforce": "baseline"}),
            &asked("deployments", &broken),
        );
        assert_eq!(got.audit["error"], "failed to decode object");
    }

    #[test]
    fn exemptions_are_noted() {
        let mut pod = bad();
        pod["spec"]["runtimeClassName"] = json!("vm");
        let labels = Fixed(Some(json!({"enforce": "baseline"})));
        for (config, why) in [
            (
                Configuration {
                    users: vec!["ann".into()],
                    ..Default::default()
                },
                "user",
            ),
            (
                Configuration {
                    namespaces: vec!["shop".into()],
                    ..Default::default()
                },
                "namespace",
            ),
            (
                Configuration {
                    runtime_classes: vec!["vm".into()],
                    ..Default::default()
                },
                "runtimeClass",
            ),
        ] {
            let got = decide(&config, &labels, &asked("pods", &pod));
            assert_eq!((got.refused, got.audit["exempt"].as_str()), (None, why));
        }
    }

    #[test]
    fn updates_count_where_they_change_something() {
        let (old, mut labelled, mut new) = (bad(), bad(), bad());
        labelled["metadata"] = json!({"labels": {"a": "b"}});
        new["spec"]["containers"][0]["image"] = json!("y");
        let labels = json!({"enforce": "baseline"});
        fn update<'a>(old: &'a Value, new: &'a Value) -> Request<'a> {
            Request {
                operation: "UPDATE",
                old_object: old,
                ..asked("pods", new)
            }
        }
        assert_eq!(
            answer(labels.clone(), &update(&old, &labelled)).refused,
            None
        );
        assert!(
            answer(labels.clone(), &update(&old, &new))
                .refused
                .is_some()
        );
        let mut debugged = bad();
        debugged["spec"]["ephemeralContainers"] = json!([{"name": "d", "image": "x"}]);
        let request = Request {
            subresource: "ephemeralcontainers",
            ..update(&old, &debugged)
        };
        assert!(answer(labels.clone(), &request).refused.is_some());
        let request = Request {
            subresource: "status",
            ..update(&old, &debugged)
        };
        assert_eq!(answer(labels, &request).refused, None);
    }

    #[test]
    fn what_cannot_be_told_is_no_pass() {
        let pod = bad();
        let unknown = decide(
            &Configuration::default(),
            &Fixed(None),
            &asked("pods", &pod),
        );
        assert_eq!(unknown.refused.unwrap().code, 500);
        let got = answer(json!({"enforce": "baseline"}), &asked("pods", &Value::Null));
        assert_eq!(got.refused.unwrap().code, 400);
        let broken = json!({"spec": {"containers": [1]}});
        let got = answer(json!({"enforce": "baseline"}), &asked("pods", &broken));
        assert_eq!(got.failed[0].check, super::super::UNREADABLE);
        let wrong = answer(json!({"enforce": "strict"}), &asked("pods", &pod));
        assert!(
            wrong.refused.is_some()
                && wrong.audit["error"].starts_with("Failed to parse policy: metadata.labels[")
        );
    }
}
