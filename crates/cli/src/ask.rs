//! `bartizan ask`: a question answered from a server, or from an index in a local folder.

pub mod arguments;
pub mod endpoint;
mod installation;

use crate::client::Client;
use crate::scan::progress_bar;
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use arguments::Ask;
use bartizan_ask::answer::{Chat, Outcome, Source, answer};
use bartizan_ask::own::{self, Own};
use bartizan_ask::rerank::Rerank;
use bartizan_ask::retrieve::World;
use bartizan_ask::vectors::Embedding;
use bartizan_ask::{Document, Index, Question};
use bartizan_model::{TenantId, Timestamp};
use bartizan_vuln::feeds::{cve, osv};
use indicatif::{ProgressBar, ProgressStyle};
use installation::Installation;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::arguments::Output;

/// More records than this are not read from folders: a server's store is for those.
const MOST: usize = 600_000;

/// Answers one question.
pub fn run(options: &Ask) -> Result<Verdict> {
    let question = options.question.join(" ");
    if let Some(server) = &options.server
        && options.index.is_none()
        && options.records.is_empty()
    {
        return remote(options, server, &question);
    }
    let question = Question::read(&question, now())?;
    let folder = options
        .index
        .clone()
        .unwrap_or_else(|| options.place.data.join("ask"));
    let installation = Installation::find(&options.place);
    let own: Box<dyn Own> = match &installation {
        Ok(Some(installation)) => Box::new(installation.own()),
        Ok(None) => Box::new(own::Nothing),
        Err(error) => Box::new(own::Unreachable(format!(
            "your inventory cannot be read ({error:#})"
        ))),
    };
    let installation = installation.as_ref().ok().and_then(Option::as_ref);
    let index = index(options, &folder, installation)?;
    let model = rerank(options)?;
    let tenant = TenantId::default_tenant();
    let world = World {
        index: &index,
        rerank: model.as_deref(),
        own: &*own,
        tenant: &tenant,
    };
    let chat = options.endpoint.open()?;
    let chat = chat.as_ref().map(|c| c as &dyn Chat);
    let table = options.format == Output::Table;
    let mut told = Ok(());
    let found = answer(world, &question, chat, &mut |event| {
        if table && let Ok(event) = serde_json::to_value(event) {
            told = tell(&event);
        }
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    told?;
    if !table {
        show::line(&serde_json::to_string_pretty(&found)?)?;
    }
    Ok(verdict(found.outcome == Outcome::Answered))
}

fn verdict(answered: bool) -> Verdict {
    if answered {
        Verdict::Good
    } else {
        Verdict::Bad
    }
}

fn remote(options: &Ask, server: &str, question: &str) -> Result<Verdict> {
    let client = Client::new(server, &options.access)?;
    let body = json!({ "question": question });
    if options.format == Output::Json {
        let found = client
            .post_as("/ask", &body, "application/json")?
            .json::<Value>()?;
        show::line(&serde_json::to_string_pretty(&found)?)?;
        return Ok(verdict(
            found.get("outcome").and_then(Value::as_str) == Some("answered"),
        ));
    }
    let stream = client.post_as("/ask", &body, "text/event-stream")?;
    let mut answered = None;
    for line in BufReader::new(stream).lines() {
        let line = line.context("the answer broke off")?;
        let Some(data) = line.strip_prefix("data:") else {
            continue;
        };
        let Ok(event) = serde_json::from_str::<Value>(data.trim()) else {
            bail!("{}", data.trim());
        };
        tell(&event)?;
        if event.get("event").and_then(Value::as_str) == Some("done") {
            answered = Some(event.get("outcome").and_then(Value::as_str) == Some("answered"));
        }
    }
    Ok(verdict(answered.context("the answer broke off")?))
}

/// Shows an event to a person, as it comes.
fn tell(event: &Value) -> Result<()> {
    let list = |name: &str| -> Vec<String> {
        event
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let plain = |text: &str| show::plain(text, 2_000);
    match event.get("event").and_then(Value::as_str) {
        Some("found") => {
            let filters = list("filters");
            if !filters.is_empty() {
                show::line(&format!("Only: {}", filters.join("; ")))?;
            }
            for name in list("missing") {
                show::line(&format!("{} is not among the records.", plain(&name)))?;
            }
            for why in list("unknown") {
                show::line(&format!("Unknown: {}", plain(&why)))?;
            }
            let sources: Vec<Source> =
                serde_json::from_value(event.get("sources").cloned().unwrap_or_default())
                    .unwrap_or_default();
            if sources.is_empty() {
                return show::line("No record speaks about this.");
            }
            show::line(&format!(
                "{:<22} {:>5} {:<11} TITLE",
                "RECORD", "CVSS", "PUBLISHED"
            ))?;
            for source in sources {
                let day = source.published.map(Timestamp::day).unwrap_or_default();
                let mark = if source.exploited { " (exploited)" } else { "" };
                show::line(&format!(
                    "{:<22} {:>5} {day:<11} {:.100}{mark}",
                    source.id,
                    source.score.as_deref().unwrap_or("-"),
                    plain(&source.title),
                ))?;
            }
            show::line("")
        }
        Some("sentence") => match event.get("text").and_then(Value::as_str) {
            Some(text) => show::line(&plain(text)),
            None => Ok(()),
        },
        Some("dropped") => {
            let why = event.get("why").and_then(Value::as_str).unwrap_or_default();
            show::remark(&format!("left out: {}", plain(why)));
            Ok(())
        }
        Some("done") => {
            let by = event.get("by").and_then(Value::as_str).unwrap_or("records");
            let answered = event.get("outcome").and_then(Value::as_str) == Some("answered");
            for why in list("unknown") {
                show::remark(&format!("unknown: {}", plain(&why)));
            }
            if answered && by != "records" {
                show::remark(&format!(
                    "worded by {}; each sentence was checked against its records",
                    plain(by)
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn index(options: &Ask, folder: &Path, installation: Option<&Installation>) -> Result<Index> {
    let embedding = options.embedding.open()?;
    if Index::exists(folder) && !options.rebuild {
        return Ok(Index::open(folder, embedding)?);
    }
    if options.records.is_empty() {
        let records = match installation {
            Some(installation) => Some((installation, installation.records()?)),
            None => None,
        };
        if let Some((installation, (documents, at))) = records
            && !documents.is_empty()
        {
            let index = build(
                folder,
                &documents,
                embedding,
                &at.to_string(),
                &progress_bar(),
            )?;
            installation.catch_up(&index, at)?;
            return Ok(index);
        }
        bail!(
            "there is no index in {}: give --records FOLDER to build one, fetch records with \
             `bartizan cve sync`, or ask a server with --server",
            folder.display()
        );
    }
    let bar = progress_bar();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos}") {
        bar.set_style(style);
    }
    bar.set_message("reading records");
    let mut reading = Reading {
        documents: Vec::new(),
        unread: 0,
        bar: &bar,
    };
    for records in &options.records {
        reading
            .folder(records, 0)
            .with_context(|| format!("cannot read {}", records.display()))?;
    }
    let Reading {
        mut documents,
        unread,
        ..
    } = reading;
    if documents.is_empty() {
        bar.finish_and_clear();
        bail!("no CVE or OSV records were found there");
    }
    documents.sort_by(|a, b| a.id.cmp(&b.id));
    let index = build(folder, &documents, embedding, "", &bar)?;
    show::remark(&format!(
        "indexed {} records in {}; {unread} could not be read",
        index.len(),
        folder.display()
    ));
    Ok(index)
}

fn build(
    folder: &Path,
    documents: &[Document],
    embedding: Option<Arc<dyn Embedding>>,
    cursor: &str,
    bar: &ProgressBar,
) -> Result<Index> {
    bar.set_length(100);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {bar:30} {percent} %") {
        bar.set_style(style);
    }
    let index = Index::build(folder, documents, embedding, cursor, &mut |what, done| {
        bar.set_message(what);
        bar.set_position((done * 100.0) as u64);
    })?;
    bar.finish_and_clear();
    Ok(index)
}

struct Reading<'a> {
    documents: Vec<Document>,
    unread: usize,
    bar: &'a ProgressBar,
}

impl Reading<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<()> {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
            .map(|e| e.map(|e| e.path()))
            .collect::<std::io::Result<_>>()?;
        entries.sort();
        for path in entries {
            if self.documents.len() >= MOST {
                bail!("more than {MOST} records; use a server for so many");
            }
            let kind = std::fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() && depth < 12 {
                self.folder(&path, depth + 1)?;
            } else if kind.is_file() && path.extension().is_some_and(|e| e == "json") {
                self.file(&path);
            }
        }
        Ok(())
    }

    /// A file that is no record is counted, and the rest goes on.
    fn file(&mut self, path: &Path) {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if name.starts_with("delta") || name.starts_with('.') {
            return;
        }
        let Ok(bytes) = std::fs::read(path) else {
            self.unread += 1;
            return;
        };
        let cve_first = name.starts_with("CVE-");
        let document = match cve::parse(&bytes) {
            Ok(record) if cve_first => Some(Document::of_cve(&record)),
            _ => osv::parse(&bytes, "osv")
                .ok()
                .map(|a| Document::of_advisory(&a)),
        };
        match document {
            Some(document) => self.documents.push(document),
            None => self.unread += 1,
        }
        self.bar.inc(1);
    }
}

#[cfg(feature = "rerank")]
fn rerank(options: &Ask) -> Result<Option<Box<dyn Rerank>>> {
    options
        .rerank
        .as_deref()
        .map(|folder| -> Result<Box<dyn Rerank>> {
            Ok(Box::new(bartizan_ask::rerank::MiniLm::open(folder)?))
        })
        .transpose()
}

#[cfg(not(feature = "rerank"))]
fn rerank(options: &Ask) -> Result<Option<Box<dyn Rerank>>> {
    if options.rerank.is_some() {
        bail!("this binary was built without the cargo feature rerank");
    }
    Ok(None)
}
