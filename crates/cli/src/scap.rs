//! `bartizan scap`: looking into SCAP content, OVAL alone, fixes, comparing results.

pub mod arguments;
mod diff;
mod eval;
mod fixes;
mod import;
mod info;
mod remedy;
mod results;
mod script;

use crate::arguments::Output;
use crate::host::{Machine, identity, write};
use crate::scap::arguments::{Scap, ScapFile, ScapOval};
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail, ensure};
use bartizan_scap::content::{Bundle, Component, Kind, unpacked};
use bartizan_scap::oval::characteristics::{self, Characteristics};
use bartizan_scap::oval::evaluate::Evaluator;
use bartizan_scap::oval::model::Document;
use bartizan_scap::probe;
use bartizan_scap::results::arf::Source;
use bartizan_scap::results::fragment::{Fragment, components};
use bartizan_scap::results::testresult::{Host, Interface};
use bartizan_scap::results::{oval, testresult};
use bartizan_scap::signature;
use bartizan_scap::xccdf::model::{Check, OVAL};
use bartizan_scap::xccdf::script::SCE;
use serde_json::json;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Component as Part, Path};
use std::sync::Arc;

/// More than this is refused before it is read.
const MAX_CONTENT: u64 = 256 << 20;
/// More files than this beside a plain benchmark are not read.
const MAX_BESIDE: usize = 64;
/// Scripts beside a plain benchmark: how many, and how long.
const MAX_SCRIPTS: usize = 2_000;
const MAX_SCRIPT: u64 = 1 << 20;

/// Runs a command.
pub fn run(command: &Scap) -> Result<Verdict> {
    match command {
        Scap::Info(options) => info::info(options),
        Scap::Validate(options) => validate(options),
        Scap::Profiles(options) => info::profiles(options),
        Scap::Oval(options) => oval_alone(options),
        Scap::Eval(options) => Ok(eval::run(options)),
        Scap::Fixes(options) => fixes::run(options),
        Scap::Diff(options) => diff::run(options),
        Scap::Import(options) => import::run(options),
        Scap::Remediate(options) => remedy::run(options),
        Scap::Undo(options) => remedy::undo(options),
    }
}

/// A file of SCAP content, with the files beside it that it names.
pub struct Content {
    /// The file's name.
    pub name: String,
    /// What is in it.
    pub bundle: Bundle,
    bytes: Vec<u8>,
    others: Vec<(String, Vec<u8>)>,
}

impl Content {
    /// Reads content; a signature that is there must be right.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_signed(path, signature::Policy::Check)
    }

    /// Reads content, and looks at its signature as it is asked to.
    pub fn load_signed(path: &Path, policy: signature::Policy) -> Result<Self> {
        let packed = read(path, MAX_CONTENT)?;
        let mut bundle =
            Bundle::load(&packed).with_context(|| format!("cannot use {}", path.display()))?;
        let plain = match unpacked(&packed)? {
            Cow::Owned(plain) => Some(plain),
            Cow::Borrowed(_) => None,
        };
        let bytes = plain.unwrap_or(packed);
        match bundle.kind {
            Kind::DataStream => {
                let signed = signature::check(&bytes, policy)
                    .with_context(|| format!("cannot use {}", path.display()))?;
                if signed != signature::Signed::No {
                    show::remark("the data stream's signature is valid");
                }
            }
            _ => ensure!(
                policy != signature::Policy::Enforce,
                "{} is no data stream, so it has no signature",
                path.display()
            ),
        }
        let others = match bundle.kind {
            Kind::Benchmark => beside(path, &mut bundle)?,
            _ => Vec::new(),
        };
        let name = path.file_name().map_or_else(
            || "content".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        Ok(Self {
            name,
            bundle,
            bytes,
            others,
        })
    }

    /// The files that it is made of, by their names beside each other: the main one first.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let others = self.others.iter();
        std::iter::once((&*self.name, &*self.bytes))
            .chain(others.map(|(name, bytes)| (&**name, &**bytes)))
    }

    /// Lets go of the text, which only results that embed it need.
    pub fn forget_bytes(&mut self) {
        self.bytes = Vec::new();
        self.others = Vec::new();
    }

    /// The content as results embed it.
    pub fn source(&self) -> Source<'_> {
        match self.bundle.kind {
            Kind::DataStream => Source::DataStream(&self.bytes),
            _ => Source::Files {
                benchmark: (&self.name, &self.bytes),
                others: &self.others,
            },
        }
    }

    /// The OVAL documents by component, in order, the first of a plain file.
    fn documents(&self) -> Vec<(&str, &Document)> {
        let mut documents: Vec<(&str, &Document)> = self
            .bundle
            .components()
            .filter_map(|(id, component)| match component {
                Component::Oval(document) => Some((&**id, &**document)),
                _ => None,
            })
            .collect();
        documents.sort_by_key(|(id, _)| *id);
        documents
    }
}

