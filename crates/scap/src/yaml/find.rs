//! One walk over the local file systems, for all questions that look for files.

use super::facts::{Facts, absent, glob};
use super::question::{Find, Wanted};
use super::verdict::{MAX_EVIDENCE, Verdict, evidence};
use crate::system::{FileKind, Metadata};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Entries that are looked at, at most.
const MAX_ENTRIES: usize = 5_000_000;

/// How long the walk may take.
const MAX_TIME: Duration = Duration::from_secs(300);

/// Finds that are kept of each kind.
const MAX_KEPT: usize = 10_000;

/// File systems of the kernel's own or of other machines, and layers of containers.
const FOREIGN: &[&str] = &[
    "9p",
    "afs",
    "autofs",
    "bpf",
    "ceph",
    "cgroup",
    "cgroup2",
    "cifs",
    "configfs",
    "debugfs",
    "devpts",
    "efivarfs",
    "fusectl",
    "fuse.sshfs",
    "glusterfs",
    "hugetlbfs",
    "iso9660",
    "lustre",
    "mqueue",
    "ncpfs",
    "nfs",
    "nfs4",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smb3",
    "smbfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// What the walk found.
#[derive(Debug, Default)]
pub struct Found {
    hits: Vec<(Wanted, PathBuf, Metadata)>,
    /// Why it is not the whole, if it is not; with the place for folders that stayed closed.
    gaps: Vec<(PathBuf, String)>,
    entries: usize,
}

impl Facts<'_> {
    /// The finds, walked for at the first call.
    fn walk(&self) -> &Found {
        self.found.get_or_init(|| walked(self))
    }

    /// Answers a find.
    pub fn find(&self, find: &Find) -> Verdict {
        let found = self.walk();
        let under = Path::new(&find.under);
        let spared = |path: &Path| {
            let bytes = path.as_os_str().as_encoded_bytes();
            find.except.iter().any(|e| glob(e.as_bytes(), bytes))
        };
        let hits: Vec<_> = found
            .hits
            .iter()
            .filter(|(what, path, _)| {
                *what == find.what && path.starts_with(under) && !spared(path)
            })
            .collect();
        let words = words(find.what);
        if !hits.is_empty() {
            let list = hits.iter().take(MAX_EVIDENCE).map(|(_, path, metadata)| {
                let actual = format!("{:04o} {}:{}", metadata.mode, metadata.uid, metadata.gid);
                evidence(path.to_string_lossy(), actual, format!("not {words}"))
            });
            let message = format!("{} {words}", hits.len());
            return Verdict::of(false, message, list.collect());
        }
        let but = if find.except.is_empty() {
            ""
        } else {
            " but those excepted"
        };
        let gap = found
            .gaps
            .iter()
            .find(|(path, _)| path.starts_with(under) || under.starts_with(path));
        match gap {
            Some((_, why)) => Verdict::unknown(format!("not everything was looked at: {why}")),
            None if found.entries == 0 => Verdict::unknown("there are no files"),
            None => Verdict::of(
                true,
                format!("no {words}{but} among {} entries", found.entries),
                vec![],
            ),
        }
    }
}

fn words(what: Wanted) -> &'static str {
    match what {
        Wanted::WorldWritableFiles => "files that everyone may write",
        Wanted::WorldWritableFolders => "folders without sticky bit that everyone may write",
        Wanted::Suid => "files with the set-user-id bit",
        Wanted::Sgid => "files with the set-group-id bit",
        Wanted::Unowned => "files of no user",
        Wanted::Ungrouped => "files of no group",
    }
}

fn walked(facts: &Facts<'_>) -> Found {
    let mut found = Found::default();
    let ids = |table: Result<std::sync::Arc<Vec<super::facts::Entry>>, String>| {
        table.map(|table| {
            table
                .iter()
                .filter_map(|entry| entry.at(2).parse::<u32>().ok())
                .collect::<HashSet<u32>>()
        })
    };
    let (users, groups) = match (ids(facts.users()), ids(facts.groups())) {
        (Ok(users), Ok(groups)) => (users, groups),
        (Err(why), _) | (_, Err(why)) => {
            found.gaps.push((PathBuf::from("/"), why));
            return found;
        }
    };
    let mut closed: HashSet<PathBuf> = ["/proc", "/sys", "/dev", "/run"]
        .iter()
        .map(PathBuf::from)
        .collect();
    if facts.system.is_live() {
        match facts.mounts() {
            Ok(mounts) => closed.extend(
                mounts
                    .iter()
                    .filter(|mount| mount.point != "/" && FOREIGN.contains(&mount.kind.as_str()))
                    .map(|mount| PathBuf::from(&mount.point)),
            ),
            Err(why) => found.gaps.push((PathBuf::from("/"), why)),
        }
    }
    let begun = Instant::now();
    let mut folders = vec![PathBuf::from("/")];
    while let Some(folder) = folders.pop() {
        if found.entries >= MAX_ENTRIES || begun.elapsed() >= MAX_TIME {
            let why = format!("the walk ended after {} entries", found.entries);
            found.gaps.push((PathBuf::from("/"), why));
            break;
        }
        let names = match facts.system.read_dir(&folder) {
            Ok(names) => names,
            // Gone since its parent was read.
            Err(error) if absent(&error) && folder != Path::new("/") => continue,
            Err(error) => {
                gap(&mut found, &folder, &error);
                continue;
            }
        };
        for (name, _) in names {
            let path = folder.join(name);
            let metadata = match facts.system.lstat(&path) {
                Ok(metadata) => metadata,
                Err(error) if absent(&error) => continue,
                Err(error) => {
                    gap(&mut found, &path, &error);
                    continue;
                }
            };
            found.entries += 1;
            let is_folder = metadata.kind == FileKind::Directory;
            if is_folder && closed.contains(&path) {
                continue;
            }
            for what in kinds(&metadata, &users, &groups) {
                if found.hits.len() < 6 * MAX_KEPT {
                    found.hits.push((what, path.clone(), metadata.clone()));
                } else {
                    let why = "the walk found too much to keep".to_owned();
                    found.gaps.push((PathBuf::from("/"), why));
                    return found;
                }
            }
            if is_folder {
                folders.push(path);
            }
        }
    }
    found.hits.sort_by(|a, b| a.1.cmp(&b.1));
    found
}

fn gap(found: &mut Found, path: &Path, error: &std::io::Error) {
    if found.gaps.len() < MAX_KEPT {
        found
            .gaps
            .push((path.to_owned(), super::facts::reason(path, error)));
    } else {
        found.gaps.push((PathBuf::from("/"), error.to_string()));
    }
}

fn kinds(metadata: &Metadata, users: &HashSet<u32>, groups: &HashSet<u32>) -> Vec<Wanted> {
    let mut kinds = Vec::new();
    let mode = metadata.mode;
    match metadata.kind {
        FileKind::Regular => {
            for (bits, what) in [
                (0o002, Wanted::WorldWritableFiles),
                (0o4000, Wanted::Suid),
                (0o2000, Wanted::Sgid),
            ] {
                if mode & bits != 0 {
                    kinds.push(what);
                }
            }
        }
        FileKind::Directory if mode & 0o1002 == 0o002 => kinds.push(Wanted::WorldWritableFolders),
        _ => {}
    }
    if !users.contains(&metadata.uid) {
        kinds.push(Wanted::Unowned);
    }
    if !groups.contains(&metadata.gid) {
        kinds.push(Wanted::Ungrouped);
    }
    kinds
}
