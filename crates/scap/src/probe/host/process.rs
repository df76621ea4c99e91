//! Processes, from `/proc`.

use super::{absent, pids, text};
use crate::oval::item::{Collected, Item};
use crate::probe::{Context, Query};
use crate::system::System;
use std::path::Path;

const MAX_FILE: u64 = 16 << 20;
/// `USER_HZ`, the unit of times in `/proc`, is 100 on all architectures that Rust's std has.
const TICKS: u64 = 100;

/// Capabilities by number, as far as OVAL 5.11 names them.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
];

/// `/proc/PID/stat`.
struct Stat {
    command: String,
    /// The fields from the third, the state.
    fields: Vec<String>,
}

impl Stat {
    fn read(system: &dyn System, pid: u32) -> Option<Self> {
        let stat = text(system, &format!("/proc/{pid}/stat"), 65_536).ok()??;
        // The command may have brackets and spaces in it.
        let (head, rest) = stat.rsplit_once(')')?;
        let (_, command) = head.split_once('(')?;
        Some(Self {
            command: command.to_owned(),
            fields: rest.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// A field by its number in proc(5).
    fn number(&self, field: usize) -> i64 {
        let field = field.checked_sub(3).and_then(|at| self.fields.get(at));
        field.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// As `ps` shows it; None where there is none.
fn command_line(system: &dyn System, pid: u32) -> Option<String> {
    let path = format!("/proc/{pid}/cmdline");
    let bytes = system.read(Path::new(&path), MAX_FILE).ok()?;
    let end = bytes.iter().rposition(|byte| *byte != 0)?;
    let shown = bytes.get(..=end)?.iter().map(|byte| match byte {
        0 | b'\n' => ' ',
        b' ' => ' ',
        graphic if graphic.is_ascii_graphic() => char::from(*graphic),
        _ => '.',
    });
    Some(shown.collect())
}

fn policy(number: i64) -> &'static str {
    match number {
        0 => "TS",
        1 => "FF",
        2 => "RR",
        3 => "B",
        5 => "#5",
        _ => "?",
    }
}

fn exec_time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 {
        format!("{days}-{clock}")
    } else {
        clock
    }
}

/// The terminal as `ps` abbreviates it.
fn terminal(device: i64) -> String {
    let (major, minor) = (
        device >> 8 & 0xfff,
        (device & 0xff) | (device >> 12 & 0xf_ff00),
    );
    match major {
        136..=143 => format!("pts/{}", minor + (major - 136) * 256),
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        5 if minor == 1 => "console".into(),
        _ => "?".into(),
    }
}

fn start_time(boot: i64, ticks: i64) -> String {
    let started = boot.saturating_add(ticks / TICKS as i64);
    let Ok(started) = jiff::Timestamp::from_second(started) else {
        return String::new();
    };
    let day = |time: jiff::Timestamp| time.strftime("%Y-%m-%d").to_string();
    let format = if day(started) == day(jiff::Timestamp::now()) {
        "%H:%M:%S"
    } else {
        "%b_%d"
    };
    started.strftime(format).to_string()
}

fn boot(system: &dyn System) -> i64 {
    let stat = text(system, "/proc/stat", MAX_FILE).ok().flatten();
    stat.unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("btime "))
        .and_then(|time| time.trim().parse().ok())
        .unwrap_or(0)
}

/// Whether the last anonymous writable mapping is not executable: exec-shield's mark.
fn exec_shield(system: &dyn System, pid: u32) -> bool {
    let maps = text(system, &format!("/proc/{pid}/maps"), 64 << 20);
    let maps = maps.ok().flatten().unwrap_or_default();
    let mut shield = false;
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, mode, offset, _, _] = fields.as_slice()
            && let Some(mode) = mode.strip_prefix("rw")
        {
            shield = !(mode.starts_with('x') && offset.bytes().any(|digit| digit != b'0'));
        }
    }
    shield
}

struct Identity {
    real: i64,
    effective: i64,
    login: i64,
    capabilities: u64,
}

fn identity(system: &dyn System, pid: u32) -> Identity {
    let status = text(system, &format!("/proc/{pid}/status"), 1 << 20);
    let status = status.ok().flatten().unwrap_or_default();
    let field = |name: &str, place: usize| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().nth(place)
    };
    let uid = |place| field("Uid:", place).and_then(|uid| uid.parse().ok());
    let login = text(system, &format!("/proc/{pid}/loginuid"), 4096);
    let login = login.ok().flatten();
    Identity {
        real: uid(0).unwrap_or(-1),
        effective: uid(1).unwrap_or(-1),
        // As an unsigned number, so that unset is 4294967295.
        login: login
            .and_then(|login| login.trim().parse().ok())
            .unwrap_or(i64::from(u32::MAX)),
        capabilities: field("CapEff:", 0)
            .and_then(|mask| u64::from_str_radix(mask, 16).ok())
            .unwrap_or(0),
    }
}

/// An entity of an object that may be nil: then every value is asked for.
fn wanted(query: &Query, ctx: &Context<'_>, entity: &str, actual: &str) -> Result<bool, String> {
    if query.entity(entity).is_none_or(|bound| bound.nil) {
        return Ok(true);
    }
    super::wanted(query, ctx, entity, actual)
}

/// `process58_object`.
pub fn process58(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    collect(query, ctx, true)
}

