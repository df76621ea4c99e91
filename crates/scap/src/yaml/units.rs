//! Services and packages.

use super::facts::{Facts, debian_order};
use super::question::{Package, PackageState, Service, ServiceState};
use super::verdict::{Verdict, all, any, evidence};
use crate::system::Unit;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where unit files stand, the strongest first.
const FOLDERS: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The most unit files that are listed.
const MAX_UNITS: usize = 20_000;

/// What is known of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// None: it cannot be told.
    pub enabled: Option<bool>,
    /// None: it cannot be told.
    pub active: Option<bool>,
    /// Whether there is such a unit.
    pub exists: bool,
}

impl Facts<'_> {
    /// Answers a question about packages.
    pub fn package(&self, package: &Package) -> Verdict {
        let installed = match self.packages() {
            Ok(installed) => installed,
            Err(why) => return Verdict::unknown(why),
        };
        let wanted = package.state == PackageState::Installed;
        let parts = package.name.0.iter().map(|name| {
            let version = installed.get(name);
            let actual = version.map_or("not installed", |version| version.as_str());
            match (version, wanted) {
                (Some(version), true) => {
                    let least = package.at_least.as_deref();
                    let holds = least.is_none_or(|least| debian_order(version, least).is_ge());
                    let expected =
                        least.map_or_else(|| "installed".into(), |v| format!("at least {v}"));
                    let list = vec![evidence(name, actual, expected)];
                    Verdict::of(holds, format!("package {name} is at {version}"), list)
                }
                (None, true) => Verdict::of(
                    false,
                    format!("package {name} is not installed"),
                    vec![evidence(name, actual, "installed")],
                ),
                (found, false) => Verdict::of(
                    found.is_none(),
                    match found {
                        Some(_) => format!("package {name} is installed"),
                        None => format!("package {name} is not installed"),
                    },
                    vec![evidence(name, actual, "not installed")],
                ),
            }
        });
        let parts = parts.collect();
        if wanted { any(parts) } else { all(parts) }
    }

    /// Answers a question about services.
    pub fn service(&self, service: &Service) -> Verdict {
        let parts = service
            .name
            .0
            .iter()
            .map(|name| self.unit(name, service.state));
        let parts = parts.collect();
        if service.state == ServiceState::Off {
            all(parts)
        } else {
            any(parts)
        }
    }

    /// All units by name, as systemd or else the unit files have them.
    pub fn unit_states(&self) -> Result<BTreeMap<String, Known>, String> {
        if let Ok(units) = self.system.units() {
            let known = units.iter().map(|unit| (unit.name.clone(), state(unit)));
            return Ok(known.filter(|(_, known)| known.exists).collect());
        }
        let mut names = BTreeSet::new();
        for folder in FOLDERS {
            for name in self.names(Path::new(folder))?.unwrap_or_default() {
                let name = name.to_string_lossy().into_owned();
                let suffixes = [
                    ".service", ".socket", ".timer", ".mount", ".target", ".path",
                ];
                if suffixes.iter().any(|suffix| name.ends_with(suffix)) {
                    names.insert(name);
                }
                if names.len() > MAX_UNITS {
                    return Err(format!("there are more than {MAX_UNITS} unit files"));
                }
            }
        }
        if names.is_empty() {
            return Err("systemd cannot be asked, and there are no unit files".to_owned());
        }
        names
            .into_iter()
            .map(|name| Ok((name.clone(), self.on_disk(&name)?)))
            .collect()
    }

    fn unit(&self, name: &str, state: ServiceState) -> Verdict {
        let known = match self.system.units() {
            Ok(units) => Ok(asked(units, name)),
            Err(error) => self
                .on_disk(name)
                .map_err(|why| format!("systemd cannot be asked ({error}) and {why}")),
        };
        let known = match known {
            Ok(known) => known,
            Err(why) => return Verdict::unknown(why),
        };
        let both = |a: Option<bool>, b: Option<bool>| match (a, b) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        let opposite = |of: Option<bool>| of.map(|of| !of);
        let (holds, wanted) = match state {
            ServiceState::Enabled => (known.enabled, "enabled"),
            ServiceState::Active => (known.active, "active"),
            ServiceState::Running => (both(known.enabled, known.active), "enabled and active"),
            ServiceState::Off => (
                both(opposite(known.enabled), opposite(known.active)),
                "neither enabled nor active",
            ),
        };
        let word = |of: Option<bool>, yes: &'static str, no: &'static str| match of {
            Some(true) => yes,
            Some(false) => no,
            None => "not known",
        };
        let actual = if known.exists {
            format!(
                "{}, {}",
                word(known.enabled, "enabled", "not enabled"),
                word(known.active, "active", "not active")
            )
        } else {
            "no such unit".to_owned()
        };
        let list = vec![evidence(name, &actual, wanted)];
        match holds {
            Some(holds) => Verdict::of(holds, format!("{name}: {actual}"), list),
            None => Verdict::unknown(format!(
                "{name}: {actual}: systemd cannot be asked, and its files do not tell"
            ))
            .with(list),
        }
    }

    /// What the links of `systemctl enable` say. Whether it runs they do not say.
    fn on_disk(&self, name: &str) -> Result<Known, String> {
        let none = Known {
            enabled: Some(false),
            active: None,
            exists: true,
        };
        let mut file = None;
        let mut any_folder = false;
        for folder in FOLDERS {
            let folder = Path::new(folder);
            any_folder |= self.stat(folder)?.is_some();
            let path = folder.join(name);
            if self.lstat(&path)?.is_some() {
                if self.link(&path)?.as_deref() == Some(Path::new("/dev/null")) {
                    return Ok(Known {
                        active: Some(false),
                        ..none
                    });
                }
                file.get_or_insert(path);
            }
        }
        if !any_folder {
            return Err("there are no unit files".to_owned());
        }
        let Some(file) = file else {
            return Ok(Known {
                enabled: Some(false),
                active: Some(false),
                exists: false,
            });
        };
        if self.wanted(name)? {
            return Ok(Known {
                enabled: Some(true),
                ..none
            });
        }
        let text = self.text(&file)?.unwrap_or_default();
        // Without [Install] a unit is not enabled but pulled in; by what cannot be told here.
        let installs = text.lines().any(|line| line.trim() == "[Install]");
        Ok(Known {
            enabled: installs.then_some(false),
            ..none
        })
    }

    /// Whether a `.wants` or `.requires` folder has it.
    fn wanted(&self, name: &str) -> Result<bool, String> {
        for folder in FOLDERS {
            let folder = PathBuf::from(folder);
            for entry in self.names(&folder)?.unwrap_or_default() {
                let text = entry.to_string_lossy();
                if (text.ends_with(".wants") || text.ends_with(".requires"))
                    && self.lstat(&folder.join(&entry).join(name))?.is_some()
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// What systemd says.
fn asked(units: &[Unit], name: &str) -> Known {
    let unit = units.iter().find(|unit| {
        unit.name == name
            || unit
                .properties
                .iter()
                .any(|(key, values)| key == "Names" && values.iter().any(|value| value == name))
    });
    unit.map_or(NONE, state)
}

const NONE: Known = Known {
    enabled: Some(false),
    active: Some(false),
    exists: false,
};

fn state(unit: &Unit) -> Known {
    let property = |unit: &Unit, key: &str| {
        let found = unit.properties.iter().find(|(known, _)| known == key);
        found.and_then(|(_, values)| values.first().cloned())
    };
    if property(unit, "LoadState").as_deref() == Some("not-found") {
        return NONE;
    }
    let active = property(unit, "ActiveState");
    let active = active.map(|state| matches!(&*state, "active" | "reloading" | "activating"));
    let enabled = match property(unit, "UnitFileState").as_deref() {
        Some("enabled" | "enabled-runtime" | "linked" | "alias") => Some(true),
        Some("disabled" | "masked" | "masked-runtime" | "bad") => Some(false),
        // Pulled in by other units: it starts if it runs now.
        Some("static" | "generated" | "indirect" | "transient" | "") => active,
        _ => None,
    };
    Known {
        enabled,
        active,
        exists: true,
    }
}
