//! Files compared with what their RPM package says of them, as `rpm -V` does (`rpmverifyfile`).

use super::super::{absent, text, wanted};
use crate::oval::item::{Collected, Item, Status};
use crate::oval::model::{Datatype, Operation};
use crate::probe::{Bound, Context, Query};
use crate::system::{FileKind, Metadata, System};
use bartizan_packages::rpm::{FileRecord, Package};
use md5::Digest as _;
use std::collections::HashMap;
use std::path::Path;

/// The most bytes of a file whose digest is compared.
const MAX_FILE: u64 = 256 << 20;
const MAX_ITEMS: usize = 200_000;

/// rpm's `RPMVERIFY_*`.
const DIGEST: u32 = 1;
const SIZE: u32 = 1 << 1;
const LINK: u32 = 1 << 2;
const USER: u32 = 1 << 3;
const GROUP: u32 = 1 << 4;
const MTIME: u32 = 1 << 5;
const MODE: u32 = 1 << 6;
const RDEV: u32 = 1 << 7;
const CAPS: u32 = 1 << 8;

/// rpm's `RPMFILE_*`.
const CONFIG: u32 = 1;
const DOC: u32 = 1 << 1;
const GHOST: u32 = 1 << 6;
const LICENSE: u32 = 1 << 7;
const README: u32 = 1 << 8;

const OMITTED: [(&str, u32); 10] = [
    ("nolinkto", LINK),
    ("nomd5", DIGEST),
    ("nofiledigest", DIGEST),
    ("nosize", SIZE),
    ("nouser", USER),
    ("nogroup", GROUP),
    ("nomtime", MTIME),
    ("nomode", MODE),
    ("nordev", RDEV),
    ("nocaps", CAPS),
];

/// What differs; None where the file could not be compared at all.
type Differences = Option<u32>;

/// The names of users and groups.
#[derive(Default)]
struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    fn load(system: &dyn System) -> Result<Self, String> {
        let read = |path: &str| -> Result<HashMap<u32, String>, String> {
            let table = text(system, path, 16 << 20)?.unwrap_or_default();
            let mut names = HashMap::new();
            for line in table.lines() {
                let mut fields = line.split(':');
                if let (Some(name), Some(Ok(number))) =
                    (fields.next(), fields.nth(1).map(str::parse))
                {
                    names.entry(number).or_insert_with(|| name.to_owned());
                }
            }
            Ok(names)
        };
        Ok(Self {
            users: read("/etc/passwd")?,
            groups: read("/etc/group")?,
        })
    }
}

/// `rpmverifyfile_object`.
pub fn files(query: &Query, ctx: &Context<'_>, packages: &[Package]) -> Result<Collected, String> {
    let place = query
        .entity("filepath")
        .ok_or("the object has no filepath")?;
    let is_set = |name: &str| query.behavior(name) == Some("true");
    let omit = OMITTED
        .iter()
        .filter(|(name, _)| is_set(name))
        .fold(0, |omit, (_, flag)| omit | flag);
    let places = Places::new(place, ctx)?;
    let names = Names::load(ctx.system)?;
    let mut items = Vec::new();
    for package in packages {
        if !is_asked(query, ctx, package)? {
            continue;
        }
        for file in &package.records {
            let passed = (file.flags & CONFIG != 0 && is_set("noconfigfiles"))
                || (file.flags & GHOST != 0 && is_set("noghostfiles"));
            if passed {
                continue;
            }
            let Some(shown) = places.find(place, ctx, &file.path)? else {
                continue;
            };
            let item = match compare(ctx.system, &names, file, omit) {
                Ok(found) => item(package, file, &shown, omit, found),
                Err(error) => {
                    let mut item = head(package, &shown);
                    item.status = Status::Error;
                    item.message = Some(error.into());
                    item
                }
            };
            if query.keep.keeps(&item, ctx) {
                items.push(item);
            }
            if items.len() > MAX_ITEMS {
                let message = format!("more than {MAX_ITEMS} files");
                return Ok(Collected::incomplete(items, message));
            }
        }
    }
    Ok(Collected::complete(items))
}

