//! Probes of files over temporary folders.

use super::*;
use crate::oval::item::{Collected, Flag, Status};
use crate::oval::model::{Check, Datatype, Operation};
use crate::probe::{Bound, Context, Query, find};
use crate::system::{FileKind, Metadata, Rooted, Space, Uname, Unit};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

mod contents;
mod kinds;

/// A temporary root that counts what is asked of it.
struct Counting {
    folder: tempfile::TempDir,
    rooted: Rooted,
    calls: Mutex<Vec<(&'static str, PathBuf)>>,
    /// What cannot be listed.
    closed: Option<PathBuf>,
    mounts: &'static str,
}

impl Counting {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name.trim_start_matches('/'));
            if name.ends_with('/') {
                std::fs::create_dir_all(&path).unwrap();
            } else {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, content).unwrap();
            }
        }
        Self {
            rooted: Rooted::new(folder.path().to_owned(), false),
            folder,
            calls: Mutex::default(),
            closed: None,
            mounts: "",
        }
    }

    fn link(&self, at: &str, to: &str) {
        symlink(to, self.folder.path().join(at.trim_start_matches('/'))).unwrap();
    }

    fn count(&self, call: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(name, _)| *name == call).count()
    }

    fn called(&self, call: &'static str, path: &Path) {
        self.calls.lock().unwrap().push((call, path.to_owned()));
    }
}

impl System for Counting {
    fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        self.called("lstat", path);
        self.rooted.lstat(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Metadata> {
        self.called("stat", path);
        let mut metadata = self.rooted.stat(path)?;
        if path.starts_with("/net") {
            metadata.device = 7;
        }
        Ok(metadata)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        self.called("read_dir", path);
        if self.closed.as_deref() == Some(path) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.rooted.read_dir(path)
    }
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.called("read", path);
        if path == Path::new("/proc/self/mounts") && !self.mounts.is_empty() {
            return Ok(self.mounts.into());
        }
        self.rooted.read(path, limit)
    }
    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.rooted.read_link(path)
    }
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.rooted.canonical(path)
    }
    fn has_acl(&self, path: &Path) -> Option<bool> {
        self.rooted.has_acl(path)
    }
    fn attribute(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.rooted.attribute(path, name)
    }
    fn uname(&self) -> io::Result<Uname> {
        self.rooted.uname()
    }
    fn units(&self) -> io::Result<&[Unit]> {
        self.rooted.units()
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.rooted.space(path)
    }
    fn environment(&self) -> io::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }
    fn is_live(&self) -> bool {
        false
    }
}

/// An entity from `name`, `name=value`, `name~pattern`, `name!other` (not equal) or
/// `name#operation:number`.
fn entity(text: &str) -> Bound {
    let at = text.find(['=', '~', '!', '#']);
    let (name, rest) = text.split_at(at.unwrap_or(text.len()));
    let mut bound = Bound {
        name: name.into(),
        datatype: Datatype::String,
        operation: Operation::Equals,
        var_check: Check::All,
        nil: rest.is_empty(),
        values: Vec::new(),
    };
    let mut value = rest.get(1..).unwrap_or_default();
    match rest.chars().next() {
        Some('~') => bound.operation = Operation::PatternMatch,
        Some('!') => bound.operation = Operation::NotEqual,
        Some('#') => {
            let (operation, number) = value.split_once(':').unwrap();
            bound.operation = Operation::parse(Some(operation)).unwrap();
            bound.datatype = Datatype::Int;
            value = number;
        }
        _ => {}
    }
    if !bound.nil {
        bound.values.push(value.into());
    }
    bound
}

fn query(entities: &[&str], behaviors: &[(&str, &str)]) -> Query {
    Query {
        behaviors: behaviors
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        entities: entities.iter().map(|text| entity(text)).collect(),
        ..Query::default()
    }
}

fn collect(ctx: &Context<'_>, kind: &str, query: &Query) -> Collected {
    (find(kind).unwrap().collect)(query, ctx)
}

