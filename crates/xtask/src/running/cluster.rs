//! A Kubernetes API of seeded objects on loopback, as far as an audit needs one: discovery, lists
//! in pages, watches, single objects, and the status of constraints.

#![allow(
    clippy::indexing_slicing,
    reason = "a bench's own objects; indexing JSON does not panic"
)]

use anyhow::{Context, Result};
use futures::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// A kind that is served: group, version, kind, plural, whether in namespaces.
pub type Kind = (&'static str, &'static str, &'static str, &'static str, bool);

/// The kinds of seeded objects.
pub const KINDS: [Kind; 6] = [
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "Pod", "pods", true),
    ("apps", "v1", "Deployment", "deployments", true),
    ("", "v1", "Service", "services", true),
    ("", "v1", "ConfigMap", "configmaps", true),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", true),
];

#[derive(Default)]
struct State {
    /// By the path of the kind, then namespace and name as etcd orders them.
    objects: HashMap<String, BTreeMap<String, Bytes>>,
    /// What changed: the kind's path and the line of a watch.
    log: Vec<(String, Bytes)>,
    /// When a constraint's status was written last, and what.
    statuses: HashMap<String, (Instant, Value)>,
    constraints: Vec<String>,
}

/// The API; it ends with the process.
pub struct Cluster {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    _runtime: tokio::runtime::Runtime,
}

impl Cluster {
    /// Serves `objects`, and the kinds of these constraints.
    pub fn start(objects: Vec<Value>, constraints: Vec<String>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let state = Arc::new(Mutex::new(State {
            constraints,
            ..State::default()
        }));
        let changed = watch::Sender::new(0);
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let this = Self {
            address: listener.local_addr()?,
            state: Arc::clone(&state),
            changed: changed.clone(),
            _runtime: runtime,
        };
        for object in objects {
            this.store(object)?;
        }
        this.locked().log.clear();
        this._runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, changed) = (Arc::clone(&state), changed.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        answer(Arc::clone(&state), changed.clone(), request)
                    });
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(this)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an object there and tells all who watch.
    pub fn put(&self, object: Value) -> Result<()> {
        self.store(object)?;
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    fn store(&self, mut object: Value) -> Result<()> {
        let text = |object: &Value, at: &str| {
            object
                .pointer(at)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let kind = text(&object, "/kind").context("no kind")?;
        let found = KINDS.iter().find(|k| k.2 == kind).context("not served")?;
        let path = path_of(found);
        let name = text(&object, "/metadata/name").context("no name")?;
        let key = match text(&object, "/metadata/namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        };
        let mut state = self.locked();
        let version = state.log.len() as u64 + 1_000;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        object["metadata"]["uid"] = format!("uid-{path}-{key}").into();
        let line = json!({"type": "MODIFIED", "object": object}).to_string();
        state
            .log
            .push((path.clone(), Bytes::from(format!("{line}\n"))));
        let bytes = Bytes::from(object.to_string());
        state.objects.entry(path).or_default().insert(key, bytes);
        Ok(())
    }

    /// The statuses of constraints, by path, and when each was written last.
    pub fn statuses(&self) -> HashMap<String, (Instant, Value)> {
        self.locked().statuses.clone()
    }

    /// A kubeconfig that names it.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: \"http://{}\"}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             users: [{{name: u, user: {{token: t}}}}]\n",
            self.address
        )
    }
}

fn path_of((group, version, _, plural, _): &Kind) -> String {
    match *group {
        "" => format!("/api/{version}/{plural}"),
        group => format!("/apis/{group}/{version}/{plural}"),
    }
}

fn whole(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let body = http_body_util::Full::new(text.into()).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}

fn missing() -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": "NotFound", "code": 404, "message": "not found"});
    whole(StatusCode::NOT_FOUND, status.to_string())
}

async fn answer(
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let query: HashMap<String, String> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace("%2F", "/")))
        .collect();
    if request.method() == Method::PATCH {
        let bytes = request.into_body().collect().await;
        let value = bytes
            .ok()
            .and_then(|b| serde_json::from_slice(&b.to_bytes()).ok());
        let value: Value = value.unwrap_or_default();
        let name = path.split('/').rev().nth(1).unwrap_or_default().to_owned();
        let object = json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "X",
            "metadata": {"name": name}});
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.statuses.insert(path, (Instant::now(), value));
        return Ok(whole(StatusCode::OK, object.to_string()));
    }
    if path == "/api" || path == "/apis" {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut response = whole(StatusCode::OK, discovery(&state, path == "/api"));
        let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let kind = hyper::header::HeaderValue::from_static(kind);
        response.headers_mut().insert("content-type", kind);
        return Ok(response);
    }
    let known = KINDS.iter().map(path_of).find(|p| *p == path);
    if let Some(kind) = known {
        if query.contains_key("watch") {
            return Ok(watched(state, changed, kind, &query));
        }
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        return Ok(listed(&state, &kind, &query));
    }
    // One object: the kind's path with the namespace in its middle.
    let parts: Vec<&str> = path.split('/').collect();
    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let at = parts.iter().position(|part| *part == "namespaces");
    let found = match (at, parts.as_slice()) {
        (Some(at), all) if all.len() == at + 4 => {
            let kind = format!("{}/{}", all[..at].join("/"), all[at + 2]);
            let key = format!("{}/{}", all[at + 1], all[at + 3]);
            state
                .objects
                .get(&kind)
                .and_then(|of| of.get(&key))
                .cloned()
        }
        (_, [all @ .., name]) => {
            let of = state.objects.get(&all.join("/"));
            of.and_then(|of| of.get(*name)).cloned()
        }
        _ => None,
    };
    Ok(found.map_or_else(missing, |bytes| whole(StatusCode::OK, bytes)))
}

