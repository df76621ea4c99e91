//! Plugins: folders of checks, and those that are built in.

use super::{Machine, NOT_SCAP, head, scap, write};
use crate::arguments::{Format, ScanHost};
use crate::scan::progress_bar;
use crate::scap::{Content, read};
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use bartizan_model::report::Report;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{Asset, Scan};
use bartizan_policy::Budget;
use bartizan_policy::facts as rego;
use bartizan_scap::content::Kind;
use bartizan_scap::facts;
use bartizan_scap::plugin::{self, BUILTIN, Builtin, Manifest};
use bartizan_scap::results::convert;
use bartizan_scap::system::System;
use bartizan_scap::yaml;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Deeper folders are refused.
const MAX_DEPTH: usize = 8;
/// More files are refused.
const MAX_FILES: usize = 500;
/// A larger module is none.
const MAX_MODULE: u64 = 1 << 20;
/// What a rule of a check may take: a host's facts are larger than a Pod.
const BUDGET: Budget = Budget {
    time: Duration::from_secs(5),
};

/// Lists the plugins that are built in.
pub fn list(options: &ScanHost) -> Result<Verdict> {
    let mut rows = Vec::new();
    for plugin in BUILTIN {
        let baselines = plugin
            .baselines()
            .context("a built-in baseline is broken")?;
        let checks: usize = baselines.iter().map(|one| one.checks.len()).sum();
        let mut systems: Vec<String> = baselines
            .iter()
            .flat_map(|one| one.applies.clone().unwrap_or_default())
            .collect();
        systems.dedup();
        rows.push((plugin, checks, systems));
    }
    let mut out = String::new();
    match options.format {
        Format::Json => {
            let all = rows.iter().map(|(plugin, checks, systems)| {
                json!({
                    "id": plugin.id,
                    "title": plugin.title,
                    "checks": checks,
                    "systems": systems,
                })
            });
            out = serde_json::to_string_pretty(&all.collect::<Vec<_>>())?;
            out.push('\n');
        }
        Format::Table => {
            for (plugin, checks, systems) in rows {
                out.push_str(&format!(
                    "{:<12} {checks:>4} checks  {} ({})\n",
                    plugin.id,
                    plugin.title,
                    systems.join(", ")
                ));
            }
        }
        _ => bail!("plugins are listed as a table or as JSON"),
    }
    show::to(options.output.as_deref(), out.as_bytes())?;
    Ok(Verdict::Good)
}

/// Writes what is known of the machine.
pub fn write_facts(path: &PathBuf, machine: &Machine, system: &dyn System) -> Result<()> {
    let known = facts::document(&yaml::Facts::new(system), &machine.host.name);
    write(path, |mut out| {
        serde_json::to_writer_pretty(&mut out, &known)?;
        writeln!(out)?;
        out.flush()
    })
}

/// Options that only SCAP content has.
fn refuse_scap_options(options: &ScanHost) -> Result<()> {
    let choice = &options.choice;
    let asked = [&choice.profile, &choice.datastream_id, &choice.xccdf_id];
    if asked.into_iter().any(Option::is_some)
        || choice.tailoring.is_some()
        || !options.rule.is_empty()
        || !options.cpe.is_empty()
        || options.arf.is_some()
        || options.results.is_some()
    {
        bail!(
            "profiles, tailorings, --rule, --cpe, --arf and --results are for SCAP content; {NOT_SCAP}"
        );
    }
    Ok(())
}