/// The paths of a `file` object's items, in order.
fn paths(ctx: &Context<'_>, entities: &[&str], behaviors: &[(&str, &str)]) -> Vec<String> {
    let collected = collect(ctx, "file", &query(entities, behaviors));
    assert_ne!(collected.flag, Flag::Error, "{:?}", collected.message);
    let mut paths: Vec<String> = collected
        .items
        .iter()
        .map(|item| {
            item.text("filepath")
                .map_or_else(|| format!("{}/", item.text("path").unwrap()), str::to_owned)
        })
        .collect();
    paths.sort();
    paths
}

const DOWN: (&str, &str) = ("recurse_direction", "down");
const UP: (&str, &str) = ("recurse_direction", "up");

fn tree() -> Counting {
    let system = Counting::new(&[
        ("/etc/a.conf", "x"),
        ("/etc/b.txt", "x"),
        ("/etc/d/c.conf", "x"),
        ("/etc/d/e/f.conf", "x"),
        ("/home/me/g.conf", "x"),
    ]);
    system.link("/etc/link.conf", "a.conf");
    system.link("/etc/home", "/home");
    system.link("/etc/d/loop", "/etc");
    system.link("/etc/gone", "nowhere");
    system
}

#[test]
fn paths_and_names_without_recursion() {
    let system = tree();
    let ctx = Context::new(&system);
    for (entities, expected) in [
        (vec!["path=/etc", "filename=a.conf"], vec!["/etc/a.conf"]),
        (vec!["path=/etc", "filename"], vec!["/etc/"]),
        (vec!["path=/etc/home", "filename"], vec!["/etc/home/"]),
        (vec!["path=/etc/a.conf", "filename"], vec![]),
        (vec!["path=/etc", "filename=d"], vec![]),
        (vec!["path=/etc", "filename=../etc/a.conf"], vec![]),
        (
            vec!["path=/etc", r"filename~^.*\.conf$"],
            vec!["/etc/a.conf", "/etc/link.conf"],
        ),
        (
            vec!["path=/etc", "filename!a.conf"],
            vec!["/etc/b.txt", "/etc/gone", "/etc/home", "/etc/link.conf"],
        ),
        (
            vec!["path=/etc/home/me", "filename~."],
            vec!["/etc/home/me/g.conf"],
        ),
        (vec!["filepath=/etc/gone"], vec!["/etc/gone"]),
        (vec!["filepath=/etc/d"], vec![]),
        (vec!["filepath=/etc/no"], vec![]),
        (vec!["filepath=etc/a.conf"], vec![]),
        // Patterns follow links to directories, but not in circles.
        (
            vec![r"filepath~^/etc/.*\.conf$"],
            vec![
                "/etc/a.conf",
                "/etc/d/c.conf",
                "/etc/d/e/f.conf",
                "/etc/home/me/g.conf",
                "/etc/link.conf",
            ],
        ),
        (
            vec!["filepath~/etc/[ab]\\..*"],
            vec!["/etc/a.conf", "/etc/b.txt"],
        ),
        (
            vec!["path~^/etc/d", "filename~c"],
            vec![
                "/etc/d/c.conf",
                "/etc/d/e/f.conf",
                "/etc/d/loop/a.conf",
                "/etc/d/loop/home/me/g.conf",
                "/etc/d/loop/link.conf",
            ],
        ),
        (vec!["path~^/etc/(d|no)$", "filename"], vec!["/etc/d/"]),
        // Without an anchor only the beginning counts.
        (vec!["path~/me$", "filename"], vec![]),
        (
            vec!["path~.*/me$", "filename"],
            vec!["/etc/home/me/", "/home/me/"],
        ),
    ] {
        assert_eq!(paths(&ctx, &entities, &[]), expected, "{entities:?}");
    }
}