fn listed(state: &State, kind: &str, query: &HashMap<String, String>) -> Response<Body> {
    let limit = query.get("limit").and_then(|l| l.parse().ok());
    let limit: usize = limit.filter(|l| *l > 0).unwrap_or(usize::MAX);
    let after = query.get("continue").cloned().unwrap_or_default();
    let empty = BTreeMap::new();
    let of = state.objects.get(kind).unwrap_or(&empty);
    let mut items = Vec::new();
    let mut last = String::new();
    let from = std::ops::Bound::Excluded(after);
    let mut rest = of.range::<String, _>((from, std::ops::Bound::Unbounded));
    for (key, bytes) in rest.by_ref().take(limit) {
        items.push(bytes.clone());
        last.clone_from(key);
    }
    let next = if rest.next().is_some() {
        last
    } else {
        String::new()
    };
    let version = state.log.len() as u64 + 999;
    let head = json!({"resourceVersion": version.to_string(), "continue": next});
    let mut text =
        format!("{{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{head},\"items\":[");
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push_str(&String::from_utf8_lossy(item));
    }
    text.push_str("]}");
    whole(StatusCode::OK, text)
}

fn watched(
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    kind: String,
    query: &HashMap<String, String>,
) -> Response<Body> {
    let from = query
        .get("resourceVersion")
        .and_then(|v| v.parse::<usize>().ok());
    let from = from.unwrap_or(999).saturating_sub(999);
    let changes = changed.subscribe();
    let lines = futures::stream::unfold((from, changes), move |(at, mut changes)| {
        let (state, kind) = (Arc::clone(&state), kind.clone());
        async move {
            loop {
                changes.borrow_and_update();
                let (lines, end) = {
                    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    let new = state.log.get(at..).unwrap_or_default();
                    let ours = new.iter().filter(|(of, _)| *of == kind);
                    let lines: Vec<u8> = ours.flat_map(|(_, line)| line.to_vec()).collect();
                    (lines, state.log.len())
                };
                if !lines.is_empty() {
                    let frame = Ok(Frame::data(Bytes::from(lines)));
                    return Some((frame, (end, changes)));
                }
                if changes.changed().await.is_err() {
                    return None;
                }
            }
        }
    });
    let mut response = Response::new(StreamBody::new(lines.boxed()).boxed_unsync());
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}

fn discovery(state: &State, core: bool) -> String {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let resource = |kind: &str,
                    plural: &str,
                    namespaced: bool,
                    group: &str,
                    version: &str,
                    status: bool| {
        let parts = match status {
            true => {
                json!([{"subresource": "status", "responseKind": {"group": group, "version": version, "kind": kind},
                "verbs": ["get", "patch"]}])
            }
            false => json!([]),
        };
        json!({"resource": plural, "responseKind": {"group": group, "version": version, "kind": kind},
            "scope": if namespaced { "Namespaced" } else { "Cluster" },
            "verbs": ["get", "list", "patch", "watch"], "subresources": parts})
    };
    for (group, version, kind, plural, namespaced) in KINDS {
        let made = resource(kind, plural, namespaced, group, version, false);
        groups
            .entry(format!("{group} {version}"))
            .or_default()
            .push(made);
    }
    for kind in &state.constraints {
        let group = "constraints.gatekeeper.sh";
        let made = resource(kind, &kind.to_lowercase(), false, group, "v1beta1", true);
        groups
            .entry(format!("{group} v1beta1"))
            .or_default()
            .push(made);
    }
    let items = groups.into_iter().filter_map(|(key, resources)| {
        let (group, version) = key.split_once(' ')?;
        (group.is_empty() == core).then(|| {
            json!({"metadata": {"name": group}, "versions": [
                {"version": version, "freshness": "Current", "resources": resources}]})
        })
    });
    let items: Vec<Value> = items.collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items})
    .to_string()
}