/// The machine judged by a plugin that is built in.
pub fn builtin(options: &ScanHost, machine: &Machine, system: &dyn System) -> Result<Report> {
    refuse_scap_options(options)?;
    let name = options.plugin.as_deref().unwrap_or_default();
    let Some(found) = Builtin::find(name) else {
        let names: Vec<&str> = BUILTIN.iter().map(|plugin| plugin.id).collect();
        bail!(
            "there is no plugin {name}; there are {}. A folder is given by --content",
            names.join(", ")
        );
    };
    let started = now();
    let known = yaml::Facts::new(system);
    // Where it cannot be told whether one applies, its checks are unknown, not left out.
    let mut fitting = found.baselines().context("a built-in baseline is broken")?;
    fitting.retain(|baseline| yaml::applies(baseline, &known).unwrap_or(true));
    if fitting.is_empty() {
        bail!("the plugin {name} is not for this system");
    }
    let source = format!("bartizan/plugin/{name}");
    let scan = head(options, &machine.host, &source, started)?;
    let asset = convert::asset(&scan, &machine.host.name)?;
    let part = baselines(&fitting, &known, scan.clone(), asset.clone())?;
    Ok(join(scan, vec![part], asset, machine))
}

/// What a plugin's folder holds.
#[derive(Default)]
struct Files {
    yaml: Vec<PathBuf>,
    rego: Vec<PathBuf>,
    /// Of the folder itself, not of those in it.
    xml: Vec<PathBuf>,
}

impl Files {
    /// Hidden entries and links are passed over, so a plugin stays inside its folder.
    fn gather(&mut self, folder: &Path, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            bail!("{} is more than {MAX_DEPTH} folders deep", folder.display());
        }
        let cannot = || format!("cannot read the folder {}", folder.display());
        for entry in std::fs::read_dir(folder).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().with_context(cannot)?;
            let path = entry.path();
            if name.starts_with('.') || (depth == 0 && name == plugin::FILE) {
                continue;
            }
            if kind.is_dir() {
                self.gather(&path, depth + 1)?;
                continue;
            }
            let ends = |end: &str| kind.is_file() && name.ends_with(end);
            if ends(".yaml") || ends(".yml") {
                self.yaml.push(path);
            } else if ends(".rego") {
                self.rego.push(path);
            } else if depth == 0 && (ends(".xml") || ends(".xml.bz2")) {
                self.xml.push(path);
            }
            if self.yaml.len() + self.rego.len() + self.xml.len() > MAX_FILES {
                bail!("the plugin has more than {MAX_FILES} files");
            }
        }
        Ok(())
    }

    /// The one file of SCAP content; OVAL definitions beside a benchmark are part of it.
    fn scap(&self) -> Result<Option<&Path>> {
        if let [one] = self.xml.as_slice() {
            return Ok(Some(one));
        }
        let mut found = Vec::new();
        for path in &self.xml {
            if Content::load(path)?.bundle.kind != Kind::Oval {
                found.push(path.as_path());
            }
        }
        match found.as_slice() {
            [] if self.xml.is_empty() => Ok(None),
            [one] => Ok(Some(one)),
            [] => bail!("OVAL definitions need a benchmark that names them, or stand alone"),
            [one, other, ..] => bail!(
                "a plugin has one SCAP content; here are {} and {}",
                one.display(),
                other.display()
            ),
        }
    }
}

/// Files with their names within the folder.
fn load(folder: &Path, paths: &[PathBuf], limit: u64) -> Result<Vec<(String, Vec<u8>)>> {
    paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap_or(path);
            Ok((name.to_string_lossy().into_owned(), read(path, limit)?))
        })
        .collect()
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect()
}

/// The manifest, or what the folder's name makes of it.
fn manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join(plugin::FILE);
    if path.exists() {
        let bytes = read(&path, plugin::MAX_BYTES as u64)?;
        return Ok(Manifest::parse(&bytes)?);
    }
    let whole = folder
        .canonicalize()
        .with_context(|| format!("cannot look into {}", folder.display()))?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    Ok(Manifest::of_folder(&name)?)
}

