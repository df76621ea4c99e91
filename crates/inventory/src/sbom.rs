//! Bills of materials: CycloneDX and SPDX, written and read, and what changed between two.
//!
//! What is written is read back the same. Of the lists of others, each package that no advisory can be
//! found for is told as unread.

pub mod cyclonedx;
mod diff;
mod draft;
mod ecosystem;
mod licence;
pub mod spdx;
mod tags;
mod xml;

pub use diff::{Change, Diff, diff};

use crate::{Inventory, Target};
use serde::Deserialize;
use uuid::Uuid;

/// Lists larger than this are not read.
pub const MOST: usize = 256 << 20;

/// What one writing has that another has not.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Of this document.
    pub id: Uuid,
    /// When it was made.
    pub at: jiff::Timestamp,
    /// The version of Bartizan.
    pub version: &'a str,
}

/// Why a list cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SbomError {
    /// Its form is broken.
    #[error("it is broken: {0}")]
    Broken(String),
    /// It is larger than is read.
    #[error("it is larger than {} MiB", MOST >> 20)]
    TooLarge,
    /// It is something else.
    #[error("it is neither CycloneDX as JSON or XML nor SPDX as JSON or tags and values")]
    Unknown,
    /// Of a version that is not known.
    #[error("{0} is a version that is not read")]
    Version(String),
}

impl SbomError {
    fn broken(why: serde_json::Error) -> Self {
        Self::Broken(why.to_string())
    }
}

/// Which form a document has.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "bomFormat")]
    cyclonedx: Option<String>,
    #[serde(rename = "spdxVersion")]
    spdx: Option<String>,
}

/// Reads a list of any form. It is about what it says, and where we wrote it ourselves, about the same
/// asset.
pub fn read(bytes: &[u8]) -> Result<Inventory, SbomError> {
    if bytes.len() > MOST {
        return Err(SbomError::TooLarge);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    let draft = if first == Some(&b'{') {
        let kind: Kind = serde_json::from_slice(bytes).map_err(SbomError::broken)?;
        match (kind.cyclonedx.as_deref(), kind.spdx) {
            (Some("CycloneDX"), _) => cyclonedx::read(bytes)?,
            (_, Some(_)) => spdx::read(bytes)?,
            _ => return Err(SbomError::Unknown),
        }
    } else {
        let text = std::str::from_utf8(bytes).map_err(|_| SbomError::Unknown)?;
        if first == Some(&b'<') {
            return xml::read(text)?.finish(bytes);
        }
        let tagged = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .is_some_and(|line| line.starts_with("SPDXVersion:"));
        if !tagged {
            return Err(SbomError::Unknown);
        }
        tags::read(text)?
    };
    draft.finish(bytes)
}

impl Inventory {
    /// The same of another target.
    pub fn retarget(mut self, target: Target) -> Self {
        for component in &mut self.components {
            component.target = target.uid.clone();
        }
        self.target = target;
        self
    }
}

#[cfg(test)]
mod tests;
