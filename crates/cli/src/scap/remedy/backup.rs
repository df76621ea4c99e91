//! The backup of one fix: what it changed, kept so that it can be put back.
//!
//! ```text
//! before.json    everything looked at, while the fix runs and if it was cut off
//! changes.json   what differs afterwards: path, before, after
//! objects/…      bytes of files as they were, by digest
//! ```

use super::tree::{self, Owner, State, Tree};
use crate::scap::read;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

const FORMAT: &str = "bartizan.backup";
const MAX_MANIFEST: u64 = 256 << 20;

/// A change of a path: before and after.
pub type Change = (PathBuf, State, State);

/// A backup that a fix runs under.
pub struct Backup {
    /// Its folder.
    pub folder: PathBuf,
    roots: Vec<PathBuf>,
    named: Vec<PathBuf>,
    before: Tree,
}

impl Backup {
    /// Keeps everything below `roots` and at the paths named.
    pub fn begin(folder: PathBuf, roots: Vec<PathBuf>, named: Vec<PathBuf>) -> Result<Self> {
        let objects = folder.join("objects");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&objects)
            .with_context(|| format!("cannot make {}", objects.display()))?;
        let before = both(&roots, &named, Some(&objects))?;
        save(&folder.join("before.json"), &manifest_of(&before))?;
        Ok(Self {
            folder,
            roots,
            named,
            before,
        })
    }

    /// Looks again, and keeps only what changed.
    pub fn end(self) -> Result<Vec<Change>> {
        let after = both(&self.roots, &self.named, None)?;
        let changes = tree::changes(&self.before, &after);
        save(&self.folder.join("changes.json"), &manifest(&changes))?;
        // From here on the changes alone are enough.
        let _ = fs::remove_file(self.folder.join("before.json"));
        let wanted: HashSet<&str> = changes
            .iter()
            .filter_map(|(_, before, _)| match before {
                State::File { digest, .. } => Some(digest.as_str()),
                _ => None,
            })
            .collect();
        if let Ok(objects) = fs::read_dir(self.folder.join("objects")) {
            for object in objects.flatten() {
                let name = object.file_name();
                if !wanted.contains(&*name.to_string_lossy()) {
                    let _ = fs::remove_file(object.path());
                }
            }
        }
        Ok(changes)
    }
}

fn both(roots: &[PathBuf], named: &[PathBuf], keep: Option<&Path>) -> Result<Tree> {
    let mut tree = tree::look_at(roots, true, keep)?;
    tree.extend(tree::look_at(named, false, keep)?);
    Ok(tree)
}

fn manifest(changes: &[Change]) -> Value {
    let all: Vec<Value> = changes
        .iter()
        .map(|(path, before, after)| {
            json!({"path": path.to_string_lossy(), "before": before.json(), "after": after.json()})
        })
        .collect();
    json!({"format": FORMAT, "version": 1, "changes": all})
}

fn manifest_of(tree: &Tree) -> Value {
    let all: Vec<Value> = tree
        .iter()
        .map(|(path, state)| json!({"path": path.to_string_lossy(), "before": state.json()}))
        .collect();
    json!({"format": FORMAT, "version": 1, "changes": all})
}

/// Written beside and moved into place: a manifest is whole or not there.
fn save(path: &Path, value: &Value) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .with_context(cannot)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path))
        .with_context(cannot)
}

/// What a backup's manifest says. Of a fix that was cut off, all that differs now.
pub fn load(folder: &Path) -> Result<Vec<Change>> {
    let metadata =
        fs::metadata(folder).with_context(|| format!("cannot look into {}", folder.display()))?;
    // Whoever could write here could have any file written.
    let own = rustix::process::geteuid().as_raw();
    ensure!(
        metadata.is_dir() && metadata.uid() == own && metadata.mode() & 0o022 == 0,
        "{} is no folder that only you can write to",
        folder.display()
    );
    let whole = folder.join("changes.json");
    let path = match whole.is_file() {
        true => whole,
        false => folder.join("before.json"),
    };
    let value: Value = serde_json::from_slice(&read(&path, MAX_MANIFEST)?)
        .with_context(|| format!("cannot use {}", path.display()))?;
    ensure!(
        value.get("format").and_then(Value::as_str) == Some(FORMAT),
        "{} is no manifest of a backup",
        path.display()
    );
    let mut changes = Vec::new();
    for one in value
        .get("changes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let path = one.get("path").and_then(Value::as_str).map(PathBuf::from);
        let before = one.get("before").and_then(State::parse);
        let (Some(path), Some(before)) = (path, before) else {
            bail!("the manifest has an entry that is not understood");
        };
        ensure!(path.is_absolute(), "{} is not absolute", path.display());
        let after = match one.get("after").and_then(State::parse) {
            Some(after) => after,
            None => State::at(&path)?,
        };
        if before != after {
            changes.push((path, before, after));
        }
    }
    Ok(changes)
}

