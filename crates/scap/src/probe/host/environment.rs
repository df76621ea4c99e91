//! The system's family and name, and the environment of processes.

use super::{not_collected, pids, wanted};
use crate::oval::item::{Collected, Item, Status};
use crate::oval::model::Datatype;
use crate::probe::{Context, Query};
use std::path::Path;

/// The most bytes of one process's environment.
const MAX_ENVIRONMENT: u64 = 16 << 20;

/// `family_object`.
pub fn family() -> Collected {
    Collected::complete(vec![Item::new().string("family", "unix")])
}

/// `uname_object`.
pub fn uname(ctx: &Context<'_>) -> Collected {
    match ctx.system.uname() {
        Ok(uname) => Collected::complete(vec![
            Item::new()
                .string("machine_class", uname.machine.as_str())
                .string("node_name", uname.node)
                .string("os_name", uname.system)
                .string("os_release", uname.release)
                .string("os_version", uname.version)
                .string("processor_type", uname.machine),
        ]),
        Err(error) if !ctx.system.is_live() => Collected::not_applicable(error.to_string()),
        Err(error) => Collected::error(format!("uname: {error}")),
    }
}

fn environment(ctx: &Context<'_>) -> Result<Vec<(String, String)>, String> {
    let environment = ctx.system.environment();
    environment.map_err(|error| format!("environment: {error}"))
}

/// `environmentvariable_object`: our own environment.
pub fn own(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    if !ctx.system.is_live() {
        return Ok(not_collected("the system does not run"));
    }
    let mut items = Vec::new();
    for (name, value) in environment(ctx)? {
        if wanted(query, ctx, "name", &name)? {
            items.push(Item::new().string("name", name).string("value", value));
        }
    }
    Ok(Collected::complete(items))
}

/// `environmentvariable58_object`: the environment of a process, ours where none is named.
pub fn of_process(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    if !ctx.system.is_live() {
        return Ok(not_collected("the system does not run"));
    }
    let pid = query.entity("pid");
    let ours = pid.is_none_or(|pid| {
        pid.nil
            || pid
                .values
                .iter()
                .all(|value| matches!(value.trim(), "" | "0"))
    });
    let mut items = Vec::new();
    let mut add = |pid: u32, name: String, value: String| -> Result<(), String> {
        if wanted(query, ctx, "name", &name)? {
            let item = Item::new().int("pid", pid);
            items.push(item.string("name", name).string("value", value));
        }
        Ok(())
    };
    if ours {
        for (name, value) in environment(ctx)? {
            add(std::process::id(), name, value)?;
        }
        return Ok(Collected::complete(items));
    }
    let mut failed = Vec::new();
    for pid in pids(ctx.system)? {
        if !wanted(query, ctx, "pid", &pid.to_string())? {
            continue;
        }
        let path = format!("/proc/{pid}/environ");
        match ctx.system.read(Path::new(&path), MAX_ENVIRONMENT) {
            Ok(bytes) => {
                for variable in bytes.split(|byte| *byte == 0) {
                    let variable = String::from_utf8_lossy(variable);
                    if let Some((name, value)) = variable.split_once('=') {
                        add(pid, name.to_owned(), value.to_owned())?;
                    }
                }
            }
            Err(error) => failed.push(Item::error(format!("{path}: {error}")).with_status(
                "pid",
                Datatype::Int,
                Status::Exists,
                pid.to_string(),
            )),
        }
    }
    items.append(&mut failed);
    Ok(Collected::complete(items))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use crate::oval::item::Flag;
    use crate::system::Rooted;

    #[test]
    fn environments() {
        let (_folder, system) = root(&[("/proc/7/environ", "A=1\0nonsense\0PATH=/x=y\0")]);
        let found = collect(
            &system,
            "environmentvariable58",
            &[("pid", "7"), ("name", "PATH")],
        );
        assert_eq!(found.items.len(), 1);
        assert_eq!(found.items[0].text("value"), Some("/x=y"));
        assert_eq!(found.items[0].text("pid"), Some("7"));
        let found = collect(
            &system,
            "environmentvariable58",
            &[("pid", ""), ("name", "PATH")],
        );
        let path = std::env::var("PATH").unwrap();
        assert_eq!(found.items[0].text("value"), Some(path.as_str()));
        let found = collect(&system, "environmentvariable", &[("name", "PATH")]);
        assert_eq!(found.items[0].text("value"), Some(path.as_str()));
    }

    #[test]
    fn a_system_that_does_not_run() {
        let system = Rooted::new("/nowhere".into(), false);
        let flag = |kind| collect(&system, kind, &[("pid", ""), ("name", "PATH")]).flag;
        assert_eq!(flag("uname"), Flag::NotApplicable);
        assert_eq!(flag("environmentvariable58"), Flag::NotCollected);
        assert_eq!(flag("family"), Flag::Complete);
    }
}
