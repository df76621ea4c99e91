//! A system under a root folder: `/` by plain system calls, any other folder by `openat2`,
//! so that no link and no `..` in the tree leads out of it.

use super::{FileKind, Interfaces, Metadata, Space, System, Uname, Unit, again, not_running};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

/// The most names of one folder.
const MAX_NAMES: usize = 4_000_000;
/// As many links as Linux follows.
const MAX_LINKS: usize = 40;
/// The most bytes of an extended attribute that Linux has.
const MAX_ATTRIBUTE: usize = 65_536;
/// An ACL with the three entries that the mode has too: a header of 4 bytes, entries of 8.
const PLAIN_ACL: usize = 28;

type Source = Box<dyn Fn() -> io::Result<Vec<Unit>> + Sync + Send>;

/// A root folder: `/` or a mounted one.
pub struct Rooted {
    root: PathBuf,
    /// None for `/`.
    base: Option<io::Result<OwnedFd>>,
    live: bool,
    source: Option<Source>,
    units: OnceLock<io::Result<Vec<Unit>>>,
}

impl fmt::Debug for Rooted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rooted")
            .field("root", &self.root)
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

impl Rooted {
    /// A root folder; `live` says that it is the root of the running system.
    pub fn new(root: PathBuf, live: bool) -> Self {
        let base = (root != Path::new("/")).then(|| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(&root, flags, Mode::empty()).map_err(io::Error::from)
        });
        Self {
            root,
            base,
            live,
            source: None,
            units: OnceLock::new(),
        }
    }

    /// With a source of systemd's units; it is asked once, and only if units are needed.
    #[must_use]
    pub fn with_units(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Opens within the root.
    fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let opened = match &self.base {
            None => rustix::fs::openat(CWD, path, flags, Mode::empty()),
            Some(Ok(base)) => {
                let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                loop {
                    // EAGAIN: a rename elsewhere in the tree made `..` unsafe to check.
                    match rustix::fs::openat2(base, path, flags, Mode::empty(), resolve) {
                        Err(rustix::io::Errno::AGAIN) if flags.contains(OFlags::PATH) => {}
                        other => break other,
                    }
                }
            }
            Some(Err(error)) => return Err(again(error)),
        };
        Ok(opened?)
    }

    fn look(&self, path: &Path, follow: bool) -> io::Result<Metadata> {
        let stat = match (&self.base, follow) {
            (None, false) => rustix::fs::lstat(path)?,
            (None, true) => rustix::fs::stat(path)?,
            (Some(_), _) => rustix::fs::fstat(self.handle(path, follow)?)?,
        };
        Ok(metadata(&stat))
    }

    /// Something that means the file without opening it: nothing blocks or starts on a device.
    fn handle(&self, path: &Path, follow: bool) -> io::Result<OwnedFd> {
        let flags = if follow {
            OFlags::PATH
        } else {
            OFlags::PATH | OFlags::NOFOLLOW
        };
        self.open(path, flags)
    }

    /// An extended attribute's bytes into a buffer; None where there is none.
    fn xattr(
        &self,
        path: &Path,
        name: &str,
        follow: bool,
        value: &mut [u8],
    ) -> io::Result<Option<usize>> {
        let got = match (&self.base, follow) {
            (None, true) => rustix::fs::getxattr(path, name, value),
            (None, false) => rustix::fs::lgetxattr(path, name, value),
            (Some(_), _) => {
                // A handle has no attributes of its own; its name under /proc has.
                let handle = self.handle(path, follow)?;
                let alias = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
                rustix::fs::getxattr(alias, name, value)
            }
        };
        match got {
            Ok(length) => Ok(Some(length)),
            Err(rustix::io::Errno::NODATA) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::BlockDevice => FileKind::BlockSpecial,
        FileType::CharacterDevice => FileKind::CharacterSpecial,
        FileType::Directory => FileKind::Directory,
        FileType::Fifo => FileKind::Fifo,
        FileType::RegularFile => FileKind::Regular,
        FileType::Socket => FileKind::Socket,
        FileType::Symlink => FileKind::SymbolicLink,
        FileType::Unknown => FileKind::Unknown,
    }
}