/// Reads a regular file that is not larger than `limit`.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    // Looked at before it is opened: a FIFO would block.
    let metadata = std::fs::metadata(path).with_context(cannot)?;
    ensure!(metadata.is_file(), "{} is no file", path.display());
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .with_context(cannot)?
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .with_context(cannot)?;
    ensure!(
        bytes.len() as u64 <= limit,
        "{} is larger than {} MiB",
        path.display(),
        limit >> 20
    );
    Ok(bytes)
}

/// Reads the OVAL files and scripts that a plain benchmark names and that lie beside it or below.
fn beside(path: &Path, bundle: &mut Bundle) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut names = BTreeSet::new();
    let mut scripts = BTreeSet::new();
    if let Some(chosen) = bundle.benchmark(None, None) {
        for (_, rule) in chosen.benchmark.rules() {
            for check in &rule.checks {
                named(check, OVAL, &mut names);
                named(check, SCE, &mut scripts);
            }
        }
    }
    let mut files = Vec::new();
    // Content must not choose files elsewhere; what is not here is not checked.
    let known = |name: &str| {
        let inside = Path::new(name)
            .components()
            .all(|part| matches!(part, Part::Normal(_) | Part::CurDir));
        Some(folder.join(name)).filter(|file| inside && file.is_file())
    };
    for name in scripts.into_iter().take(MAX_SCRIPTS) {
        if let Some(file) = known(&name) {
            bundle.add_script(&name, &read(&file, MAX_SCRIPT)?);
        }
    }
    for name in names {
        let Some(file) = known(&name).filter(|_| files.len() < MAX_BESIDE) else {
            show::remark(&format!("{name} is not beside the benchmark: not checked"));
            continue;
        };
        let bytes = read(&file, MAX_CONTENT)?;
        bundle
            .add_file(&name, &bytes)
            .with_context(|| format!("cannot use {}", file.display()))?;
        files.push((name, unpacked(&bytes)?.into_owned()));
    }
    Ok(files)
}

/// Recursion is bounded by the depth of the XML.
fn named(check: &Check, system: &str, names: &mut BTreeSet<String>) {
    match check {
        Check::Complex { parts, .. } => {
            for part in parts {
                named(part, system, names);
            }
        }
        Check::Simple(simple) if &*simple.system == system => {
            names.extend(simple.refs.iter().map(|(href, _)| href.to_string()));
        }
        Check::Simple(_) => {}
    }
}

fn validate(options: &ScapFile) -> Result<Verdict> {
    let content = Content::load(&options.file)?;
    let problems = content.bundle.validate();
    match options.format {
        Output::Json => {
            let problems: Vec<_> = problems
                .iter()
                .map(|problem| json!({"place": problem.place, "what": problem.what}))
                .collect();
            let text = json!({"file": content.name, "problems": problems});
            show::line(&serde_json::to_string_pretty(&text)?)?;
        }
        Output::Table => {
            for problem in &problems {
                show::line(&safe(&problem.to_string()))?;
            }
            show::line(&format!("{} problems in {}", problems.len(), content.name))?;
        }
    }
    Ok(match problems.is_empty() {
        true => Verdict::Good,
        false => Verdict::Bad,
    })
}

