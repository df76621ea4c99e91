//! The API server that `scripts/with-cluster` started.

use bartizan_cluster::{Change, Cluster, Source, connect};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Mutex, MutexGuard};

/// One test at a time: some restart the API server.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Real {
    pub cluster: Arc<dyn Cluster>,
    folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Real {
    pub async fn new() -> Self {
        let turn = TURN.lock().await;
        let folder = std::env::var_os("BARTIZAN_KUBE")
            .expect("run by scripts/with-cluster")
            .into();
        let cluster = connect(&Source::Kubeconfig {
            path: None,
            context: None,
        })
        .await
        .unwrap();
        Self {
            cluster,
            folder,
            _turn: turn,
        }
    }

    /// Runs kubectl; `input` is its standard input.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(self.folder.join("bin/kubectl"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // kubectl may end without reading all of it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs kubectl, which must succeed; what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_with(arguments, "")
    }

    /// Applies objects, which must succeed.
    pub fn apply(&self, objects: &Value) {
        self.kubectl_with(&["apply", "-f", "-"], &objects.to_string());
    }

    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.try_kubectl(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs kubectl, which must fail; what it complained about.
    pub fn refused(&self, arguments: &[&str], input: &str) -> String {
        let output = self.try_kubectl(arguments, input);
        assert!(!output.status.success(), "kubectl {arguments:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Stops and starts the API server, on the same data and port.
    pub async fn restart(&self) {
        self.control("restart").await;
    }

    pub async fn control(&self, what: &'static str) {
        let script = self.folder.join("api");
        let done = tokio::task::spawn_blocking(move || Command::new(script).arg(what).status());
        assert!(done.await.unwrap().unwrap().success(), "api {what}");
    }

    /// A namespace of that name, usable at once: pods wait for its service account.
    pub async fn namespace(&self, name: &str) {
        self.kubectl(&["create", "namespace", name]);
        until("the namespace has its service account", async || {
            let account = ["-n", name, "get", "serviceaccount", "default"];
            self.try_kubectl(&account, "").status.success()
        })
        .await;
    }

    pub fn repository(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The next change that a follower tells.
pub async fn next(told: &mut Receiver<Change>) -> Change {
    tokio::time::timeout(Duration::from_secs(60), told.recv())
        .await
        .expect("a change in time")
        .expect("a follower that goes on")
}
