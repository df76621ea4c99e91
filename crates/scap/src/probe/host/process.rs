//! Processes, from `/proc`.

use super::{absent, pids};
use crate::oval::item::{Collected, Item, Status};
use crate::oval::model::Datatype;
use crate::probe::{Context, Query};
use crate::system::System;
use std::path::Path;

const MAX_FILE: u64 = 64 << 20;
/// `ESRCH`: no such process.
const ESRCH: i32 = 3;
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

/// What reading of one process went: an Err is a place where nobody could look.
type Looked<T> = Result<T, String>;

/// `/proc/PID/name`; None where the process has ended.
fn bytes(system: &dyn System, pid: u32, name: &str) -> Looked<Option<Vec<u8>>> {
    let path = format!("/proc/{pid}/{name}");
    match system.read(Path::new(&path), MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        // ESRCH: it ended between opening and reading.
        Err(error) if absent(&error) || error.raw_os_error() == Some(ESRCH) => Ok(None),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

fn text(system: &dyn System, pid: u32, name: &str) -> Looked<Option<String>> {
    let bytes = bytes(system, pid, name)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// `/proc/PID/stat`.
struct Stat {
    command: String,
    /// The fields from the third, the state.
    fields: Vec<String>,
}

impl Stat {
    /// None where the process has ended.
    fn read(system: &dyn System, pid: u32) -> Looked<Option<Self>> {
        let Some(stat) = text(system, pid, "stat")? else {
            return Ok(None);
        };
        // The command may have brackets and spaces in it.
        let parts = stat.rsplit_once(')').and_then(|(head, rest)| {
            let (_, command) = head.split_once('(')?;
            Some((command, rest))
        });
        let (command, rest) = parts.ok_or_else(|| format!("/proc/{pid}/stat: not understood"))?;
        Ok(Some(Self {
            command: command.to_owned(),
            fields: rest.split_whitespace().map(str::to_owned).collect(),
        }))
    }

    /// A field by its number in proc(5).
    fn number(&self, field: usize) -> i64 {
        let field = field.checked_sub(3).and_then(|at| self.fields.get(at));
        field.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// As `ps` shows it; None where there is none.
fn command_line(system: &dyn System, pid: u32) -> Looked<Option<String>> {
    let bytes = bytes(system, pid, "cmdline")?.unwrap_or_default();
    let end = bytes.iter().rposition(|byte| *byte != 0);
    let shown = end.and_then(|end| bytes.get(..=end)).map(|bytes| {
        let shown = bytes.iter().map(|byte| match byte {
            0 | b'\n' => ' ',
            b' ' => ' ',
            graphic if graphic.is_ascii_graphic() => char::from(*graphic),
            _ => '.',
        });
        shown.collect()
    });
    Ok(shown)
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

/// When the system was started; None where that cannot be told.
fn boot(system: &dyn System) -> Option<i64> {
    let stat = super::text(system, "/proc/stat", MAX_FILE).ok().flatten()?;
    let time = stat.lines().find_map(|line| line.strip_prefix("btime "));
    time?.trim().parse().ok()
}

/// Whether the last anonymous writable mapping is not executable: exec-shield's mark. None
/// where it cannot be told.
fn exec_shield(system: &dyn System, pid: u32) -> Option<bool> {
    let maps = text(system, pid, "maps").ok()?.unwrap_or_default();
    let mut shield = false;
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, mode, offset, _, _] = fields.as_slice()
            && let Some(mode) = mode.strip_prefix("rw")
        {
            shield = !(mode.starts_with('x') && offset.bytes().any(|digit| digit != b'0'));
        }
    }
    Some(shield)
}

/// Whose a process is; None is what cannot be told.
struct Identity {
    real: Option<i64>,
    effective: Option<i64>,
    login: Option<i64>,
    capabilities: Option<u64>,
}

fn identity(system: &dyn System, pid: u32) -> Identity {
    let status = text(system, pid, "status").ok().flatten();
    let status = status.unwrap_or_default();
    let field = |name: &str, place: usize| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().nth(place)
    };
    let uid = |place| field("Uid:", place).and_then(|uid| uid.parse().ok());
    Identity {
        real: uid(0),
        effective: uid(1),
        // As an unsigned number, so that unset is 4294967295; as is a kernel without audit.
        login: match text(system, pid, "loginuid") {
            Ok(Some(login)) => login.trim().parse().ok(),
            Ok(None) => Some(i64::from(u32::MAX)),
            Err(_) => None,
        },
        capabilities: field("CapEff:", 0).and_then(|mask| u64::from_str_radix(mask, 16).ok()),
    }
}

/// Adds what is known, and the status *error* where it is not.
fn told(item: Item, name: &str, datatype: Datatype, value: Option<String>) -> Item {
    match value {
        Some(value) => item.with(name, datatype, value),
        None => item.with_status(name, datatype, Status::Error, ""),
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
    let selinux = match system.stat(Path::new("/sys/fs/selinux/enforce")) {
        Ok(_) => true,
        Err(error) if absent(&error) => false,
        Err(error) => return Err(format!("/sys/fs/selinux: {error}")),
    };
    let mut items = Vec::new();
    let mut any = false;
    let mut unread = None;
    for pid in pids(system)? {
        let stat = match Stat::read(system, pid) {
            Ok(Some(stat)) => stat,
            Ok(None) => continue,
            Err(error) => {
                unread = Some(error);
                continue;
            }
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
            match command_line(system, pid) {
                Ok(line) => line.unwrap_or(name),
                Err(error) => {
                    unread = Some(error);
                    continue;
                }
            }
        };
        let entity = if full { "command_line" } else { "command" };
        if !wanted(query, ctx, entity, &command)?
            || (full && !wanted(query, ctx, "pid", &pid.to_string())?)
        {
            continue;
        }
        let seconds = |field| u64::try_from(stat.number(field)).unwrap_or(0) / TICKS;
        let who = identity(system, pid);
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let mut item = Item::new()
            .string(entity, command)
            .string("exec_time", exec_time(seconds(14) + seconds(15)))
            .int("pid", pid)
            .int("ppid", parent)
            .int("priority", stat.number(18));
        item = told(item, "ruid", Datatype::Int, number(who.real))
            .string("scheduling_class", policy(stat.number(41)));
        let started = boot.map(|boot| start_time(boot, stat.number(22)));
        item = told(item, "start_time", Datatype::String, started)
            .string("tty", terminal(stat.number(7)));
        item = told(item, "user_id", Datatype::Int, number(who.effective));
        if full {
            let shield = exec_shield(system, pid).map(|shield| shield.to_string());
            item = told(item, "exec_shield", Datatype::Boolean, shield);
            item = told(item, "loginuid", Datatype::Int, number(who.login));
            item = match who.capabilities {
                Some(mask) => CAPABILITIES
                    .iter()
                    .enumerate()
                    .filter(|(bit, _)| mask >> bit & 1 != 0)
                    .fold(item, |item, (_, name)| {
                        item.string("posix_capability", *name)
                    }),
                None => item.without("posix_capability", Status::Error),
            };
            if selinux {
                item = match domain(system, pid) {
                    Ok(Some(domain)) => item.string("selinux_domain_label", domain),
                    Ok(None) => item,
                    Err(_) => item.without("selinux_domain_label", Status::Error),
                };
            }
            item = item.int("session_id", stat.number(6));
        }
        items.push(item);
    }
    match unread {
        _ if !any => Err(unread.unwrap_or_else(|| "no process could be read".into())),
        Some(error) => Ok(Collected::incomplete(items, error)),
        None => Ok(Collected::complete(items)),
    }
}

/// The type of the process's label; None where it has none.
fn domain(system: &dyn System, pid: u32) -> Looked<Option<String>> {
    let context = text(system, pid, "attr/current")?.unwrap_or_default();
    let domain = context.split(':').nth(2);
    Ok(domain.map(|domain| domain.trim_matches(['\0', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use super::{exec_time, terminal};
    use crate::oval::item::{Flag, Status};

    #[test]
    fn processes() {
        let stat = "9 (a) b) S 1 9 8 34817 9 0 0 0 0 0 250 150 0 0 20 0 1 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 2 0";
        let (folder, system) = root(&[
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
        // Of 9 all is known, 4 says nothing of itself and of 5 nothing can be read.
        let root = folder.path().join("proc");
        std::fs::create_dir_all(root.join("4")).unwrap();
        std::fs::write(root.join("4/stat"), "4 (four) S 1 0").unwrap();
        let found = collect(&system, "process", &[("command", "four")]);
        assert_eq!(found.flag, Flag::Complete);
        for unknown in ["ruid", "user_id"] {
            let value = found.items[0].named(unknown).next().unwrap();
            assert_eq!(value.status, Status::Error, "{unknown}");
        }
        std::fs::create_dir_all(root.join("5/stat")).unwrap();
        let found = collect(&system, "process", &[("command", "four")]);
        assert_eq!((found.flag, found.items.len()), (Flag::Incomplete, 1));
        let found = collect(&system, "process", &[("command", "five")]);
        assert_eq!((found.flag, found.items.len()), (Flag::Incomplete, 0));
        let (_folder, bare) = super::super::tests::root(&[("/proc/x", "")]);
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
