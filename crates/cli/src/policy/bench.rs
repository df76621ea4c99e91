//! `bartizan policy bench`: what judging objects costs, and whether it costs more than before.

use super::arguments::{Bench, BenchEngine, BenchFormat};
use super::write::{self, duration};
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use bartizan_policy::check::{self, Language};
use bartizan_policy::{Checked, Checker, Object};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// What was measured of one engine.
struct Measured {
    engine: &'static str,
    templates: usize,
    constraints: usize,
    skipped: Vec<String>,
    objects: usize,
    iterations: u32,
    concurrency: u32,
    setup: Duration,
    total: Duration,
    /// Of every review, sorted.
    times: Vec<Duration>,
    violations: usize,
    untold: usize,
}

/// Measures, saves and compares.
pub fn run(options: &Bench) -> Result<Verdict> {
    let objects = super::objects(&options.input)?;
    let engines: &[(&str, Language)] = match options.engine {
        BenchEngine::Rego => &[("rego", Language::Rego)],
        BenchEngine::Cel => &[("cel", Language::Cel)],
        BenchEngine::All => &[("rego", Language::Rego), ("cel", Language::Cel)],
    };
    if options.iterations < 1000 {
        show::remark("fewer than 1000 iterations: the p99 says little");
    }
    let before = options.compare.as_ref().map(|path| {
        let bytes = std::fs::read(path);
        let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice::<Value>(&bytes)
            .with_context(|| format!("{} is no saved result", path.display()))
    });
    let before = before.transpose()?;
    let mut all = Vec::new();
    for (name, language) in engines {
        match measure(name, *language, &objects, options) {
            Ok(measured) => all.push(measured),
            Err(why) if engines.len() > 1 => show::remark(&format!("{name}: {why}")),
            Err(why) => return Err(why),
        }
    }
    if all.is_empty() {
        bail!("no engine could be measured");
    }
    for measured in all.iter().filter(|m| m.untold > 0) {
        let (engine, count) = (measured.engine, measured.untold);
        show::remark(&format!("{engine}: {count} judgements could not be made"));
    }
    let json: Vec<Value> = all.iter().map(Measured::json).collect();
    let text = match options.format {
        BenchFormat::Table => all
            .iter()
            .map(Measured::table)
            .collect::<Vec<_>>()
            .join("\n"),
        BenchFormat::Json => write::json(&Value::Array(json))? + "\n",
        BenchFormat::Yaml => write::yaml(&Value::Array(json)),
    };
    show::bytes(text.as_bytes())?;
    let saved: Vec<Value> = all.iter().map(Measured::saved).collect();
    if let Some(path) = &options.save {
        let text = write::json(&Value::Array(saved.clone()))? + "\n";
        show::to(Some(path), text.as_bytes())?;
    }
    match before {
        Some(before) => compare(&before, &saved, options),
        None => Ok(Verdict::Good),
    }
}

fn measure(
    engine: &'static str,
    language: Language,
    objects: &[Object],
    options: &Bench,
) -> Result<Measured> {
    let make = || -> Result<(Checker, Vec<String>)> {
        let checker = Checker::new(objects.to_vec(), language, now());
        let mut checker = checker.map_err(anyhow::Error::msg)?;
        let skipped = checker.restrict(language);
        Ok((checker, skipped))
    };
    let start = Instant::now();
    let (mut checker, skipped) = make()?;
    let setup = start.elapsed();
    let (templates, constraints) = checker.size();
    if templates == 0 || constraints == 0 {
        bail!("there are no templates with constraints for the engine {engine}");
    }
    let judged: Vec<&Object> = objects.iter().filter(|o| !check::is_policy(o)).collect();
    if judged.is_empty() {
        bail!("there are no objects to judge");
    }
    let mut checked = Checked::default();
    for object in &judged {
        checker.one(object, &mut checked);
    }
    let (violations, untold) = (checked.violations.len(), checked.untold.len());
    let round = |checker: &mut Checker, times: &mut Vec<Duration>| {
        for object in &judged {
            let mut checked = Checked::default();
            let start = Instant::now();
            checker.one(object, &mut checked);
            times.push(start.elapsed());
        }
    };
    let mut ignored = Vec::new();
    for _ in 0..options.warmup {
        round(&mut checker, &mut ignored);
    }
    let start = Instant::now();
    let mut times = Vec::new();
    if options.concurrency == 1 {
        for _ in 0..options.iterations {
            round(&mut checker, &mut times);
        }
    } else {
        let share = |worker: u32| {
            let (all, many) = (options.iterations, options.concurrency);
            all / many + u32::from(worker < all % many)
        };
        times = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..options.concurrency)
                .map(|worker| {
                    let (make, round) = (&make, &round);
                    scope.spawn(move || -> Result<Vec<Duration>> {
                        let (mut checker, _) = make()?;
                        let mut times = Vec::new();
                        for _ in 0..share(worker) {
                            round(&mut checker, &mut times);
                        }
                        Ok(times)
                    })
                })
                .collect();
            let mut all = Vec::new();
            for worker in workers {
                let times = worker.join();
                all.extend(times.map_err(|_| anyhow::anyhow!("a worker failed"))??);
            }
            Ok::<_, anyhow::Error>(all)
        })?;
    }
    let total = start.elapsed();
    times.sort();
    Ok(Measured {
        engine,
        templates,
        constraints,
        skipped,
        objects: judged.len(),
        iterations: options.iterations,
        concurrency: options.concurrency,
        setup,
        total,
        times,
        violations,
        untold,
    })
}

