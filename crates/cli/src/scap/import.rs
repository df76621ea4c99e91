//! `bartizan scap import`: results that OpenSCAP wrote, as reports of ours.

use super::arguments::ScapImport;
use crate::client::Client;
use crate::scan::{render, send, snapshot, verdict};
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result, ensure};
use bartizan_formats::xccdf;
use bartizan_model::{ScanId, Scope};
use std::fs::File;

/// Runs the command.
pub fn run(options: &ScapImport) -> Result<Verdict> {
    let cannot = || format!("cannot read {}", options.file.display());
    // Before the work: a wrong token should not cost a long reading.
    let client = match &options.remote.server {
        Some(server) => Some(Client::new(server, &options.remote.access)?),
        None => None,
    };
    // Looked at before it is opened: a FIFO would block.
    let metadata = std::fs::metadata(&options.file).with_context(cannot)?;
    ensure!(metadata.is_file(), "{} is no file", options.file.display());
    let scope = options.scope.as_deref().map(Scope::parse).transpose()?;
    let scan = ScanId::new(uuid::Uuid::now_v7().to_string())?;
    let how = xccdf::Options::new(scope, scan, now());
    let input = File::open(&options.file).with_context(cannot)?;
    let reading = xccdf::read(input, &how).with_context(cannot)?;
    for notice in &reading.notices {
        show::remark(notice);
    }
    let mut rendered = Vec::new();
    let mut ended = Verdict::Good;
    for report in &reading.reports {
        let snapshot = snapshot(report, &[])?;
        let is_shown = options.output.is_none();
        rendered.extend(render(&snapshot, report, options.format, is_shown)?);
        // The newest result is what holds.
        ended = verdict(&snapshot, options.fail_on);
    }
    show::to(options.output.as_deref(), &rendered)?;
    if let Some(client) = client {
        for report in &reading.reports {
            send(&client, report)?;
        }
    }
    Ok(ended)
}
