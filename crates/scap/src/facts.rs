//! What is known of a host as one JSON document, for Rego plugins and for people.
//!
//! Each part is its data or `{"unknown": why}`; a part is never cut: one that is too large is
//! unknown. Entries and fields too may be `{"unknown": why}`. Nothing secret is in it: no
//! password hashes, no keys of the kernel, no passwords in mount options.

use crate::oval::item::{Collected, Flag, Item, Status};
use crate::oval::model::{Check, Datatype, Operation};
use crate::probe::{Bound, Context, Query, find};
use crate::yaml;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;

/// The edition of the document. A part that is added leaves it; one that changes does not.
pub const VERSION: u32 = 1;

/// The parts beside `version` and `host`, in the order of the document.
pub const PARTS: &[&str] = &[
    "os_release",
    "kernel",
    "packages",
    "units",
    "sysctls",
    "mounts",
    "users",
    "groups",
    "sockets",
    "sshd",
];

/// The most entries of a part.
const MAX_ENTRIES: usize = 50_000;

/// The longest text, in bytes.
const MAX_TEXT: usize = 16 << 10;

type Part = Result<Value, String>;

/// The document; `name` is the host's.
pub fn document(facts: &yaml::Facts<'_>, name: &str) -> Value {
    let context = Context::new(facts.system);
    let mut document = Map::new();
    document.insert("version".to_owned(), json!(VERSION));
    let live = facts.system.is_live();
    document.insert("host".to_owned(), json!({"name": name, "live": live}));
    for part in PARTS {
        let told = match *part {
            "os_release" => os_release(facts),
            "kernel" => kernel(facts),
            "packages" => packages(facts, &context),
            "units" => units(facts),
            "sysctls" => sysctls(&context),
            "mounts" => mounts(facts),
            "users" => users(facts),
            "groups" => groups(facts),
            "sockets" => sockets(&context),
            "sshd" => sshd(facts),
            other => Err(format!("{other} is not collected")),
        };
        let value = told.and_then(bounded);
        let value = value.unwrap_or_else(|why| json!({ "unknown": why }));
        document.insert((*part).to_owned(), value);
    }
    Value::Object(document)
}

/// A part within its bounds.
fn bounded(part: Value) -> Part {
    fn count(value: &Value, entries: &mut usize) -> Result<(), String> {
        match value {
            Value::String(text) if text.len() > MAX_TEXT => {
                return Err(format!("a text is longer than {MAX_TEXT} bytes"));
            }
            Value::Array(items) => {
                *entries += items.len();
                items.iter().try_for_each(|item| count(item, entries))?;
            }
            Value::Object(map) => {
                *entries += map.len();
                for (key, value) in map {
                    if key.len() > MAX_TEXT {
                        return Err(format!("a text is longer than {MAX_TEXT} bytes"));
                    }
                    count(value, entries)?;
                }
            }
            _ => {}
        }
        // Entries have a handful of fields.
        if *entries > MAX_ENTRIES * 8 {
            return Err(format!("there are more than {MAX_ENTRIES} entries"));
        }
        Ok(())
    }
    count(&part, &mut 0)?;
    Ok(part)
}

fn os_release(facts: &yaml::Facts<'_>) -> Part {
    // The keys that os-release(5) has and that judge a host.
    let keys = [
        "ID",
        "ID_LIKE",
        "NAME",
        "PRETTY_NAME",
        "VERSION",
        "VERSION_CODENAME",
        "VERSION_ID",
        "VARIANT_ID",
        "PLATFORM_ID",
        "SUPPORT_END",
    ];
    let mut release = Map::new();
    for key in keys {
        if let Some(value) = facts.os(key)? {
            release.insert(key.to_owned(), json!(value));
        }
    }
    Ok(Value::Object(release))
}

fn kernel(facts: &yaml::Facts<'_>) -> Part {
    let uname = facts.system.uname().map_err(|error| error.to_string())?;
    Ok(json!({
        "machine": uname.machine,
        "release": uname.release,
        "system": uname.system,
        "version": uname.version,
    }))
}

/// Of dpkg and of rpm; with neither database it is not known what is installed.
fn packages(facts: &yaml::Facts<'_>, context: &Context<'_>) -> Part {
    let mut all = Vec::new();
    let dpkg = facts.packages();
    if let Ok(packages) = &dpkg {
        for (name, version) in packages.iter() {
            all.push(json!({"manager": "dpkg", "name": name, "version": version}));
        }
    }
    let status = facts.lstat(Path::new("/var/lib/dpkg/status"))?;
    if let (Some(_), Err(why)) = (status, &dpkg) {
        return Err(why.clone());
    }
    for item in ask(context, "rpminfo", &["name"])? {
        let field = |name| item.text(name).unwrap_or_default();
        let epoch = match field("epoch") {
            "(none)" | "" | "0" => String::new(),
            epoch => format!("{epoch}:"),
        };
        all.push(json!({
            "manager": "rpm",
            "name": field("name"),
            "architecture": field("arch"),
            "version": format!("{epoch}{}-{}", field("version"), field("release")),
        }));
    }
    if all.is_empty() {
        return Err("no package database that can be read: neither dpkg's nor rpm's".to_owned());
    }
    Ok(Value::Array(all))
}

