//! Entry points for fuzzers: each takes any bytes and must neither panic nor hang.

use crate::content::Bundle;
use crate::oval::compare::{Flags, Pattern, compare};
use crate::oval::evaluate::Evaluator;
use crate::oval::model::{Check, Datatype, Operation};
use crate::probe::{Bound, Context, Query, find};
use crate::system::{FileKind, Metadata, Space, System, Uname, Unit};
use crate::{system, xccdf, yaml};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A system of one file.
struct Only<'a>(&'a str, &'a [u8]);

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

impl System for Only<'_> {
    fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        let kind = match path == Path::new(self.0) {
            true => FileKind::Regular,
            false if Path::new(self.0).starts_with(path) => FileKind::Directory,
            false => return none(),
        };
        Ok(Metadata {
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: self.1.len() as u64,
            device: 1,
            inode: 1,
            accessed: 0,
            modified: -1,
            changed: i64::MAX,
        })
    }
    fn stat(&self, path: &Path) -> io::Result<Metadata> {
        self.lstat(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        let below = Path::new(self.0).strip_prefix(path);
        match below.ok().and_then(|rest| rest.components().next()) {
            Some(name) => Ok(vec![(name.as_os_str().to_owned(), None)]),
            None => none(),
        }
    }
    fn read(&self, path: &Path, _: u64) -> io::Result<Vec<u8>> {
        match path == Path::new(self.0) {
            true => Ok(self.1.to_vec()),
            false => none(),
        }
    }
    fn read_link(&self, _: &Path) -> io::Result<PathBuf> {
        none()
    }
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
    fn has_acl(&self, _: &Path) -> Option<bool> {
        None
    }
    fn attribute(&self, _: &Path, _: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn uname(&self) -> io::Result<Uname> {
        none()
    }
    fn units(&self) -> io::Result<&[Unit]> {
        none()
    }
    fn space(&self, _: &Path) -> io::Result<Space> {
        none()
    }
    fn environment(&self) -> io::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }
    fn is_live(&self) -> bool {
        false
    }
}

fn bound(name: &str, operation: Operation, value: &str) -> Bound {
    Bound {
        name: name.into(),
        datatype: Datatype::String,
        operation,
        var_check: Check::All,
        nil: false,
        values: vec![Arc::from(value)],
    }
}

fn probe(system: &Only<'_>, kind: &str, entities: Vec<Bound>) {
    let query = Query {
        entities,
        ..Query::default()
    };
    if let Some(probe) = find(kind) {
        let _ = (probe.collect)(&query, &Context::new(system));
    }
}

/// Loads bytes as content, validates it and evaluates its definitions on an empty system.
pub fn content(bytes: &[u8]) {
    let Ok(bundle) = Bundle::load(bytes) else {
        return;
    };
    let _ = bundle.validate();
    let _ = bundle.benchmark(None, None);
    if let Some(document) = bundle.oval() {
        let system = Only("/etc/passwd", b"root:x:0:0::/root:/bin/sh\n");
        let context = Context::new(&system);
        let externals = HashMap::new();
        let _ = Evaluator::new(document, &context, &externals).all();
    }
}

/// Looks for a signature in bytes.
pub fn signature(bytes: &[u8]) {
    let _ = crate::signature::check(bytes, crate::signature::Policy::Check);
}

/// Reads bytes as a tailoring.
pub fn tailoring(bytes: &[u8]) {
    let _ = xccdf::tailoring::load(bytes);
}

/// Searches for the first line as a pattern in the rest, and compares both as all data types.
pub fn patterns(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (first, rest) = text.split_once('\n').unwrap_or((&*text, ""));
    let flags = Flags {
        multiline: true,
        ..Flags::default()
    };
    if let Ok(pattern) = Pattern::with_flags(first, flags) {
        let _ = pattern.find_all(rest.as_bytes(), 1000);
    }
    let system = Only("/", b"");
    let context = Context::new(&system);
    for datatype in [
        Datatype::String,
        Datatype::Int,
        Datatype::Float,
        Datatype::Version,
        Datatype::EvrString,
        Datatype::DebianEvrString,
        Datatype::Ipv4,
        Datatype::Ipv6,
    ] {
        let _ = compare(&context, datatype, Operation::LessThan, rest, first);
        let _ = compare(&context, datatype, Operation::PatternMatch, rest, first);
    }
}

/// Reads bytes as what `systemctl show` prints.
pub fn units(bytes: &[u8]) {
    let _ = system::units::parse_show(&String::from_utf8_lossy(bytes));
}

/// Reads bytes as the database of RPM.
pub fn rpmdb(bytes: &[u8]) {
    let system = Only("/var/lib/rpm/rpmdb.sqlite", bytes);
    let name = bound("name", Operation::PatternMatch, ".*");
    probe(&system, "rpminfo", vec![name]);
}

/// Reads bytes as the database of dpkg.
pub fn dpkg(bytes: &[u8]) {
    let system = Only("/var/lib/dpkg/status", bytes);
    let name = bound("name", Operation::PatternMatch, ".*");
    probe(&system, "dpkginfo", vec![name]);
}

/// Reads bytes as host checks in YAML.
pub fn host_checks(bytes: &[u8]) {
    let _ = yaml::custom(&[("fuzz", bytes)]);
}

/// Takes the first line as an XPath and as a YAML path into the rest.
pub fn paths(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let (first, rest) = bytes.split_at(at.unwrap_or(bytes.len()));
    let expression = String::from_utf8_lossy(first);
    let system = Only("/f", rest.get(1..).unwrap_or_default());
    for (kind, name) in [("xmlfilecontent", "xpath"), ("yamlfilecontent", "yamlpath")] {
        let file = bound("filepath", Operation::Equals, "/f");
        let path = bound(name, Operation::Equals, &expression);
        probe(&system, kind, vec![file, path]);
    }
}
