//! Plugins: what a folder's `plugin.yaml` says, and the plugins that are built in, which are
//! selections of our own baselines' checks by what they are mapped to.

use crate::yaml::question::Controls;
use crate::yaml::{Baseline, ParseError, builtin};
use serde::Deserialize;

/// The file of a plugin folder that describes it.
pub const FILE: &str = "plugin.yaml";

/// The largest one.
pub const MAX_BYTES: usize = 64 << 10;

/// The longest id.
const MAX_ID: usize = 64;

/// What a folder's `plugin.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Names the plugin in uids and as a report's source.
    pub id: String,
    /// Its name for people.
    #[serde(default)]
    pub title: String,
    /// Its edition.
    #[serde(default)]
    pub version: String,
    /// What it looks at.
    #[serde(default)]
    pub kind: PluginKind,
    /// The profile of its SCAP content, unless another is asked for.
    #[serde(default)]
    pub profile: Option<String>,
}

/// What a plugin looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginKind {
    /// Hosts.
    #[default]
    Host,
}

impl Manifest {
    /// Reads one; the error's fault is the plugin's author's.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let fault = |what: String| ParseError {
            file: FILE.to_owned(),
            what,
        };
        if bytes.len() > MAX_BYTES {
            return Err(fault(format!("it is larger than {MAX_BYTES} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| fault("it is not UTF-8".to_owned()))?;
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: 16 },
        };
        let manifest: Self =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                let what = error.to_string();
                fault(what.chars().take(1000).collect())
            })?;
        checked(&manifest.id).map_err(fault)?;
        Ok(manifest)
    }

    /// That of a folder without one.
    pub fn of_folder(name: &str) -> Result<Self, ParseError> {
        let id = name.to_lowercase().replace([' ', '_'], "-");
        checked(&id).map_err(|what| ParseError {
            file: name.to_owned(),
            what: format!("{what}; give the folder a {FILE}"),
        })?;
        Ok(Self {
            title: name.to_owned(),
            id,
            version: String::new(),
            kind: PluginKind::Host,
            profile: None,
        })
    }
}

fn checked(id: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if id.is_empty() || id.len() > MAX_ID || !id.chars().all(good) || id.starts_with(['-', '.']) {
        return Err(format!(
            "field id: {id:?} is not lower-case letters, digits, '-' and '.'"
        ));
    }
    if BUILTIN.iter().any(|plugin| plugin.id == id) {
        return Err(format!("field id: {id} is a plugin that is built in"));
    }
    Ok(())
}

/// A plugin that is built in: those checks of our baselines that are mapped to a catalogue.
#[derive(Debug)]
pub struct Builtin {
    /// Its name.
    pub id: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The only baseline that it takes.
    baseline: Option<&'static str>,
    /// The systems that it is for, where they are fewer than the baseline's.
    applies: &'static [&'static str],
    mapped: fn(&Controls) -> &[String],
}

fn cis(controls: &Controls) -> &[String] {
    &controls.cis_controls
}

fn nist(controls: &Controls) -> &[String] {
    &controls.nist
}

fn soc2(controls: &Controls) -> &[String] {
    &controls.soc2
}

/// Those that are built in. Ids of controls only: the words of the checks are ours, and no
/// text of a CIS benchmark is in them.
pub const BUILTIN: &[Builtin] = &[
    Builtin {
        id: "cis-debian",
        title: "Checks mapped to CIS Controls, for Debian",
        baseline: Some("debian"),
        applies: &["debian"],
        mapped: cis,
    },
    Builtin {
        id: "cis-ubuntu",
        title: "Checks mapped to CIS Controls, for Ubuntu",
        baseline: Some("debian"),
        applies: &["ubuntu"],
        mapped: cis,
    },
    Builtin {
        id: "cis-rhel",
        title: "Checks mapped to CIS Controls, for RHEL and what is made from it",
        baseline: Some("rhel"),
        applies: &[],
        mapped: cis,
    },
    Builtin {
        id: "nist-800-53",
        title: "Checks mapped to NIST SP 800-53",
        baseline: None,
        applies: &[],
        mapped: nist,
    },
    Builtin {
        id: "soc2",
        title: "Checks mapped to SOC 2 criteria",
        baseline: None,
        applies: &[],
        mapped: soc2,
    },
];

impl Builtin {
    /// The plugin of that name.
    pub fn find(id: &str) -> Option<&'static Self> {
        BUILTIN.iter().find(|plugin| plugin.id == id)
    }

    /// Its checks, in the baselines that hold them and under their own uids.
    pub fn baselines(&self) -> Result<Vec<Baseline>, ParseError> {
        let mut all = builtin()?;
        all.retain(|baseline| self.baseline.is_none_or(|only| only == baseline.id));
        for baseline in &mut all {
            baseline
                .checks
                .retain(|check| !(self.mapped)(&check.controls).is_empty());
            if !self.applies.is_empty() {
                baseline.applies = Some(self.applies.iter().map(|&id| id.to_owned()).collect());
            }
        }
        all.retain(|baseline| !baseline.checks.is_empty());
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_read_strictly() {
        let good = Manifest::parse(b"id: acme\ntitle: Acme\nversion: '1'\nkind: host\n").unwrap();
        assert_eq!((good.id.as_str(), good.kind), ("acme", PluginKind::Host));
        for (text, what) in [
            ("id: a/b\n", "field id"),
            ("id: ../x\n", "field id"),
            ("id: soc2\n", "built in"),
            ("title: x\n", "id"),
            ("id: a\ncolour: red\n", "colour"),
            ("id: a\nkind: moon\n", "moon"),
            ("id: [", "plugin.yaml"),
        ] {
            let error = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
        assert!(Manifest::parse(&[b' '; MAX_BYTES + 1]).is_err());
        assert_eq!(Manifest::of_folder("Our_hosts").unwrap().id, "our-hosts");
        assert!(Manifest::of_folder("ä").is_err());
    }

    #[test]
    fn builtin_plugins_take_what_is_mapped() {
        let all: usize = builtin().unwrap().iter().map(|b| b.checks.len()).sum();
        for plugin in BUILTIN {
            let baselines = plugin.baselines().unwrap();
            let checks: usize = baselines.iter().map(|b| b.checks.len()).sum();
            assert!(checks > 20 && checks <= all, "{}: {checks}", plugin.id);
            for check in baselines.iter().flat_map(|b| &b.checks) {
                assert!(!(plugin.mapped)(&check.controls).is_empty());
            }
        }
        let ubuntu = Builtin::find("cis-ubuntu").unwrap().baselines().unwrap();
        assert_eq!(ubuntu.len(), 1);
        assert_eq!(ubuntu[0].applies.as_deref().unwrap(), ["ubuntu"]);
        assert!(Builtin::find("cis").is_none());
    }
}