#[test]
fn recursion_has_depth_direction_and_links() {
    let system = tree();
    let ctx = Context::new(&system);
    let conf = ["path=/etc", r"filename~\.conf$"];
    let dirs = ["path=/etc", "filename"];
    let plain = ("recurse", "directories");
    for (entities, behaviors, expected) in [
        (
            conf,
            vec![DOWN, plain],
            vec![
                "/etc/a.conf",
                "/etc/d/c.conf",
                "/etc/d/e/f.conf",
                "/etc/link.conf",
            ],
        ),
        (
            conf,
            vec![DOWN, plain, ("max_depth", "1")],
            vec!["/etc/a.conf", "/etc/d/c.conf", "/etc/link.conf"],
        ),
        (
            conf,
            vec![DOWN, plain, ("max_depth", "0")],
            vec!["/etc/a.conf", "/etc/link.conf"],
        ),
        (
            conf,
            vec![DOWN],
            vec![
                "/etc/a.conf",
                "/etc/d/c.conf",
                "/etc/d/e/f.conf",
                "/etc/home/me/g.conf",
                "/etc/link.conf",
            ],
        ),
        (
            conf,
            vec![DOWN, ("recurse", "symlinks"), ("max_depth", "1")],
            vec!["/etc/a.conf", "/etc/link.conf"],
        ),
        (
            dirs,
            vec![DOWN, plain],
            vec!["/etc/", "/etc/d/", "/etc/d/e/"],
        ),
        (
            dirs,
            vec![DOWN, ("max_depth", "1")],
            vec!["/etc/", "/etc/d/", "/etc/home/"],
        ),
        (
            ["path=/etc/d/e", r"filename~[abc]\."],
            vec![UP],
            vec!["/etc/a.conf", "/etc/b.txt", "/etc/d/c.conf"],
        ),
        (
            ["path=/etc/d/e", r"filename~\."],
            vec![UP, ("max_depth", "1")],
            vec!["/etc/d/c.conf", "/etc/d/e/f.conf"],
        ),
        (
            ["path=/etc/d", "filename"],
            vec![UP],
            vec!["//", "/etc/", "/etc/d/"],
        ),
    ] {
        assert_eq!(
            paths(&ctx, &entities, &behaviors),
            expected,
            "{behaviors:?}"
        );
    }
    let wrong = query(&conf, &[("recurse_direction", "sideways")]);
    assert_eq!(collect(&ctx, "file", &wrong).flag, Flag::Error);
}

#[test]
fn objects_share_one_walk_and_stat_only_what_matches() {
    let system = tree();
    let ctx = Context::new(&system);
    let first = paths(
        &ctx,
        &["path=/etc", "filename=f.conf"],
        &[DOWN, ("recurse", "directories")],
    );
    assert_eq!(first, ["/etc/d/e/f.conf"]);
    let (lists, stats) = (system.count("read_dir"), system.count("lstat"));
    assert_eq!(lists, 3);
    // The start and the file.
    assert_eq!(stats, 2);
    paths(
        &ctx,
        &["path=/etc", r"filename~\.conf$"],
        &[DOWN, ("recurse", "directories")],
    );
    paths(&ctx, &["path=/etc/d/e", "filename~."], &[]);
    assert_eq!(system.count("read_dir"), lists);
    // Above what was walked only what was not read is read.
    paths(
        &ctx,
        &["path=/", "filename~."],
        &[DOWN, ("recurse", "directories")],
    );
    assert_eq!(system.count("read_dir"), lists + 3);
}

#[test]
fn only_the_reachable_file_system() {
    let mut system = Counting::new(&[("/net/a", ""), ("/own/a", ""), ("/proc/x", "")]);
    system.mounts =
        "none / ext4 rw 0 0\nserver:/x /net nfs4 rw 0 0\nd /own\\040x fuse.sshfs rw 0 0\n";
    let ctx = Context::new(&system);
    let local = ("recurse_file_system", "local");
    // The temporary folder is all one device: the start's stat tells 7 for what is in /net.
    assert_eq!(paths(&ctx, &["path=/net", "filename=a"], &[local]), [""; 0]);
    assert_eq!(
        paths(&ctx, &["path=/own", "filename=a"], &[local]),
        ["/own/a"]
    );
    assert_eq!(paths(&ctx, &["filepath=/net/a"], &[local]), [""; 0]);
    // Whoever walks the whole system does not walk the kernel's interfaces.
    let all = paths(&ctx, &["path=/", "filename=x"], &[DOWN]);
    assert_eq!(all, [""; 0]);
    assert_eq!(paths(&ctx, &["path=/proc", "filename=x"], &[]), ["/proc/x"]);
}

