//! XCCDF documents as types.

use crate::content::cpe::{Dictionary, Specification};
use std::collections::HashMap;
use std::sync::Arc;

/// The check system of OVAL.
pub const OVAL: &str = "http://oval.mitre.org/XMLSchema/oval-definitions-5";

/// A text with places where a value or a plain text is put in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// The parts, in order.
    pub parts: Vec<TextPart>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPart {
    /// As it is, markup removed.
    Plain(Box<str>),
    /// `sub`: the text of a value, or of a plain text of the benchmark.
    Sub {
        /// The id of a value or plain text.
        id: Arc<str>,
        /// The value's title is meant.
        title: bool,
    },
}

impl Text {
    /// The text with each place filled; a place that cannot be filled stays as its id in
    /// brackets.
    pub fn render(&self, fill: &dyn Fn(&str, bool) -> Option<String>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                TextPart::Plain(plain) => text.push_str(plain),
                TextPart::Sub { id, title } => match fill(id, *title) {
                    Some(filled) => text.push_str(&filled),
                    None => {
                        text.push('[');
                        text.push_str(id);
                        text.push(']');
                    }
                },
            }
        }
        text.trim().to_owned()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// A benchmark.
#[derive(Debug, Default)]
pub struct Benchmark {
    /// Its id.
    pub id: Arc<str>,
    /// The XCCDF namespace it is written in.
    pub namespace: Arc<str>,
    /// Its version.
    pub version: String,
    /// One line.
    pub title: Text,
    /// In words.
    pub description: Text,
    /// Platforms it is for: at least one must apply.
    pub platforms: Vec<Arc<str>>,
    /// `plain-text` by id.
    pub plain_texts: HashMap<Arc<str>, String>,
    /// The embedded CPE platforms.
    pub specification: Option<Specification>,
    /// The embedded CPE dictionary (XCCDF 1.1).
    pub dictionary: Option<Dictionary>,
    /// The profiles, in order.
    pub profiles: Vec<Profile>,
    /// Groups and rules in document order, each group followed by what is in it. Abstract
    /// ones are left out once inheritance is resolved.
    pub items: Vec<Item>,
    /// By id.
    pub values: HashMap<Arc<str>, Value>,
    /// The values' ids in document order.
    pub value_order: Vec<Arc<str>>,
    /// The scoring models' URIs.
    pub models: Vec<Box<str>>,
    /// Where items are, by id.
    pub(super) places: HashMap<Arc<str>, usize>,
    /// Items by cluster id.
    pub(super) clusters: HashMap<Arc<str>, Vec<usize>>,
}

impl Benchmark {
    /// The item of that id.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.get(*self.places.get(id)?)
    }

    /// The rules, in document order.
    pub fn rules(&self) -> impl Iterator<Item = (&Item, &Rule)> {
        self.items.iter().filter_map(|item| match &item.body {
            Body::Rule(rule) => Some((item, &**rule)),
            Body::Group => None,
        })
    }

    /// Whether items have that cluster id.
    pub fn has_cluster(&self, id: &str) -> bool {
        self.clusters.contains_key(id)
    }

    /// The profile of that id.
    pub fn profile(&self, id: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| &*profile.id == id)
    }

    /// The items directly inside an item, or at the top.
    pub(super) fn children(&self, of: Option<usize>) -> Vec<usize> {
        let (mut at, end) = match of {
            Some(of) => (of + 1, self.items.get(of).map_or(of, |item| item.end)),
            None => (0, self.items.len()),
        };
        let mut children = Vec::new();
        while at < end {
            children.push(at);
            at = self.items.get(at).map_or(end, |item| item.end.max(at + 1));
        }
        children
    }
}

/// A group or a rule.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id.
    pub id: Arc<str>,
    /// `cluster-id`: selectors may name it instead.
    pub cluster: Option<Arc<str>>,
    /// The group it is in, as a place in [`Benchmark::items`].
    pub parent: Option<usize>,
    /// The place after the last item in it.
    pub end: usize,
    /// Whether it is selected where no profile says otherwise.
    pub selected: bool,
    /// Its weight in scores.
    pub weight: f64,
    /// Its version.
    pub version: Option<String>,
    /// One line.
    pub title: Text,
    /// In words.
    pub description: Text,
    /// Why it matters.
    pub rationale: Text,
    /// Platforms it is for, beside those of the items it is in.
    pub platforms: Vec<Arc<str>>,
    /// Of each list at least one must be selected.
    pub requires: Vec<Vec<Arc<str>>>,
    /// None of these may be selected.
    pub conflicts: Vec<Arc<str>>,
    /// The item it inherits from.
    pub extends: Option<Arc<str>>,
    /// It only gives something to inherit.
    pub is_abstract: bool,
    /// What attributes were written, for inheritance.
    pub(super) written: Written,
    /// What it is.
    pub body: Body,
}

/// Which attributes were written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub selected: bool,
    pub weight: bool,
    pub role: bool,
    pub severity: bool,
}

/// What an item is.
#[derive(Debug, Clone)]
pub enum Body {
    /// A group.
    Group,
    /// A rule.
    Rule(Box<Rule>),
}

