//! What questions share: files read once, tables parsed once.

use super::find::Found;
use crate::system::{FileKind, Metadata, System};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The largest file of settings.
const MAX_TEXT: u64 = 8 << 20;

/// The largest package database.
const MAX_STATUS: u64 = 256 << 20;

/// The most paths that a pattern may match.
const MAX_MATCHES: usize = 5_000;

/// What is known of a host so far. A fact that cannot be had is an error text.
pub struct Facts<'a> {
    /// The host.
    pub system: &'a dyn System,
    texts: Mutex<HashMap<PathBuf, Text>>,
    users: OnceLock<Result<Arc<Vec<Entry>>, String>>,
    groups: OnceLock<Result<Arc<Vec<Entry>>, String>>,
    packages: OnceLock<Result<Arc<Packages>, String>>,
    mounts: OnceLock<Result<Arc<Vec<MountPoint>>, String>>,
    /// The one walk of all [`super::question::Find`]s.
    pub(super) found: OnceLock<Found>,
}

/// A file's text; None: there is no such file.
pub type Text = Result<Option<Arc<str>>, String>;

/// Installed packages with their versions.
pub type Packages = BTreeMap<String, String>;

/// A line of `passwd`, `group` or `shadow`, split at colons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry(pub Vec<String>);

impl Entry {
    /// The field at a place; empty where there is none.
    pub fn at(&self, place: usize) -> &str {
        self.0.get(place).map_or("", String::as_str)
    }
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct MountPoint {
    pub point: String,
    pub kind: String,
    pub options: Vec<String>,
}

/// Whether an error means that there is nothing.
pub fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// An error as a reason.
pub fn reason(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

impl<'a> Facts<'a> {
    /// Of a host; nothing is read yet.
    pub fn new(system: &'a dyn System) -> Self {
        Self {
            system,
            texts: Mutex::default(),
            users: OnceLock::new(),
            groups: OnceLock::new(),
            packages: OnceLock::new(),
            mounts: OnceLock::new(),
            found: OnceLock::new(),
        }
    }

    /// A file's text. Bytes that are not UTF-8 are replaced.
    pub fn text(&self, path: &Path) -> Text {
        let known = self
            .texts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned();
        if let Some(known) = known {
            return known;
        }
        let text = self.fresh(path, MAX_TEXT);
        self.texts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), text.clone());
        text
    }

    fn fresh(&self, path: &Path, limit: u64) -> Text {
        match self.system.read(path, limit) {
            Ok(bytes) => Ok(Some(Arc::from(String::from_utf8_lossy(&bytes)))),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(reason(path, &error)),
        }
    }

    /// A file's text; absence is an error too.
    pub fn need(&self, path: &str) -> Result<Arc<str>, String> {
        self.text(Path::new(path))?
            .ok_or_else(|| format!("{path} does not exist"))
    }

    /// `stat`; None: there is no such file.
    pub fn stat(&self, path: &Path) -> Result<Option<Metadata>, String> {
        told(path, self.system.stat(path))
    }

    /// `lstat`; None: there is no such file.
    pub fn lstat(&self, path: &Path) -> Result<Option<Metadata>, String> {
        told(path, self.system.lstat(path))
    }

    /// The names in a folder, sorted; None: there is no such folder.
    pub fn names(&self, path: &Path) -> Result<Option<Vec<std::ffi::OsString>>, String> {
        let names = told(path, self.system.read_dir(path))?;
        Ok(names.map(|names| {
            let mut names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
            names.sort();
            names
        }))
    }

