//! A run prepared: the profile applied, names resolved, and for every OVAL document as few
//! sets of external variables as the exported values allow.
//!
//! Objects are collected once a set, so two checks share one wherever their exports do not
//! contradict each other.

use super::evaluate::{EvalError, Options};
use super::model::{Benchmark, Body, Check, OVAL, Rule, SimpleCheck};
use super::script::SCE;
use super::select::Policy;
use crate::content::cpe::{CheckRef, Dictionary, Specification};
use crate::content::{Bundle, Chosen, Component, Found, document};
use crate::oval::model::Document;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// External variables: the content's id and the values.
pub type Externals = HashMap<Arc<str>, Vec<Arc<str>>>;

/// A run prepared. It owns or borrows all that evaluators borrow.
#[derive(Debug)]
pub struct Plan<'b> {
    pub(super) benchmark: &'b Benchmark,
    pub(super) policy: Policy,
    /// The only rules that are evaluated; empty for what the profile selects.
    pub(super) only: HashSet<Arc<str>>,
    /// Rules that were to be left out.
    pub(super) skip: HashSet<Arc<str>>,
    pub(super) sessions: Vec<Session>,
    pub(super) specifications: Vec<&'b Specification>,
    pub(super) dictionaries: Vec<&'b Dictionary>,
    /// Given beside the content; their checks name files given beside it too.
    pub(super) extra_specifications: Vec<Specification>,
    pub(super) extra_dictionaries: Vec<Dictionary>,
    /// Whether scripts may decide.
    scripts: bool,
    documents: Vec<Arc<Document>>,
    names: HashMap<Arc<str>, Source>,
    extra: HashMap<Arc<str>, Source>,
}

/// An OVAL document with the external variables of one evaluator.
#[derive(Debug)]
pub(super) struct Session {
    pub document: Arc<Document>,
    /// Which document: a place in the plan's list.
    place: usize,
    /// What results call the document.
    pub href: Arc<str>,
    pub externals: Externals,
}

/// What a name in a check leads to.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// An OVAL document, and what results call it.
    Oval(usize, Arc<str>),
    /// A script.
    Script(Arc<[u8]>),
    /// A document that is wrong.
    Broken(String),
    /// Nothing that could be evaluated here.
    Elsewhere,
}

impl<'b> Plan<'b> {
    /// Prepares a run.
    pub fn new(bundle: &'b Bundle, options: &Options) -> Result<Self, EvalError> {
        let chosen = bundle
            .benchmark(
                options.datastream_id.as_deref(),
                options.xccdf_id.as_deref(),
            )
            .ok_or(EvalError::NoBenchmark)?;
        let benchmark = chosen.benchmark;
        let tailoring = options.tailoring.as_ref().or(chosen.tailoring);
        let policy = Policy::new(benchmark, tailoring, options.profile.as_deref())?;
        let mut plan = Self {
            benchmark,
            policy,
            only: HashSet::new(),
            skip: HashSet::new(),
            sessions: Vec::new(),
            specifications: benchmark
                .specification
                .iter()
                .chain(bundle.specifications(&chosen))
                .collect(),
            dictionaries: benchmark
                .dictionary
                .iter()
                .chain(bundle.dictionaries(&chosen))
                .collect(),
            extra_specifications: Vec::new(),
            extra_dictionaries: Vec::new(),
            scripts: options.scripts,
            documents: Vec::new(),
            names: HashMap::new(),
            extra: HashMap::new(),
        };
        plan.only = plan.rules(&options.rule)?;
        plan.skip = plan.rules(&options.skip_rule)?;
        plan.resolve(bundle, &chosen);
        for (name, bytes) in &options.cpe_files {
            plan.add_cpe(name, bytes)?;
        }
        plan.open_sessions();
        Ok(plan)
    }

