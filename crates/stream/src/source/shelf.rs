//! Where files stand: a folder, an archive, an archive within one. Everything is bounded, and what
//! cannot be read is handed on as such.

use super::SourceError;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// The most entries of an archive or files of a folder.
const MAX_FILES: usize = 3_000_000;
/// How deep folders are walked.
const MAX_DEPTH: usize = 16;
/// How deep archives stand within archives: the CVE list's baseline is one within one.
const MAX_NESTING: usize = 2;
/// The most bytes that all files of an archive may have.
const MAX_EXPANDED: u64 = 24 << 30;
/// The largest archive within an archive.
const MAX_INNER: u64 = 4 << 30;
/// What a file of an archive may expand to, to each byte of its packed form, beyond the first
/// mebibyte: JSON packs 30 to 1 at best.
const MAX_RATIO: u64 = 200;

/// A file: its content, or why it cannot be read.
#[derive(Debug)]
pub struct Unit {
    /// Its name within the source. Names say nothing about what a record is.
    pub name: String,
    /// Stands for the content where the place knows one, such as git's name of a blob.
    pub tag: Option<String>,
    /// The bytes.
    pub content: Result<Vec<u8>, String>,
}

/// What whoever walks a shelf wants of it.
pub struct Want<'a> {
    /// Which names.
    pub name: &'a dyn Fn(&str) -> bool,
    /// Whether the file of that name and tag is known already, so that it need not be read.
    pub known: &'a dyn Fn(&str, &str) -> bool,
    /// The largest file.
    pub max_bytes: usize,
}

/// Takes files one after the other.
pub type Each<'a> = dyn FnMut(Unit) -> Result<(), SourceError> + 'a;

/// A place where files stand.
pub trait Shelf {
    /// Hands every wanted file on, in an order that is the same each time.
    fn files(&mut self, want: &Want<'_>, each: &mut Each<'_>) -> Result<(), SourceError>;
}

fn unreadable(what: &Path, why: impl ToString) -> SourceError {
    SourceError::Unreadable {
        what: what.display().to_string(),
        why: why.to_string(),
    }
}

/// A folder, or a single file; archives in it are opened.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    /// For archives within archives.
    work: PathBuf,
}

impl Folder {
    /// A folder or file, and where temporary files may be made.
    pub fn new(root: impl Into<PathBuf>, work: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            work: work.into(),
        }
    }
}

impl Shelf for Folder {
    fn files(&mut self, want: &Want<'_>, each: &mut Each<'_>) -> Result<(), SourceError> {
        let found = std::fs::metadata(&self.root).map_err(|e| unreadable(&self.root, e))?;
        let mut paths = Vec::new();
        if found.is_file() {
            paths.push(self.root.clone());
        } else {
            walk(&self.root, 0, want, &mut paths, each, &self.root)?;
            paths.sort_unstable();
        }
        for path in paths {
            if is_archive(&path) {
                match archive_file(&path, &self.work, want, each) {
                    // One of several: the others are read.
                    Err(SourceError::Unreadable { what, why }) if found.is_dir() => {
                        each(Unit {
                            name: what,
                            tag: None,
                            content: Err(why),
                        })?;
                    }
                    read => read?,
                }
                continue;
            }
            let name = name_in(&self.root, &path);
            let content = bounded_file(&path, want.max_bytes);
            each(Unit {
                name,
                tag: None,
                content,
            })?;
        }
        Ok(())
    }
}

fn name_in(root: &Path, path: &Path) -> String {
    let within = path.strip_prefix(root).unwrap_or(path);
    if within.as_os_str().is_empty() {
        let name = path.file_name().unwrap_or_default();
        return name.to_string_lossy().into_owned();
    }
    within.to_string_lossy().into_owned()
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "zip")
}

fn bounded_file(path: &Path, max: usize) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    bounded(file, length, max)
}

/// All bytes, or why not: never more than `max`.
fn bounded(from: impl Read, hint: u64, max: usize) -> Result<Vec<u8>, String> {
    let limit = max as u64;
    if hint > limit {
        return Err(format!(
            "{hint} bytes are more than the {max} that are read"
        ));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(hint.min(1 << 20)).unwrap_or_default());
    from.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() > max {
        return Err(format!("it has more than the {max} bytes that are read"));
    }
    Ok(bytes)
}

fn walk(
    folder: &Path,
    depth: usize,
    want: &Want<'_>,
    found: &mut Vec<PathBuf>,
    each: &mut Each<'_>,
    root: &Path,
) -> Result<(), SourceError> {
    let broken = |path: &Path, why: String| Unit {
        name: name_in(root, path),
        tag: None,
        content: Err(why),
    };
    if depth > MAX_DEPTH {
        return each(broken(
            folder,
            format!("more than {MAX_DEPTH} folders deep"),
        ));
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if depth == 0 => return Err(unreadable(folder, e)),
        Err(e) => return each(broken(folder, e.to_string())),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                each(broken(folder, e.to_string()))?;
                continue;
            }
        };
        let path = entry.path();
        // Links are not followed: a feed has none, and one could lead anywhere.
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if entry.file_name() != ".git" {
                walk(&path, depth + 1, want, found, each, root)?;
            }
        } else if kind.is_file() && (is_archive(&path) || (want.name)(&name_in(root, &path))) {
            if found.len() >= MAX_FILES {
                return Err(unreadable(root, format!("more than {MAX_FILES} files")));
            }
            found.push(path);
        }
    }
    Ok(())
}

