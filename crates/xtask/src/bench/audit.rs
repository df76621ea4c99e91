//! What an audit of a large cluster costs, and how soon a change is judged.
//!
//! `cargo xtask bench --only audit` serves 100,100 seeded objects on loopback and has the built
//! binary audit them by the policies of `content/policies`; with `--library DIR` by the templates of
//! the public Gatekeeper library, each with the first constraint of its samples.

#![allow(
    clippy::indexing_slicing,
    reason = "a bench's own objects; indexing JSON does not panic"
)]

use super::Options;
use crate::report::Figure;
use crate::tree;
use anyhow::{Context, Result, bail};
use bartizan_xtask::running::cluster::Cluster;
use bartizan_xtask::running::load::cpu;
use bartizan_xtask::running::{Server, Setup};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const NAMESPACES: usize = 100;
const OBJECTS: usize = 100_000;
const CHANGES: usize = 20;

/// Runs it.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    let policies = data.path().join("policies");
    std::fs::create_dir(&policies)?;
    let constraints = gather(options, &policies)?;
    let mut objects = Vec::with_capacity(OBJECTS + NAMESPACES);
    objects.extend((0..NAMESPACES).map(namespace));
    objects.extend((0..OBJECTS).map(object));
    let cluster = Cluster::start(objects, constraints)?;
    let kubeconfig = data.path().join("kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubeconfig())?;
    let mut setup = Setup::new(tree::root().join("target/debug/bartizan"), data.path());
    let argument = |path: &Path| path.display().to_string();
    setup.arguments = [
        "--admission-listen",
        "127.0.0.1:0",
        "--audit",
        "--kubeconfig",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([
        argument(&kubeconfig),
        "--admission-policies".into(),
        argument(&policies),
    ])
    .collect();
    let begun = Instant::now();
    let mut server = Server::start(&setup)?;
    server.sign_in()?;
    let status = loop {
        std::thread::sleep(Duration::from_millis(500));
        let Ok(status) = server.get("/cluster") else {
            continue;
        };
        if status["pass_finished"].is_string() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(900) {
            bail!("the audit did not end within 900 s: {status}");
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let spent = cpu(&server.id().to_string())?;
    let peak = server.memory("VmHWM")?;
    let violations = total(&status);
    let mut changes = Vec::new();
    for n in 0..CHANGES {
        changes.push(change(&cluster, &server, n)?);
    }
    changes.sort_by(f64::total_cmp);
    let worst = changes.last().copied().unwrap_or_default();
    let median = changes.get(CHANGES / 2).copied().unwrap_or_default();
    let known = status["objects"].as_f64().unwrap_or_default();
    Ok(vec![
        Figure::plain("audit, objects known", known, "objects"),
        Figure::plain(
            "audit, objects judged",
            status["judged"].as_f64().unwrap_or_default(),
            "objects",
        ),
        Figure::plain(
            "audit, constraints",
            array(&status, "constraints"),
            "constraints",
        ),
        Figure::plain("audit, violations", violations as f64, "violations"),
        Figure::under("audit, until all is judged and stored", seconds, "s", 100.0),
        Figure::plain("audit, CPU of the server", spent, "s CPU"),
        Figure::plain("audit, CPU of the generator", cpu("self")?, "s CPU"),
        Figure::under("audit, peak memory", peak, "MiB", 512.0),
        Figure::plain("audit, a change until it is judged, median", median, "ms"),
        Figure::under(
            "audit, a change until it is judged, worst of 20",
            worst,
            "ms",
            100.0,
        ),
    ])
}

fn array(status: &Value, field: &str) -> f64 {
    status[field].as_array().map_or(0.0, |all| all.len() as f64)
}

fn total(status: &Value) -> u64 {
    let all = status["constraints"].as_array().into_iter().flatten();
    all.filter_map(|c| c["violations"].as_u64()).sum()
}

/// A good Pod becomes a bad one, or the other way round: milliseconds until the number of violations
/// that `/metrics` shows is another.
fn change(cluster: &Cluster, server: &Server, n: usize) -> Result<f64> {
    let before = shown(server)?;
    let mut pod = object(n * 10);
    // Whatever it was, it is the other now.
    let bad = pod["spec"]["hostNetwork"] == true;
    pod["spec"]["hostNetwork"] = (!bad).into();
    pod["spec"]["containers"][0]["securityContext"]["privileged"] = (!bad).into();
    let begun = Instant::now();
    cluster.put(pod)?;
    while shown(server)? == before {
        if begun.elapsed() > Duration::from_secs(10) {
            bail!("change {n} was not judged within 10 s");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = begun.elapsed().as_secs_f64() * 1_000.0;
    // What follows, storing and writing the status, does not overlap with the next.
    std::thread::sleep(Duration::from_millis(600));
    Ok(took)
}

/// Violations by Gatekeeper's gauge.
fn shown(server: &Server) -> Result<Vec<String>> {
    let text = server.metrics()?;
    let lines = text
        .lines()
        .filter(|l| l.starts_with("gatekeeper_violations"));
    Ok(lines.map(str::to_owned).collect())
}

/// Copies policies; the kinds of their constraints.
fn gather(options: &Options, to: &Path) -> Result<Vec<String>> {
    let mut kinds = Vec::new();
    let mut one = |template: &Path, constraint: &Path, n: usize| -> Result<()> {
        let text = std::fs::read_to_string(constraint)?;
        let kind = text.lines().find_map(|line| line.strip_prefix("kind: "));
        kinds.push(
            kind.context("a constraint without a kind")?
                .trim()
                .to_owned(),
        );
        std::fs::copy(template, to.join(format!("{n:03}-template.yaml")))?;
        std::fs::write(to.join(format!("{n:03}-constraint.yaml")), text)?;
        Ok(())
    };
    let root = match &options.library.library {
        Some(library) => library.join("library"),
        None => tree::root().join("content/policies"),
    };
    let mut folders = vec![root];
    let mut n = 0;
    while let Some(folder) = folders.pop() {
        let mut below: Vec<_> = std::fs::read_dir(&folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir())
            .collect();
        below.sort();
        let template = folder.join("template.yaml");
        if !template.is_file() {
            folders.extend(below);
            continue;
        }
        let own = folder.join("constraint.yaml");
        let samples = std::fs::read_dir(folder.join("samples"))
            .into_iter()
            .flatten();
        let mut samples: Vec<_> = samples
            .filter_map(|entry| Some(entry.ok()?.path().join("constraint.yaml")))
            .filter(|path| path.is_file())
            .collect();
        samples.sort();
        let constraint = own
            .is_file()
            .then_some(own)
            .or_else(|| samples.into_iter().next());
        if let Some(constraint) = constraint {
            one(&template, &constraint, n)?;
            n += 1;
        }
    }
    kinds.sort();
    kinds.dedup();
    Ok(kinds)
}

fn namespace(n: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("team-{n:02}"),
        "labels": {"team": format!("t{n}"), "kubernetes.io/metadata.name": format!("team-{n:02}")}}})
}

/// The n-th object: six of ten are Pods; about every tenth object is bad.
fn object(n: usize) -> Value {
    let namespace = format!("team-{:02}", n % NAMESPACES);
    let bad = n.is_multiple_of(11);
    let metadata = |name: String| {
        json!({"name": name, "namespace": namespace, "labels": {"app": format!("app-{}", n % 500),
            "owner": "team", "app.kubernetes.io/name": format!("app-{}", n % 500)}})
    };
    let container = json!({
        "name": "main", "image": format!("registry.example.com/app-{}@sha256:{:064x}", n % 500, n),
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "securityContext": {"privileged": bad, "allowPrivilegeEscalation": bad, "runAsNonRoot": !bad,
            "readOnlyRootFilesystem": true, "runAsUser": 1000, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"}},
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}},
    });
    let pod = json!({"containers": [container], "hostNetwork": bad, "hostPID": false,
        "automountServiceAccountToken": false, "serviceAccountName": "app"});
    match n % 10 {
        0..=5 => {
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata(format!("pod-{n:06}")), "spec": pod})
        }
        6 => {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(format!("deploy-{n:06}")),
            "spec": {"replicas": if bad { 1 } else { 3 }, "selector": {"matchLabels": {"app": format!("app-{n}")}},
                "template": {"metadata": {"labels": {"app": format!("app-{n}")}}, "spec": pod}}})
        }
        7 => {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata(format!("service-{n:06}")),
            "spec": {"type": if bad { "NodePort" } else { "ClusterIP" }, "selector": {"app": format!("app-{n}")},
                "ports": [{"port": 80, "targetPort": 8080}]}})
        }
        8 => {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(format!("config-{n:06}")),
            "data": {"settings": "x".repeat(400)}})
        }
        _ => {
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata(format!("ingress-{n:06}")),
            "spec": {"tls": [{"hosts": [format!("h{n}.example.com")]}], "rules": [{"host": format!("h{}.example.com", if bad { n - n % 7 } else { n }),
                "http": {"paths": [{"path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}})
        }
    }
}
