//! The world as the engine sees it: files, and the few facts that are not in files.
//!
//! Implementations: [`Rooted`] reads a root folder, `/` (the live host) or a mounted one;
//! [`Recorder`] writes down what another one answers, and [`Snapshot`] answers from that;
//! [`Image`] reads a container image's layers without unpacking them.
//! Facts that need a running system (systemd's units) come from a source that `cli` gives.

mod image;
pub mod netlink;
mod record;
mod rooted;
mod snapshot;
pub mod units;

pub use image::{Image, ImageError, Spill};
pub use record::Recorder;
pub use rooted::Rooted;
pub use snapshot::{Snapshot, SnapshotError};

use std::io;
use std::path::{Path, PathBuf};

/// What kind of file something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum FileKind {
    BlockSpecial,
    CharacterSpecial,
    Directory,
    Fifo,
    Regular,
    Socket,
    SymbolicLink,
    Unknown,
}

impl FileKind {
    /// OVAL's word (unix `file_item/type`).
    pub fn word(self) -> &'static str {
        match self {
            Self::BlockSpecial => "block special",
            Self::CharacterSpecial => "character special",
            Self::Directory => "directory",
            Self::Fifo => "fifo",
            Self::Regular => "regular",
            Self::Socket => "socket",
            Self::SymbolicLink => "symbolic link",
            Self::Unknown => "unknown",
        }
    }
}

/// What `lstat` or `stat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Metadata {
    pub kind: FileKind,
    /// Permission bits, set-id bits and sticky bit (the lower 12 bits).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub device: u64,
    pub inode: u64,
    /// Seconds since the epoch.
    pub accessed: i64,
    pub modified: i64,
    pub changed: i64,
}

/// `uname`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Uname {
    pub machine: String,
    pub node: String,
    pub system: String,
    pub release: String,
    pub version: String,
}

/// A systemd unit with its properties in D-Bus names (`ActiveState`, `Names`, …). A property
/// with many values has them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The unit's name, with suffix.
    pub name: String,
    /// Properties in order; a list property has one value an element.
    pub properties: Vec<(String, Vec<String>)>,
}

/// A mounted file system's usage (`statfs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Space {
    pub block_size: u64,
    pub total: u64,
    pub free: u64,
    pub available: u64,
}

/// Network interfaces and their addresses.
pub type Interfaces = (Vec<netlink::Link>, Vec<netlink::Address>);

/// The system that is judged. All paths are absolute in it.
pub trait System: Sync {
    /// Follows no link in the last component.
    fn lstat(&self, path: &Path) -> io::Result<Metadata>;
    /// Follows links, within the system's root.
    fn stat(&self, path: &Path) -> io::Result<Metadata>;
    /// Names in a folder with their kinds where cheaply known, in no order.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(std::ffi::OsString, Option<FileKind>)>>;
    /// A regular file's bytes, at most `limit` (more is an error). Never blocks on a FIFO.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// Where a link points.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    /// The canonical path: all links followed.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
    /// Whether the file has an extended ACL (`system.posix_acl_access`); None: cannot tell.
    fn has_acl(&self, path: &Path) -> Option<bool>;
    /// An extended attribute, for `security.selinux` and capabilities.
    fn attribute(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// `uname`; an error where the system does not run.
    fn uname(&self) -> io::Result<Uname>;
    /// All loaded and installed systemd units, loaded once; an error where systemd cannot be
    /// asked.
    fn units(&self) -> io::Result<&[Unit]>;
    /// The usage of the file system at a path.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// The environment of our own process (for `environmentvariable58` without a pid).
    fn environment(&self) -> io::Result<Vec<(String, String)>>;
    /// The network interfaces of the running system; an error where it cannot be asked.
    fn interfaces(&self) -> io::Result<Interfaces> {
        Err(not_running())
    }
    /// Whether the root is that of the running system: `/proc` and `/sys` mean it.
    fn is_live(&self) -> bool;
}

fn not_running() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the system does not run")
}

/// The same error once more: `io::Error` cannot be cloned.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}