/// `process_object`.
pub fn process(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    collect(query, ctx, false)
}

fn collect(query: &Query, ctx: &Context<'_>, full: bool) -> Result<Collected, String> {
    let system = ctx.system;
    if !system.is_live() {
        return Ok(super::not_collected("the system does not run"));
    }
    let boot = boot(system);
    let selinux = system.stat(Path::new("/sys/fs/selinux/enforce")).is_ok();
    let mut items = Vec::new();
    let mut any = false;
    for pid in pids(system)? {
        let Some(stat) = Stat::read(system, pid) else {
            continue;
        };
        let parent = stat.number(4);
        // Kernel threads.
        if pid == 2 || parent == 2 {
            continue;
        }
        any = true;
        let name: String = stat.command.chars().take(15).collect();
        let command = if !full {
            name
        } else if stat.fields.first().is_some_and(|state| state == "Z") {
            format!("[{name}] <defunct>")
        } else {
            command_line(system, pid).unwrap_or(name)
        };
        let entity = if full { "command_line" } else { "command" };
        if !wanted(query, ctx, entity, &command)?
            || (full && !wanted(query, ctx, "pid", &pid.to_string())?)
        {
            continue;
        }
        let seconds = |field| u64::try_from(stat.number(field)).unwrap_or(0) / TICKS;
        let who = identity(system, pid);
        let mut item = Item::new()
            .string(entity, command)
            .string("exec_time", exec_time(seconds(14) + seconds(15)))
            .int("pid", pid)
            .int("ppid", parent)
            .int("priority", stat.number(18))
            .int("ruid", who.real)
            .string("scheduling_class", policy(stat.number(41)))
            .string("start_time", start_time(boot, stat.number(22)))
            .string("tty", terminal(stat.number(7)))
            .int("user_id", who.effective);
        if full {
            item = item
                .boolean("exec_shield", exec_shield(system, pid))
                .int("loginuid", who.login);
            for (bit, capability) in CAPABILITIES.iter().enumerate() {
                if who.capabilities >> bit & 1 != 0 {
                    item = item.string("posix_capability", *capability);
                }
            }
            if selinux && let Some(domain) = domain(system, pid) {
                item = item.string("selinux_domain_label", domain);
            }
            item = item.int("session_id", stat.number(6));
        }
        items.push(item);
    }
    if !any {
        return Err("no process could be read".into());
    }
    Ok(Collected::complete(items))
}

fn domain(system: &dyn System, pid: u32) -> Option<String> {
    let path = format!("/proc/{pid}/attr/current");
    match system.read(Path::new(&path), 4096) {
        Ok(bytes) => {
            let context = String::from_utf8_lossy(&bytes).into_owned();
            Some(context.split(':').nth(2)?.trim_matches(['\0', '\n']).into())
        }
        Err(error) if absent(&error) => None,
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use super::{exec_time, terminal};
    use crate::oval::item::Flag;

    #[test]
    fn processes() {
        let stat = "9 (a) b) S 1 9 8 34817 9 0 0 0 0 0 250 150 0 0 20 0 1 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 2 0";
        let (_folder, system) = root(&[
            ("/proc/stat", "cpu\nbtime 1000\n"),
            ("/proc/9/stat", stat),
            ("/proc/9/cmdline", "/bin/a\0-b\tc\0\0"),
            (
                "/proc/9/status",
                "Uid:\t5\t6\t5\t5\nCapEff:\t0000000000000401\n",
            ),
            ("/proc/9/loginuid", "4294967295"),
            (
                "/proc/9/maps",
                "1-2 rwxp 00000010 00:00 0 \n1-2 rw-p 00000000 00:00 0 \n1-2 rwxp 00000010 00:00 5 /x\n",
            ),
            ("/proc/2/stat", "2 (kthreadd) S 0 0"),
            ("/proc/3/stat", "3 (k) S 2 0"),
        ]);
        let found = collect(
            &system,
            "process58",
            &[("command_line", "/bin/a -b.c"), ("pid", "9")],
        );
        let item = &found.items[0];
        for (name, value) in [
            ("ppid", "1"),
            ("session_id", "8"),
            ("priority", "20"),
            ("ruid", "5"),
            ("user_id", "6"),
            ("loginuid", "4294967295"),
            ("exec_time", "00:00:03"),
            ("scheduling_class", "RR"),
            ("tty", "pts/1"),
            ("start_time", "Jan_01"),
            ("exec_shield", "true"),
        ] {
            assert_eq!(item.text(name), Some(value), "{name}");
        }
        let capabilities: Vec<&str> = item
            .named("posix_capability")
            .map(|value| &*value.text)
            .collect();
        assert_eq!(capabilities, ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]);
        let found = collect(&system, "process", &[("command", "a) b")]);
        assert_eq!(found.items.len(), 1);
        let found = collect(&system, "process", &[("command", "kthreadd")]);
        assert_eq!(found.flag, Flag::DoesNotExist);
        let (_folder, bare) = root(&[("/proc/x", "")]);
        let found = collect(&bare, "process", &[("command", "a")]);
        assert_eq!(found.flag, Flag::Error);
    }

    #[test]
    fn words() {
        assert_eq!(exec_time(90_061), "1-01:01:01");
        assert_eq!(terminal(0), "?");
        assert_eq!(terminal(4 << 8 | 65), "ttyS1");
    }
}
