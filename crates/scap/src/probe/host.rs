//! Probes of everything that is not files: packages, accounts, kernel, mounts, units,
//! processes, sockets. One file a family below `host/`.

use super::{Context, Probe, Query};
use crate::oval::item::{Collected, Flag};
use crate::oval::model::Datatype;
use crate::oval::outcome::Truth;
use crate::system::System;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

mod accounts;
mod dpkginfo;
mod environment;
mod network;
mod partition;
mod process;
mod rpm;
mod runlevel;
mod selinux;
mod sysctl;
mod systemd;

/// A table that is loaded once, or why it could not be.
type Table<T> = OnceLock<Result<T, String>>;

/// What is loaded once.
#[derive(Debug, Default)]
pub struct Tables {
    dpkg: Table<dpkginfo::Packages>,
    lastlog: Table<Vec<u8>>,
    owners: network::Owners,
    mounts: Table<Option<Vec<partition::Mount>>>,
    passwd: Table<Vec<accounts::Passwd>>,
    rpm: Table<Vec<bartizan_packages::rpm::Package>>,
    rpm_files: Table<Vec<bartizan_packages::rpm::Package>>,
    rpm_records: Table<Vec<bartizan_packages::rpm::Package>>,
    shadow: Table<Vec<accounts::Shadow>>,
    sysctl: Table<Vec<sysctl::Setting>>,
    units: OnceLock<systemd::Index>,
    uuids: OnceLock<partition::Uuids>,
}

/// The probes.
pub const PROBES: &[Probe] = &[
    probe("dpkginfo", |query, ctx| {
        answer(dpkginfo::collect(query, ctx))
    }),
    probe("environmentvariable", |query, ctx| {
        answer(environment::own(query, ctx))
    }),
    probe("environmentvariable58", |query, ctx| {
        answer(environment::of_process(query, ctx))
    }),
    probe("family", |_, _| environment::family()),
    probe("fileextendedattribute", |query, ctx| {
        answer(selinux::attribute(query, ctx))
    }),
    probe("inetlisteningservers", |query, ctx| {
        answer(network::listening(query, ctx))
    }),
    probe("interface", |query, ctx| {
        answer(network::interface(query, ctx))
    }),
    probe("partition", |query, ctx| {
        answer(partition::collect(query, ctx))
    }),
    probe("password", |query, ctx| {
        answer(accounts::password(query, ctx))
    }),
    probe("process", |query, ctx| answer(process::process(query, ctx))),
    probe("process58", |query, ctx| {
        answer(process::process58(query, ctx))
    }),
    probe("rpminfo", |query, ctx| answer(rpm::info(query, ctx))),
    probe("rpmverify", |_, ctx| answer(rpm::verify(ctx))),
    probe("rpmverifyfile", |query, ctx| {
        answer(rpm::verify_files(query, ctx))
    }),
    probe("rpmverifypackage", |_, ctx| answer(rpm::verify(ctx))),
    probe("runlevel", |query, ctx| {
        answer(runlevel::collect(query, ctx))
    }),
    probe("selinuxboolean", |query, ctx| {
        answer(selinux::boolean(query, ctx))
    }),
    probe("selinuxsecuritycontext", |query, ctx| {
        answer(selinux::context(query, ctx))
    }),
    probe("shadow", |query, ctx| answer(accounts::shadow(query, ctx))),
    probe("sysctl", |query, ctx| answer(sysctl::collect(query, ctx))),
    probe("systemdunitdependency", |query, ctx| {
        answer(systemd::dependency(query, ctx))
    }),
    probe("systemdunitproperty", |query, ctx| {
        answer(systemd::property(query, ctx))
    }),
    probe("uname", |_, ctx| environment::uname(ctx)),
];

const fn probe(kind: &'static str, collect: fn(&Query, &Context<'_>) -> Collected) -> Probe {
    Probe { kind, collect }
}

fn answer(collected: Result<Collected, String>) -> Collected {
    collected.unwrap_or_else(Collected::error)
}

/// Nobody can look there: the system does not run.
fn not_collected(message: impl Into<String>) -> Collected {
    Collected {
        flag: Flag::NotCollected,
        items: Vec::new(),
        message: Some(message.into()),
    }
}

/// Whether a value is one that the object asks for.
fn wanted(query: &Query, ctx: &Context<'_>, entity: &str, actual: &str) -> Result<bool, String> {
    let Some(bound) = query.entity(entity) else {
        return Err(format!("the object has no {entity}"));
    };
    if bound.datatype == Datatype::String
        && let Some(values) = bound.exact()
    {
        return Ok(values.iter().any(|value| &**value == actual));
    }
    match ctx.matches(bound, actual) {
        Truth::True => Ok(true),
        Truth::Error => Err(format!("{entity} cannot be compared with {actual:?}")),
        _ => Ok(false),
    }
}

/// A file's text, not UTF-8 replaced; None where there is no such file.
fn text(system: &dyn System, path: &str, limit: u64) -> Result<Option<String>, String> {
    match system.read(Path::new(path), limit) {
        Ok(bytes) => Ok(Some(String::from_utf8(bytes).unwrap_or_else(|error| {
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }))),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The numbers among the names of `/proc`, in order.
fn pids(system: &dyn System) -> Result<Vec<u32>, String> {
    let names = system
        .read_dir(Path::new("/proc"))
        .map_err(|error| format!("/proc: {error}"))?;
    let mut pids: Vec<u32> = names
        .iter()
        .filter_map(|(name, _)| name.to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    Ok(pids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oval::model::{Check, Operation};
    use crate::probe::Bound;
    use crate::system::Rooted;
    use std::fs;

    /// A root folder with these files.
    pub fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Rooted) {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let system = Rooted::new(folder.path().to_owned(), true);
        (folder, system)
    }

    /// A query of equality with strings.
    pub fn query(entities: &[(&str, &str)]) -> Query {
        Query {
            entities: entities
                .iter()
                .map(|(name, value)| Bound {
                    name: (*name).into(),
                    datatype: Datatype::String,
                    operation: Operation::Equals,
                    var_check: Check::All,
                    nil: false,
                    values: vec![(*value).into()],
                })
                .collect(),
            ..Query::default()
        }
    }

    #[test]
    fn the_live_system() {
        let system = Rooted::new("/".into(), true);
        let context = Context::new(&system);
        for (kind, entity, pattern) in [
            ("sysctl", "name", r"^kernel\.ost\wpe$"),
            ("partition", "mount_point", "^/pro"),
            ("password", "username", "^ro+t$"),
            ("environmentvariable", "name", "^PAT."),
        ] {
            let mut query = query(&[(entity, pattern)]);
            query.entities[0].operation = Operation::PatternMatch;
            let probe = PROBES.iter().find(|probe| probe.kind == kind).unwrap();
            let found = (probe.collect)(&query, &context);
            assert!(!found.items.is_empty(), "{kind}: {found:?}");
            assert_ne!(found.flag, Flag::Error);
            query.entities[0].values = vec!["(".into()];
            assert_eq!((probe.collect)(&query, &context).flag, Flag::Error);
        }
    }

    /// What the probe of that kind collects.
    pub fn collect(system: &dyn System, kind: &str, entities: &[(&str, &str)]) -> Collected {
        let context = Context::new(system);
        let probe = PROBES.iter().find(|probe| probe.kind == kind).unwrap();
        (probe.collect)(&query(entities), &context)
    }
}