    /// The existing paths that a pattern names, sorted by name in each folder. Only `*` and `?`
    /// within a name mean something; a path without them is given back as it is.
    pub fn paths(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        if !pattern.contains(['*', '?']) {
            return Ok(vec![PathBuf::from(pattern)]);
        }
        let mut found = vec![PathBuf::from("/")];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let mut next = Vec::new();
            for folder in found {
                if !part.contains(['*', '?']) {
                    next.push(folder.join(part));
                    continue;
                }
                for name in self.names(&folder)?.unwrap_or_default() {
                    if glob(part.as_bytes(), name.as_encoded_bytes())
                        && (part.starts_with('.') || !name.as_encoded_bytes().starts_with(b"."))
                    {
                        next.push(folder.join(&name));
                    }
                }
                if next.len() > MAX_MATCHES {
                    return Err(format!("{pattern} matches more than {MAX_MATCHES} paths"));
                }
            }
            found = next;
        }
        let mut existing = Vec::new();
        for path in found {
            if self.lstat(&path)?.is_some() {
                existing.push(path);
            }
        }
        Ok(existing)
    }

    /// `/etc/passwd`.
    pub fn users(&self) -> Result<Arc<Vec<Entry>>, String> {
        self.users
            .get_or_init(|| Ok(Arc::new(entries(&self.need("/etc/passwd")?))))
            .clone()
    }

    /// `/etc/group`.
    pub fn groups(&self) -> Result<Arc<Vec<Entry>>, String> {
        self.groups
            .get_or_init(|| Ok(Arc::new(entries(&self.need("/etc/group")?))))
            .clone()
    }

    /// `/etc/shadow`; never kept.
    pub fn shadow(&self) -> Result<Vec<Entry>, String> {
        let path = Path::new("/etc/shadow");
        match self.fresh(path, MAX_TEXT)? {
            Some(text) => Ok(entries(&text)),
            None => Err("/etc/shadow does not exist".to_owned()),
        }
    }

    /// Installed packages of dpkg. Other package managers cannot be asked.
    pub fn packages(&self) -> Result<Arc<Packages>, String> {
        self.packages
            .get_or_init(|| {
                let path = Path::new("/var/lib/dpkg/status");
                let text = self.fresh(path, MAX_STATUS)?.ok_or(
                    "no package database that can be read: /var/lib/dpkg/status does not exist",
                )?;
                let packages = installed(&text);
                if packages.is_empty() {
                    return Err("/var/lib/dpkg/status names no installed package".to_owned());
                }
                Ok(Arc::new(packages))
            })
            .clone()
    }

    /// What is mounted, or on a system that does not run, what `fstab` mounts.
    pub fn mounts(&self) -> Result<Arc<Vec<MountPoint>>, String> {
        self.mounts
            .get_or_init(|| {
                let path = if self.system.is_live() {
                    "/proc/self/mounts"
                } else {
                    "/etc/fstab"
                };
                Ok(Arc::new(mount_points(&self.need(path)?)))
            })
            .clone()
    }

    /// Where mounts are read from.
    pub fn mounts_from(&self) -> &'static str {
        if self.system.is_live() {
            "/proc/self/mounts"
        } else {
            "/etc/fstab"
        }
    }

    /// Values of `os-release` under a key.
    pub fn os(&self, key: &str) -> Result<Option<String>, String> {
        let text = match self.text(Path::new("/etc/os-release"))? {
            Some(text) => text,
            None => self
                .text(Path::new("/usr/lib/os-release"))?
                .ok_or("neither /etc/os-release nor /usr/lib/os-release exists")?,
        };
        Ok(text.lines().rev().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        }))
    }

    /// The number of a user by name or number.
    pub fn uid(&self, name: &str) -> Result<u32, String> {
        number("user", name, &self.users()?)
    }

    /// The number of a group by name or number.
    pub fn gid(&self, name: &str) -> Result<u32, String> {
        number("group", name, &self.groups()?)
    }

    /// The target of a link; None where the path is no link or does not exist.
    pub fn link(&self, path: &Path) -> Result<Option<PathBuf>, String> {
        match self.lstat(path)? {
            Some(metadata) if metadata.kind == FileKind::SymbolicLink => {
                told(path, self.system.read_link(path))
            }
            _ => Ok(None),
        }
    }
}

fn told<T>(path: &Path, result: io::Result<T>) -> Result<Option<T>, String> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(reason(path, &error)),
    }
}

/// `root` is 0 whatever the tables say.
fn number(what: &str, name: &str, table: &[Entry]) -> Result<u32, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    table
        .iter()
        .find(|entry| entry.at(0) == name)
        .and_then(|entry| entry.at(2).parse().ok())
        .ok_or_else(|| format!("there is no {what} {name}"))
}

fn entries(text: &str) -> Vec<Entry> {
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| Entry(line.split(':').map(str::to_owned).collect()))
        .collect()
}

/// The `install ok installed` stanzas of a dpkg status file; held packages too.
fn installed(text: &str) -> Packages {
    let mut packages = Packages::new();
    let (mut name, mut version, mut good) = (None, "", false);
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            if let (Some(name), true) = (name, good) {
                packages.insert(str::to_owned(name), version.to_owned());
            }
            (name, version, good) = (None, "", false);
        } else if let Some(value) = line.strip_prefix("Package: ") {
            name = Some(value.trim());
        } else if let Some(value) = line.strip_prefix("Version: ") {
            version = value.trim();
        } else if let Some(value) = line.strip_prefix("Status: ") {
            good = value.split_whitespace().next_back() == Some("installed");
        }
    }
    packages
}