fn units(facts: &yaml::Facts<'_>) -> Part {
    let units = facts.unit_states()?;
    let why = "systemd cannot be asked, and its files do not tell";
    let word = |known: Option<bool>| known.map_or(json!({ "unknown": why }), Value::from);
    let all = units.into_iter().map(|(name, known)| {
        let state = json!({"active": word(known.active), "enabled": word(known.enabled)});
        (name, state)
    });
    Ok(Value::Object(all.collect()))
}

fn sysctls(context: &Context<'_>) -> Part {
    let mut all = Map::new();
    for item in ask(context, "sysctl", &["name"])? {
        if item.status == Status::Error {
            let message = item.message.as_deref().unwrap_or("it cannot be read");
            // The probe's message begins with the name.
            let (name, why) = message.split_once(": ").unwrap_or((message, message));
            all.insert(name.to_owned(), json!({ "unknown": why }));
            continue;
        }
        let name = item.text("name").unwrap_or_default();
        if left_out(name) {
            continue;
        }
        let values: Vec<&str> = item.named("value").map(|value| &*value.text).collect();
        all.insert(name.to_owned(), json!(values.join("\n").replace('\t', " ")));
    }
    Ok(Value::Object(all))
}

/// Kernel parameters that are secret, or other each time.
fn left_out(name: &str) -> bool {
    name.ends_with("_key")
        || name.contains("secret")
        || matches!(name, "kernel.random.uuid" | "kernel.random.boot_id")
}

fn mounts(facts: &yaml::Facts<'_>) -> Part {
    let from = facts.mounts_from();
    let mounts = facts.mounts()?;
    let option = |option: &String| match option.split_once('=') {
        Some((key, _)) if key.contains("pass") || key.contains("secret") => {
            format!("{key}=(not shown)")
        }
        _ => option.clone(),
    };
    let all = mounts.iter().map(|mount| {
        json!({
            "point": mount.point,
            "kind": mount.kind,
            "options": mount.options.iter().map(option).collect::<Vec<_>>(),
            "from": from,
        })
    });
    Ok(all.collect())
}

fn number(text: &str) -> Value {
    text.parse::<u32>().map_or(json!(text), Value::from)
}

fn users(facts: &yaml::Facts<'_>) -> Part {
    let users = facts.users()?;
    let all = users.iter().map(|user| {
        json!({
            "name": user.at(0),
            "uid": number(user.at(2)),
            "gid": number(user.at(3)),
            "home": user.at(5),
            "shell": user.at(6),
        })
    });
    Ok(all.collect())
}

fn groups(facts: &yaml::Facts<'_>) -> Part {
    let groups = facts.groups()?;
    let all = groups.iter().map(|group| {
        let members = group.at(3).split(',').filter(|name| !name.is_empty());
        json!({
            "name": group.at(0),
            "gid": number(group.at(2)),
            "members": members.collect::<Vec<_>>(),
        })
    });
    Ok(all.collect())
}

/// Where something listens: sockets without a peer.
fn sockets(context: &Context<'_>) -> Part {
    let asked = ["protocol", "local_address", "local_port"];
    let mut all = Vec::new();
    for item in ask(context, "inetlisteningservers", &asked)? {
        let field = |name| item.text(name).unwrap_or_default();
        if field("foreign_port") != "0" {
            continue;
        }
        let mut socket = json!({
            "protocol": field("protocol"),
            "address": field("local_address"),
            "port": number(field("local_port")),
        });
        if let (Some(program), Some(socket)) = (item.text("program_name"), socket.as_object_mut()) {
            socket.insert("program".to_owned(), json!(program));
        }
        all.push(socket);
    }
    Ok(Value::Array(all))
}

fn sshd(facts: &yaml::Facts<'_>) -> Part {
    let found = facts.sshd_settings()?;
    let matched = found.matched.iter();
    Ok(json!({
        "settings": found.first,
        "match": matched
            .map(|(keyword, value)| json!({"keyword": keyword, "value": value}))
            .collect::<Vec<_>>(),
    }))
}