/// An archive of this machine. Where a file with its SHA-256 is beside it, that must fit.
pub fn archive_file(
    path: &Path,
    work: &Path,
    want: &Want<'_>,
    each: &mut Each<'_>,
) -> Result<(), SourceError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!("{name}.sha256"));
    if let Ok(text) = bounded_file(&beside, 4096) {
        let told = String::from_utf8_lossy(&text);
        let told = told.split_whitespace().next().unwrap_or_default();
        let is = sha256(path).map_err(|e| unreadable(path, e))?;
        if !is.eq_ignore_ascii_case(told) {
            let why = format!("its SHA-256 is {is}, and {} says {told}", beside.display());
            return Err(SourceError::Unreadable {
                what: name.into_owned(),
                why,
            });
        }
    }
    let file = File::open(path).map_err(|e| unreadable(path, e))?;
    archive(&name, file, work, want, each)
}

/// The SHA-256 of a file, in hexadecimal.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hex::encode(digest.finalize()));
        }
        digest.update(buffer.get(..n).unwrap_or_default());
    }
}

/// The files of an archive, and those of archives within it.
pub fn archive(
    name: &str,
    file: impl Read + Seek,
    work: &Path,
    want: &Want<'_>,
    each: &mut Each<'_>,
) -> Result<(), SourceError> {
    let mut left = MAX_EXPANDED;
    nested(name, file, work, 0, &mut left, want, each)
}

fn nested(
    name: &str,
    file: impl Read + Seek,
    work: &Path,
    depth: usize,
    left: &mut u64,
    want: &Want<'_>,
    each: &mut Each<'_>,
) -> Result<(), SourceError> {
    let broken = |name: &str, why: String| Unit {
        name: name.to_owned(),
        tag: None,
        content: Err(why),
    };
    let mut zip = match ZipArchive::new(file) {
        Ok(zip) => zip,
        Err(e) if depth == 0 => {
            return Err(SourceError::Unreadable {
                what: name.to_owned(),
                why: format!("no archive that can be read: {e}"),
            });
        }
        Err(e) => return each(broken(name, format!("no archive that can be read: {e}"))),
    };
    if zip.len() > MAX_FILES {
        return each(broken(name, format!("more than {MAX_FILES} files")));
    }
    for index in 0..zip.len() {
        let mut entry = match zip.by_index(index) {
            Ok(entry) => entry,
            Err(e) => {
                each(broken(&format!("{name}, entry {index}"), e.to_string()))?;
                continue;
            }
        };
        let inner = match entry.name() {
            Ok(inner) => inner.into_owned(),
            Err(e) => {
                each(broken(&format!("{name}, entry {index}"), e.to_string()))?;
                continue;
            }
        };
        if entry.is_dir() {
            continue;
        }
        let packed = entry.compressed_size();
        let most = packed.saturating_mul(MAX_RATIO).saturating_add(1 << 20);
        if inner.ends_with(".zip") {
            if depth + 1 >= MAX_NESTING {
                each(broken(
                    &inner,
                    format!("more than {MAX_NESTING} archives deep"),
                ))?;
                continue;
            }
            let mut spool = tempfile::tempfile_in(work).map_err(|e| unreadable(work, e))?;
            let limit = MAX_INNER.min(most).min(*left);
            let copied = io::copy(&mut (&mut entry).take(limit + 1), &mut spool)
                .and_then(|n| spool.flush().and_then(|()| spool.rewind()).map(|()| n));
            match copied {
                Ok(n) if n > limit => {
                    each(broken(
                        &inner,
                        format!("it expands to more than {limit} bytes"),
                    ))?;
                }
                Ok(n) => {
                    *left -= n;
                    nested(&inner, spool, work, depth + 1, left, want, each)?;
                }
                Err(e) => each(broken(&inner, e.to_string()))?,
            }
            continue;
        }
        if !(want.name)(&inner) {
            continue;
        }
        let limit = want
            .max_bytes
            .min(usize::try_from(most.min(*left)).unwrap_or(usize::MAX));
        let declared = entry.size();
        let content = bounded(&mut entry, declared, limit);
        *left = left.saturating_sub(content.as_ref().map_or(0, |bytes| bytes.len() as u64));
        each(Unit {
            name: inner,
            tag: None,
            content,
        })?;
    }
    Ok(())
}
