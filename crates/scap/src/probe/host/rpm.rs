//! RPM packages, from the database of headers in any of its formats.

use super::{absent, text, wanted};
use crate::oval::item::{Collected, Item};
use crate::oval::model::Datatype;
use crate::probe::{Context, Query};
use crate::system::System;
use bartizan_packages::rpm::{DATABASES, Depth, FOLDERS, LOG, Package, SQLITE, packages};
use std::path::Path;

mod verify;

/// Words of `ID` and `ID_LIKE` in os-release of systems that are made of RPM packages.
const OF_PACKAGES: [&str; 8] = [
    "amzn", "centos", "fedora", "mariner", "opensuse", "rhel", "sles", "suse",
];
const MAX_DATABASE: u64 = 1 << 30;

/// Reads a file of a database folder; None where there is none.
fn read(system: &dyn System, folder: &str, name: &str) -> Result<Option<Vec<u8>>, String> {
    let path = Path::new(folder).join(name);
    match system.read(&path, MAX_DATABASE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn load(system: &dyn System, depth: Depth) -> Result<Vec<Package>, String> {
    for folder in FOLDERS {
        for name in DATABASES {
            let Some(database) = read(system, folder, name)? else {
                continue;
            };
            let journal = match name {
                SQLITE => read(system, folder, LOG)?,
                _ => None,
            };
            return packages(&database, &journal.unwrap_or_default(), depth)
                .map_err(|error| format!("{folder}/{name}: {error}"));
        }
    }
    if is_of_packages(system)? {
        return Err("there is no rpm database on a system that rpm made".into());
    }
    // No database: nothing was ever installed by rpm.
    Ok(Vec::new())
}

/// Whether the system consists of RPM packages, so that a missing database tells nothing.
fn is_of_packages(system: &dyn System) -> Result<bool, String> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        let Some(release) = text(system, path, 1 << 20)? else {
            continue;
        };
        let mut words = release.lines().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            matches!(key.trim(), "ID" | "ID_LIKE").then_some(value)
        });
        return Ok(words.any(|value| {
            let value = value.trim().trim_matches(['"', '\'']);
            value
                .split([' ', '-'])
                .any(|word| OF_PACKAGES.contains(&word))
        }));
    }
    Ok(false)
}

/// `rpminfo_object`.
pub fn info(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let files = query.behavior("filepaths") == Some("true");
    let (table, depth) = if files {
        (&ctx.tables.rpm_files, Depth::Files)
    } else {
        (&ctx.tables.rpm, Depth::Package)
    };
    let packages = table
        .get_or_init(|| load(ctx.system, depth))
        .as_ref()
        .map_err(Clone::clone)?;
    let mut items = Vec::new();
    for package in packages {
        if wanted(query, ctx, "name", &package.name)? {
            items.push(item(package));
        }
    }
    Ok(Collected::complete(items))
}

fn item(package: &Package) -> Item {
    let Package {
        name,
        epoch,
        version,
        release,
        arch,
        ..
    } = package;
    let number = epoch.unwrap_or(0);
    let shown = epoch.map_or_else(|| "(none)".into(), |epoch| epoch.to_string());
    let mut item = Item::new()
        .string("name", name.as_str())
        .string("arch", arch.as_str())
        .string("epoch", shown)
        .string("release", release.as_str())
        .string("version", version.as_str())
        .with(
            "evr",
            Datatype::EvrString,
            format!("{number}:{version}-{release}"),
        )
        .string("signature_keyid", package.key.as_deref().unwrap_or("0"))
        .string(
            "extended_name",
            format!("{name}-{number}:{version}-{release}.{arch}"),
        );
    for file in &package.files {
        item = item.string("filepath", file.as_str());
    }
    item
}

/// `rpmverifyfile_object`.
pub fn verify_files(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let packages = ctx
        .tables
        .rpm_records
        .get_or_init(|| load(ctx.system, Depth::Records))
        .as_ref()
        .map_err(Clone::clone)?;
    verify::files(query, ctx, packages)
}