fn oval_alone(options: &ScapOval) -> Result<Verdict> {
    let content = Content::load(&options.file)?;
    let documents = content.documents();
    ensure!(
        !documents.is_empty(),
        "{} has no OVAL definitions",
        options.file.display()
    );
    for id in &options.definition {
        let known = |document: &Document| document.definitions.contains_key(id.as_str());
        if !documents.iter().any(|(_, document)| known(document)) {
            bail!("there is no definition {id:?}");
        }
    }
    let mut machine = Machine::open(&options.root)?;
    let recorded = match &options.characteristics {
        Some(path) => Some(
            Characteristics::load(&read(path, MAX_CONTENT)?)
                .with_context(|| format!("cannot use {}", path.display()))?,
        ),
        None => None,
    };
    if let Some(recorded) = &recorded {
        machine.host = recorded_host(recorded);
    }
    let context = probe::Context::new(machine.system()).with_base(machine.base.clone());
    // External variables that are given no value are errors.
    let externals = match &options.variables {
        Some(path) => characteristics::variables(&read(path, MAX_CONTENT)?)
            .with_context(|| format!("cannot use {}", path.display()))?,
        None => HashMap::new(),
    };
    let started = now();
    let mut evaluators: Vec<(Arc<str>, Evaluator<'_>)> = Vec::new();
    let mut rows = Vec::new();
    for (component, document) in documents {
        let mut evaluator = Evaluator::new(document, &context, &externals);
        if let Some(recorded) = &recorded {
            evaluator = evaluator.with_characteristics(recorded);
        }
        for id in &document.order {
            if !options.definition.is_empty() && !options.definition.iter().any(|one| **one == **id)
            {
                continue;
            }
            let truth = evaluator.definition(id);
            let definition = document.definitions.get(id);
            let why: Vec<_> = evaluator
                .why(id)
                .into_iter()
                .map(
                    |why| json!({"what": why.what, "actual": why.actual, "expected": why.expected}),
                )
                .collect();
            rows.push(json!({
                "id": &**id,
                "class": definition.map(|one| &*one.class),
                "title": definition.map(|one| &*one.title),
                "result": truth.word(),
                "why": why,
            }));
        }
        evaluators.push((component.into(), evaluator));
    }
    if let Some(path) = &options.results {
        let about = testresult::Context {
            started,
            finished: now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: machine.host.clone(),
            identity: identity(),
            benchmark_href: String::new(),
            tailoring: None,
        };
        let views = oval::views(&evaluators);
        let Some((component, first)) = views.first() else {
            bail!("there are no OVAL results to write");
        };
        let definitions = match content.bundle.kind {
            Kind::Oval => Some(Fragment::document(&content.bytes)),
            _ => components(&content.bytes)?.remove(&**component),
        };
        write(path, |out| {
            oval::write(out, *first, definitions.as_ref(), &about).map(drop)
        })?;
    }
    match options.format {
        Output::Json => {
            let text = json!({"host": machine.host.name, "definitions": rows});
            show::line(&serde_json::to_string_pretty(&text)?)?;
        }
        Output::Table => {
            for row in &rows {
                let word = |key: &str| safe(row.get(key).and_then(|v| v.as_str()).unwrap_or("-"));
                show::line(&format!(
                    "{:<14} {}  {}",
                    word("result"),
                    word("id"),
                    word("title")
                ))?;
            }
        }
    }
    Ok(Verdict::Good)
}

/// The machine that system characteristics are of.
fn recorded_host(recorded: &Characteristics) -> Host {
    let word = |name: &str| recorded.system.get(name).cloned().unwrap_or_default();
    let interfaces = recorded.interfaces.iter();
    let interfaces: Vec<Interface> = interfaces
        .map(|[name, address, hardware]| Interface {
            name: name.clone(),
            mac: hardware.clone(),
            addresses: address.parse().into_iter().collect(),
        })
        .collect();
    Host {
        name: word("primary_host_name"),
        addresses: interfaces
            .iter()
            .flat_map(|one| one.addresses.iter().copied())
            .collect(),
        interfaces,
        os_name: word("os_name"),
        os_version: word("os_version"),
        architecture: word("architecture"),
        kernel: String::new(),
    }
}

/// A text of the content on one line, without what would steer a terminal.
pub fn safe(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_reads_only_what_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("in");
        std::fs::create_dir(&inner).unwrap();
        let oval = "<oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5'><definitions/></oval_definitions>";
        std::fs::write(inner.join("o.xml"), oval).unwrap();
        std::fs::write(folder.path().join("out.xml"), oval).unwrap();
        let check = |href: &str| {
            format!("<check system='{OVAL}'><check-content-ref href='{href}'/></check>")
        };
        let outside = folder.path().join("out.xml");
        let benchmark = format!(
            "<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='b'><Rule id='r'>{}{}{}{}</Rule></Benchmark>",
            check("o.xml"),
            check("../out.xml"),
            check(&outside.to_string_lossy()),
            check("missing.xml")
        );
        let file = inner.join("b.xml");
        std::fs::write(&file, benchmark).unwrap();
        let content = Content::load(&file).unwrap();
        let names: Vec<&str> = content.others.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["o.xml"]);
        assert_eq!(content.documents().len(), 1);
    }

    #[test]
    fn text_cannot_steer_the_terminal() {
        assert_eq!(safe("a\u{1b}[31m\n b\u{9b}c"), "a [31m b c");
    }
}