/// Puts changes back, the last first; says of each what was done. A path that is not as the
/// fix left it stays, unless `force`.
pub fn undo(
    folder: &Path,
    changes: &[Change],
    force: bool,
    dry: bool,
) -> Vec<(PathBuf, Result<&'static str>)> {
    // What is taken away goes from the inside out, what comes back from the outside in.
    let (gone, rest): (Vec<_>, Vec<_>) = changes
        .iter()
        .partition(|(_, before, _)| *before == State::Absent);
    let ordered = gone.into_iter().rev().chain(rest);
    ordered
        .map(|(path, before, after)| {
            let done = one(folder, path, before, after, force, dry);
            (path.clone(), done)
        })
        .collect()
}

fn one(
    folder: &Path,
    path: &Path,
    before: &State,
    after: &State,
    force: bool,
    dry: bool,
) -> Result<&'static str> {
    let now = State::at(path)?;
    if now == *before {
        return Ok("is as it was");
    }
    if now != *after && !force {
        bail!("it was changed again since");
    }
    safe_folder(path)?;
    if dry {
        return Ok("would be put back");
    }
    restore(folder, path, before, &now)?;
    Ok("put back")
}

/// No part of the way may be in the hands of another user: a link put there would lead the
/// file elsewhere.
fn safe_folder(path: &Path) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    for folder in path.ancestors().skip(1) {
        let metadata = folder
            .symlink_metadata()
            .with_context(|| format!("cannot look at {}", folder.display()))?;
        ensure!(metadata.is_dir(), "{} is no folder", folder.display());
        let trusted = [0, own].contains(&metadata.uid());
        // A sticky folder lets others add, but not move what is ours.
        let closed = metadata.mode() & 0o022 == 0 || metadata.mode() & 0o1000 != 0;
        ensure!(
            trusted && closed,
            "{} can be changed by others",
            folder.display()
        );
    }
    Ok(())
}

fn restore(folder: &Path, path: &Path, before: &State, now: &State) -> Result<()> {
    let cannot = || format!("cannot put {} back", path.display());
    let remove = || match now {
        State::Absent => Ok(()),
        // Only an empty one: what is in it is not ours to remove.
        State::Folder { .. } => fs::remove_dir(path),
        _ => fs::remove_file(path),
    };
    match before {
        State::Absent => remove().with_context(cannot),
        State::Link { target } => remove()
            .and_then(|()| symlink(target, path))
            .with_context(cannot),
        State::Folder { owner } => {
            if !matches!(now, State::Folder { .. }) {
                remove()
                    .and_then(|()| fs::create_dir(path))
                    .with_context(cannot)?;
            }
            give(path, *owner).with_context(cannot)
        }
        State::File {
            digest,
            size,
            owner,
        } => {
            if let State::File {
                digest: same,
                size: long,
                ..
            } = now
                && (same, long) == (digest, size)
            {
                // Only its owner or mode changed.
                return give(path, *owner).with_context(cannot);
            }
            ensure!(!digest.is_empty(), "it was too large to be kept");
            let bytes = read(&folder.join("objects").join(digest), MAX_MANIFEST)?;
            if matches!(now, State::Folder { .. }) {
                fs::remove_dir(path).with_context(cannot)?;
            }
            let mut name = path.file_name().unwrap_or_default().to_os_string();
            name.push(".bartizan-undo");
            let beside = path.with_file_name(name);
            let _ = fs::remove_file(&beside);
            let written = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&beside)
                .and_then(|mut file| {
                    file.write_all(&bytes)?;
                    file.sync_all()
                })
                .and_then(|()| give(&beside, *owner))
                .and_then(|()| fs::rename(&beside, path));
            if written.is_err() {
                let _ = fs::remove_file(&beside);
            }
            written.with_context(cannot)
        }
        State::Other => bail!("devices and sockets are not kept"),
    }
}

