//! Framework files: YAML, read strictly.

use bartizan_model::{Digest, Framework};
use std::collections::BTreeSet;

/// The largest framework file. NIST 800-53 with all enhancements takes under 1 MiB.
pub const MAX_BYTES: usize = 8 << 20;

/// A framework and the digest of the bytes that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The framework.
    pub framework: Framework,
    /// SHA-256 of the file.
    pub digest: Digest,
}

/// Why a framework file is refused: always a fault of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("framework file {file}: {fault}")]
pub struct FrameworkError {
    /// The file's name as given.
    pub file: String,
    /// What is wrong.
    pub fault: FrameworkFault,
}

/// What is wrong with a framework file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameworkFault {
    /// Over [`MAX_BYTES`].
    #[error("it has {0} bytes, more than the {MAX_BYTES} allowed")]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("byte {0} is not UTF-8")]
    NotUtf8(usize),
    /// Not YAML, or not the fields of a framework; the text names line, column and field.
    #[error("{0}")]
    Yaml(String),
    /// Two controls have the same id.
    #[error("control {0} is defined twice")]
    DuplicateControl(String),
    /// It has no control.
    #[error("field controls is empty")]
    NoControls,
    /// A field holds something that cannot be meant.
    #[error("field {field}: {why}")]
    Field {
        /// The path, such as `controls[AC-6].checks[0]`.
        field: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// Reads a framework file; `file` is its name for messages.
pub fn load(file: &str, bytes: &[u8]) -> Result<Loaded, FrameworkError> {
    let digest = Digest::of(bytes);
    parse(bytes)
        .map(|framework| Loaded { framework, digest })
        .map_err(|fault| FrameworkError {
            file: file.to_owned(),
            fault,
        })
}

fn parse(bytes: &[u8]) -> Result<Framework, FrameworkFault> {
    if bytes.len() > MAX_BYTES {
        return Err(FrameworkFault::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| FrameworkFault::NotUtf8(error.valid_up_to() + 1))?;
    let framework: Framework = serde_saphyr::from_str(text)
        .map_err(|error| FrameworkFault::Yaml(error.to_string().chars().take(1000).collect()))?;
    check(&framework)?;
    Ok(framework)
}

fn check(framework: &Framework) -> Result<(), FrameworkFault> {
    let field = |field: String, why| Err(FrameworkFault::Field { field, why });
    for (name, value) in [
        ("title", &framework.title),
        ("version", &framework.version),
        ("source", &framework.source),
    ] {
        if let Some(why) = wrong(value, false) {
            return field(name.to_owned(), why);
        }
    }
    if framework.controls.is_empty() {
        return Err(FrameworkFault::NoControls);
    }
    let mut seen = BTreeSet::new();
    for control in &framework.controls {
        let id = &control.id;
        if !seen.insert(id) {
            return Err(FrameworkFault::DuplicateControl(id.to_string()));
        }
        if let Some(why) = wrong(&control.title, false) {
            return field(format!("controls[{id}].title"), why);
        }
        if let Some(why) = wrong(&control.group, true) {
            return field(format!("controls[{id}].group"), why);
        }
        let mut patterns = BTreeSet::new();
        for (at, pattern) in control.checks.iter().enumerate() {
            let why = if pattern.trim() != pattern || pattern.is_empty() {
                Some("a pattern must not be empty nor begin or end with a space")
            } else if !patterns.insert(pattern) {
                Some("the same pattern stands here twice")
            } else {
                wrong(pattern, false)
            };
            if let Some(why) = why {
                return field(format!("controls[{id}].checks[{at}]"), why);
            }
        }
    }
    Ok(())
}

/// What is wrong with one line of text.
fn wrong(value: &str, may_be_empty: bool) -> Option<&'static str> {
    if value.trim().is_empty() && !may_be_empty {
        Some("it is empty")
    } else if value.len() > 1000 {
        Some("it is longer than 1,000 bytes")
    } else if value.chars().any(char::is_control) {
        Some("it contains a control character")
    } else {
        None
    }
}