    /// The benchmark.
    pub fn benchmark(&self) -> &'b Benchmark {
        self.benchmark
    }

    /// The profile applied.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    fn rules(&self, ids: &[String]) -> Result<HashSet<Arc<str>>, EvalError> {
        let rule = |id: &String| match self.benchmark.item(id) {
            Some(item) if matches!(item.body, Body::Rule(_)) => Ok(Arc::clone(&item.id)),
            _ => Err(EvalError::NoRule(id.clone())),
        };
        ids.iter().map(rule).collect()
    }

    fn resolve(&mut self, bundle: &'b Bundle, chosen: &Chosen<'b>) {
        let resources = bundle.resources(chosen);
        // In order, so that the same content gives the same plan.
        let mut names: Vec<_> = resources.iter().collect();
        names.sort_by(|one, other| one.0.cmp(other.0));
        for (name, reference, found) in names {
            let source = match found {
                Found::Component(Component::Oval(document)) => {
                    let href = if name == reference || reference.starts_with("file:") {
                        Arc::clone(name)
                    } else {
                        format!("#{reference}").into()
                    };
                    Source::Oval(self.document(document), href)
                }
                Found::Component(Component::Script(text)) => Source::Script(Arc::clone(text)),
                Found::Component(Component::Broken(what)) => {
                    Source::Broken(format!("{name}: {what}"))
                }
                _ => Source::Elsewhere,
            };
            self.names.insert(Arc::clone(name), source);
        }
    }

    /// The place of a document, which many names may lead to.
    fn document(&mut self, document: &Arc<Document>) -> usize {
        let known = self
            .documents
            .iter()
            .position(|known| Arc::ptr_eq(known, document));
        known.unwrap_or_else(|| {
            self.documents.push(Arc::clone(document));
            self.documents.len() - 1
        })
    }

    fn add_cpe(&mut self, name: &str, bytes: &[u8]) -> Result<(), EvalError> {
        let wrong = |what: String| EvalError::Cpe {
            name: name.to_owned(),
            what,
        };
        match document(bytes).map_err(|error| wrong(error.to_string()))? {
            Component::Dictionary(dictionary) => self.extra_dictionaries.push(dictionary),
            Component::Specification(specification) => {
                self.extra_specifications.push(specification);
            }
            Component::Oval(document) => {
                let place = self.document(&document);
                let source = Source::Oval(place, Arc::from(name));
                self.extra.insert(Arc::from(name), source.clone());
                self.extra.insert(Arc::from(file_name(name)), source);
            }
            _ => {
                return Err(wrong(
                    "neither a CPE dictionary, CPE platforms nor OVAL definitions".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// What a check's href leads to.
    pub(super) fn source(&self, href: &str) -> &Source {
        self.names.get(href).unwrap_or(&Source::Elsewhere)
    }

    /// What the href of a CPE check leads to.
    pub(super) fn cpe_source(&self, extra: bool, check: &CheckRef) -> &Source {
        let found = if extra {
            self.extra
                .get(&check.href)
                .or_else(|| self.extra.get(file_name(&check.href)))
        } else {
            self.names.get(&check.href)
        };
        found.unwrap_or(&Source::Elsewhere)
    }

    /// Whether there is an engine for a check system: OVAL where a document of it is here,
    /// scripts where they may run.
    pub(super) fn has_engine(&self, system: &str) -> bool {
        let is_oval = |source: &Source| matches!(source, Source::Oval(..) | Source::Broken(_));
        match system {
            OVAL => self.names.values().any(is_oval),
            SCE => self.scripts,
            _ => false,
        }
    }

    /// Whether a rule goes unchecked only because scripts may not run.
    pub(super) fn wants_script(&self, rule: &Rule) -> bool {
        let mut checks = rule.checks.iter().filter_map(simple);
        !self.scripts && checks.any(|check| &*check.system == SCE)
    }

    /// The check that decides a rule: the complex one, else of those that the selector
    /// leaves the last with an engine.
    pub(super) fn deciding<'r>(&self, place: usize, rule: &'r Rule) -> Option<&'r Check> {
        let is_complex = |check: &&Check| matches!(check, Check::Complex { .. });
        if let Some(complex) = rule.checks.iter().find(is_complex) {
            return Some(complex);
        }
        let wanted = self.policy.selector(place).unwrap_or_default();
        let is_there = |selector: &str| {
            let mut checks = rule.checks.iter().filter_map(simple);
            checks.any(|check| &*check.selector == selector)
        };
        let wanted = if is_there(wanted) { wanted } else { "" };
        let has_engine =
            |check: &SimpleCheck| &*check.selector == wanted && self.has_engine(&check.system);
        let mut from_last = rule.checks.iter().rev();
        from_last.find(|check| simple(check).is_some_and(has_engine))
    }

    /// What a check exports: variable, value id and text; or why it cannot.
    #[allow(clippy::type_complexity)]
    pub(super) fn exports(
        &self,
        check: &SimpleCheck,
    ) -> Result<Vec<(Arc<str>, Arc<str>, String)>, String> {
        let mut exports = Vec::new();
        for (variable, value) in &check.exports {
            for text in self.policy.value(self.benchmark, value)? {
                exports.push((Arc::clone(variable), Arc::clone(value), text.into_string()));
            }
        }
        Ok(exports)
    }

    /// The evaluator for a document under exports. There always is one for checks that were
    /// planned; for others the first.
    pub(super) fn session(
        &self,
        place: usize,
        exports: &[(Arc<str>, Arc<str>, String)],
    ) -> Option<usize> {
        let document = self.documents.get(place)?;
        let externals = externals(document, exports);
        let mut of = self
            .sessions
            .iter()
            .enumerate()
            .filter(|(_, session)| session.place == place);
        of.find(|(_, session)| {
            externals.iter().all(|(variable, values)| {
                session
                    .externals
                    .get(variable)
                    .is_some_and(|known| same(known, values))
            })
        })
        .map(|(at, _)| at)
    }

    fn open_sessions(&mut self) {
        let mut hrefs: Vec<Arc<str>> = vec!["".into(); self.documents.len()];
        for source in self.names.values().chain(self.extra.values()) {
            if let Source::Oval(place, href) = source
                && let Some(known) = hrefs.get_mut(*place)
                && (known.is_empty() || href < known)
            {
                known.clone_from(href);
            }
        }
        for (place, (document, href)) in self.documents.iter().zip(hrefs).enumerate() {
            self.sessions.push(Session {
                document: Arc::clone(document),
                place,
                href,
                externals: Externals::new(),
            });
        }
        let benchmark = self.benchmark;
        for (place, item) in benchmark.items.iter().enumerate() {
            let Body::Rule(rule) = &item.body else {
                continue;
            };
            let is_wanted = if self.only.is_empty() {
                self.policy.is_selected(place)
            } else {
                self.only.contains(&item.id)
            };
            if is_wanted && let Some(check) = self.deciding(place, rule) {
                self.add_externals(check);
            }
        }
    }

    /// Recursion is bounded by the depth of the XML.
    fn add_externals(&mut self, check: &Check) {
        let simple = match check {
            Check::Complex { parts, .. } => {
                for part in parts {
                    self.add_externals(part);
                }
                return;
            }
            Check::Simple(simple) => simple,
        };
        let Ok(exports) = self.exports(simple) else {
            return;
        };
        for (href, _) in &simple.refs {
            let Source::Oval(place, href) = self.source(href).clone() else {
                continue;
            };
            let Some(document) = self.documents.get(place).cloned() else {
                continue;
            };
            let wanted = externals(&document, &exports);
            let fitting = self.sessions.iter_mut().find(|session| {
                session.place == place
                    && wanted.iter().all(|(variable, values)| {
                        session
                            .externals
                            .get(variable)
                            .is_none_or(|known| same(known, values))
                    })
            });
            match fitting {
                Some(session) => session.externals.extend(wanted),
                None => self.sessions.push(Session {
                    document,
                    place,
                    href,
                    externals: wanted,
                }),
            }
        }
    }
}

fn simple(check: &Check) -> Option<&SimpleCheck> {
    match check {
        Check::Simple(simple) => Some(simple),
        Check::Complex { .. } => None,
    }
}

/// The exports that the document has variables for; a variable exported twice has both
/// texts.
fn externals(document: &Document, exports: &[(Arc<str>, Arc<str>, String)]) -> Externals {
    let mut externals = Externals::new();
    for (variable, _, text) in exports {
        if document.variables.contains_key(variable) {
            let values = externals.entry(Arc::clone(variable)).or_default();
            if !values.iter().any(|known| **known == **text) {
                values.push(Arc::from(text.as_str()));
            }
        }
    }
    externals
}

/// Whether two lists have the same values, in any order.
fn same(one: &[Arc<str>], other: &[Arc<str>]) -> bool {
    one.len() == other.len() && one.iter().all(|value| other.contains(value))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
