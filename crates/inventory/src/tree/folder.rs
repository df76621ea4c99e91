//! A folder of this machine. No link is followed on the way down, so that nothing outside is read, and
//! files are opened below their folder, so that nobody can exchange one for a link meanwhile.

use super::{Candidate, File, LARGEST, Tree};
use crate::{Unread, tell};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use std::ffi::{CStr, CString};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files and folders altogether.
const ENTRIES: u64 = 20_000_000;
/// Folders within folders.
const DEPTH: usize = 200;
/// What a machine shows of itself while it runs, and no package brought.
const RUNNING: [&[u8]; 4] = [b"proc", b"sys", b"dev", b"run"];

/// A folder, or a single file.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    running: bool,
}

impl Folder {
    /// The folder of that path; `running` where it is the root of a machine.
    pub fn new(root: &Path, running: bool) -> Self {
        Self {
            root: root.to_owned(),
            running: running || root == Path::new("/"),
        }
    }
}

struct Walk<'w> {
    root: &'w Path,
    running: bool,
    wanted: &'w dyn Fn(&Candidate<'_>) -> bool,
    each: &'w mut dyn FnMut(File),
    unread: &'w mut Vec<Unread>,
    entries: u64,
}

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

impl Tree for Folder {
    fn visit(
        &mut self,
        wanted: &dyn Fn(&Candidate<'_>) -> bool,
        each: &mut dyn FnMut(File),
        unread: &mut Vec<Unread>,
    ) {
        let mut walk = Walk {
            root: &self.root,
            running: self.running,
            wanted,
            each,
            unread,
            entries: ENTRIES,
        };
        if self.root.is_file() {
            let parent = self.root.parent().unwrap_or(Path::new("/"));
            let name = self.root.file_name().unwrap_or_default();
            let name = CString::new(name.as_encoded_bytes()).unwrap_or_default();
            match rustix::fs::open(parent, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(parent) => walk.file(parent.as_fd(), &name, &name.to_string_lossy()),
                Err(why) => walk.unread("", why.to_string()),
            }
            return;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&self.root, flags, Mode::empty()) {
            Ok(root) => walk.folder(&root, "", 0),
            Err(why) => walk.unread("", why.to_string()),
        }
    }
}

impl Walk<'_> {
    fn unread(&mut self, path: &str, why: impl Into<String>) {
        tell(self.unread, path, why);
    }

    fn folder(&mut self, folder: &OwnedFd, at: &str, depth: usize) {
        if depth > DEPTH {
            self.unread(at, format!("deeper than {DEPTH} folders"));
            return;
        }
        // Read whole first, so that a folder in a folder keeps one file open, not two.
        let mut names: Vec<(CString, FileType)> = Vec::new();
        let read = Dir::read_from(folder);
        let entries = match read {
            Ok(entries) => entries,
            Err(why) => return self.unread(at, why.to_string()),
        };
        for entry in entries {
            match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(_) if self.entries == 0 => {
                    self.unread(at, format!("more than {ENTRIES} files"));
                    break;
                }
                Ok(entry) => {
                    self.entries -= 1;
                    names.push((entry.file_name().to_owned(), entry.file_type()));
                }
                Err(why) => {
                    self.unread(at, why.to_string());
                    break;
                }
            }
        }
        for (name, kind) in names {
            let shown = name.to_string_lossy();
            let path = match at {
                "" => shown.into_owned(),
                _ => format!("{at}/{shown}"),
            };
            match kind_of(folder, &name, kind) {
                FileType::Directory => {
                    if self.running && at.is_empty() && RUNNING.contains(&name.to_bytes()) {
                        continue;
                    }
                    match openat(folder, &*name, OPEN | OFlags::DIRECTORY, Mode::empty()) {
                        Ok(below) => self.folder(&below, &path, depth + 1),
                        Err(why) => self.unread(&path, why.to_string()),
                    }
                }
                FileType::RegularFile => self.file(folder.as_fd(), &name, &path),
                FileType::Symlink => self.link(&path),
                _ => {}
            }
        }
    }

    fn file(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: &str) {
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It went away meanwhile.
            Err(rustix::io::Errno::NOENT) => return,
            Err(why) => return self.unread(path, why.to_string()),
        };
        let candidate = Candidate {
            path,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            executable: stat.st_mode & 0o111 != 0,
        };
        if !(self.wanted)(&candidate) {
            return;
        }
        match openat(folder, name, OPEN, Mode::empty()) {
            Ok(file) => self.read(file, path, candidate.executable),
            Err(why) => self.unread(path, why.to_string()),
        }
    }

    fn read(&mut self, file: OwnedFd, path: &str, executable: bool) {
        let mut file = std::fs::File::from(file);
        let size = match file.metadata() {
            Ok(data) if data.is_file() => data.len(),
            Ok(_) => return self.unread(path, "it is no file any more"),
            Err(why) => return self.unread(path, why.to_string()),
        };
        if size > LARGEST {
            self.unread(path, format!("it has {size} bytes, more than {LARGEST}"));
            return;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        match (&mut file).take(LARGEST + 1).read_to_end(&mut bytes) {
            Ok(read) if read as u64 > LARGEST => {
                self.unread(path, format!("it grew to more than {LARGEST} bytes"));
            }
            Ok(_) => (self.each)(File {
                path: path.to_owned(),
                executable,
                bytes,
                layer: None,
            }),
            Err(why) => self.unread(path, why.to_string()),
        }
    }

    /// A link whose own name says that it is wanted. Where it leads within the root it is read, unless
    /// its end is read under its own name anyway.
    fn link(&mut self, path: &str) {
        let by = |path| Candidate {
            path,
            size: 1,
            executable: false,
        };
        if !(self.wanted)(&by(path)) {
            return;
        }
        let end = match self.root.join(path).canonicalize() {
            Ok(end) => end,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return,
            Err(why) => return self.unread(path, why.to_string()),
        };
        let Ok(inside) = end.strip_prefix(self.root) else {
            return self.unread(path, "a link that leads out of the folder");
        };
        if !end.is_file() || (self.wanted)(&by(&inside.to_string_lossy())) {
            return;
        }
        match below(self.root, inside) {
            Ok(file) => self.read(file, path, false),
            Err(why) => self.unread(path, why.to_string()),
        }
    }
}

fn kind_of(folder: &OwnedFd, name: &CStr, kind: FileType) -> FileType {
    match kind {
        // Some file systems do not tell.
        FileType::Unknown => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| {
                FileType::from_raw_mode(stat.st_mode)
            }),
        kind => kind,
    }
}

/// Opens a file below the root, part by part, through no link.
fn below(root: &Path, path: &Path) -> rustix::io::Result<OwnedFd> {
    let mut at = rustix::fs::open(root, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    for part in path.components() {
        at = openat(&at, part.as_os_str(), OPEN, Mode::empty())?;
    }
    Ok(at)
}
