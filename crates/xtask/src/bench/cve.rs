//! Records of the CVE list from files to a store that answers, by the built binary alone.

use super::{Options, backends};
use crate::report::Figure;
use anyhow::{Context, Result, bail};
use bartizan_xtask::running::{Backend, Server, Setup};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SAMPLES: usize = 30;
/// Records of the delta.
const DELTA: usize = 500;
const BOUND_MS: f64 = 50.0;

/// Vulnerabilities.
#[derive(clap::Args)]
pub struct Feed {
    /// Folder with records of the CVE list, one a file, such as a checkout of cisagov/vulnrichment.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// A Kafka broker, host:port; the binary must have the feature `kafka`.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
}

/// A data folder, its database, and what records go through.
struct Place<'a> {
    binary: PathBuf,
    data: &'a Path,
    database: Option<&'a str>,
    stream: Option<String>,
}

/// What a run of the binary took.
struct Run {
    seconds: f64,
    peak_mib: f64,
    output: String,
}

/// Rates and times on every back end, and through Kafka where there is a broker.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let Some(folder) = &options.feed.data else {
        eprintln!("not measured: no --data FOLDER with records of the CVE list");
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    records(folder, &mut files)?;
    files.sort();
    if files.len() < DELTA {
        bail!("{} holds {} records", folder.display(), files.len());
    }
    eprintln!(
        "{} records; load {}",
        files.len(),
        fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
    );
    let mut figures = Vec::new();
    for backend in backends(options) {
        let least = match backend {
            Backend::Sqlite => 10_000.0,
            Backend::Postgres(_) => 6_000.0,
        };
        figures.extend(whole(options, folder, &files, &backend, None, least)?);
        if let Some(kafka) = &options.feed.kafka {
            figures.extend(whole(
                options,
                folder,
                &files,
                &backend,
                Some(kafka),
                4_000.0,
            )?);
        }
    }
    Ok(figures)
}

