//! Accounts: `/etc/passwd` and `/etc/shadow` as glibc reads them.

use super::{text, wanted};
use crate::oval::item::{Collected, Item};
use crate::probe::{Context, Query};
use crate::system::System;
use std::path::Path;

const MAX_FILE: u64 = 64 << 20;
const MAX_LASTLOG: u64 = 64 << 20;
/// glibc's `struct lastlog`: a time of 32 bits, a line of 32 bytes, a host of 256.
const LASTLOG_RECORD: usize = 292;

/// An account.
#[derive(Debug)]
pub struct Passwd {
    name: String,
    password: String,
    uid: u32,
    gid: u32,
    gecos: String,
    home: String,
    shell: String,
}

/// A password with its ageing, in days; -1 where a field is empty.
#[derive(Debug)]
pub struct Shadow {
    name: String,
    password: String,
    /// Last change, minimum, maximum, warning, inactivity, expiry.
    days: [i64; 6],
    flag: u64,
}

/// Lines that are neither empty nor comments.
fn lines(system: &dyn System, path: &str) -> Result<Vec<String>, String> {
    let Some(text) = text(system, path, MAX_FILE)? else {
        return if system.is_live() {
            Ok(Vec::new())
        } else {
            Err(format!("{path}: not there"))
        };
    };
    Ok(text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

fn passwd_line(line: &str) -> Option<Passwd> {
    let mut fields = line.splitn(7, ':');
    let mut next = || fields.next().unwrap_or_default().to_owned();
    let (name, password) = (next(), next());
    let (uid, gid) = (next().trim().parse().ok()?, next().trim().parse().ok()?);
    Some(Passwd {
        name,
        password,
        uid,
        gid,
        gecos: next(),
        home: next(),
        shell: next(),
    })
}

fn shadow_line(line: &str) -> Option<Shadow> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let password = fields.next()?.to_owned();
    let mut days = [-1; 6];
    for (place, day) in days.iter_mut().enumerate() {
        match fields.next().map(str::trim) {
            // Old files end after the third.
            None if place < 3 => return None,
            None | Some("") => {}
            Some(number) => *day = number.parse().ok()?,
        }
    }
    let flag = match fields.next().map(str::trim) {
        None | Some("") => u64::MAX,
        Some(number) => number.parse().ok()?,
    };
    Some(Shadow {
        name,
        password,
        days,
        flag,
    })
}

/// How a password is encrypted, in OVAL's words; None where OVAL has no word.
fn method(password: &str) -> Option<&'static str> {
    if password.starts_with('_') {
        return Some("BSDi");
    }
    let Some(rest) = password.strip_prefix('$') else {
        return Some("DES");
    };
    match rest.split_once('$')?.0 {
        "1" => Some("MD5"),
        "2" | "2a" => Some("Blowfish"),
        "5" => Some("SHA-256"),
        "6" => Some("SHA-512"),
        "md5" => Some("Sun MD5"),
        _ => None,
    }
}

/// The seconds of an account's last login, -1 where there is no record.
fn last_login(ctx: &Context<'_>, uid: u32) -> Result<i64, String> {
    let records = ctx
        .tables
        .lastlog
        .get_or_init(
            || match ctx.system.read(Path::new("/var/log/lastlog"), MAX_LASTLOG) {
                Ok(bytes) => Ok(bytes),
                Err(error) if super::absent(&error) => Ok(Vec::new()),
                Err(error) => Err(format!("/var/log/lastlog: {error}")),
            },
        )
        .as_ref()
        .map_err(Clone::clone)?;
    let start = usize::try_from(uid)
        .ok()
        .and_then(|uid| uid.checked_mul(LASTLOG_RECORD));
    let record = start
        .and_then(|start| records.get(start..start.checked_add(LASTLOG_RECORD)?))
        .and_then(|record| record.first_chunk::<4>());
    Ok(record.map_or(-1, |time| i64::from(i32::from_le_bytes(*time))))
}

