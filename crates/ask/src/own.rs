//! What the asker's own tenant runs, asked for at the moment of the question.

use crate::{Document, Kind};
use bartizan_model::TenantId;
use serde::{Deserialize, Serialize};

/// One vulnerability of one component of one asset of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMatch {
    /// The asset.
    pub asset: String,
    /// The package, as its ecosystem writes it.
    pub package: String,
    /// The version that stands there.
    pub version: Option<String>,
    /// All names of the vulnerability.
    pub names: Vec<String>,
    /// `affected`, `unknown`, `excused`: how it stands.
    pub standing: Standing,
    /// The first version with the fix.
    pub fixed: Option<String>,
}

/// How a match stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Affected.
    Affected,
    /// It cannot be said; never "not affected".
    Unknown(String),
    /// Affected by its version, and somebody says that it does not matter here.
    Excused(String),
}

/// Everything that is known of one tenant. Whoever implements it must answer of that tenant alone.
pub trait Own {
    /// How many components are known; 0 is "nothing is known", never "nothing is affected".
    fn components(&self, tenant: &TenantId) -> Result<u64, String>;

    /// Matches whose vulnerability goes by one of these names; all where there is no list.
    fn matches(
        &self,
        tenant: &TenantId,
        names: Option<&[String]>,
        most: usize,
    ) -> Result<Vec<OwnMatch>, String>;
}

/// No tenant and no inventory: the command line on a folder of feeds.
pub struct Nothing;

impl Own for Nothing {
    fn components(&self, _: &TenantId) -> Result<u64, String> {
        Ok(0)
    }

    fn matches(
        &self,
        _: &TenantId,
        _: Option<&[String]>,
        _: usize,
    ) -> Result<Vec<OwnMatch>, String> {
        Ok(Vec::new())
    }
}

impl OwnMatch {
    /// In one sentence.
    pub fn words(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of unknown version");
        let name = self.names.first().map_or("a vulnerability", String::as_str);
        let head = format!("{} {version} on {}", self.package, self.asset);
        let fix = match &self.fixed {
            Some(fixed) => format!("{fixed} fixes it"),
            None => "no fix is known".to_owned(),
        };
        match &self.standing {
            Standing::Affected => format!("{head} is affected by {name}; {fix}."),
            Standing::Unknown(why) => {
                format!("Whether {head} is affected by {name} is unknown: {why}.")
            }
            Standing::Excused(why) => {
                format!("{head} is affected by {name} and excused: {why}; {fix}.")
            }
        }
    }

    /// As a document that an answer can cite; `number` counts within one answer.
    pub fn document(&self, number: usize) -> Document {
        let mut document = Document::new(format!("OWN-{number}"), Kind::Own, "your inventory");
        document.names.clone_from(&self.names);
        document.products = vec![self.package.clone()];
        document.text = self.words();
        document.versions = self
            .fixed
            .iter()
            .map(|f| format!("{}: fixed in {f}", self.package))
            .collect();
        document
    }
}
