//! The Pod that a workload would create.
//!
//! The built-in counterpart of Gatekeeper's ExpansionTemplates, for the workloads that come
//! with Kubernetes. The Pod carries the template's metadata and spec, the workload's
//! namespace and the mock name `<workload>-pod`, as Gatekeeper names it.

use crate::object::Object;
use serde_json::{Map, Value, json};

/// A Pod template within a workload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expanded {
    /// Where the template stands, such as `spec.template`.
    pub path: &'static str,
    /// The Pod.
    pub pod: Value,
}

/// Where `kind` of `group` keeps its Pod template.
pub(crate) fn template_path(group: &str, kind: &str) -> Option<&'static str> {
    match (group, kind) {
        ("apps" | "extensions", "Deployment" | "DaemonSet" | "ReplicaSet")
        | ("apps", "StatefulSet")
        | ("batch", "Job")
        | ("", "ReplicationController") => Some("spec.template"),
        ("batch", "CronJob") => Some("spec.jobTemplate.spec.template"),
        ("", "PodTemplate") => Some("template"),
        _ => None,
    }
}

/// The Pod of a workload; `None` when it is none or has no template.
pub(crate) fn expand(object: &Object) -> Option<Expanded> {
    let path = template_path(&object.group, &object.kind)?;
    let template = path
        .split('.')
        .try_fold(&object.value, |value, field| value.get(field))?
        .as_object()?;
    let mut metadata = match template.get("metadata") {
        Some(Value::Object(metadata)) => metadata.clone(),
        _ => Map::new(),
    };
    metadata.insert(
        "name".into(),
        format!("{}-pod", object.name.to_lowercase()).into(),
    );
    if object.namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".into(), object.namespace.clone().into());
    }
    let mut pod = Map::new();
    pod.insert("apiVersion".into(), json!("v1"));
    pod.insert("kind".into(), json!("Pod"));
    pod.insert("metadata".into(), Value::Object(metadata));
    if let Some(spec) = template.get("spec") {
        pod.insert("spec".into(), spec.clone());
    }
    Some(Expanded {
        path,
        pod: Value::Object(pod),
    })
}

/// The containers of a Pod: locus, such as `container:web`, and path within the Pod, such as
/// `spec.containers[0]`.
pub(crate) fn containers(pod: &Value) -> Vec<(String, String)> {
    const KINDS: [(&str, &str); 3] = [
        ("containers", "container"),
        ("initContainers", "initContainer"),
        ("ephemeralContainers", "ephemeralContainer"),
    ];
    let mut all = Vec::new();
    let Some(spec) = pod.get("spec") else {
        return all;
    };
    for (field, word) in KINDS {
        let items = spec.get(field).and_then(Value::as_array);
        for (i, container) in items.into_iter().flatten().enumerate() {
            let name = container.get("name").and_then(Value::as_str).unwrap_or("");
            all.push((format!("{word}:{name}"), format!("spec.{field}[{i}]")));
        }
    }
    all
}

/// The volumes of a Pod: locus `volume:<name>` and path.
pub(crate) fn volumes(pod: &Value) -> Vec<(String, String)> {
    let volumes = pod.get("spec").and_then(|s| s.get("volumes"));
    let items = volumes.and_then(Value::as_array).into_iter().flatten();
    items
        .enumerate()
        .map(|(i, volume)| {
            let name = volume.get("name").and_then(Value::as_str).unwrap_or("");
            (format!("volume:{name}"), format!("spec.volumes[{i}]"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::Location;

    fn object(group: &str, kind: &str, value: Value) -> Object {
        Object {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: "shop".into(),
            name: "Web".into(),
            location: Location {
                file: "f".into(),
                line: 1,
                column: None,
            },
            value,
            lines: Vec::new(),
            helm: None,
        }
    }

    #[test]
    fn a_cron_job_is_its_pod() {
        let job = json!({"spec": {"jobTemplate": {"spec": {"template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c"}]}
        }}}}});
        assert_eq!(
            expand(&object("batch", "CronJob", job)),
            Some(Expanded {
                path: "spec.jobTemplate.spec.template",
                pod: json!({
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "web-pod", "namespace": "shop", "labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "c"}]}
                })
            })
        );
    }

    #[test]
    fn what_has_no_template_is_no_pod() {
        assert_eq!(
            expand(&object("apps", "Deployment", json!({"spec": {}}))),
            None
        );
        assert_eq!(
            expand(&object(
                "example.com",
                "Deployment",
                json!({"spec": {"template": {}}})
            )),
            None
        );
    }

    #[test]
    fn containers_of_all_sorts() {
        assert_eq!(
            containers(
                &json!({"spec": {"initContainers": [{"name": "i"}], "containers": [{}, {"name": "w"}]}})
            ),
            [
                ("container:".to_owned(), "spec.containers[0]".to_owned()),
                ("container:w".to_owned(), "spec.containers[1]".to_owned()),
                (
                    "initContainer:i".to_owned(),
                    "spec.initContainers[0]".to_owned()
                )
            ]
        );
    }
}