fn is_asked(query: &Query, ctx: &Context<'_>, package: &Package) -> Result<bool, String> {
    let epoch = shown_epoch(package);
    for (entity, actual) in [
        ("name", &package.name),
        ("epoch", &epoch),
        ("version", &package.version),
        ("release", &package.release),
        ("arch", &package.arch),
    ] {
        if query.entity(entity).is_some() && !wanted(query, ctx, entity, actual)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn shown_epoch(package: &Package) -> String {
    package
        .epoch
        .map_or_else(|| "(none)".into(), |epoch| epoch.to_string())
}

/// The files that an object asks for.
enum Places {
    /// By name; a name with what it leads to through links.
    Exact(Vec<(String, Option<String>)>),
    /// By comparison.
    Compared,
}

impl Places {
    fn new(place: &Bound, ctx: &Context<'_>) -> Result<Self, String> {
        match place.operation {
            Operation::Equals => Ok(Self::Exact(
                place
                    .values
                    .iter()
                    .map(|value| (value.to_string(), canonical(ctx.system, value)))
                    .collect(),
            )),
            Operation::NotEqual | Operation::PatternMatch => Ok(Self::Compared),
            other => Err(format!("filepath cannot be asked for by {}", other.word())),
        }
    }

    /// What the file is called in the item, if it is asked for.
    fn find(&self, place: &Bound, ctx: &Context<'_>, path: &str) -> Result<Option<String>, String> {
        match self {
            Self::Exact(wanted) => Ok(wanted
                .iter()
                .find(|(name, real)| {
                    // Links are only looked through where they could lead to it.
                    name == path
                        || (real.is_some()
                            && last(name) == last(path)
                            && canonical(ctx.system, path) == *real)
                })
                .map(|(name, _)| name.clone())),
            Self::Compared => match ctx.matches(place, path) {
                crate::oval::outcome::Truth::True => Ok(Some(path.to_owned())),
                crate::oval::outcome::Truth::Error => {
                    Err(format!("filepath cannot be compared with {path:?}"))
                }
                _ => Ok(None),
            },
        }
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn canonical(system: &dyn System, path: &str) -> Option<String> {
    let path = system.canonical(Path::new(path)).ok()?;
    path.to_str().map(str::to_owned)
}

/// What a file's package asks to be compared, and what of it differs.
fn compare(
    system: &dyn System,
    names: &Names,
    file: &FileRecord,
    omit: u32,
) -> Result<Differences, String> {
    // Only what is installed can differ: not replaced, left out or of another architecture.
    if file.state != 0 {
        return Ok(Some(0));
    }
    let path = Path::new(&file.path);
    let found = match system.lstat(path) {
        Ok(found) => found,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", file.path)),
    };
    let mut flags = file.verify & !omit;
    if file.flags & GHOST != 0 {
        flags &= !(DIGEST | SIZE | MTIME | LINK);
    }
    flags &= match found.kind {
        FileKind::SymbolicLink => !(DIGEST | SIZE | MTIME | MODE | CAPS),
        FileKind::Regular => !LINK,
        _ => !(DIGEST | SIZE | MTIME | LINK | CAPS),
    };
    let mut differs = 0;
    let mut note = |flag: u32, same: bool| {
        if !same {
            differs |= flag;
        }
    };
    if flags & SIZE != 0 {
        note(SIZE, found.size == file.size);
    }
    if flags & MTIME != 0 {
        note(MTIME, found.modified == i64::from(file.modified));
    }
    if flags & USER != 0 {
        note(USER, names.users.get(&found.uid) == Some(&file.user));
    }
    if flags & GROUP != 0 {
        note(GROUP, names.groups.get(&found.gid) == Some(&file.group));
    }
    if flags & MODE != 0 {
        note(MODE, same_mode(file, &found));
    }
    if flags & RDEV != 0 {
        let device = |kind: u32| matches!(kind, 0o020_000 | 0o060_000);
        let (theirs, ours) = (u32::from(file.mode) & 0o170_000, kind_bits(found.kind));
        if theirs != ours && (device(theirs) || device(ours)) {
            note(RDEV, false);
        } else if device(ours) {
            return Err(format!(
                "{}: numbers of devices are not compared",
                file.path
            ));
        }
    }
    if flags & LINK != 0 {
        match system.read_link(path) {
            Ok(target) => note(LINK, target.as_os_str() == file.link.as_str()),
            Err(_) => return Ok(None),
        }
    }
    if flags & CAPS != 0 {
        let set = system.attribute(path, "security.capability");
        match set.map_err(|error| format!("{}: {error}", file.path))? {
            None => note(CAPS, file.capabilities.is_empty()),
            Some(_) if file.capabilities.is_empty() => note(CAPS, false),
            Some(_) => return Err(format!("{}: capabilities are not compared", file.path)),
        }
    }
    if flags & DIGEST != 0 {
        if file.digest.is_empty() {
            note(DIGEST, false);
        } else {
            match system.read(path, MAX_FILE) {
                Ok(bytes) => note(DIGEST, digest(file.algorithm, &bytes)? == file.digest),
                Err(_) => return Ok(None),
            }
        }
    }
    Ok(Some(differs))
}

fn kind_bits(kind: FileKind) -> u32 {
    match kind {
        FileKind::Fifo => 0o010_000,
        FileKind::CharacterSpecial => 0o020_000,
        FileKind::Directory => 0o040_000,
        FileKind::BlockSpecial => 0o060_000,
        FileKind::Regular => 0o100_000,
        FileKind::SymbolicLink => 0o120_000,
        FileKind::Socket => 0o140_000,
        FileKind::Unknown => 0,
    }
}

fn same_mode(file: &FileRecord, found: &Metadata) -> bool {
    let theirs = u32::from(file.mode);
    let ours = kind_bits(found.kind) | found.mode;
    // What kind a ghost is means nothing.
    let mask = if file.flags & GHOST != 0 {
        0o7777
    } else {
        0o177_777
    };
    theirs & mask == ours & mask
}

/// RFC 4880's numbers of algorithms, in hexadecimal digits.
fn digest(algorithm: u32, bytes: &[u8]) -> Result<String, String> {
    Ok(match algorithm {
        1 => hex::encode(md5::Md5::digest(bytes)),
        2 => hex::encode(sha1::Sha1::digest(bytes)),
        8 => hex::encode(sha2::Sha256::digest(bytes)),
        9 => hex::encode(sha2::Sha384::digest(bytes)),
        10 => hex::encode(sha2::Sha512::digest(bytes)),
        11 => hex::encode(sha2::Sha224::digest(bytes)),
        other => return Err(format!("digests by algorithm {other} are not known")),
    })
}

fn head(package: &Package, shown: &str) -> Item {
    let Package {
        name,
        version,
        release,
        arch,
        ..
    } = package;
    Item::new()
        .string("name", name.as_str())
        .string("epoch", shown_epoch(package))
        .string("version", version.as_str())
        .string("release", release.as_str())
        .string("arch", arch.as_str())
        .string("filepath", shown)
        .string(
            "extended_name",
            format!(
                "{name}-{}:{version}-{release}.{arch}",
                package.epoch.unwrap_or(0)
            ),
        )
}

fn item(package: &Package, file: &FileRecord, shown: &str, omit: u32, found: Differences) -> Item {
    let mut item = head(package, shown);
    for (entity, flag) in [
        ("size_differs", SIZE),
        ("mode_differs", MODE),
        ("md5_differs", DIGEST),
        ("filedigest_differs", DIGEST),
        ("device_differs", RDEV),
        ("link_mismatch", LINK),
        ("ownership_differs", USER),
        ("group_differs", GROUP),
        ("mtime_differs", MTIME),
        ("capabilities_differ", CAPS),
    ] {
        let word = match found {
            Some(differs) if omit & flag == 0 => {
                if differs & flag == 0 {
                    "pass"
                } else {
                    "fail"
                }
            }
            _ => "not performed",
        };
        item = item.with(entity, Datatype::String, word);
    }
    for (entity, flag) in [
        ("configuration_file", CONFIG),
        ("documentation_file", DOC),
        ("ghost_file", GHOST),
        ("license_file", LICENSE),
        ("readme_file", README),
    ] {
        item = item.boolean(entity, file.flags & flag != 0);
    }
    item
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::root;
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn record(path: &str, mode: u16, content: &str) -> FileRecord {
        FileRecord {
            path: path.into(),
            mode,
            size: content.len() as u64,
            algorithm: 8,
            digest: digest(8, content.as_bytes()).unwrap(),
            verify: DIGEST | SIZE | LINK | MODE,
            ..FileRecord::default()
        }
    }

    #[test]
    fn what_differs_is_told() {
        let (folder, system) = root(&[("/opt/same", "x"), ("/opt/other", "y!")]);
        let names = Names::default();
        for name in ["opt/same", "opt/other"] {
            let mode = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(folder.path().join(name), mode).unwrap();
        }
        symlink("same", folder.path().join("opt/link")).unwrap();
        let told = |file: &FileRecord, omit| compare(&system, &names, file, omit).unwrap();
        assert_eq!(told(&record("/opt/same", 0o100_644, "x"), 0), Some(0));
        let other = record("/opt/other", 0o100_600, "x");
        assert_eq!(told(&other, 0), Some(DIGEST | SIZE | MODE));
        assert_eq!(told(&other, DIGEST | MODE), Some(SIZE));
        let mut link = record("/opt/link", 0o120_777, "x");
        link.link = "other".into();
        assert_eq!(told(&link, 0), Some(LINK));
        // What is not there was not compared.
        assert_eq!(told(&record("/opt/gone", 0o100_644, "x"), 0), None);
        let mut ghost = record("/opt/other", 0o100_644, "x");
        ghost.flags = GHOST;
        assert_eq!(told(&ghost, 0), Some(0));
        let mut replaced = record("/opt/other", 0o100_600, "x");
        replaced.state = 1;
        assert_eq!(told(&replaced, 0), Some(0));
        let owned = FileRecord {
            verify: USER,
            user: "nobody-of-here".into(),
            ..record("/opt/same", 0o100_644, "x")
        };
        assert_eq!(told(&owned, 0), Some(USER));
    }
}
