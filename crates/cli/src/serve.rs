//! `bartizan serve` and `bartizan up`: configuration in, a running server out.

use crate::arguments::{FailOn, Format, OptionalRemote, Place, ScanK8s, Serve, Up};
use crate::{Verdict, scan, show};
use anyhow::{Context, Result};
use bartizan_model::report::Report;
use bartizan_server::config::{Config, Secret, Tls};
use bartizan_server::work::intake;
use bartizan_server::{AppState, Ready};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where the kill tests say at which write point the process ends.
#[cfg(debug_assertions)]
const KILL_AT: &str = "BARTIZAN_KILL_AT";

/// Runs the server until it is told to stop.
pub fn serve(options: &Serve) -> Result<Verdict> {
    run(options, |ready, _| {
        announce(options, &ready);
        let _ = show::line("Ready. Ctrl-C stops.");
    })
}

/// Runs the server and has it import a scan of the given folders.
pub fn up(options: &Up) -> Result<Verdict> {
    run(&options.serve, |ready, runtime| {
        announce(&options.serve, &ready);
        let state = ready.state.clone();
        let paths = options.scan.clone();
        let scan_host = options.scan_host;
        runtime.spawn(async move {
            if scan_host && let Err(error) = scan_host_into(&state).await {
                show::error(&error);
            }
            for path in paths {
                if let Err(error) = scan_into(&state, &path).await {
                    show::error(&error);
                }
            }
            let _ = show::line("Ready. Ctrl-C stops.");
        });
    })
}

/// Prints the HTTP interface's OpenAPI document.
pub fn openapi() -> Result<Verdict> {
    show::line(&bartizan_server::openapi_json())?;
    Ok(Verdict::Good)
}

/// The server's configuration of a place alone, for commands that need no listener.
pub fn place_config(place: &Place) -> Result<Config> {
    Ok(Config {
        data: place.data.clone(),
        database: place.database.clone(),
        objects: place.objects.clone(),
        key_passphrase: secret_file(place.key_passphrase_file.as_deref())?,
        ..Config::default()
    })
}

/// Whether there is a database to read; of a server's nobody knows before asking.
pub fn exists(config: &bartizan_store::Config) -> bool {
    let file = config.database.strip_prefix("sqlite:").map(Path::new);
    file.is_none_or(Path::is_file)
}

fn config(options: &Serve, runtime: &tokio::runtime::Runtime) -> Result<Config> {
    let mut config = place_config(&options.place)?;
    config.listen = options.listen;
    config.workers = options.workers;
    config.lease = Duration::from_secs(u64::from(options.lease_seconds));
    config.metrics_token = secret_file(options.metrics_token_file.as_deref())?;
    config.public_url.clone_from(&options.public_url);
    if let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) {
        config.tls = Some(Tls {
            cert: cert.clone(),
            key: key.clone(),
        });
    }
    let (cluster, admission) = (&options.cluster, &options.admission);
    cluster.configure(&mut config, admission, runtime)?;
    options.feeds.configure(&mut config, admission.role)?;
    config.chat = match options.chat.open()? {
        Some(endpoint) => Some(std::sync::Arc::new(endpoint)),
        None => None,
    };
    config.embedding = options.embedding.open()?;
    for proxy in &options.trusted_proxy {
        config.trusted_proxies.push(proxy.parse()?);
    }
    Ok(config)
}

fn secret_file(path: Option<&Path>) -> Result<Option<Secret>> {
    path.map(|path| {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the secret in {}", path.display()))?;
        let text = text.trim();
        anyhow::ensure!(!text.is_empty(), "{} is empty", path.display());
        Ok(Secret::new(text))
    })
    .transpose()
}

