//! A container image that was not unpacked: the tree that its layers give, and file contents
//! read from them when they are asked for.
//!
//! Nothing is written below the tree's names and no link leads out of it: paths are resolved
//! here, not by the kernel.

mod archive;
mod layers;
mod tar;

use super::{FileKind, Metadata, Space, System, Uname, Unit, not_running};
use layers::Tree;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Makes a file that nobody else sees, for what must be unpacked.
pub type Spill<'a> = dyn FnMut() -> io::Result<File> + 'a;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is none, or broken, or has what is not known here.
    #[error("{0}")]
    Unusable(String),
    /// It could not be read.
    #[error("the image cannot be read")]
    Io(#[from] io::Error),
}

/// An image.
pub struct Image {
    tree: Tree,
    environment: Vec<(String, String)>,
    /// The name that it has in its archive.
    pub name: Option<String>,
    /// The digest of its configuration, `sha256:…`: what engines call the image's id.
    pub id: Option<String>,
    /// In the words of the image: `amd64`.
    pub architecture: String,
}

impl fmt::Debug for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Image")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Image {
    /// Opens a folder in OCI's layout, or a tar file of that, of `docker save`, or of a whole
    /// root; `name` chooses where there are several. Packed layers go into spilled files.
    pub fn open(
        path: &Path,
        name: Option<&str>,
        spill: &mut Spill<'_>,
    ) -> Result<Self, ImageError> {
        archive::open(path, name, spill)
    }
}

/// A part of a file.
#[derive(Debug, Clone)]
struct Part {
    file: Arc<File>,
    at: u64,
    size: u64,
}

impl io::Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.size).unwrap_or(usize::MAX);
        let length = buffer.len().min(room);
        let Some(buffer) = buffer.get_mut(..length) else {
            return Ok(0);
        };
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        self.size -= count as u64;
        Ok(count)
    }
}

fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

impl System for Image {
    fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        let (id, _) = self.tree.resolve(key(path), false)?;
        self.tree.metadata(id)
    }

    fn stat(&self, path: &Path) -> io::Result<Metadata> {
        let (id, _) = self.tree.resolve(key(path), true)?;
        self.tree.metadata(id)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        let (id, _) = self.tree.resolve(key(path), true)?;
        let names = self.tree.children(id)?;
        Ok(names
            .map(|(name, kind)| (OsStr::from_bytes(name).to_owned(), kind))
            .collect())
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let (id, _) = self.tree.resolve(key(path), true)?;
        self.tree.content(id, limit)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let (id, _) = self.tree.resolve(key(path), false)?;
        let target = self.tree.target(id)?;
        Ok(PathBuf::from(OsStr::from_bytes(target)))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let (_, real) = self.tree.resolve(key(path), true)?;
        Ok(PathBuf::from(OsString::from_vec(real)))
    }

    fn has_acl(&self, path: &Path) -> Option<bool> {
        // A header of 4 bytes and entries of 8; three say no more than the mode.
        let length = |name| {
            let value = self.attribute(path, name).ok()?;
            Some(value.map_or(0, |value| value.len()))
        };
        Some(length("system.posix_acl_access")? > 28 || length("system.posix_acl_default")? >= 28)
    }

    fn attribute(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        let (id, _) = self.tree.resolve(key(path), false)?;
        Ok(self.tree.attribute(id, name))
    }

    fn uname(&self) -> io::Result<Uname> {
        Err(not_running())
    }

    fn units(&self) -> io::Result<&[Unit]> {
        Err(not_running())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        Err(not_running())
    }

    /// The environment that the image gives its processes.
    fn environment(&self) -> io::Result<Vec<(String, String)>> {
        Ok(self.environment.clone())
    }

    fn is_live(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