// The widths of `stat`'s fields differ between architectures.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
fn metadata(stat: &Stat) -> Metadata {
    Metadata {
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        accessed: stat.st_atime as i64,
        modified: stat.st_mtime as i64,
        changed: stat.st_ctime as i64,
    }
}

impl System for Rooted {
    fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        self.look(path, false)
    }

    fn stat(&self, path: &Path) -> io::Result<Metadata> {
        self.look(path, true)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        let folder = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::new(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if names.len() >= MAX_NAMES {
                return Err(io::Error::other(format!("more than {MAX_NAMES} names")));
            }
            let kind = match entry.file_type() {
                FileType::Unknown => None,
                known => Some(kind(known)),
            };
            names.push((OsStr::from_bytes(name).to_owned(), kind));
        }
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let irregular = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        // Looked at before it is opened: opening alone can start a device.
        if self.look(path, true)?.kind != FileKind::Regular {
            return Err(irregular());
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.open(path, flags)?;
        let stat = metadata(&rustix::fs::fstat(&file)?);
        if stat.kind != FileKind::Regular {
            return Err(irregular());
        }
        let large = || {
            let what = format!("larger than {limit} bytes");
            io::Error::new(io::ErrorKind::FileTooLarge, what)
        };
        // Files of /proc say 0, sparse files say much: the size is a hint only.
        if stat.size > limit {
            return Err(large());
        }
        let hint = usize::try_from(stat.size.min(1 << 24)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(hint + 1);
        File::from(file)
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(large());
        }
        Ok(bytes)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let target = match &self.base {
            None => rustix::fs::readlink(path, Vec::new())?,
            Some(_) => rustix::fs::readlinkat(self.handle(path, false)?, "", Vec::new())?,
        };
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        if self.base.is_none() {
            return std::fs::canonicalize(path);
        }
        let mut rest: VecDeque<OsString> = parts(path);
        let mut real = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                real.pop();
                continue;
            }
            let next = real.join(&part);
            let found = self.lstat(&next)?;
            if found.kind == FileKind::SymbolicLink {
                links += 1;
                if links > MAX_LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                let target = self.read_link(&next)?;
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            } else if !rest.is_empty() && found.kind != FileKind::Directory {
                return Err(rustix::io::Errno::NOTDIR.into());
            } else {
                real = next;
            }
        }
        Ok(real)
    }

    fn has_acl(&self, path: &Path) -> Option<bool> {
        // An empty buffer asks for the length only.
        let length = |name| match self.xattr(path, name, true, &mut []) {
            Ok(length) => Some(length.unwrap_or(0)),
            Err(_) => None,
        };
        Some(
            length("system.posix_acl_access")? > PLAIN_ACL
                || length("system.posix_acl_default")? >= PLAIN_ACL,
        )
    }

    fn attribute(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(length) = self.xattr(path, name, false, &mut [])? else {
            return Ok(None);
        };
        let mut value = vec![0; length.clamp(256, MAX_ATTRIBUTE)];
        let Some(length) = self.xattr(path, name, false, &mut value)? else {
            return Ok(None);
        };
        value.truncate(length);
        Ok(Some(value))
    }

    fn uname(&self) -> io::Result<Uname> {
        if !self.live {
            return Err(not_running());
        }
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Ok(Uname {
            machine: text(uname.machine()),
            node: text(uname.nodename()),
            system: text(uname.sysname()),
            release: text(uname.release()),
            version: text(uname.version()),
        })
    }

    fn units(&self) -> io::Result<&[Unit]> {
        let Some(source) = &self.source else {
            return Err(not_running());
        };
        match self.units.get_or_init(source) {
            Ok(units) => Ok(units),
            Err(error) => Err(again(error)),
        }
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let usage = match &self.base {
            None => rustix::fs::statvfs(path)?,
            Some(_) => rustix::fs::fstatvfs(self.handle(path, true)?)?,
        };
        Ok(Space {
            block_size: usage.f_frsize,
            total: usage.f_blocks,
            free: usage.f_bfree,
            available: usage.f_bavail,
        })
    }

    fn environment(&self) -> io::Result<Vec<(String, String)>> {
        let text = |part: OsString| part.to_string_lossy().into_owned();
        Ok(std::env::vars_os()
            .map(|(name, value)| (text(name), text(value)))
            .collect())
    }

    fn interfaces(&self) -> io::Result<Interfaces> {
        if !self.live {
            return Err(not_running());
        }
        super::netlink::interfaces()
    }

    fn is_live(&self) -> bool {
        self.live
    }
}