/// `password_object`.
pub fn password(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    use crate::oval::item::Status;
    use crate::oval::model::Datatype;
    let accounts = ctx
        .tables
        .passwd
        .get_or_init(|| {
            let lines = lines(ctx.system, "/etc/passwd")?;
            Ok(lines.iter().filter_map(|line| passwd_line(line)).collect())
        })
        .as_ref()
        .map_err(Clone::clone)?;
    let mut items = Vec::new();
    for account in accounts {
        if !wanted(query, ctx, "username", &account.name)? {
            continue;
        }
        let item = Item::new()
            .string("username", account.name.as_str())
            .string("password", account.password.as_str())
            .int("user_id", account.uid)
            .int("group_id", account.gid)
            .string("gcos", account.gecos.as_str())
            .string("home_dir", account.home.as_str())
            .string("login_shell", account.shell.as_str());
        items.push(match last_login(ctx, account.uid) {
            Ok(time) => item.int("last_login", time),
            Err(_) => item.with_status("last_login", Datatype::Int, Status::Error, ""),
        });
    }
    Ok(Collected::complete(items))
}

/// `shadow_object`.
pub fn shadow(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let passwords = ctx
        .tables
        .shadow
        .get_or_init(|| {
            let lines = lines(ctx.system, "/etc/shadow")?;
            Ok(lines.iter().filter_map(|line| shadow_line(line)).collect())
        })
        .as_ref()
        .map_err(Clone::clone)?;
    let mut items = Vec::new();
    for shadow in passwords {
        if !wanted(query, ctx, "username", &shadow.name)? {
            continue;
        }
        let mut item = Item::new()
            .string("username", shadow.name.as_str())
            .string("password", shadow.password.as_str());
        let names = [
            "chg_lst",
            "chg_allow",
            "chg_req",
            "exp_warn",
            "exp_inact",
            "exp_date",
        ];
        for (name, days) in names.iter().zip(shadow.days) {
            item = item.int(name, days);
        }
        item = item.string("flag", shadow.flag.to_string());
        if let Some(method) = method(&shadow.password) {
            item = item.string("encrypt_method", method);
        }
        items.push(item);
    }
    Ok(Collected::complete(items))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use super::method;
    use crate::oval::item::Flag;

    #[test]
    fn passwd() {
        let mut lastlog = vec![0u8; 292 * 3];
        lastlog[292 * 2] = 7;
        let (folder, system) = root(&[(
            "/etc/passwd",
            "# x\nroot:x:0:0:root:/root:/bin/bash\nbroken:x:a:0::/:/bin/sh\nb:*:2:3:,::/x:y\n\n",
        )]);
        std::fs::create_dir_all(folder.path().join("var/log")).unwrap();
        std::fs::write(folder.path().join("var/log/lastlog"), lastlog).unwrap();
        let get = |name| collect(&system, "password", &[("username", name)]);
        let b = &get("b").items[0];
        assert_eq!(b.text("user_id"), Some("2"));
        assert_eq!(b.text("group_id"), Some("3"));
        assert_eq!(b.text("home_dir"), Some(""));
        assert_eq!(b.text("login_shell"), Some("/x:y"));
        assert_eq!(b.text("last_login"), Some("7"));
        assert_eq!(get("root").items[0].text("last_login"), Some("0"));
        assert_eq!(get("broken").flag, Flag::DoesNotExist);
    }

    #[test]
    fn shadow() {
        let (_folder, system) = root(&[(
            "/etc/shadow",
            "root:$y$x:19000:0:99999:7:::\nold:*:1:2:3\nbad:*:x:2:3\n",
        )]);
        let get = |name| collect(&system, "shadow", &[("username", name)]);
        let root = &get("root").items[0];
        assert_eq!(root.text("chg_req"), Some("99999"));
        assert_eq!(root.text("exp_date"), Some("-1"));
        assert_eq!(root.text("flag"), Some("18446744073709551615"));
        assert_eq!(root.text("encrypt_method"), None);
        assert_eq!(get("old").items[0].text("exp_warn"), Some("-1"));
        assert_eq!(get("old").items[0].text("encrypt_method"), Some("DES"));
        assert_eq!(get("bad").flag, Flag::DoesNotExist);
        assert_eq!(method("$6$salt$x"), Some("SHA-512"));
        assert_eq!(method("$6x$salt"), None);
        assert_eq!(method("$md5$x"), Some("Sun MD5"));
    }
}