/// All items that a probe finds; what it could not look at whole is an error.
fn ask(context: &Context<'_>, kind: &str, entities: &[&str]) -> Result<Vec<Item>, String> {
    let probe = find(kind).ok_or_else(|| format!("there is no probe {kind}"))?;
    let any = |name: &&str| Bound {
        name: Arc::from(*name),
        datatype: Datatype::String,
        operation: Operation::PatternMatch,
        var_check: Check::All,
        nil: false,
        values: vec![Arc::from("")],
    };
    let query = Query {
        entities: entities.iter().map(any).collect(),
        ..Query::default()
    };
    let Collected {
        flag,
        items,
        message,
    } = (probe.collect)(&query, context);
    match (flag, message) {
        (Flag::Complete | Flag::DoesNotExist, _) => Ok(items),
        // Items say themselves that they could not be read.
        (Flag::Incomplete, None) => Ok(items),
        (_, message) => Err(message.unwrap_or_else(|| format!("{kind}: it cannot be told"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Rooted;
    use crate::yaml::Facts;
    use std::os::unix::fs::symlink;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn of(folder: &tempfile::TempDir, live: bool) -> Value {
        let system = Rooted::new(folder.path().to_owned(), live);
        document(&Facts::new(&system), "web")
    }

    #[test]
    fn what_is_there_is_told_and_nothing_secret() {
        let folder = root(&[
            ("etc/os-release", "ID=debian\nunknown=1\n"),
            ("etc/passwd", "root:$6$HASH:0:0:r:/root:/bin/bash\n"),
            ("etc/group", "root:x:0:\nsudo:$6$HASH:27:ann,bob\n"),
            (
                "var/lib/dpkg/status",
                "Package: unknown\nStatus: install ok installed\nVersion: 1:2-3\n",
            ),
            ("proc/sys/kernel/dmesg_restrict", "1\n"),
            ("proc/sys/net/ipv4/tcp_fastopen_key", "SECRET\n"),
            (
                "proc/self/mounts",
                "//nas/x /mnt cifs rw,password=SECRET,nodev 0 0\n",
            ),
            (
                "proc/net/tcp",
                "head\n 0: 0100007F:0050 00000000:0000 0A 0:0 00:0 0 0 0 42 1\n 1: 0100007F:0050 0100007F:1234 01 0:0 00:0 0 0 0 43 1\n",
            ),
            (
                "etc/ssh/sshd_config",
                "Port 22\nPort 23\nMatch User ann\nPermitRootLogin yes\n",
            ),
            ("usr/lib/systemd/system/cron.service", "[Install]\n"),
        ]);
        let wants = folder
            .path()
            .join("etc/systemd/system/multi-user.target.wants");
        std::fs::create_dir_all(&wants).unwrap();
        symlink(
            "/usr/lib/systemd/system/cron.service",
            wants.join("cron.service"),
        )
        .unwrap();
        let told = of(&folder, true);
        let text = told.to_string();
        assert!(!text.contains("HASH") && !text.contains("SECRET"), "{text}");
        assert_eq!(told["version"], VERSION);
        assert_eq!(told["host"], json!({"name": "web", "live": true}));
        assert_eq!(told["os_release"], json!({"ID": "debian"}));
        assert_eq!(
            told["packages"],
            json!([{"manager": "dpkg", "name": "unknown", "version": "1:2-3"}])
        );
        assert_eq!(told["sysctls"]["kernel.dmesg_restrict"], "1");
        assert_eq!(told["sysctls"].as_object().unwrap().len(), 1);
        assert_eq!(
            told["mounts"][0]["options"],
            json!(["rw", "password=(not shown)", "nodev"])
        );
        assert_eq!(told["groups"][1]["members"], json!(["ann", "bob"]));
        assert_eq!(told["users"][0]["uid"], 0);
        assert_eq!(
            told["sockets"],
            json!([{"protocol": "tcp", "address": "127.0.0.1", "port": 80}])
        );
        assert_eq!(told["sshd"]["settings"]["port"], json!(["22", "23"]));
        assert_eq!(told["sshd"]["match"][0]["keyword"], "permitrootlogin");
        let cron = &told["units"]["cron.service"];
        assert_eq!(cron["enabled"], true);
        assert!(cron["active"]["unknown"].is_string(), "{cron}");
    }

    #[test]
    fn what_cannot_be_told_is_unknown() {
        let folder = root(&[]);
        let told = of(&folder, false);
        for part in PARTS {
            assert!(told[*part]["unknown"].is_string(), "{part}: {told}");
        }
        let long = format!("root:x:0:0:{}:/:/bin/sh\n", "g".repeat(9));
        let folder = root(&[("etc/passwd", &long.replace("/bin/sh", &"x".repeat(20_000)))]);
        let users = &of(&folder, false)["users"];
        assert!(users["unknown"].as_str().unwrap().contains("longer"));
    }
}
