//! OVAL documents in short, and systems that misbehave.

use bartizan_scap::content::Bundle;
use bartizan_scap::oval::evaluate::Evaluator;
use bartizan_scap::oval::outcome::Truth;
use bartizan_scap::probe::Context;
use bartizan_scap::system::{FileKind, Metadata, Rooted, Space, System, Uname, Unit};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An OVAL document.
pub fn document(inner: &str) -> String {
    format!(
        "<oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5' \
         xmlns:u='http://oval.mitre.org/XMLSchema/oval-definitions-5#unix' \
         xmlns:i='http://oval.mitre.org/XMLSchema/oval-definitions-5#independent'>\
         {inner}</oval_definitions>"
    )
}

/// A definition of one criteria element.
pub fn definition(number: usize, criteria: &str) -> String {
    format!(
        "<definition id='oval:x:def:{number}' class='compliance' version='1'>\
         <criteria>{criteria}</criteria></definition>"
    )
}

/// A document that asks whether no, or any, item of an object exists.
pub fn asking(existence: &str, kind: &str, object: &str) -> String {
    let prefix = if kind == "file" { "u" } else { "i" };
    document(&format!(
        "<definitions>{}</definitions><tests><{prefix}:{kind}_test id='oval:x:tst:1' version='1' \
         check='all' check_existence='{existence}' comment='c'>\
         <{prefix}:object object_ref='oval:x:obj:1'/></{prefix}:{kind}_test></tests>\
         <objects><{prefix}:{kind}_object id='oval:x:obj:1' version='1'>{}</{prefix}:{kind}_object></objects>",
        definition(1, "<criterion test_ref='oval:x:tst:1'/>"),
        object
            .replace("<-", &format!("<{prefix}:"))
            .replace("</-", &format!("</{prefix}:")),
    ))
}

/// The first definition's result, in so many seconds.
pub fn judge(system: &dyn System, document: &str, seconds: u64) -> Truth {
    let begun = Instant::now();
    let bundle = Bundle::load(document.as_bytes()).unwrap();
    let context = Context::new(system);
    let externals = HashMap::new();
    let mut evaluator = Evaluator::new(bundle.oval().unwrap(), &context, &externals);
    let truth = evaluator.definition("oval:x:def:1");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(seconds), "{took:?}");
    truth
}

/// How a file misbehaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It may not be read, nor looked into.
    Closed,
    /// It is listed, and gone when it is looked at.
    Vanishes,
    /// The disk fails.
    Broken,
    /// It is a file when it is looked at and a FIFO when it is opened.
    Changes,
}

/// A folder in which one path misbehaves.
pub struct Faulty {
    pub rooted: Rooted,
    pub path: PathBuf,
    pub fault: Fault,
}

impl Faulty {
    fn check(&self, path: &Path, reads: bool) -> io::Result<()> {
        let below = path.starts_with(&self.path) && (reads || path != self.path);
        match self.fault {
            Fault::Closed if below => Err(io::ErrorKind::PermissionDenied.into()),
            Fault::Broken if below => Err(io::Error::from_raw_os_error(5)),
            Fault::Vanishes if path.starts_with(&self.path) => Err(io::ErrorKind::NotFound.into()),
            Fault::Changes if below && reads => Err(io::ErrorKind::InvalidInput.into()),
            _ => Ok(()),
        }
    }
}

impl System for Faulty {
    fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        self.check(path, false)?;
        self.rooted.lstat(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Metadata> {
        self.check(path, false)?;
        self.rooted.stat(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        self.check(path, true)?;
        self.rooted.read_dir(path)
    }
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.check(path, true)?;
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