fn run(options: &Serve, ready: impl FnOnce(Ready, &tokio::runtime::Handle)) -> Result<Verdict> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    bartizan_server::log::init(&filter, bartizan_server::log::Format::Json);
    #[cfg(debug_assertions)]
    install_kill_point();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let config = config(options, &runtime)?;
    let shutdown = CancellationToken::new();
    let handle = runtime.handle().clone();
    runtime.spawn(stop_on_signal(shutdown.clone()));
    runtime.block_on(bartizan_server::serve(
        config,
        |it| ready(it, &handle),
        shutdown,
    ))?;
    show::remark("Stopped.");
    Ok(Verdict::Good)
}

fn announce(options: &Serve, ready: &Ready) {
    let mut lines = vec![
        String::new(),
        format!("  Bartizan {}", env!("CARGO_PKG_VERSION")),
        String::new(),
        format!("  Address: {}", ready.url),
        format!("  Data: {}", options.place.data.display()),
    ];
    if let Some((address, ca)) = &ready.webhook {
        lines.push(format!("  Webhook: https://{address}"));
        if ca.is_some() {
            let file = options.place.data.join("admission/ca.pem");
            lines.push(format!("  Webhook CA: {}", file.display()));
        }
    }
    if let Some(first) = &ready.first_secret {
        lines.push(format!("  User: {}", first.user));
        lines.push(format!("  One-time secret: {}", first.secret.expose()));
        lines.push(
            "  The secret is shown once and must be changed at the first sign-in.".to_owned(),
        );
    }
    lines.push(String::new());
    for line in lines {
        let _ = show::line(&line);
    }
}

/// Scans a folder on a blocking thread and hands the report to the server's own intake, the
/// one that `POST /artifacts` uses.
async fn scan_into(state: &AppState, path: &Path) -> Result<()> {
    let options = scan_options(path);
    let name = path.display().to_string();
    let output = tokio::task::spawn_blocking(move || scan::k8s(&options)).await??;
    let objects = output.report.observations.len();
    let failures = import(state, &name, &output.report).await?;
    show::line(&format!(
        "  Scanned {name}: {objects} objects, {failures} failures"
    ))
}

/// Scans this machine and hands the report in likewise.
async fn scan_host_into(state: &AppState) -> Result<()> {
    let report = tokio::task::spawn_blocking(crate::host::this_machine).await??;
    let checks = report.results.len();
    let failures = import(state, "this host", &report).await?;
    let scope = report.scan.scope.id()?;
    show::line(&format!(
        "  Scanned this host ({scope}): {checks} checks, {failures} failures"
    ))
}

/// Imports a report; answers how many failures it has.
async fn import(state: &AppState, name: &str, report: &Report) -> Result<usize> {
    intake::import_now(state, scan::report_bytes(report)?, "system")
        .await
        .with_context(|| format!("the scan of {name} could not be imported"))?;
    let failures = report.results.iter().filter(|r| r.outcome.word() == "fail");
    Ok(failures.count())
}

fn scan_options(path: &Path) -> ScanK8s {
    ScanK8s {
        paths: vec![path.to_owned()],
        policies: Vec::new(),
        no_builtin: false,
        scope: None,
        partial: false,
        baseline: None,
        write_baseline: None,
        format: Format::Report,
        output: None,
        fail_on: FailOn::Never,
        threads: None,
        remote: OptionalRemote {
            server: None,
            access: crate::arguments::Access {
                token_file: None,
                ca_file: None::<PathBuf>,
            },
        },
    }
}

async fn stop_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    show::remark("\nStopping: requests and imports under way are finished or handed back.");
    shutdown.cancel();
}

/// Lets the kill tests end the process, as `kill -9` does, at the n-th passage of a point.
#[cfg(debug_assertions)]
fn install_kill_point() {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static AT: OnceLock<(String, u64)> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Some((point, count)) = std::env::var(KILL_AT).ok().and_then(|text| {
        let (point, count) = text.rsplit_once(':')?;
        Some((point.to_owned(), count.parse().ok()?))
    }) else {
        return;
    };
    let _ = AT.set((point, count));
    bartizan_store::fault::install(|point| {
        if let Some((at, count)) = AT.get()
            && at == point
            && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count
        {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    });
}
