//! VEX: what a supplier, or this tenant, says about a product and a vulnerability.

use bartizan_model::{Purl, Timestamp};
use serde::{Deserialize, Serialize};

/// The four words that OpenVEX and CSAF share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VexStatus {
    /// It does not concern the product.
    NotAffected,
    /// It does.
    Affected,
    /// It did; this version is fixed.
    Fixed,
    /// Not decided.
    UnderInvestigation,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vex {
    /// The document that holds it.
    pub document: String,
    /// Who speaks.
    pub author: String,
    /// The vulnerability and its other names.
    pub vulnerability: Vec<String>,
    /// The products. An empty list concerns nothing.
    pub products: Vec<Purl>,
    /// Where not empty: the statement is about these within the products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subcomponents: Vec<Purl>,
    /// Products that are named without a purl: shown, never matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<String>,
    /// What is said.
    pub status: VexStatus,
    /// Why it is not affected, one of the five standard justifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Vex {
    /// Whether the statement is about that vulnerability.
    pub fn about(&self, id: &str) -> bool {
        self.vulnerability.iter().any(|v| v == id)
    }

    /// Whether it is about that package of that target. What the statement leaves open, it leaves
    /// open; what it names (version, qualifiers) must be the same.
    pub fn covers(&self, package: &Purl, target: Option<&Purl>) -> bool {
        let any = |list: &[Purl], asked: &Purl| list.iter().any(|named| same(named, asked));
        if self.subcomponents.is_empty() {
            any(&self.products, package) || target.is_some_and(|t| any(&self.products, t))
        } else {
            any(&self.subcomponents, package) && target.is_some_and(|t| any(&self.products, t))
        }
    }
}

fn same(named: &Purl, asked: &Purl) -> bool {
    named.kind() == asked.kind()
        && named.namespace() == asked.namespace()
        && named.name() == asked.name()
        && named.version().is_none_or(|v| asked.version() == Some(v))
        && named
            .qualifiers()
            .all(|(k, v)| asked.qualifier(k) == Some(v))
}