#[test]
fn a_file_item_has_the_schema_s_entities() {
    let system = tree();
    let path = system.folder.path().join("etc/a.conf");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4751);
    std::fs::set_permissions(path, mode).unwrap();
    let ctx = Context::new(&system);
    let collected = collect(&ctx, "file", &query(&["filepath=/etc/a.conf"], &[]));
    let [item] = &*collected.items else {
        panic!("{collected:?}");
    };
    let names: Vec<&str> = item.values.iter().map(|value| &*value.name).collect();
    assert_eq!(
        names.join(" "),
        "filepath path filename type group_id user_id a_time c_time m_time size suid sgid sticky \
         uread uwrite uexec gread gwrite gexec oread owrite oexec has_extended_acl"
    );
    for (name, value) in [
        ("path", "/etc"),
        ("type", "regular"),
        ("size", "1"),
        ("suid", "true"),
        ("gwrite", "false"),
        ("oexec", "true"),
    ] {
        assert_eq!(item.text(name), Some(value), "{name}");
    }
    let collected = collect(&ctx, "file", &query(&["path=/etc", "filename"], &[]));
    assert_eq!(collected.items[0].text("type"), Some("directory"));
    assert_eq!(collected.items[0].named("filename").count(), 0);
}

#[test]
fn what_cannot_be_read_is_not_absent() {
    let mut system = tree();
    system.closed = Some("/etc/d".into());
    let ctx = Context::new(&system);
    let collected = collect(
        &ctx,
        "file",
        &query(&["path=/etc", "filename=c.conf"], &[DOWN]),
    );
    assert_eq!(collected.flag, Flag::Incomplete);
    assert_eq!(collected.items[0].status, Status::Error);
    assert!(collected.message.unwrap().contains("/etc/d"));
}

fn found(ctx: &Context<'_>, entities: &[&str], behaviors: &[(&str, &str)]) -> String {
    let collected = collect(ctx, "textfilecontent54", &query(entities, behaviors));
    if collected.flag == Flag::Error {
        return "error".into();
    }
    let items = collected.items.iter().map(|item| {
        let groups: Vec<&str> = item
            .named("subexpression")
            .map(|value| &*value.text)
            .collect();
        format!(
            "{}:{}({})",
            item.text("instance").unwrap(),
            item.text("text").unwrap(),
            groups.join(",")
        )
    });
    items.collect::<Vec<_>>().join(" ")
}

#[test]
fn pipes_are_not_opened_and_odd_names_do_not_hide() {
    let system = Counting::new(&[("/d/a", "x")]);
    let d = system.folder.path().join("d");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        d.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    symlink("pipe", d.join("topipe")).unwrap();
    std::fs::write(d.join(OsStr::from_bytes(b"\xff")), "x").unwrap();
    let ctx = Context::new(&system);
    let all = "instance#greater than or equal:1";
    assert_eq!(
        found(&ctx, &["filepath~^/d/.*$", "pattern~x", all], &[]),
        "1:x() 1:x()"
    );
    assert_eq!(
        found(&ctx, &["path=/d", "filename~.*", "pattern~x", all], &[]),
        "error"
    );
    assert_eq!(
        found(&ctx, &["path=/d", "filename!b", "pattern~x", all], &[]),
        "1:x() 1:x()"
    );
    let types = collect(&ctx, "file", &query(&["filepath=/d/pipe"], &[]));
    assert_eq!(types.items[0].text("type"), Some("fifo"));
    let hashed = query(&["path=/d", "filename!b", "hash_type=MD5"], &[]);
    assert_eq!(collect(&ctx, "filehash58", &hashed).items.len(), 2);
}
