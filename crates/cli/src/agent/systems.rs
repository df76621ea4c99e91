//! `bartizan systems` and `bartizan schedule`: what the server knows, and what it shall ask for.

use super::arguments::{Schedules, Systems};
use crate::arguments::{Output, Remote};
use crate::client::{Client, segment, text};
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Runs a systems command.
pub fn systems(command: &Systems) -> Result<Verdict> {
    match command {
        Systems::List { label, remote } => {
            let client = connect(remote)?;
            let label = label
                .as_deref()
                .map_or(String::new(), |label| format!("&label={}", segment(label)));
            let all = pages(&client, &format!("/systems?limit=200{label}"))?;
            print(remote, &all, |system| {
                let scan = system.get("last_scan");
                let count = |name| {
                    scan.and_then(|scan| scan.get("counts")?.get(name)?.as_u64())
                        .map_or("-".to_owned(), |n| n.to_string())
                };
                format!(
                    "{:<24} {:<6} pass {:>5} fail {:>5} unknown {:>5}  seen {}  {}",
                    text(system, "name").unwrap_or("?"),
                    text(system, "how").unwrap_or("?"),
                    count("pass"),
                    count("fail"),
                    count("unknown"),
                    text(system, "last_seen").unwrap_or("never"),
                    system
                        .get("task")
                        .and_then(|task| text(task, "state"))
                        .unwrap_or_default(),
                )
            })
        }
        Systems::Add {
            name,
            ssh,
            label,
            remote,
        } => {
            let mut body = json!({"name": name, "how": "agent", "labels": label});
            if let (Some(ssh), Some(members)) = (ssh, body.as_object_mut()) {
                members.insert("how".into(), json!("ssh"));
                members.insert("address".into(), json!(ssh));
            }
            let system = connect(remote)?.post("/systems", &body)?;
            print(remote, &[system], |system| {
                format!("registered {}", text(system, "name").unwrap_or("?"))
            })
        }
        Systems::Remove { name, remote } => {
            let client = connect(remote)?;
            let id = system_id(&client, name)?;
            client.delete(&format!("/systems/{}", segment(&id)))?;
            show::remark(&format!("removed {name}; its scans and findings stay"));
            Ok(Verdict::Good)
        }
        Systems::Scan {
            name,
            content,
            profile,
            remote,
        } => {
            let client = connect(remote)?;
            let id = system_id(&client, name)?;
            let body = json!({"content": content, "profile": profile});
            let task = client.post(&format!("/systems/{}/scans", segment(&id)), &body)?;
            print(remote, &[task], |task| {
                format!("asked for {}", text(task, "id").unwrap_or("?"))
            })
        }
    }
}

/// Runs a schedule command.
pub fn schedule(command: &Schedules) -> Result<Verdict> {
    match command {
        Schedules::List(remote) => {
            let all = pages(&connect(remote)?, "/schedules")?;
            print(remote, &all, schedule_line)
        }
        Schedules::Add {
            name,
            cron,
            system,
            label,
            content,
            profile,
            remote,
        } => {
            let body = json!({
                "name": name, "cron": cron, "systems": system, "labels": label,
                "content": content, "profile": profile,
            });
            let made = connect(remote)?.post("/schedules", &body)?;
            print(remote, &[made], schedule_line)
        }
        Schedules::Remove { name, remote } => {
            let client = connect(remote)?;
            let all = pages(&client, "/schedules")?;
            let id = id_of(&all, name).with_context(|| format!("there is no schedule {name:?}"))?;
            client.delete(&format!("/schedules/{}", segment(&id)))?;
            show::remark(&format!("removed {name}"));
            Ok(Verdict::Good)
        }
    }
}

fn connect(remote: &Remote) -> Result<Client> {
    Client::new(&remote.server, &remote.access)
}

fn schedule_line(schedule: &Value) -> String {
    let next = schedule
        .get("next_runs")
        .and_then(|runs| runs.get(0)?.as_str())
        .unwrap_or("never");
    format!(
        "{:<24} {:<16} next {next}",
        text(schedule, "name").unwrap_or("?"),
        text(schedule, "cron").unwrap_or("?"),
    )
}

/// The items of all pages.
fn pages(client: &Client, path: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut page = client.get(&format!("{path}{cursor}"))?;
        if let Some(items) = page.get_mut("items").and_then(Value::as_array_mut) {
            all.append(items);
        }
        match text(&page, "next_cursor") {
            Some(next) => cursor = format!("&cursor={}", segment(next)),
            None => return Ok(all),
        }
    }
}

fn id_of(all: &[Value], name: &str) -> Option<String> {
    let found = all.iter().find(|one| text(one, "name") == Some(name))?;
    text(found, "id").map(str::to_owned)
}

fn system_id(client: &Client, name: &str) -> Result<String> {
    let all = pages(client, &format!("/systems?limit=200&q={}", segment(name)))?;
    match id_of(&all, name) {
        Some(id) => Ok(id),
        None => bail!("there is no system {name:?}; see bartizan systems list"),
    }
}

/// Prints one line each, or all as JSON.
fn print(remote: &Remote, all: &[Value], line: impl Fn(&Value) -> String) -> Result<Verdict> {
    if remote.format == Output::Json {
        show::line(&serde_json::to_string_pretty(all)?)?;
        return Ok(Verdict::Good);
    }
    for one in all {
        let text: String = line(one).chars().filter(|c| !c.is_control()).collect();
        show::line(&text)?;
    }
    Ok(Verdict::Good)
}
