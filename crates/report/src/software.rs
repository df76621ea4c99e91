//! What hits the packages of one target: as a table for people, and in the forms of other tools,
//! Trivy's JSON, OpenVEX 0.2.0 and CycloneDX 1.6 VEX.
//!
//! What is excused stays in it with its reason, and what could not be told is a section of its own:
//! no form makes either look clean.

mod table;
mod trivy;
mod vex;

pub use table::table;
pub use trivy::trivy;
pub use vex::{cyclonedx_vex, openvex};

use bartizan_model::{Component, Purl, Severity, Timestamp};

/// One target.
#[derive(Debug, Clone)]
pub struct Software {
    /// The asset's uid.
    pub uid: String,
    /// An image's purl.
    pub purl: Option<Purl>,
    /// The name people know it by.
    pub name: String,
    /// `Host`, `Folder`, `Image` or `Sbom`.
    pub kind: String,
    /// What made the document.
    pub generator: String,
    /// When the inventory was taken.
    pub at: Timestamp,
    /// How many packages it has.
    pub packages: usize,
    /// What hits it, the most urgent first.
    pub rows: Vec<Row>,
    /// What could not be read or held against anything, in words.
    pub unread: Vec<String>,
}

/// One vulnerability of one package.
#[derive(Debug, Clone)]
pub struct Row {
    /// The package.
    pub component: Component,
    /// The vulnerability, its CVE where it has one.
    pub vulnerability: String,
    /// All its names.
    pub names: Vec<String>,
    /// One line of what it is.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// The score that counts, in tenths.
    pub score: Option<u8>,
    /// The first version with the fix.
    pub fixed: Option<String>,
    /// How urgent, in a few words.
    pub urgency: String,
    /// Why so urgent, the weightiest first.
    pub reasons: Vec<String>,
    /// Addresses.
    pub references: Vec<String>,
    /// Where it stands.
    pub standing: Standing,
}

/// Where a match stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Affected by its version.
    Affected,
    /// It cannot be said.
    Unknown {
        /// Why not.
        why: String,
    },
    /// Affected by its version, and somebody says that it does not matter here.
    Excused {
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
}

/// The other names of its vulnerability.
fn others(row: &Row) -> Vec<String> {
    let names = row.names.iter().filter(|n| **n != row.vulnerability);
    names.map(|n| crate::text::clean(n)).collect()
}

fn version(component: &Component) -> String {
    let version = component.version();
    version
        .map(|v| crate::text::clean(&v))
        .unwrap_or_else(|| "?".to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bartizan_model::AssetUid;

    pub(crate) fn row(purl: &str, ecosystem: &str, standing: Standing) -> Row {
        Row {
            component: Component {
                purl: purl.parse().unwrap(),
                ecosystem: ecosystem.parse().unwrap(),
                source: None,
                licences: vec![],
                found: vec![],
                target: AssetUid::new("repository:a//Folder//a").unwrap(),
            },
            vulnerability: "CVE-2024-0001".into(),
            names: vec!["CVE-2024-0001".into(), "GHSA-x".into()],
            title: "A hole".into(),
            severity: Severity::High,
            score: Some(75),
            fixed: Some("1.0.1".into()),
            urgency: "Act now".into(),
            reasons: vec!["it is exploited".into(), "CVSS 7.5".into()],
            references: vec!["https://example.com/a".into()],
            standing,
        }
    }

    pub(crate) fn software(rows: Vec<Row>) -> Software {
        Software {
            uid: "repository:a//Folder//a".into(),
            purl: None,
            name: "a".into(),
            kind: "Folder".into(),
            generator: "bartizan".into(),
            at: Timestamp::from_micros(0),
            packages: rows.len(),
            rows,
            unread: vec![],
        }
    }

    /// One of each standing.
    pub(crate) fn three() -> Software {
        let unknown = Standing::Unknown {
            why: "no order".into(),
        };
        let excused = Standing::Excused {
            by: "Example".into(),
            why: "not reached".into(),
        };
        software(vec![
            row("pkg:npm/a@1.0.0", "npm", Standing::Affected),
            row("pkg:npm/b@latest", "npm", unknown),
            row("pkg:deb/debian/c@1-1", "Debian:12", excused),
        ])
    }
}