impl Measured {
    fn percentile(&self, part: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        let at = (last as f64 * part).round() as usize;
        self.times.get(at).copied().unwrap_or_default()
    }

    fn mean(&self) -> Duration {
        let all: Duration = self.times.iter().sum();
        let count = u32::try_from(self.times.len()).unwrap_or(u32::MAX).max(1);
        all / count
    }

    fn latencies(&self) -> [(&'static str, Duration); 6] {
        [
            ("min", self.percentile(0.0)),
            ("max", self.percentile(1.0)),
            ("mean", self.mean()),
            ("p50", self.percentile(0.5)),
            ("p95", self.percentile(0.95)),
            ("p99", self.percentile(0.99)),
        ]
    }

    fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.total.as_secs_f64().max(1e-9)
    }

    fn common(&self, time: impl Fn(Duration) -> Value) -> Value {
        let latencies = self
            .latencies()
            .map(|(name, told)| (name.to_owned(), time(told)));
        json!({
            "engine": self.engine,
            "templateCount": self.templates,
            "constraintCount": self.constraints,
            "skippedTemplates": self.skipped,
            "objectCount": self.objects,
            "iterations": self.iterations,
            "concurrency": self.concurrency,
            "setupDuration": time(self.setup),
            "totalDuration": time(self.total),
            "latencies": Value::Object(latencies.into_iter().collect()),
            "violationCount": self.violations * self.iterations as usize,
            "untoldCount": self.untold,
            "reviewsPerSecond": self.per_second(),
            "referentialDataSupported": self.engine != "cel",
        })
    }

    fn json(&self) -> Value {
        let mut json = self.common(|time| duration(time).into());
        if let Some(map) = json.as_object_mut() {
            map.insert("totalReviews".into(), self.times.len().into());
        }
        json
    }

    /// With times as nanoseconds.
    fn saved(&self) -> Value {
        self.common(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).into())
    }

    fn table(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "  {name:<18}{value}");
        };
        line("Templates:", self.templates.to_string());
        line("Constraints:", self.constraints.to_string());
        line("Objects:", self.objects.to_string());
        line("Iterations:", self.iterations.to_string());
        line("Threads:", self.concurrency.to_string());
        if !self.skipped.is_empty() {
            line("Left out:", self.skipped.join(", "));
        }
        line("Setup:", duration(self.setup));
        line("Total:", duration(self.total));
        line("Throughput:", format!("{:.2} reviews/s", self.per_second()));
        for (name, time) in self.latencies() {
            line(&format!("{name} a review:"), duration(time));
        }
        line("Violations:", format!("{} a round", self.violations));
        format!("=== {} ===\n{out}", self.engine)
    }
}

/// Slower than before by more than the threshold, and by more than the least that counts.
fn compare(before: &Value, after: &[Value], options: &Bench) -> Result<Verdict> {
    let least = options.min_threshold.as_nanos() as f64;
    let mut slower = Vec::new();
    let mut out = String::new();
    let mut found = false;
    for new in after {
        let engine = new.get("engine").and_then(Value::as_str).unwrap_or("");
        let all = before.as_array().into_iter().flatten();
        let same = |old: &&Value| old.get("engine") == new.get("engine");
        let Some(old) = all.clone().find(same) else {
            show::remark(&format!("nothing to compare {engine} with"));
            continue;
        };
        found = true;
        let _ = writeln!(out, "=== {engine}, compared ===");
        let number =
            |value: &Value, path: &str| value.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
        for name in ["p50", "p95", "p99", "mean"] {
            let path = format!("/latencies/{name}");
            let (a, b) = (number(old, &path), number(new, &path));
            let delta = percent(a, b);
            let good = delta <= options.threshold || (least > 0.0 && b - a < least);
            let nanos = |n: f64| duration(Duration::from_nanos(n as u64));
            let word = if good { "ok" } else { "SLOWER" };
            let _ = writeln!(
                out,
                "  {name:<12}{:>12} {:>12} {delta:>+8.1}% {word}",
                nanos(a),
                nanos(b)
            );
            if !good {
                slower.push(format!("{engine} {name}"));
            }
        }
        let (a, b) = (
            number(old, "/reviewsPerSecond"),
            number(new, "/reviewsPerSecond"),
        );
        let delta = percent(a, b);
        let mean = number(old, "/latencies/mean");
        let small = least > 0.0 && mean > 0.0 && a - b < a * (least / mean);
        let good = -delta <= options.threshold || small;
        let word = if good { "ok" } else { "SLOWER" };
        let _ = writeln!(
            out,
            "  {:<12}{a:>10.2}/s {b:>10.2}/s {delta:>+8.1}% {word}",
            "throughput"
        );
        if !good {
            slower.push(format!("{engine} throughput"));
        }
    }
    if !found {
        bail!("the saved result has none of the engines");
    }
    show::bytes(out.as_bytes())?;
    match slower.is_empty() {
        true => Ok(Verdict::Good),
        false => {
            let threshold = options.threshold;
            show::remark(&format!(
                "slower by more than {threshold}%: {}",
                slower.join(", ")
            ));
            Ok(Verdict::Bad)
        }
    }
}

fn percent(before: f64, after: f64) -> f64 {
    match (before == 0.0, after == 0.0) {
        (true, true) => 0.0,
        (true, false) => 100.0,
        _ => (after - before) / before * 100.0,
    }
}
