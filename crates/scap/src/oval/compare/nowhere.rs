//! A system of nothing, for tests that need a context and look at nothing.

use crate::system::{FileKind, Metadata, Space, System, Uname, Unit};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Every question is an error.
pub struct Nowhere;

fn no<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl System for Nowhere {
    fn lstat(&self, _: &Path) -> io::Result<Metadata> {
        no()
    }

    fn stat(&self, _: &Path) -> io::Result<Metadata> {
        no()
    }

    fn read_dir(&self, _: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        no()
    }

    fn read(&self, _: &Path, _: u64) -> io::Result<Vec<u8>> {
        no()
    }

    fn read_link(&self, _: &Path) -> io::Result<PathBuf> {
        no()
    }

    fn canonical(&self, _: &Path) -> io::Result<PathBuf> {
        no()
    }

    fn has_acl(&self, _: &Path) -> Option<bool> {
        None
    }

    fn attribute(&self, _: &Path, _: &str) -> io::Result<Option<Vec<u8>>> {
        no()
    }

    fn uname(&self) -> io::Result<Uname> {
        no()
    }

    fn units(&self) -> io::Result<&[Unit]> {
        no()
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        no()
    }

    fn environment(&self) -> io::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn is_live(&self) -> bool {
        false
    }
}
