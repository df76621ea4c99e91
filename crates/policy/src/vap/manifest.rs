//! Admission policies asked of manifests, where nobody has made a request yet: as if the object
//! were created. What a policy wants to know of the request beside that is Unknown.

use super::set::{Index, Native, Natives};
use super::{Request, ValidatingPolicy};
use crate::budget::Budget;
use crate::object::Object;
use crate::world::World;
use bartizan_model::{AssetUid, CheckResult, Evidence, Outcome, Severity};
use serde_json::{Value, json};

/// What one policy says of an object that it looks at.
pub(crate) struct Said<'n> {
    pub native: &'n Native<ValidatingPolicy>,
    pub failures: Vec<super::Failure>,
    pub unknown: Option<String>,
}

/// Asks all policies that look at an object; those that do not are left out.
pub(crate) fn ask<'n>(
    natives: &'n Natives,
    index: &mut Index,
    object: &Object,
    world: &World,
    budget: Budget,
) -> Vec<Said<'n>> {
    if natives.validating.is_empty() {
        return Vec::new();
    }
    let asked = creation(object);
    let request = Request {
        request: &asked,
        object: &object.value,
        old_object: &Value::Null,
        namespace: world
            .namespace_object(namespace_of(object))
            .unwrap_or(&Value::Null),
    };
    let mut all = Vec::new();
    for at in index.of(natives, &request).iter() {
        let Some(native) = natives.validating.get(*at) else {
            continue;
        };
        let judged = native.ask(&request, world, budget);
        if !judged.judged && judged.failures.is_empty() && judged.unknown.is_empty() {
            continue;
        }
        let mut unknown = judged.unknown.into_iter().map(|u| u.why).next();
        let mut failures = judged.failures;
        if native.about_requests {
            failures.clear();
            unknown = Some("it asks who makes the request, and a manifest does not say".into());
        }
        // A policy that could not be evaluated has found nothing.
        if let Some(at) = failures.iter().position(|f| f.error) {
            unknown.get_or_insert(failures.swap_remove(at).message);
            failures.retain(|f| !f.error);
        }
        all.push(Said {
            native,
            failures,
            unknown,
        });
    }
    all
}

impl Said<'_> {
    /// As the result of a scan.
    pub(crate) fn result(self, asset: &AssetUid, object: &Object) -> CheckResult {
        let mut messages: Vec<String> = Vec::new();
        let mut evidence = Vec::new();
        let mut severity: Option<Severity> = None;
        for failure in self.failures {
            let message: String = failure.message.chars().take(1_000).collect();
            if !messages.contains(&message) {
                messages.push(message);
            }
            let bound = self.native.bound(&failure.binding);
            severity = severity.max(bound.map(|b| b.severity));
            evidence.push(Evidence {
                path: format!("binding {}", failure.binding),
                actual: None,
                expected: self
                    .native
                    .expression(failure.expression)
                    .map(str::to_owned),
            });
        }
        let outcome = match (messages.is_empty(), self.unknown) {
            (false, _) => Outcome::Fail,
            (true, Some(why)) => Outcome::Unknown { why },
            (true, None) => Outcome::Pass,
        };
        let failed = outcome == Outcome::Fail;
        if let Some(helm) = object.helm.as_ref().filter(|_| failed) {
            evidence.push(Evidence {
                path: "helm template".into(),
                actual: Some(helm.clone()),
                expected: None,
            });
        }
        CheckResult {
            check: self.native.check.uid.clone(),
            asset: asset.clone(),
            locus: String::new(),
            outcome,
            message: messages.join("; "),
            severity: severity.filter(|s| failed && *s != self.native.check.severity),
            evidence,
            location: Some(object.location.clone()),
            suppression: None,
        }
    }
}

/// Kinds that live in namespaces; one that names none goes where `kubectl` puts it.
const NAMESPACED: [&str; 26] = [
    "ConfigMap",
    "ControllerRevision",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Endpoints",
    "EndpointSlice",
    "Event",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "Lease",
    "LimitRange",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "PodTemplate",
    "ReplicaSet",
    "ReplicationController",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
];

fn namespace_of(object: &Object) -> &str {
    let kind = object.kind.as_str();
    let known = NAMESPACED.contains(&kind) || kind == "StatefulSet";
    match object.namespace.as_str() {
        "" if known => "default",
        namespace => namespace,
    }
}

/// The request of one who creates an object.
fn creation(object: &Object) -> Value {
    let (group, version) = (&object.group, &object.version);
    let kind = json!({"group": group, "version": version, "kind": object.kind});
    let resource = resource_of(&object.kind);
    let resource = json!({"group": group, "version": version, "resource": resource});
    json!({
        "uid": "", "kind": kind, "resource": resource, "requestKind": kind,
        "requestResource": resource, "name": object.name, "namespace": namespace_of(object),
        "operation": "CREATE", "userInfo": {}, "dryRun": true,
    })
}

/// The resource of a kind, guessed as Kubernetes' `UnsafeGuessKindToResource` does, and better
/// for vowels and hisses.
pub(crate) fn resource_of(kind: &str) -> String {
    let word = kind.to_lowercase();
    let before = word.chars().rev().nth(1).unwrap_or_default();
    if word.ends_with("endpoints") {
        word
    } else if ["s", "x", "ch", "sh"].iter().any(|end| word.ends_with(end)) {
        word + "es"
    } else if word.ends_with('y') && !"aeiou".contains(before) {
        format!("{}ies", word.strip_suffix('y').unwrap_or_default())
    } else {
        word + "s"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_of_kinds() {
        for (kind, resource) in [
            ("Pod", "pods"),
            ("Ingress", "ingresses"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
            ("Endpoints", "endpoints"),
            ("StorageClass", "storageclasses"),
        ] {
            assert_eq!(resource_of(kind), resource);
        }
    }
}
