//! Components of a host, a folder, a container image or an SBOM.
//!
//! A [`Tree`](tree::Tree) offers files; each [`Cataloguer`](catalogue::Cataloguer) says which it
//! wants and what they tell. What could not be read is told as [`Unread`], never passed over.

mod brought;
pub mod catalogue;
mod error;
pub mod fuzzing;
pub mod image;
mod release;
pub mod sbom;
pub mod tree;

pub use brought::{Maker, Sum};
pub use error::InventoryError;
pub use image::image;
pub use release::OsRelease;

use bartizan_model::{AssetUid, Component, Digest, Ecosystem, EcosystemKind};
use catalogue::{Catalogued, Owner};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Read;
use std::path::Path;
use tree::Tree;

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Target {
    /// The asset that findings are about.
    pub uid: AssetUid,
    /// What it is.
    pub kind: TargetKind,
    /// How people call it: a path, an image reference.
    pub name: String,
    /// The image's manifest, where it is one.
    pub digest: Option<Digest>,
}

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A machine, from its root.
    Host,
    /// A folder of sources or of an installation.
    Folder,
    /// A container image.
    Image,
    /// A bill of materials that somebody else made.
    Sbom,
}

/// What could not be read, and why: whatever is in it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Unread {
    /// The file within the target.
    pub path: String,
    /// Why not.
    pub why: String,
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

/// The most that one reader tells as unread.
const MOST_UNREAD: usize = 10_000;

/// Tells what could not be read; at the bound, that there is more.
pub(crate) fn tell(all: &mut Vec<Unread>, path: &str, why: impl Into<String>) {
    let (path, why) = match all.len().cmp(&MOST_UNREAD) {
        Ordering::Less => (path, why.into()),
        Ordering::Equal => ("", format!("more than {MOST_UNREAD}: the rest is not told")),
        Ordering::Greater => return,
    };
    let path = path.to_owned();
    all.push(Unread { path, why });
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Inventory {
    /// Where.
    pub target: Target,
    /// The operating system, where the target has one.
    pub os: Option<OsRelease>,
    /// In order, each once.
    pub components: Vec<Component>,
    /// In order.
    pub unread: Vec<Unread>,
}

/// Looks at a folder, or at a single file; with `host` at a machine by its root.
pub fn folder(path: &Path, host: bool) -> Result<Inventory, InventoryError> {
    let io = |source| InventoryError::io(path.display(), source);
    let root = path.canonicalize().map_err(io)?;
    if host && !root.is_dir() {
        return Err(io(std::io::ErrorKind::NotADirectory.into()));
    }
    let shown = root.display().to_string();
    let (kind, word, name) = match host {
        true => (TargetKind::Host, "host", hostname(&root).unwrap_or(shown)),
        false => (TargetKind::Folder, "folder", shown),
    };
    let target = Target {
        uid: AssetUid::new(format!("{word}:{name}"))?,
        kind,
        name,
        digest: None,
    };
    Ok(take(target, &mut tree::Folder::new(&root, host)))
}

/// The name that the machine has in its own files.
fn hostname(root: &Path) -> Option<String> {
    let file = std::fs::File::open(root.join("etc/hostname")).ok()?;
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    let name = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(name.to_owned())
}

/// Looks at a whole tree, by every cataloguer.
pub fn take(target: Target, tree: &mut dyn Tree) -> Inventory {
    let mut unread = Vec::new();
    let mut found = Catalogued::default();
    let mut os = None;
    let all = catalogue::ALL;
    tree.visit(
        &|candidate| release::is_release(candidate.path) || all.iter().any(|c| c.wants(candidate)),
        &mut |file| {
            if release::is_release(&file.path) {
                release::better(&mut os, &file);
            }
            if catalogue::yields(&file.candidate()) {
                found.brought.read(&file);
            }
            for cataloguer in all.iter().filter(|c| c.wants(&file.candidate())) {
                if let Err(why) = cataloguer.read(&file, &mut found) {
                    found.unread(&file.path, format!("{}: {why}", cataloguer.name()));
                }
            }
        },
        &mut unread,
    );
    for cataloguer in all {
        cataloguer.finish(&mut found);
    }
    if let Some(os) = &os {
        found.leave_to(os);
    }
    unread.extend(found.take_unread());
    let mut parts = Vec::new();
    for one in found.into_packages() {
        let ecosystem = match one.owner {
            Owner::Registry(kind) => Ecosystem::of(kind),
            // Without a release its advisories are not known, and that is told by the matching.
            Owner::Distribution(purl_type) => os.as_ref().map_or_else(
                || Ecosystem::of(EcosystemKind::Other),
                |os| os.ecosystem(purl_type),
            ),
        };
        let purl = match (one.owner, &os) {
            (Owner::Distribution(_), Some(os)) => os.qualify(one.purl),
            _ => one.purl,
        };
        parts.push(Component {
            purl,
            ecosystem,
            source: one.source,
            licences: one.licences,
            found: vec![one.found],
            target: target.uid.clone(),
        });
    }
    gathered(target, os, parts, unread)
}

/// Puts together what was told in several places of the same component, in any order.
pub(crate) fn gathered(
    target: Target,
    os: Option<OsRelease>,
    parts: Vec<Component>,
    mut unread: Vec<Unread>,
) -> Inventory {
    let mut components: BTreeMap<_, Component> = BTreeMap::new();
    for part in parts {
        let key = (
            part.purl.clone(),
            part.ecosystem.clone(),
            part.source.clone(),
        );
        match components.entry(key) {
            Entry::Vacant(place) => {
                place.insert(part);
            }
            Entry::Occupied(mut place) => {
                let component = place.get_mut();
                component.licences.extend(part.licences);
                component.found.extend(part.found);
            }
        }
    }
    let mut components: Vec<Component> = components.into_values().collect();
    for component in &mut components {
        component.licences.sort();
        component.licences.dedup();
        component.found.sort();
        component.found.dedup();
    }
    components.sort();
    unread.sort();
    unread.dedup();
    Inventory {
        target,
        os,
        components,
        unread,
    }
}

#[cfg(test)]
mod tests;