/// The owner first: changing it takes special bits of the mode away.
fn give(path: &Path, owner: Owner) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let now = path.symlink_metadata()?;
    if (now.uid(), now.gid()) != (owner.user, owner.group) {
        match now.is_symlink() {
            true => lchown(path, Some(owner.user), Some(owner.group))?,
            false => chown(path, Some(owner.user), Some(owner.group))?,
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(owner.mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn all_kinds_of_change_are_put_back() {
        let place = tempfile::tempdir().unwrap();
        let etc = place.path().join("etc");
        fs::create_dir(&etc).unwrap();
        for (name, text) in [("edit", "old"), ("delete", "gone"), ("mode", "same")] {
            fs::write(etc.join(name), text).unwrap();
            fs::set_permissions(etc.join(name), fs::Permissions::from_mode(0o640)).unwrap();
        }
        symlink("edit", etc.join("link")).unwrap();
        let folder = place.path().join("backup");
        let backup = Backup::begin(folder.clone(), vec![etc.clone()], Vec::new()).unwrap();
        fs::write(etc.join("edit"), "new").unwrap();
        fs::remove_file(etc.join("delete")).unwrap();
        fs::set_permissions(etc.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(etc.join("link")).unwrap();
        symlink("mode", etc.join("link")).unwrap();
        fs::create_dir(etc.join("new.d")).unwrap();
        fs::write(etc.join("new.d/file"), "x").unwrap();
        let changes = backup.end().unwrap();
        assert_eq!(changes.len(), 6, "{changes:?}");
        assert_eq!(fs::read_dir(folder.join("objects")).unwrap().count(), 3);
        let loaded = load(&folder).unwrap();
        assert_eq!(loaded, changes);
        for (path, done) in undo(&folder, &loaded, false, true) {
            assert_eq!(done.unwrap(), "would be put back", "{}", path.display());
        }
        assert_eq!(fs::read_to_string(etc.join("edit")).unwrap(), "new");
        for (path, done) in undo(&folder, &loaded, false, false) {
            assert_eq!(done.unwrap(), "put back", "{}", path.display());
        }
        assert_eq!(fs::read_to_string(etc.join("edit")).unwrap(), "old");
        assert_eq!(fs::read_to_string(etc.join("delete")).unwrap(), "gone");
        assert_eq!(
            (mode(&etc.join("edit")), mode(&etc.join("mode"))),
            (0o640, 0o640)
        );
        assert_eq!(etc.join("link").read_link().unwrap(), Path::new("edit"));
        assert!(!etc.join("new.d").exists());
        let again = undo(&folder, &loaded, false, false);
        assert!(
            again
                .iter()
                .all(|(_, done)| matches!(done, Ok("is as it was")))
        );
    }

    #[test]
    fn what_changed_again_stays_unless_forced() {
        let place = tempfile::tempdir().unwrap();
        let etc = place.path().join("etc");
        fs::create_dir(&etc).unwrap();
        let file = etc.join("f");
        fs::write(&file, "one").unwrap();
        let folder = place.path().join("backup");
        let backup = Backup::begin(folder.clone(), vec![etc], Vec::new()).unwrap();
        fs::write(&file, "two").unwrap();
        let changes = backup.end().unwrap();
        fs::write(&file, "three").unwrap();
        let done = undo(&folder, &changes, false, false);
        assert!(done.first().unwrap().1.is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "three");
        assert!(
            undo(&folder, &changes, true, false)
                .first()
                .unwrap()
                .1
                .is_ok()
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
    }

    #[test]
    fn a_fix_that_was_cut_off_can_be_undone() {
        let place = tempfile::tempdir().unwrap();
        let etc = place.path().join("etc");
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("f"), "one").unwrap();
        let folder = place.path().join("backup");
        let backup = Backup::begin(folder.clone(), vec![etc.clone()], Vec::new()).unwrap();
        fs::write(etc.join("f"), "two").unwrap();
        drop(backup);
        let changes: Vec<Change> = load(&folder).unwrap();
        let files = changes.iter().filter(|(path, _, _)| path.ends_with("f"));
        assert_eq!(files.count(), 1);
        assert!(
            undo(&folder, &changes, false, false)
                .iter()
                .all(|(_, done)| done.is_ok())
        );
        assert_eq!(fs::read_to_string(etc.join("f")).unwrap(), "one");
    }

    #[test]
    fn a_folder_of_others_is_not_trusted() {
        let place = tempfile::tempdir().unwrap();
        let open = place.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(safe_folder(&open.join("f")).is_err());
        assert!(load(&open).is_err());
    }

    #[test]
    fn paths_in_a_fix_are_found() {
        let fix = "grubby --x '/boot/../y' \"/var/log/app.log\" /etc/passwd /proc/cmdline s/a/b/ /no/such/folder/f\nchmod 0600 /var/log/";
        let found = tree::named(fix);
        assert_eq!(
            found,
            [PathBuf::from("/var/log/app.log"), "/var/log".into()]
        );
    }
}
