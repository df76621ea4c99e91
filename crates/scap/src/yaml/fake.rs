//! A host made of a temporary folder, with closed files and units to taste.

use crate::system::{FileKind, Metadata, Space, System, Uname, Unit};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub struct Fake {
    folder: tempfile::TempDir,
    pub live: bool,
    pub closed: Vec<PathBuf>,
    pub units: Option<Vec<Unit>>,
    pub owners: BTreeMap<PathBuf, (u32, u32)>,
}

impl Fake {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            live: true,
            closed: Vec::new(),
            units: None,
            owners: BTreeMap::new(),
        }
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.folder.path().join(path.strip_prefix("/").unwrap())
    }

    pub fn write(&self, path: &str, text: &str) -> &Self {
        let real = self.real(Path::new(path));
        std::fs::create_dir_all(real.parent().unwrap()).unwrap();
        std::fs::write(&real, text).unwrap();
        self.mode(path, 0o644)
    }

    pub fn folder(&self, path: &str, mode: u32) -> &Self {
        std::fs::create_dir_all(self.real(Path::new(path))).unwrap();
        self.mode(path, mode)
    }

    pub fn mode(&self, path: &str, mode: u32) -> &Self {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.real(Path::new(path)), permissions).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        let real = self.real(Path::new(path));
        std::fs::create_dir_all(real.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, real).unwrap();
        self
    }

    fn open(&self, path: &Path) -> io::Result<PathBuf> {
        if self.closed.iter().any(|closed| path.starts_with(closed)) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(self.real(path))
    }

    fn metadata(&self, path: &Path, of: std::fs::Metadata) -> Metadata {
        let kind = of.file_type();
        let (uid, gid) = self.owners.get(path).copied().unwrap_or((0, 0));
        Metadata {
            kind: if kind.is_symlink() {
                FileKind::SymbolicLink
            } else if kind.is_dir() {
                FileKind::Directory
            } else if kind.is_fifo() {
                FileKind::Fifo
            } else {
                FileKind::Regular
            },
            mode: of.mode() & 0o7777,
            uid,
            gid,
            size: of.size(),
            device: of.dev(),
            inode: of.ino(),
            accessed: of.atime(),
            modified: of.mtime(),
            changed: of.ctime(),
        }
    }
}

impl System for Fake {
    fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        let of = std::fs::symlink_metadata(self.open(path)?)?;
        Ok(self.metadata(path, of))
    }
    fn stat(&self, path: &Path) -> io::Result<Metadata> {
        let of = std::fs::metadata(self.open(path)?)?;
        Ok(self.metadata(path, of))
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        std::fs::read_dir(self.open(path)?)?
            .map(|entry| Ok((entry?.file_name(), None)))
            .collect()
    }
    fn read(&self, path: &Path, _limit: u64) -> io::Result<Vec<u8>> {
        std::fs::read(self.open(path)?)
    }
    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(self.open(path)?)
    }
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
    fn has_acl(&self, _path: &Path) -> Option<bool> {
        None
    }
    fn attribute(&self, _path: &Path, _name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn uname(&self) -> io::Result<Uname> {
        if !self.live {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Uname {
            machine: "x86_64".into(),
            node: "fake".into(),
            system: "Linux".into(),
            release: "6.1.0".into(),
            version: "1".into(),
        })
    }
    fn units(&self) -> io::Result<&[Unit]> {
        let none = || io::Error::from(io::ErrorKind::Unsupported);
        self.units.as_deref().ok_or_else(none)
    }
    fn space(&self, _path: &Path) -> io::Result<Space> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn environment(&self) -> io::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }
    fn is_live(&self) -> bool {
        self.live
    }
}
