//! Files as they were: what a fix may change, looked at before and after.

use anyhow::{Context, Result, bail};
use bartizan_model::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{Metadata, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Larger files are compared, but cannot be put back.
const MAX_FILE: u64 = 32 << 20;
const MAX_FILES: usize = 200_000;
const MAX_KEPT: u64 = 1 << 30;
/// A fix that names more paths than this is looked at no further.
const MAX_NAMED: usize = 64;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Of its bytes, in hexadecimal; empty where they are too many.
        digest: String,
        /// How many.
        size: u64,
        /// Who may what.
        owner: Owner,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        target: PathBuf,
    },
    /// A folder.
    Folder {
        /// Who may what.
        owner: Owner,
    },
    /// A device, a socket: not looked at further.
    Other,
}

/// Who may what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Owner {
    pub mode: u32,
    pub user: u32,
    pub group: u32,
}

impl Owner {
    fn of(metadata: &Metadata) -> Self {
        Self {
            mode: metadata.mode() & 0o7777,
            user: metadata.uid(),
            group: metadata.gid(),
        }
    }

    fn json(self) -> Value {
        json!([self.mode, self.user, self.group])
    }

    fn parse(value: Option<&Value>) -> Option<Self> {
        let at = |place: usize| u32::try_from(value?.get(place)?.as_u64()?).ok();
        Some(Self {
            mode: at(0)?,
            user: at(1)?,
            group: at(2)?,
        })
    }
}

impl State {
    /// For a manifest.
    pub fn json(&self) -> Value {
        match self {
            Self::Absent => json!({"is": "absent"}),
            Self::File {
                digest,
                size,
                owner,
            } => {
                json!({"is": "file", "digest": digest, "size": size, "owner": owner.json()})
            }
            Self::Link { target } => json!({"is": "link", "target": target.to_string_lossy()}),
            Self::Folder { owner } => json!({"is": "folder", "owner": owner.json()}),
            Self::Other => json!({"is": "other"}),
        }
    }

    /// From a manifest.
    pub fn parse(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name)?.as_str();
        Some(match text("is")? {
            "absent" => Self::Absent,
            "file" => Self::File {
                digest: text("digest")?.to_owned(),
                size: value.get("size")?.as_u64()?,
                owner: Owner::parse(value.get("owner"))?,
            },
            "link" => Self::Link {
                target: text("target")?.into(),
            },
            "folder" => Self::Folder {
                owner: Owner::parse(value.get("owner"))?,
            },
            "other" => Self::Other,
            _ => return None,
        })
    }

    /// What is at a path now. A link is not followed.
    pub fn at(path: &Path) -> Result<Self> {
        Ok(look(path)?.0)
    }
}

/// What is at a path, with a file's bytes where they are not too many.
fn look(path: &Path) -> Result<(State, Option<Vec<u8>>)> {
    let cannot = || format!("cannot look at {}", path.display());
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok((State::Absent, None));
        }
        Err(error) => return Err(error).with_context(cannot),
    };
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let target = path.read_link().with_context(cannot)?;
        return Ok((State::Link { target }, None));
    }
    let owner = Owner::of(&metadata);
    if kind.is_dir() {
        return Ok((State::Folder { owner }, None));
    }
    if !kind.is_file() {
        return Ok((State::Other, None));
    }
    let size = metadata.len();
    if size > MAX_FILE {
        let digest = String::new();
        return Ok((
            State::File {
                digest,
                size,
                owner,
            },
            None,
        ));
    }
    let mut bytes = Vec::new();
    OpenOptions::new()
        .read(true)
        // What was just a file may be something else now.
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .with_context(cannot)?;
    let state = State::File {
        digest: hexadecimal(&bytes),
        size: bytes.len() as u64,
        owner,
    };
    Ok((state, Some(bytes)))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digest = Digest::of(bytes);
    let text = digest.as_str();
    text.strip_prefix("sha256:").unwrap_or(text).to_owned()
}

/// What is at many paths.
pub type Tree = BTreeMap<PathBuf, State>;

/// Looks at everything below `roots`. With a folder to keep them in, bytes of files are kept
/// there by digest, so that they can be put back.
pub fn look_at(roots: &[PathBuf], whole: bool, keep: Option<&Path>) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut kept = 0u64;
    let mut open: Vec<(PathBuf, bool)> = roots.iter().map(|root| (root.clone(), whole)).collect();
    while let Some((path, inside)) = open.pop() {
        if tree.len() >= MAX_FILES {
            bail!("more than {MAX_FILES} files: they cannot be backed up");
        }
        let (state, bytes) = look(&path)?;
        if let (Some(folder), Some(bytes), State::File { digest, .. }) = (keep, bytes, &state) {
            kept += bytes.len() as u64;
            if kept > MAX_KEPT {
                bail!("more than {} MiB: they cannot be backed up", MAX_KEPT >> 20);
            }
            store(folder, digest, &bytes)?;
        }
        if inside && matches!(state, State::Folder { .. }) {
            let cannot = || format!("cannot look into {}", path.display());
            for entry in std::fs::read_dir(&path).with_context(cannot)? {
                open.push((entry.with_context(cannot)?.path(), true));
            }
        }
        tree.insert(path, state);
    }
    Ok(tree)
}

fn store(folder: &Path, digest: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(digest);
    if path.exists() {
        return Ok(());
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What differs: path, before, after.
pub fn changes(before: &Tree, after: &Tree) -> Vec<(PathBuf, State, State)> {
    let get = |tree: &Tree, path: &PathBuf| tree.get(path).cloned().unwrap_or(State::Absent);
    let mut paths: Vec<&PathBuf> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .map(|path| (path.clone(), get(before, path), get(after, path)))
        .filter(|(_, one, other)| one != other)
        .collect()
}

/// Paths outside `/etc` that a fix names, such as a boot loader's configuration: files, links
/// and folders (these without what is in them), and what is not there yet.
pub fn named(fix: &str) -> Vec<PathBuf> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    let mut paths: Vec<PathBuf> = Vec::new();
    for word in fix.split(|c| !is_part(c)) {
        let word = word.trim_end_matches(['/', '.']);
        let is_outside = word.starts_with('/')
            && word.len() > 1
            && !word.starts_with("//")
            && !word.split('/').any(|part| part == "..")
            && ![
                "/etc",
                "/proc",
                "/sys",
                "/dev",
                "/run",
                "/tmp",
                "/bin",
                "/sbin",
                "/usr/bin",
                "/usr/sbin",
            ]
            .iter()
            .any(|not| {
                word == *not
                    || word
                        .strip_prefix(not)
                        .is_some_and(|rest| rest.starts_with('/'))
            });
        let path = PathBuf::from(word);
        // A word that only looks like a path, such as a pattern's end, has no folder.
        let has_folder = path.parent().is_some_and(Path::is_dir);
        if is_outside && has_folder && !paths.contains(&path) && paths.len() < MAX_NAMED {
            paths.push(path);
        }
    }
    paths
}
