//! Namespaces: their labels must be readable, and Pods that new labels would not let in are named.

use super::admission::{Cluster, Configuration, Request, Response, aggregate};
use super::labels::{PREFIX, Policy};
use super::levels::{Level, Standard};
use super::{judge, reasons};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How many Pods are looked at when labels change.
const MOST: usize = 3_000;

/// Answers a request for a namespace.
pub(super) fn decide(
    config: &Configuration,
    cluster: &dyn Cluster,
    request: &Request<'_>,
) -> Response {
    if !request.subresource.is_empty() || !matches!(request.operation, "CREATE" | "UPDATE") {
        return Response::default();
    }
    let Some(labels) = labels(request.object) else {
        return Response::refuse(400, "failed to decode namespace".into());
    };
    let name = request.name;
    let (new, faults) = Policy::of_labels(labels, &config.defaults);
    let invalid = || {
        let why = aggregate(&faults);
        Response::refuse(422, format!("Namespace \"{name}\" is invalid: {why}"))
    };
    let is_exempt = config.namespaces.iter().any(|n| n == request.namespace);
    let mut response = Response::default();
    if request.operation == "CREATE" {
        if !faults.is_empty() {
            return invalid();
        }
        if is_exempt {
            response
                .warnings
                .extend(ignored(config, name, &new, labels));
        }
        return response;
    }
    let Some(old_labels) = self::labels(request.old_object) else {
        return Response::refuse(400, "failed to decode old namespace".into());
    };
    let (old, old_faults) = Policy::of_labels(old_labels, &config.defaults);
    if !faults.is_empty() && faults != old_faults {
        return invalid();
    }
    let relaxed =
        new.enforce.version == old.enforce.version && new.enforce.level <= old.enforce.level;
    if new.enforce == old.enforce || new.enforce.level == Level::Privileged || relaxed {
        return response;
    }
    if is_exempt {
        response
            .warnings
            .extend(ignored(config, name, &new, labels));
    } else {
        response.warnings = existing(config, cluster, name, new.enforce);
    }
    response
}

fn labels(namespace: &Value) -> Option<&Map<String, Value>> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match namespace
        .as_object()?
        .get("metadata")
        .and_then(|m| m.get("labels"))
    {
        None | Some(Value::Null) => Some(&NONE),
        Some(labels) => labels.as_object(),
    }
}

/// Says that the labels of an exempt namespace do nothing.
fn ignored(
    config: &Configuration,
    name: &str,
    policy: &Policy,
    labels: &Map<String, Value>,
) -> Option<String> {
    if policy.is_privileged() || policy.equivalent(&config.defaults) {
        return None;
    }
    let modes = [
        ("enforce", policy.enforce),
        ("audit", policy.audit),
        ("warn", policy.warn),
    ];
    let has = |key: String| labels.contains_key(&key);
    let said: Vec<String> = modes
        .iter()
        .filter(|(mode, standard)| {
            let labelled = has(format!("{PREFIX}{mode}")) || has(format!("{PREFIX}{mode}-version"));
            standard.level != Level::Privileged && labelled
        })
        .map(|(mode, standard)| format!("{mode}={standard}"))
        .collect();
    Some(format!(
        "namespace \"{name}\" is exempt from Pod Security, and the policy ({}) will be ignored",
        said.join(", ")
    ))
}

/// Pods that are there already and fail what is to be enforced, one line for each set of reasons.
fn existing(
    config: &Configuration,
    cluster: &dyn Cluster,
    name: &str,
    enforce: Standard,
) -> Vec<String> {
    let Some(pods) = cluster.pods(name) else {
        return vec!["failed to list pods while checking new PodSecurity enforce level".into()];
    };
    let pods = first_of_each(config, &pods);
    let mut warnings = Vec::new();
    if pods.len() > MOST {
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {MOST} of {} existing pods",
            pods.len()
        ));
    }
    let mut failing: BTreeMap<String, (&str, usize)> = BTreeMap::new();
    for pod in pods.iter().take(MOST) {
        let part = |name: &str| pod.get(name).unwrap_or(&Value::Null);
        let failed = judge(
            enforce.level,
            enforce.version,
            part("metadata"),
            part("spec"),
        );
        if failed.is_empty() {
            continue;
        }
        let pod = part("metadata")
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let (first, count) = failing.entry(reasons(&failed)).or_insert((pod, 0));
        *first = (*first).min(pod);
        *count += 1;
    }
    if !failing.is_empty() {
        warnings.push(format!(
            "existing pods in namespace \"{name}\" violate the new PodSecurity enforce level \
             \"{enforce}\""
        ));
    }
    let mut lines: Vec<String> = failing
        .into_iter()
        .map(|(reasons, (pod, count))| match count {
            1 => format!("{pod}: {reasons}"),
            2 => format!("{pod} (and 1 other pod): {reasons}"),
            _ => format!("{pod} (and {} other pods): {reasons}", count - 1),
        })
        .collect();
    lines.sort();
    warnings.append(&mut lines);
    warnings
}

