//! What the asker's own tenant runs, asked for at the moment of the question.

use crate::{Document, Kind};
use bartizan_model::{TenantId, text};
use serde::{Deserialize, Serialize};

/// What the inventory as a whole is cited by.
pub const INVENTORY: &str = "INVENTORY";

/// One vulnerability of one component of one asset of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMatch {
    /// The asset, as people call it.
    pub asset: String,
    /// The asset's uid.
    pub uid: String,
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
    /// The finding's key, where one was reported.
    pub finding: Option<String>,
    /// What people decided about the finding, in words; empty where it is open.
    pub decided: String,
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

/// How much of a tenant is known at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Assets with an inventory; 0 is "nothing is known", never "nothing is affected".
    pub assets: u64,
    /// Their distinct components.
    pub components: u64,
    /// What is missing for a whole picture, in words.
    pub gaps: Vec<String>,
}

/// Matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// The first ones, in the order of the names that were asked for.
    pub listed: Vec<OwnMatch>,
    /// How many there are.
    pub total: u64,
}

/// Everything that is known of one tenant. Whoever implements it must answer of that tenant alone.
/// What it says of an error is told to the asker.
pub trait Own {
    /// How much is known.
    fn inventory(&self, tenant: &TenantId) -> Result<Inventory, String>;

    /// The vulnerabilities that anything of the tenant's matches, by one name each, at most so many.
    fn vulnerabilities(&self, tenant: &TenantId, most: usize) -> Result<Vec<String>, String>;

    /// Matches whose vulnerability goes by one of these names.
    fn matches(&self, tenant: &TenantId, names: &[String], most: usize) -> Result<Matches, String>;
}

/// No tenant and no inventory: the command line on a folder of feeds.
pub struct Nothing;

impl Own for Nothing {
    fn inventory(&self, _: &TenantId) -> Result<Inventory, String> {
        Ok(Inventory::default())
    }

    fn vulnerabilities(&self, _: &TenantId, _: usize) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn matches(&self, _: &TenantId, _: &[String], _: usize) -> Result<Matches, String> {
        Ok(Matches::default())
    }
}

/// An inventory that cannot be reached, and why.
pub struct Unreachable(pub String);

impl Own for Unreachable {
    fn inventory(&self, _: &TenantId) -> Result<Inventory, String> {
        Err(self.0.clone())
    }

    fn vulnerabilities(&self, _: &TenantId, _: usize) -> Result<Vec<String>, String> {
        Err(self.0.clone())
    }

    fn matches(&self, _: &TenantId, _: &[String], _: usize) -> Result<Matches, String> {
        Err(self.0.clone())
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
        let decided = match self.decided.as_str() {
            "" => String::new(),
            decided => format!("; {decided}"),
        };
        let sentence = match &self.standing {
            Standing::Affected => format!("{head} is affected by {name}; {fix}{decided}."),
            Standing::Unknown(why) => {
                format!("Whether {head} is affected by {name} is unknown: {why}{decided}.")
            }
            Standing::Excused(why) => {
                format!("{head} is affected by {name} and excused: {why}; {fix}{decided}.")
            }
        };
        // Names of assets and reasons are anybody's words; only ours may look like a citation.
        text::one_line(&text::plain(&sentence, 800)).replace(['[', ']'], "")
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

/// What can be said of the inventory as a whole, as a document that an answer can cite; `names` are
/// the vulnerabilities that are spoken of.
pub fn document(said: &[String], names: &[String]) -> Document {
    let mut document = Document::new(INVENTORY, Kind::Own, "your inventory");
    document.text = said.join(" ");
    document.names = names.to_vec();
    document
}