/// What only rules have.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// What is done with its result.
    pub role: Role,
    /// How bad a failure is.
    pub severity: Severity,
    /// Its checks, in order.
    pub checks: Vec<Check>,
    /// Identifiers: system and value, such as CCE.
    pub idents: Vec<(Box<str>, Box<str>)>,
    /// References: href and text.
    pub references: Vec<(Box<str>, Box<str>)>,
    /// Fixes.
    pub fixes: Vec<Fix>,
}

/// What is done with a rule's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Checked and scored.
    #[default]
    Full,
    /// Not checked.
    Unchecked,
    /// Checked; the result is `informational`.
    Unscored,
}

impl Role {
    /// From the attribute's value; what is not understood is `full`.
    pub fn parse(text: &str) -> Self {
        match text {
            "unchecked" => Self::Unchecked,
            "unscored" => Self::Unscored,
            _ => Self::Full,
        }
    }

    /// The attribute's value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Unchecked => "unchecked",
            Self::Unscored => "unscored",
        }
    }
}

/// How bad a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[allow(missing_docs)]
pub enum Severity {
    #[default]
    Unknown,
    Info,
    Low,
    Medium,
    High,
}

impl Severity {
    /// From the attribute's value.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "unknown" => Self::Unknown,
            "info" => Self::Info,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            _ => return None,
        })
    }

    /// The attribute's value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// Its id.
    pub id: Option<Arc<str>>,
    /// The system it is for, such as `urn:xccdf:fix:script:sh`.
    pub system: Box<str>,
    /// What to do, as it is.
    pub text: Text,
}

/// A check or a combination of checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// `check`.
    Simple(SimpleCheck),
    /// `complex-check`.
    Complex {
        /// All, or at least one.
        all: bool,
        /// Pass and fail are exchanged.
        negate: bool,
        /// The parts.
        parts: Vec<Check>,
    },
}

/// A reference to content that decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SimpleCheck {
    /// The check system's URI.
    pub system: Arc<str>,
    /// Empty, or what a profile may choose it by.
    pub selector: Box<str>,
    /// Pass and fail are exchanged.
    pub negate: bool,
    /// One result for each definition where no definition is named.
    pub multi: bool,
    /// Names of what of the evaluation the results are to show, such as `stdout`.
    pub imports: Vec<Arc<str>>,
    /// Exports: the content's variable id and the value's id.
    pub exports: Vec<(Arc<str>, Arc<str>)>,
    /// Alternatives, in order: href and definition.
    pub refs: Vec<(Arc<str>, Option<Arc<str>>)>,
}

/// A value that profiles may change.
#[derive(Debug, Clone, Default)]
pub struct Value {
    /// Its id.
    pub id: Arc<str>,
    /// One line.
    pub title: Text,
    /// In words.
    pub description: Text,
    /// `number`, `string` or `boolean`.
    pub kind: Box<str>,
    /// What can be chosen.
    pub instances: Vec<Instance>,
    /// The value it inherits from.
    pub extends: Option<Arc<str>>,
    /// It only gives something to inherit.
    pub is_abstract: bool,
}

/// One choice of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Empty for the default.
    pub selector: Box<str>,
    /// The text, or the items of a complex value; None where only limits or a default were
    /// given.
    pub texts: Option<Vec<Box<str>>>,
}

impl Value {
    /// The choice of that selector. Without a selector: the choice without one, else the
    /// first.
    pub fn choose(&self, selector: Option<&str>) -> Option<&Instance> {
        let selector = selector.unwrap_or_default();
        self.instances
            .iter()
            .find(|instance| &*instance.selector == selector)
            .or_else(|| {
                selector
                    .is_empty()
                    .then(|| self.instances.first())
                    .flatten()
            })
    }
}

/// A profile.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Its id.
    pub id: Arc<str>,
    /// One line.
    pub title: Text,
    /// In words.
    pub description: Text,
    /// The profile it inherits from.
    pub extends: Option<Arc<str>>,
    /// Items or clusters, and whether they are selected.
    pub selects: Vec<(Arc<str>, bool)>,
    /// Values and their texts.
    pub set_values: Vec<(Arc<str>, Vec<Box<str>>)>,
    /// Values and the selector of a choice.
    pub refine_values: Vec<(Arc<str>, Option<Box<str>>)>,
    /// Changes of rules.
    pub refine_rules: Vec<RefineRule>,
}

/// A change of a rule.
#[derive(Debug, Clone, Default)]
pub struct RefineRule {
    /// The item or cluster.
    pub id: Arc<str>,
    /// Which checks are taken.
    pub selector: Option<Box<str>>,
    /// Its role; `full` where not written, as OpenSCAP has it.
    pub role: Role,
    /// Its severity.
    pub severity: Option<Severity>,
    /// Its weight.
    pub weight: Option<f64>,
}

/// A tailoring document.
#[derive(Debug, Clone, Default)]
pub struct Tailoring {
    /// Its id.
    pub id: Arc<str>,
    /// Its version.
    pub version: String,
    /// Where its benchmark is, for information.
    pub benchmark: Option<Box<str>>,
    /// The profiles, in order.
    pub profiles: Vec<Profile>,
}