/// Pods in the order in which they are looked at: one of each controller, then the others.
fn first_of_each<'p>(config: &Configuration, pods: &'p [Value]) -> Vec<&'p Value> {
    let mut seen = BTreeSet::new();
    let (mut first, mut more) = (Vec::new(), Vec::new());
    for pod in pods {
        let class = pod
            .pointer("/spec/runtimeClassName")
            .and_then(Value::as_str);
        if class.is_some_and(|c| !c.is_empty() && config.runtime_classes.iter().any(|r| r == c)) {
            continue;
        }
        let owners = pod
            .pointer("/metadata/ownerReferences")
            .and_then(Value::as_array);
        let controller = owners
            .into_iter()
            .flatten()
            .find(|o| o.get("controller") == Some(&Value::Bool(true)))
            .and_then(|o| o.get("uid")?.as_str());
        match controller {
            Some(uid) if !seen.insert(uid) => more.push(pod),
            _ => first.push(pod),
        }
    }
    first.append(&mut more);
    first
}

#[cfg(test)]
mod tests {
    use super::super::admission::decide;
    use super::*;
    use serde_json::json;

    struct Pods(Vec<Value>);

    impl Cluster for Pods {
        fn labels(&self, _: &str) -> Option<Map<String, Value>> {
            None
        }

        fn pods(&self, _: &str) -> Option<Vec<Value>> {
            Some(self.0.clone())
        }
    }

    fn namespace(level: &str) -> Value {
        json!({"metadata": {"name": "shop", "labels": {"pod-security.kubernetes.io/enforce": level}}})
    }

    fn answer(config: &Configuration, pods: Vec<Value>, old: &Value, new: &Value) -> Response {
        let request = Request {
            group: "",
            resource: "namespaces",
            subresource: "",
            operation: if old.is_null() { "CREATE" } else { "UPDATE" },
            namespace: "shop",
            name: "shop",
            user: "ann",
            object: new,
            old_object: old,
        };
        decide(config, &Pods(pods), &request)
    }

    #[test]
    fn labels_must_be_readable_where_they_changed() {
        let config = Configuration::default();
        let (good, wrong) = (namespace("baseline"), namespace("strict"));
        for old in [&Value::Null, &good] {
            let refusal = answer(&config, vec![], old, &wrong).refused.unwrap();
            assert_eq!(refusal.code, 422);
            assert!(
                refusal
                    .message
                    .starts_with("Namespace \"shop\" is invalid: metadata.labels[")
            );
        }
        assert_eq!(answer(&config, vec![], &wrong, &wrong).refused, None);
    }

    #[test]
    fn pods_that_would_not_be_let_in_are_named() {
        let pod = |name: &str, pid: bool| json!({"metadata": {"name": name}, "spec": {"hostPID": pid, "hostIPC": false}});
        let pods = vec![
            pod("z", true),
            pod("b", true),
            pod("good", false),
            pod("c", true),
        ];
        let config = Configuration::default();
        let got = answer(
            &config,
            pods,
            &namespace("privileged"),
            &namespace("baseline"),
        );
        assert_eq!(
            got.warnings,
            [
                "existing pods in namespace \"shop\" violate the new PodSecurity enforce level \
                 \"baseline:latest\"",
                "b (and 2 other pods): host namespaces",
            ]
        );
        let relaxed = answer(
            &config,
            vec![pod("a", true)],
            &namespace("restricted"),
            &namespace("baseline"),
        );
        assert!(relaxed.warnings.is_empty());
    }

    #[test]
    fn exempt_namespaces_are_told_that_labels_do_nothing() {
        let config = Configuration {
            namespaces: vec!["shop".into()],
            ..Default::default()
        };
        let got = answer(&config, vec![], &Value::Null, &namespace("baseline"));
        assert_eq!(
            got.warnings,
            [
                "namespace \"shop\" is exempt from Pod Security, and the policy \
              (enforce=baseline:latest) will be ignored"
            ]
        );
    }
}