fn records(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if name != ".git" {
                records(&entry.path(), found)?;
            }
        } else if name.starts_with("CVE-") && name.ends_with(".json") {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn whole(
    options: &Options,
    folder: &Path,
    files: &[PathBuf],
    backend: &Backend,
    kafka: Option<&String>,
    least: f64,
) -> Result<Vec<Figure>> {
    let data = tempfile::tempdir()?;
    let database = backend.fresh()?;
    let place = Place {
        binary: options.binary(),
        data: data.path(),
        database: database.as_deref(),
        stream: kafka.map(|broker| {
            // A topic of its own, so that an earlier run's records are not read.
            format!(
                "kafka://{broker}/bartizan.bench.{}.{}",
                backend.name(),
                std::process::id()
            )
        }),
    };
    let label = |what: &str| match kafka {
        Some(_) => format!("cve, {}, through Kafka: {what}", backend.name()),
        None => format!("cve, {}: {what}", backend.name()),
    };
    let first = place.sync("vulnrichment", folder)?;
    let (cold, times) = place.ask(files)?;
    let again = place.sync("vulnrichment", folder)?;
    let (delta, seen) = place.delta(files)?;
    let rate = files.len() as f64 / (first.seconds + cold);
    let mut figures = vec![
        Figure::at_least(&label("from files to answers"), rate, "records/s", least),
        Figure::plain(&label("first sync"), first.seconds, "s"),
        Figure::under(
            &label("peak memory"),
            first.peak_mib.max(again.peak_mib),
            "MiB",
            300.0,
        ),
        Figure::under(&label("second sync, unchanged"), again.seconds, "s", 5.0),
        Figure::under(&label("500 changed records visible"), delta, "s", 2.0),
        Figure::at_least(&label("of which seen"), seen, "records", DELTA as f64),
    ];
    for (name, worst) in times {
        figures.push(Figure::under(&label(&name), worst, "ms, worst", BOUND_MS));
    }
    Ok(figures)
}

impl Place<'_> {
    /// Runs the binary to its end, watching its memory.
    fn bartizan(&self, arguments: &[&str]) -> Result<Run> {
        let start = Instant::now();
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .arg("--data")
            .arg(self.data)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped());
        if let Some(database) = self.database {
            command.args(["--database", database]);
        }
        let child = command.spawn()?;
        let status = format!("/proc/{}/status", child.id());
        let ended = std::sync::atomic::AtomicBool::new(false);
        let (output, peak) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut peak = 0.0_f64;
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    let text = fs::read_to_string(&status).unwrap_or_default();
                    let kib = text
                        .lines()
                        .find_map(|line| line.strip_prefix("VmHWM:"))
                        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
                    peak = peak.max(kib.unwrap_or_default() / 1024.0);
                    std::thread::sleep(Duration::from_millis(20));
                }
                peak
            });
            let output = child.wait_with_output();
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            (output, watch.join().unwrap_or_default())
        });
        let output = output?;
        if !output.status.success() {
            bail!("{arguments:?} ended with {}", output.status);
        }
        Ok(Run {
            seconds: start.elapsed().as_secs_f64(),
            peak_mib: peak,
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }

    fn sync(&self, source: &str, folder: &Path) -> Result<Run> {
        let source = format!("{source}={}", folder.display());
        let mut arguments = vec!["cve", "sync", "--source", &source, "--format", "json"];
        if let Some(stream) = &self.stream {
            arguments.extend(["--stream", stream]);
        }
        self.bartizan(&arguments)
    }

    /// The six queries over HTTP: seconds of their first round, and the worst of each in ms.
    fn ask(&self, files: &[PathBuf]) -> Result<(f64, Vec<(String, f64)>)> {
        let mut setup = Setup::new(&self.binary, self.data);
        setup.database = self.database.map(str::to_owned);
        let mut server = Server::start(&setup)?;
        server.sign_in()?;
        let id = files
            .get(files.len() / 2)
            .and_then(|path| path.file_stem())
            .context("no record")?
            .to_string_lossy()
            .into_owned();
        let queries = [
            ("query by id", format!("/vulnerabilities/{id}")),
            ("query by product", "/vulnerabilities?product=linux".into()),
            ("query by CWE", "/vulnerabilities?cwe=CWE-79".into()),
            (
                "query by severity",
                "/vulnerabilities?severity=critical".into(),
            ),
            (
                "query by date",
                "/vulnerabilities?from=2024-05-01&to=2024-06-01".into(),
            ),
            ("query by KEV", "/vulnerabilities?kev=true".into()),
        ];
        let start = Instant::now();
        for (name, query) in &queries {
            let answer: Value = server.get(query)?;
            let items = answer.get("items").and_then(Value::as_array);
            let named = answer.pointer("/names/0").and_then(Value::as_str);
            if items.is_none_or(Vec::is_empty) && named != Some(&id) {
                bail!("{name}: nothing was found");
            }
        }
        let cold = start.elapsed().as_secs_f64();
        let mut times = Vec::new();
        for (name, query) in queries {
            let mut worst = 0.0_f64;
            for _ in 0..SAMPLES {
                let start = Instant::now();
                server.get(&query)?;
                worst = worst.max(start.elapsed().as_secs_f64() * 1000.0);
            }
            times.push((name.to_owned(), worst));
        }
        Ok((cold, times))
    }

    /// A delta of changed records: seconds until it is applied and one of it is read back, and how
    /// many were changed.
    fn delta(&self, files: &[PathBuf]) -> Result<(f64, f64)> {
        let folder = tempfile::tempdir()?;
        let mut last = String::new();
        for path in files.iter().step_by(files.len() / DELTA).take(DELTA) {
            let mut record: Value = serde_json::from_slice(&fs::read(path)?)?;
            let meta = record.get_mut("cveMetadata").and_then(Value::as_object_mut);
            meta.context("a record without cveMetadata")?
                .insert("dateUpdated".into(), "2031-01-01T00:00:00.000Z".into());
            let name = path.file_name().context("no name")?;
            fs::write(folder.path().join(name), serde_json::to_vec(&record)?)?;
            last = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
        }
        let sync = self.sync("vulnrichment:delta", folder.path())?;
        let show = self.bartizan(&["cve", "show", &last, "--format", "json"])?;
        if !show.output.contains("2031-01-01T00:00:00Z") {
            bail!("{last} was not changed");
        }
        let summary: Value = serde_json::from_str(&sync.output)
            .with_context(|| format!("the summary of a sync: {:?}", sync.output))?;
        let seen = summary
            .pointer("/applied/changed")
            .and_then(Value::as_f64)
            .unwrap_or_default();
        Ok((sync.seconds + show.seconds, seen))
    }
}
