//! Frameworks: embedded in the binary, known by digest, more by configuration.

use bartizan_model::framework::{Assessment, CheckTally};
use bartizan_model::{CheckUid, Control, ControlId, Digest, Framework, FrameworkId, Timestamp};
use bartizan_posture::{FrameworkError, FrameworkPosture, Mapping};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The files of `content/frameworks`.
#[derive(rust_embed::RustEmbed)]
#[folder = "../../content/frameworks"]
#[include = "*.yaml"]
#[include = "*.yml"]
struct Embedded;

/// A framework, ready to score with.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The framework.
    pub framework: Framework,
    /// Digest of the file that it came from.
    pub digest: Digest,
    mapping: Mapping,
}

/// All frameworks, by id.
#[derive(Debug, Clone, Default)]
pub struct Content {
    entries: BTreeMap<FrameworkId, Entry>,
}

impl Content {
    /// Loads the embedded frameworks, then the configured ones; a configured one takes the
    /// place of an embedded one of the same id.
    pub fn load(configured: &[(String, Cow<'static, [u8]>)]) -> Result<Self, FrameworkError> {
        let mut content = Self::default();
        let mut names: Vec<Cow<'static, str>> = Embedded::iter().collect();
        names.sort();
        for name in names {
            if let Some(file) = Embedded::get(&name) {
                content.add(&name, &file.data)?;
            }
        }
        for (name, bytes) in configured {
            content.add(name, bytes)?;
        }
        Ok(content)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), FrameworkError> {
        let loaded = bartizan_posture::load(name, bytes)?;
        let mapping = Mapping::compile(&loaded.framework);
        self.entries.insert(
            loaded.framework.id.clone(),
            Entry {
                framework: loaded.framework,
                digest: loaded.digest,
                mapping,
            },
        );
        Ok(())
    }

    /// All of them, by id.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The framework of this id.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        let id = FrameworkId::new(id).ok()?;
        self.entries.get(&id)
    }

    /// Every control of every framework that reaches a check.
    pub fn controls_of(&self, check: &CheckUid) -> Vec<(&Framework, &Control)> {
        let reaches = |control: &&Control| control.checks.iter().any(|p| check.matches(p));
        self.all()
            .flat_map(|entry| {
                let framework = &entry.framework;
                let controls = framework.controls.iter().filter(reaches);
                controls.map(move |control| (framework, control))
            })
            .collect()
    }
}

impl Entry {
    /// How a scope stands.
    pub fn evaluate(
        &self,
        tallies: &[CheckTally],
        assessments: &[Assessment],
        now: Timestamp,
    ) -> FrameworkPosture {
        self.mapping
            .evaluate(&self.framework, tallies, assessments, now)
    }

    /// The control of this id.
    pub fn control(&self, id: &str) -> Option<&Control> {
        let id = ControlId::new(id).ok()?;
        self.framework.controls.iter().find(|c| c.id == id)
    }

    /// Those of `known` that the framework, or one control of it, reaches; sorted.
    pub fn checks(&self, control: Option<&ControlId>, known: &[CheckUid]) -> Vec<CheckUid> {
        let patterns: Vec<&String> = self
            .framework
            .controls
            .iter()
            .filter(|c| control.is_none_or(|id| c.id == *id))
            .flat_map(|c| &c.checks)
            .collect();
        let reached: BTreeSet<&CheckUid> = known
            .iter()
            .filter(|uid| patterns.iter().any(|p| uid.matches(p)))
            .collect();
        reached.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = r#"
id: demo
title: Demo
version: "1"
source: Tests
controls:
  - id: D-1
    title: Nothing privileged
    checks: ["rego/*/k8spspprivileged"]
  - id: D-2
    title: Somebody looks
    guidance: Look.
"#;

    #[test]
    fn configured_frameworks_join_and_replace() {
        let file = |text: &'static str| ("demo.yaml".to_owned(), Cow::Borrowed(text.as_bytes()));
        let content = Content::load(&[file(YAML)]).unwrap();
        let demo = content.get("demo").unwrap();
        assert_eq!(demo.digest, Digest::of(YAML.as_bytes()));
        assert!(demo.control("D-2").is_some() && demo.control("D-3").is_none());
        let uid = |text: &str| CheckUid::new(text).unwrap();
        let known = [uid("rego/a/k8spspprivileged"), uid("rego/a/other")];
        assert_eq!(demo.checks(None, &known), vec![known[0].clone()]);
        assert_eq!(
            content
                .controls_of(&known[0])
                .iter()
                .filter(|(f, _)| f.id.as_str() == "demo")
                .map(|(_, c)| c.id.as_str())
                .collect::<Vec<_>>(),
            ["D-1"]
        );
        let error = Content::load(&[file("id: [")]).unwrap_err().to_string();
        assert!(error.starts_with("framework file demo.yaml: "), "{error}");
    }
}