/// `/proc/self/mounts` and `fstab` alike.
fn mount_points(text: &str) -> Vec<MountPoint> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let point = fields.next()?;
            Some(MountPoint {
                point: point.replace("\\040", " ").replace("\\011", "\t"),
                kind: fields.next()?.to_owned(),
                options: fields
                    .next()
                    .unwrap_or("defaults")
                    .split(',')
                    .map(str::to_owned)
                    .collect(),
            })
        })
        .collect()
}

/// Whether a name matches a pattern of `*` and `?`, in time linear for each star.
pub fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    p = after;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

/// The order of Debian package versions: epoch, upstream version, revision.
pub fn debian_order(a: &str, b: &str) -> std::cmp::Ordering {
    fn parts(version: &str) -> (u64, &str, &str) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
    // `~` sorts before the end, letters before other characters.
    fn weight(byte: Option<u8>) -> i32 {
        match byte {
            Some(b'~') => -1,
            Some(byte) if byte.is_ascii_digit() => 0,
            None => 0,
            Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
            Some(byte) => i32::from(byte) + 256,
        }
    }
    fn order(a: &str, b: &str) -> std::cmp::Ordering {
        let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
        while !a.is_empty() || !b.is_empty() {
            loop {
                let (x, y) = (a.first().copied(), b.first().copied());
                let digit = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_digit());
                if digit(x) && digit(y) {
                    break;
                }
                match weight(x).cmp(&weight(y)) {
                    std::cmp::Ordering::Equal => {}
                    other => return other,
                }
                a = a.get(1..).unwrap_or_default();
                b = b.get(1..).unwrap_or_default();
            }
            let digits = |text: &[u8]| text.iter().take_while(|c| c.is_ascii_digit()).count();
            let (x, rest_a) = a.split_at(digits(a));
            let (y, rest_b) = b.split_at(digits(b));
            let plain = |text: &[u8]| {
                let zeros = text.iter().take_while(|c| **c == b'0').count();
                text.get(zeros..).unwrap_or_default().to_vec()
            };
            let (x, y) = (plain(x), plain(y));
            match x.len().cmp(&y.len()).then_with(|| x.cmp(&y)) {
                std::cmp::Ordering::Equal => {}
                other => return other,
            }
            (a, b) = (rest_a, rest_b);
        }
        std::cmp::Ordering::Equal
    }
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0)
        .then_with(|| order(a.1, b.1))
        .then_with(|| order(a.2, b.2))
}

/// Whether a path's content must not be repeated in evidence.
pub fn secret(path: &Path) -> bool {
    let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
    name.starts_with("shadow")
        || name.starts_with("gshadow")
        || name.starts_with("opasswd")
        || name.ends_with("_key")
        || name.ends_with(".key")
        || name.ends_with(".pem")
        || name.contains("secret")
        || name.contains("password")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn names_match_globs() {
        for (pattern, name, matches) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c*", "abc", true),
            ("*a*b", "xaab", true),
            ("*a*b", "xaa", false),
            ("", "", true),
            ("/a/*", "/a/b/c", true),
        ] {
            assert_eq!(
                glob(pattern.as_bytes(), name.as_bytes()),
                matches,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn debian_versions_are_ordered() {
        for (a, b, order) in [
            ("1.0", "1.0", Equal),
            ("1.10", "1.9", Greater),
            ("1.0~rc1", "1.0", Less),
            ("1:0.1", "9", Greater),
            ("1.0-2", "1.0-10", Less),
            ("1.0a", "1.0+", Less),
            ("9.2p1-2+deb12u3", "9.2p1-2", Greater),
            ("007", "7", Equal),
        ] {
            assert_eq!(debian_order(a, b), order, "{a} {b}");
        }
    }

    #[test]
    fn only_installed_packages_count() {
        let found = installed(
            "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: deinstall ok config-files\nVersion: 2\n\nPackage: c\nVersion: 3\nStatus: hold ok installed\n",
        );
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [
                ("a".to_owned(), "1".to_owned()),
                ("c".to_owned(), "3".to_owned())
            ]
        );
    }
}