/// The components that matter: names and `..`.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn tree() -> (tempfile::TempDir, Rooted) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc/d")).unwrap();
        fs::write(root.join("etc/passwd"), "inside").unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        symlink("/etc/passwd", root.join("absolute")).unwrap();
        symlink("../../../../secret", root.join("etc/escape")).unwrap();
        symlink("../etc/d", root.join("etc/d2")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let _socket = UnixListener::bind(root.join("etc/socket")).unwrap();
        let system = Rooted::new(root, false);
        (folder, system)
    }

    #[test]
    fn links_stay_inside() {
        let (_folder, system) = tree();
        let read = |path: &str| system.read(Path::new(path), 100);
        assert_eq!(read("/absolute").unwrap(), b"inside");
        assert_eq!(read("/../../etc/passwd").unwrap(), b"inside");
        assert!(read("/etc/escape").is_err());
        assert!(read("/../secret").is_err());
        let canonical = |path: &str| system.canonical(Path::new(path));
        assert_eq!(canonical("/absolute").unwrap(), Path::new("/etc/passwd"));
        assert_eq!(canonical("/etc/d2/../d2").unwrap(), Path::new("/etc/d"));
        assert!(canonical("/loop").is_err());
        assert!(canonical("/etc/passwd/x").is_err());
        assert_eq!(
            system.read_link(Path::new("/etc/escape")).unwrap(),
            Path::new("../../../../secret")
        );
        assert_eq!(
            system.lstat(Path::new("/absolute")).unwrap().kind,
            FileKind::SymbolicLink
        );
        assert_eq!(
            system.stat(Path::new("/absolute")).unwrap().kind,
            FileKind::Regular
        );
        let mut names: Vec<_> = system.read_dir(Path::new("/etc")).unwrap();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(names.len(), 5);
        assert_eq!(names[0].0, "d");
        assert!(matches!(names[0].1, None | Some(FileKind::Directory)));
        assert!(system.read(Path::new("/etc"), 100).is_err());
        assert!(system.read(Path::new("/etc/socket"), 100).is_err());
        assert_eq!(
            system.read(Path::new("/etc/passwd"), 5).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        assert!(system.uname().is_err() && system.units().is_err());
        assert!(system.space(Path::new("/")).unwrap().total > 0);
        assert_eq!(
            system
                .attribute(Path::new("/etc/passwd"), "user.none")
                .unwrap_or(None),
            None
        );
    }

    #[test]
    fn the_live_root() {
        let system = Rooted::new("/".into(), true).with_units(Box::new(|| {
            Ok(vec![Unit {
                name: "a.service".into(),
                properties: Vec::new(),
            }])
        }));
        let status = system
            .read(Path::new("/proc/self/status"), 1 << 20)
            .unwrap();
        assert!(status.starts_with(b"Name:"));
        assert!(system.read(Path::new("/dev/null"), 10).is_err());
        assert_eq!(system.uname().unwrap().system, "Linux");
        assert_eq!(system.units().unwrap().len(), 1);
        assert!(
            Rooted::new("/no/such".into(), false)
                .lstat(Path::new("/etc"))
                .is_err()
        );
    }
}