/// `rpmverify_object` and `rpmverifypackage_object`: without packages there is nothing to
/// verify, else nobody can.
pub fn verify(ctx: &Context<'_>) -> Result<Collected, String> {
    let packages = ctx
        .tables
        .rpm
        .get_or_init(|| load(ctx.system, Depth::Package))
        .as_ref()
        .map_err(Clone::clone)?;
    if packages.is_empty() {
        return Ok(Collected::complete(Vec::new()));
    }
    Err("verifying whole RPM packages is not supported".into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, query, root};
    use super::{Depth, packages};
    use crate::oval::item::Flag;
    use crate::probe::Context;
    use std::io::Read;

    /// Made by rpm 4.18: one package, `tiny-4:1.2-3.noarch`.
    fn database() -> Vec<u8> {
        let packed: &[u8] = include_bytes!("testdata/rpmdb.sqlite.bz2");
        let mut bytes = Vec::new();
        bzip2::read::BzDecoder::new(packed)
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    #[test]
    fn a_real_database() {
        let (folder, system) = root(&[("/var/lib/rpm/x", "")]);
        std::fs::write(folder.path().join("var/lib/rpm/rpmdb.sqlite"), database()).unwrap();
        let context = Context::new(&system);
        let mut query = query(&[("name", "tiny")]);
        query.behaviors.push(("filepaths".into(), "true".into()));
        let found = super::info(&query, &context).unwrap();
        assert_eq!(found.items.len(), 1);
        let item = &found.items[0];
        for (name, value) in [
            ("arch", "noarch"),
            ("epoch", "4"),
            ("evr", "4:1.2-3"),
            ("signature_keyid", "0"),
            ("extended_name", "tiny-4:1.2-3.noarch"),
        ] {
            assert_eq!(item.text(name), Some(value), "{name}");
        }
        let files: Vec<&str> = item.named("filepath").map(|file| &*file.text).collect();
        assert_eq!(files, ["/opt/tiny", "/opt/tiny/file"]);
        let found = collect(&system, "rpminfo", &[("name", "other")]);
        assert_eq!(found.flag, Flag::DoesNotExist);
        let found = collect(&system, "rpmverifypackage", &[("name", "tiny")]);
        assert_eq!(found.flag, Flag::Error);
        let there = [("name", "tiny"), ("filepath", "/opt/tiny/file")];
        let found = collect(&system, "rpmverifyfile", &there);
        let item = &found.items[0];
        assert_eq!(item.text("extended_name"), Some("tiny-4:1.2-3.noarch"));
        // The root has no such file.
        assert_eq!(item.text("size_differs"), Some("not performed"));
        assert_eq!(item.text("ghost_file"), Some("false"));
    }

    #[test]
    fn no_database_old_and_broken() {
        let get = |files: &[(&str, &str)]| {
            let (_folder, system) = root(files);
            let found = collect(&system, "rpminfo", &[("name", "tiny")]);
            let verify = collect(&system, "rpmverifyfile", &[("filepath", "/x")]);
            assert_eq!(found.flag, verify.flag);
            found.flag
        };
        assert_eq!(get(&[]), Flag::DoesNotExist);
        for (like, flag) in [
            ("ID=debian", Flag::DoesNotExist),
            ("ID=\"opensuse-leap\"", Flag::Error),
            ("ID=x\nID_LIKE='rhel fedora'", Flag::Error),
        ] {
            assert_eq!(get(&[("/etc/os-release", like)]), flag, "{like}");
        }
        assert_eq!(get(&[("/var/lib/rpm/Packages", "x")]), Flag::Error);
        assert_eq!(
            get(&[("/usr/lib/sysimage/rpm/Packages.db", "x")]),
            Flag::Error
        );
        assert_eq!(get(&[("/var/lib/rpm/rpmdb.sqlite", "x")]), Flag::Error);
        // Every cut and every changed byte of the first page ends, whatever it says.
        let database = database();
        for length in (0..database.len()).step_by(1021) {
            let _ = packages(&database[..length], &[], Depth::Records);
        }
        for at in 0..512 {
            for value in [0, 0x7f, 0xff] {
                let mut changed = database.clone();
                changed[at] = value;
                let _ = packages(&changed, &[], Depth::Records);
            }
        }
    }
}
