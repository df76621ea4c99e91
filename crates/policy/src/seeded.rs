//! Pods for benches: distinct, half of them violating, the same on every machine.
//!
//! Numbers come from splitmix64, so that no crate of random numbers is needed. An even index
//! makes a Pod that Pod Security Standards restricted would take, an odd one a Pod with one to
//! four faults.

use crate::object::Object;
use bartizan_model::Location;
use serde_json::{Map, Value, json};

/// A generator of 64-bit numbers with one 64-bit seed.
#[derive(Debug, Clone)]
pub struct SplitMix(u64);

impl SplitMix {
    /// Begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n.max(1)
    }
}

/// The Pod of an index, as JSON.
pub fn pod(seed: u64, index: u64) -> Value {
    let mut random = SplitMix::new(seed ^ index.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let count = 1 + random.below(3);
    let containers: Vec<Value> = (0..count)
        .map(|i| container(&mut random, index, i))
        .collect();
    let mut labels = Map::new();
    labels.insert("app".into(), format!("app-{}", random.below(200)).into());
    labels.insert(
        "tier".into(),
        if index.is_multiple_of(3) {
            "web"
        } else {
            "job"
        }
        .into(),
    );
    labels.insert("index".into(), index.to_string().into());
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("pod-{index}"),
            "namespace": format!("team-{}", random.below(20)),
            "labels": labels,
            "annotations": {"example.com/build": format!("{:016x}", random.draw())}
        },
        "spec": {
            "serviceAccountName": format!("sa-{}", random.below(40)),
            "automountServiceAccountToken": false,
            "hostNetwork": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 10_000 + random.below(1_000),
                "seccompProfile": {"type": "RuntimeDefault"}
            },
            "containers": containers,
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "config", "configMap": {"name": format!("config-{}", random.below(100))}}
            ]
        }
    });
    if index % 2 == 1 {
        for _ in 0..=random.below(4) {
            spoil(&mut random, &mut pod);
        }
    }
    pod
}

fn container(random: &mut SplitMix, index: u64, place: u64) -> Value {
    let digest: String = (0..4).map(|_| format!("{:016x}", random.draw())).collect();
    json!({
        "name": format!("c{place}"),
        "image": format!("registry.example.com/shop/app-{}:1.{index}@sha256:{digest}", random.below(50)),
        "imagePullPolicy": "Always",
        "command": ["/app/serve", "--port=8080"],
        "env": [
            {"name": "LEVEL", "value": "info"},
            {"name": "REGION", "valueFrom": {"configMapKeyRef": {"name": "site", "key": "region"}}}
        ],
        "ports": [{"containerPort": 8080 + place}],
        "resources": {
            "requests": {"cpu": format!("{}m", 50 + random.below(200)), "memory": "64Mi"},
            "limits": {"cpu": "500m", "memory": format!("{}Mi", 128 + random.below(512))}
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "privileged": false,
            "capabilities": {"drop": ["ALL"]}
        },
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]
    })
}

fn spoil(random: &mut SplitMix, pod: &mut Value) {
    let fault = random.below(14);
    let Some(spec) = pod.get_mut("spec") else {
        return;
    };
    match fault {
        0 => spec["hostNetwork"] = true.into(),
        1 => spec["hostPID"] = true.into(),
        2 => put(spec, "/securityContext/runAsUser", 0.into()),
        3 => put(
            spec,
            "/securityContext/seccompProfile",
            json!({"type": "Unconfined"}),
        ),
        4 => spec["automountServiceAccountToken"] = true.into(),
        5 => {
            if let Some(volumes) = spec["volumes"].as_array_mut() {
                volumes.push(json!({"name": "host", "hostPath": {"path": "/var/run"}}));
            }
        }
        _ => {
            let Some(container) = spec["containers"]
                .as_array_mut()
                .and_then(|c| c.first_mut())
            else {
                return;
            };
            match fault {
                6 => put(container, "/securityContext/privileged", true.into()),
                7 => put(
                    container,
                    "/securityContext/capabilities",
                    json!({"add": ["SYS_ADMIN"]}),
                ),
                8 => put(
                    container,
                    "/securityContext/allowPrivilegeEscalation",
                    true.into(),
                ),
                9 => container["image"] = "docker.io/library/nginx:latest".into(),
                10 => container["ports"] = json!([{"containerPort": 80, "hostPort": 80}]),
                11 => container["resources"] = json!({}),
                12 => container["env"] = json!([{"name": "API_TOKEN", "value": "s3cr3t-value"}]),
                _ => put(
                    container,
                    "/securityContext/readOnlyRootFilesystem",
                    false.into(),
                ),
            }
        }
    }
}

fn put(value: &mut Value, pointer: &str, new: Value) {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = new;
    }
}

/// The Pod of an index, as an object that [`crate::Evaluator::judge`] takes.
pub fn object(seed: u64, index: u64) -> Object {
    let value = pod(seed, index);
    let text = |field: &str| {
        let found = value.get("metadata").and_then(|m| m.get(field));
        found.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Object {
        group: String::new(),
        version: "v1".into(),
        kind: "Pod".into(),
        namespace: text("namespace"),
        name: text("name"),
        location: Location {
            file: "seeded.yaml".into(),
            line: 1,
            column: None,
        },
        value,
        lines: Vec::new(),
        helm: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_distinct_and_repeatable() {
        let all: std::collections::BTreeSet<String> =
            (0..500).map(|i| pod(7, i).to_string()).collect();
        assert_eq!(all.len(), 500);
        assert_eq!(pod(7, 3), pod(7, 3));
        assert_ne!(pod(7, 3), pod(8, 3));
    }
}