/// The machine judged by a plugin's folder.
pub fn folder(
    options: &ScanHost,
    folder: &Path,
    machine: &Machine,
    system: &dyn System,
) -> Result<Report> {
    let cannot = || format!("cannot use the plugin {}", folder.display());
    let manifest = manifest(folder).with_context(cannot)?;
    let mut files = Files::default();
    files.gather(folder, 0).with_context(cannot)?;
    for list in [&mut files.yaml, &mut files.rego, &mut files.xml] {
        list.sort();
    }
    let content = files.scap().with_context(cannot)?;
    if content.is_none() {
        refuse_scap_options(options)?;
    }
    let own = files.yaml.len() + files.rego.len();
    if own == 0 && content.is_none() {
        bail!(
            "{} has no checks: no YAML, no Rego, no SCAP content",
            folder.display()
        );
    }
    if own > 0 && !options.rule.is_empty() {
        bail!("--rule is for SCAP content alone; this plugin has other checks too");
    }
    // All is read before anything is asked: a fault of the last file should not cost a scan.
    let texts = load(folder, &files.yaml, yaml::MAX_BYTES as u64)?;
    let own = yaml::custom(&borrowed(&texts)).with_context(cannot)?;
    if own.is_empty() && !texts.is_empty() {
        bail!("the YAML files of {} are no baseline", folder.display());
    }
    let modules = load(folder, &files.rego, MAX_MODULE)?;
    let mut parts = vec!["version", "host"];
    parts.extend(facts::PARTS);
    let checks = match modules.as_slice() {
        [] => None,
        _ => Some(
            rego::Plugin::load(&manifest.id, &borrowed(&modules), &parts).with_context(cannot)?,
        ),
    };

    let source = format!("bartizan/plugin/{}", manifest.id);
    let scan = head(options, &machine.host, &source, now())?;
    let asset = convert::asset(&scan, &machine.host.name)?;
    let known = yaml::Facts::new(system);
    let mut reports = Vec::new();
    if !own.is_empty() {
        reports.push(baselines(&own, &known, scan.clone(), asset.clone())?);
    }
    if let Some(checks) = &checks {
        let told = facts::document(&known, &machine.host.name);
        reports.push(modules_judge(checks, &manifest, &told, &scan, &asset));
    }
    if let Some(file) = content {
        reports.push(scap(options, file, machine, system, &mut |_| {})?);
    }
    Ok(join(scan, reports, asset, machine))
}

/// What baselines say. One that is not for this system is not applicable.
fn baselines(
    all: &[yaml::Baseline],
    known: &yaml::Facts<'_>,
    scan: Scan,
    asset: Asset,
) -> Result<Report> {
    let bar = progress_bar();
    let mut answered = Vec::new();
    for baseline in all {
        let answers = yaml::evaluate_with(baseline, known, &|done, all| {
            bar.set_position(done as u64);
            bar.set_message(format!("of {all} checks of {}", baseline.title));
        });
        answered.push((baseline, answers));
    }
    bar.finish_and_clear();
    Ok(yaml::report(&answered, scan, asset)?)
}

/// What Rego says of the facts.
fn modules_judge(
    checks: &rego::Plugin,
    manifest: &Manifest,
    told: &serde_json::Value,
    scan: &Scan,
    asset: &Asset,
) -> Report {
    let bar = progress_bar();
    let results = checks.evaluate(told, &asset.uid, scan.started, BUDGET, &|done, all| {
        bar.set_position(done as u64);
        bar.set_message(format!("of {all} checks in Rego"));
    });
    bar.finish_and_clear();
    let mut scan = scan.clone();
    scan.content.push(ContentDigest {
        name: format!("{}/{}", rego::ENGINE, manifest.id),
        digest: checks.digest.clone(),
    });
    Report {
        scan,
        checks: checks.checks.clone(),
        observations: Vec::new(),
        results,
    }
}

/// One report of many about one machine.
fn join(mut scan: Scan, reports: Vec<Report>, asset: Asset, machine: &Machine) -> Report {
    let (mut checks, mut results) = (Vec::new(), Vec::new());
    for report in reports {
        checks.extend(report.checks);
        results.extend(report.results);
        scan.content.extend(report.scan.content);
    }
    checks.sort_by(|one, other| one.uid.cmp(&other.uid));
    results.sort_by(|one, other| (&one.check, &one.locus).cmp(&(&other.check, &other.locus)));
    scan.finished = now();
    Report {
        scan,
        checks,
        observations: vec![convert::observation(asset, &machine.host)],
        results,
    }
}

#[cfg(test)]
mod tests;
