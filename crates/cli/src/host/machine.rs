//! The machine that is judged: this one, a mounted one, a recorded one, an image.

use super::{facts, ssh};
use crate::arguments::ScanHost;
use crate::show;
use anyhow::{Context, Result, bail};
use bartizan_scap::results::testresult::{Host, Identity, Interface};
use bartizan_scap::system::{Image, Rooted, Snapshot, System};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The note with what is known of a machine beside its answers.
const NOTE: &str = "machine";
/// The most questions without an answer that are named.
const MAX_NAMED: usize = 5;

/// Where answers come from.
enum World {
    Rooted(Rooted),
    Snapshot(Box<Snapshot>),
    Image(Box<Image>),
}

/// A machine that is judged, and what is known of it.
pub struct Machine {
    world: World,
    /// What is known of it.
    pub host: Host,
    /// Who looked.
    pub identity: Identity,
    /// Where relative paths of the content start: here, on the running machine only.
    pub base: Option<PathBuf>,
}

impl Machine {
    /// The machine that the options name.
    pub fn of(options: &ScanHost) -> Result<Self> {
        if let Some(path) = &options.snapshot {
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            let snapshot = Snapshot::load(io::BufReader::new(file))
                .with_context(|| format!("cannot use {}", path.display()))?;
            return Self::recorded(snapshot);
        }
        if let Some(path) = &options.image {
            return Self::image(path, options.image_name.as_deref());
        }
        if let Some(target) = &options.over.ssh {
            let target = ssh::Target::new(target, &options.over)?;
            let snapshot = ssh::scan_over_ssh(&target, &ssh::Inputs::of(options)?)
                .with_context(|| format!("cannot scan {target} over SSH"))?;
            return Self::recorded(snapshot);
        }
        Self::open(&options.root)
    }

    /// `/` is the running machine, any other folder one that does not run.
    pub fn open(root: &Path) -> Result<Self> {
        let root = root
            .canonicalize()
            .with_context(|| format!("cannot look into {}", root.display()))?;
        if !root.is_dir() {
            bail!("{} is no folder", root.display());
        }
        let live = root == Path::new("/");
        let mut system = Rooted::new(root.clone(), live);
        if live && Path::new("/run/systemd/system").is_dir() {
            system = system.with_units(Box::new(facts::units));
        }
        let host = facts::of(&system, &root);
        Ok(Self {
            world: World::Rooted(system),
            host,
            identity: super::identity(),
            base: match live {
                true => std::env::current_dir().ok(),
                false => None,
            },
        })
    }

    /// A recorded machine.
    pub fn recorded(snapshot: Snapshot) -> Result<Self> {
        let note = snapshot.note(NOTE).unwrap_or(b"{}");
        let note: Value = serde_json::from_slice(note).context("the snapshot's note is broken")?;
        Ok(Self {
            host: host(&note),
            identity: Identity {
                name: text(&note, "user"),
                authenticated: false,
                privileged: note.get("privileged").and_then(Value::as_bool) == Some(true),
            },
            base: None,
            world: World::Snapshot(Box::new(snapshot)),
        })
    }

    fn image(path: &Path, name: Option<&str>) -> Result<Self> {
        let image = Image::open(path, name, &mut spill)
            .with_context(|| format!("cannot use the image {}", path.display()))?;
        let mut host = facts::of(&image, path);
        let own = image.name.clone().or_else(|| {
            let stem = path.file_stem()?;
            Some(stem.to_string_lossy().into_owned())
        });
        // An image's own hostname is that of the machine that built it.
        host.name = own
            .unwrap_or_else(|| "image".to_owned())
            .chars()
            .map(|one| match one {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => one,
                _ => '-',
            })
            .collect();
        host.architecture.clone_from(&image.architecture);
        if let Some(id) = &image.id {
            show::remark(&format!("image {} {id}", host.name));
        }
        Ok(Self {
            world: World::Image(Box::new(image)),
            host,
            identity: super::identity(),
            base: None,
        })
    }

    /// Its files and the rest.
    pub fn system(&self) -> &dyn System {
        match &self.world {
            World::Rooted(system) => system,
            World::Snapshot(system) => &**system,
            World::Image(system) => &**system,
        }
    }

    /// Whether it is the machine that this runs on: only there may anything be started.
    pub fn is_here(&self) -> bool {
        matches!(&self.world, World::Rooted(system) if system.is_live())
    }

    /// What a recording needs to know beside the answers.
    pub fn note(&self) -> (&'static str, Vec<u8>) {
        let interfaces = self
            .host
            .interfaces
            .iter()
            .map(|one| json!({"name": one.name, "mac": one.mac, "addresses": one.addresses}));
        let note = json!({
            "name": self.host.name,
            "addresses": self.host.addresses,
            "interfaces": interfaces.collect::<Vec<_>>(),
            "os_name": self.host.os_name,
            "os_version": self.host.os_version,
            "architecture": self.host.architecture,
            "kernel": self.host.kernel,
            "user": self.identity.name,
            "privileged": self.identity.privileged,
        });
        (NOTE, note.to_string().into_bytes())
    }

    /// Says what a snapshot was asked and has no answer to.
    pub fn remark_missed(&self) {
        let World::Snapshot(snapshot) = &self.world else {
            return;
        };
        let missed = snapshot.missed();
        if missed.is_empty() {
            return;
        }
        let named: Vec<&str> = missed.iter().take(MAX_NAMED).map(String::as_str).collect();
        show::remark(&format!(
            "{} answers or more are not in the snapshot, so rules are unknown; record it with \
             this content: {}",
            missed.len(),
            named.join(", ")
        ));
    }
}

fn text(note: &Value, key: &str) -> String {
    let text = note.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn addresses(note: &Value) -> Vec<IpAddr> {
    let list = note.get("addresses").and_then(Value::as_array);
    let list = list.into_iter().flatten();
    list.filter_map(|one| one.as_str()?.parse().ok()).collect()
}

fn host(note: &Value) -> Host {
    let interfaces = note.get("interfaces").and_then(Value::as_array);
    let mut host = Host {
        name: text(note, "name"),
        addresses: addresses(note),
        interfaces: interfaces
            .into_iter()
            .flatten()
            .map(|one| Interface {
                name: text(one, "name"),
                mac: text(one, "mac"),
                addresses: addresses(one),
            })
            .collect(),
        os_name: text(note, "os_name"),
        os_version: text(note, "os_version"),
        architecture: text(note, "architecture"),
        kernel: text(note, "kernel"),
    };
    if host.name.is_empty() {
        "host".clone_into(&mut host.name);
    }
    host
}

/// A file without a name, for layers that are unpacked.
fn spill() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("bartizan-{}", uuid::Uuid::new_v4()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Where a recording goes: a file that only its owner reads, or standard output.
pub fn recording(path: &Path) -> Result<Box<dyn Write + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    let cannot = || format!("cannot write {}", path.display());
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(cannot)?;
    // It may have been there with another mode.
    let only_owner = std::fs::Permissions::from_mode(0o600);
    file.set_permissions(only_owner).with_context(cannot)?;
    Ok(Box::new(io::BufWriter::new(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back() {
        let machine = Machine::open(Path::new("/")).unwrap();
        let (_, note) = machine.note();
        let back = host(&serde_json::from_slice(&note).unwrap());
        assert_eq!(format!("{back:?}"), format!("{:?}", machine.host));
        assert_eq!(host(&Value::Null).name, "host");
        assert!(machine.is_here());
    }
}
