//! A library of policies: ConstraintTemplates and the constraints that use them.
//!
//! **Which files count.** Any `.yaml`, `.yml` or `.json` file that is not below a folder
//! `samples`: Gatekeeper's layout keeps test objects and example constraints there. Objects of
//! other kinds (suites, Config, SyncSet, mutators) are passed over, with a notice where they
//! would change what Gatekeeper does.
//!
//! **Checks.** One a template, `rego/<content>/<template name>`; all constraints of a template
//! are asked for its check, which fails when any of them fails. A constraint belongs to the
//! template of its kind in its own content, or else in the only content that has it.
//!
//! **Severity** is the template's annotation `bartizan.dev/severity`, overridden for one
//! constraint's failures by the same annotation there, else by its enforcement action: deny
//! medium, warn low, dryrun info.

use crate::enforce::Point;
use crate::except::Exception;
use crate::gatekeeper::{self, Constraint, Exclusions, Template};
use crate::implied::Implied;
use crate::input::{self, Limits, Piece, Source};
use crate::mutate::Mutators;
use crate::object::{Found, Object, objects};
use crate::parameters;
use crate::providers::Provider;
use crate::suppress::UnusedSuppression;
use crate::sync::Synced;
use crate::vap::set::Natives;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{Check, CheckUid, Digest, Severity, Timestamp};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why content cannot be used at all. Whose fault: the policy author's, at file and line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// A policy file cannot be read as YAML.
    #[error("{file}:{line}: {why}")]
    Unreadable {
        /// The file as named by the caller.
        file: String,
        /// The line, from 1.
        line: u32,
        /// What is wrong.
        why: String,
    },
    /// A template or constraint is malformed or contradicts another.
    #[error("{file}:{line}: {name}: {why}")]
    Invalid {
        /// The file as named by the caller.
        file: String,
        /// The line, from 1.
        line: u32,
        /// Which object.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// Something that the user should hear of a library or an input but that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What to say.
    pub text: String,
}

/// Collects policy files; see [`LibraryBuilder::add`].
#[derive(Debug, Default)]
pub struct LibraryBuilder {
    templates: Vec<(String, Template, Object)>,
    constraints: Vec<(String, Constraint, Object)>,
    exclusions: Exclusions,
    exceptions: Vec<Exception>,
    implied: Vec<Object>,
    natives: Vec<(String, Object)>,
    digests: BTreeMap<String, BTreeMap<String, Digest>>,
    notices: Vec<Notice>,
}

impl LibraryBuilder {
    /// An empty library.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one YAML or JSON file of content `content` (the middle part of its check uids:
    /// `rego/<content>/<template kind in lower case>`). Files that cannot hold policies are
    /// passed over, see the module.
    pub fn add(&mut self, content: &str, file: &str, bytes: &[u8]) -> Result<(), LibraryError> {
        let policy_file = [".yaml", ".yml", ".json"].iter().any(|e| file.ends_with(e));
        if !policy_file || file.split(['/', '\\']).any(|part| part == "samples") {
            return Ok(());
        }
        let mut pieces = Vec::new();
        let limits = Limits::default();
        input::read(Source::new(file, bytes), &limits, &mut |p| pieces.push(p));
        let unreadable = |line, why| LibraryError::Unreadable {
            file: file.to_owned(),
            line,
            why,
        };
        let mut used = false;
        for piece in pieces {
            let document = match piece {
                Piece::Document(document) => document,
                Piece::Unreadable { line, why } => return Err(unreadable(line, why)),
                Piece::Unrendered { line } => {
                    return Err(unreadable(line, "it is an unrendered template".into()));
                }
            };
            for found in objects(file, document) {
                match found {
                    Found::Object(object) => used |= self.object(content, *object)?,
                    Found::Broken { line, why } => return Err(unreadable(line, why)),
                    Found::Other { .. } => {}
                }
            }
        }
        if used {
            let files = self.digests.entry(content.to_owned()).or_default();
            files.insert(file.to_owned(), Digest::of(bytes));
        }
        Ok(())
    }

    fn object(&mut self, content: &str, object: Object) -> Result<bool, LibraryError> {
        let invalid = |why| LibraryError::Invalid {
            file: object.location.file.clone(),
            line: object.location.line,
            name: format!("{} {}", object.kind, object.name),
            why,
        };
        match (object.group.as_str(), object.kind.as_str()) {
            ("templates.gatekeeper.sh", "ConstraintTemplate") => {
                let template = gatekeeper::template(&object).map_err(invalid)?;
                self.templates.push((content.to_owned(), template, object));
            }
            ("constraints.gatekeeper.sh", _) => {
                let constraint = gatekeeper::constraint(&object).map_err(invalid)?;
                self.constraints
                    .push((content.to_owned(), constraint, object));
            }
            ("bartizan.dev", "PolicyException") => {
                let exception = Exception::read(&object).map_err(invalid)?;
                self.exceptions.push(exception);
            }
            ("config.gatekeeper.sh", "Config") => {
                let exclusions = Exclusions::read(&object).map_err(invalid)?;
                self.exclusions.extend(exclusions);
                self.notices.push(Notice {
                    file: object.location.file.clone(),
                    line: object.location.line,
                    text: format!(
                        "Config {} leaves namespaces out of admission, not out of scans of manifests",
                        object.name
                    ),
                });
            }
            _ if Implied::wants(&object) => self.implied.push(object),
            _ if Natives::wants(&object) => self.natives.push((content.to_owned(), object)),
            ("config.gatekeeper.sh" | "syncset.gatekeeper.sh", _) => {
                self.notices.push(Notice {
                    file: object.location.file.clone(),
                    line: object.location.line,
                    text: format!(
                        "{} {} is passed over: it has no effect on a scan of manifests here",
                        object.kind, object.name
                    ),
                });
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Compiles everything once to prove that it compiles. A template that this engine cannot
    /// run faithfully stays in the library as refused: its checks answer Unknown.
    pub fn build(mut self) -> Result<Library, LibraryError> {
        let mut policies: Vec<Policy> = Vec::new();
        let mut notices = std::mem::take(&mut self.notices);
        let mut schemas = BTreeMap::new();
        for (content, mut template, object) in std::mem::take(&mut self.templates) {
            schemas.insert(template.kind.clone(), template.schema.clone());
            let invalid = |why: String| LibraryError::Invalid {
                file: object.location.file.clone(),
                line: object.location.line,
                name: format!("ConstraintTemplate {}", object.name),
                why,
            };
            if policies
                .iter()
                .any(|p| p.content == content && p.kind == template.kind)
            {
                return Err(invalid(format!(
                    "a second template of kind {}",
                    template.kind
                )));
            }
            let uid = CheckUid::of("rego", &content, &template.kind.to_lowercase())
                .map_err(|e| invalid(e.to_string()))?;
            if template.refused.is_none() {
                template.refused = crate::unit::prove(&template).err();
            }
            if let Some(why) = &template.refused {
                notices.push(Notice {
                    file: object.location.file.clone(),
                    line: object.location.line,
                    text: format!("{uid} cannot be run, its results are Unknown: {why}"),
                });
            }
            if let Some(text) = &template.notice {
                notices.push(Notice {
                    file: object.location.file.clone(),
                    line: object.location.line,
                    text: format!("{uid}: {text}"),
                });
            }
            policies.push(Policy {
                content,
                kind: template.kind.clone(),
                check: check(uid, &template.kind, &object),
                template,
                constraints: Vec::new(),
            });
        }
        for (content, mut constraint, object) in std::mem::take(&mut self.constraints) {
            let invalid = |why: String| LibraryError::Invalid {
                file: object.location.file.clone(),
                line: object.location.line,
                name: format!("{} {}", object.kind, object.name),
                why,
            };
            let place = owner(&policies, &content, &object.kind).map_err(invalid)?;
            let Some(policy) = policies.get_mut(place) else {
                continue;
            };
            if policy
                .constraints
                .iter()
                .any(|c| c.name == constraint.name && c.content == content)
            {
                return Err(invalid("a second constraint of this name".into()));
            }
            if let Some(text) = constraint.notice.take() {
                notices.push(Notice {
                    file: object.location.file.clone(),
                    line: object.location.line,
                    text: format!("{} {}: {text}", object.kind, object.name),
                });
            }
            if let Some(schema) = &policy.template.schema {
                gatekeeper::default_parameters(&mut constraint.parameters, schema);
                constraint.refused = parameters::check(&constraint.parameters, schema).err();
            }
            if let Some(why) = &constraint.refused {
                notices.push(Notice {
                    file: object.location.file.clone(),
                    line: object.location.line,
                    text: format!(
                        "{} {} is not asked, its results are Unknown: {why}",
                        object.kind, object.name
                    ),
                });
            }
            constraint.content = content;
            policy.constraints.push(constraint);
        }
        for policy in policies.iter().filter(|p| p.constraints.is_empty()) {
            notices.push(Notice {
                file: policy.template.file.clone(),
                line: policy.template.line,
                text: format!("{} has no constraint and judges nothing", policy.check.uid),
            });
        }
        policies.retain(|p| !p.constraints.is_empty());
        for policy in &mut policies {
            policy.settle_severity();
            policy.constraints.sort_by(|a, b| a.name.cmp(&b.name));
        }
        policies.sort_by(|a, b| a.check.uid.cmp(&b.check.uid));
        let content = self
            .digests
            .iter()
            .map(|(name, files)| ContentDigest {
                name: name.clone(),
                digest: digest(files),
            })
            .collect();
        let implied = Implied::of(&self.implied, &mut notices);
        let natives = Natives::of(&self.natives, &mut notices)?;
        Ok(Library {
            implied: Arc::new(implied),
            checks: audited(&policies).chain(natives.checks()).collect(),
            natives: Arc::new(natives),
            policies: Arc::new(policies),
            exclusions: Arc::new(self.exclusions),
            exceptions: Arc::new(self.exceptions),
            schemas: Arc::new(schemas),
            content,
            notices,
        })
    }
}

/// The checks that scans report: those with a constraint that is asked there.
fn audited(policies: &[Policy]) -> impl Iterator<Item = Check> {
    let audited = |p: &&Policy| p.constraints.iter().any(|c| c.audited);
    let checks = policies.iter().filter(audited);
    checks.map(|p| p.check.clone())
}

fn owner(policies: &[Policy], content: &str, kind: &str) -> Result<usize, String> {
    let of_kind: Vec<_> = policies
        .iter()
        .enumerate()
        .filter(|(_, p)| p.kind == kind)
        .collect();
    if let Some((i, _)) = of_kind.iter().find(|(_, p)| p.content == content) {
        return Ok(*i);
    }
    match of_kind.as_slice() {
        [(i, _)] => Ok(*i),
        [] => Err(format!("there is no ConstraintTemplate of kind {kind}")),
        _ => Err(format!(
            "several contents have a ConstraintTemplate of kind {kind}"
        )),
    }
}

fn digest(files: &BTreeMap<String, Digest>) -> Digest {
    let mut all = Sha256::new();
    for (name, digest) in files {
        all.update(format!("{name}\0{digest}\n").as_bytes());
    }
    Digest::of(&all.finalize())
}

/// What a policy's object says of its check.
pub(crate) fn check(uid: CheckUid, name: &str, object: &Object) -> Check {
    let note = |key: &str| {
        let found = object.annotations().find(|(k, _)| *k == key);
        found
            .map(|(_, v)| v.trim().to_owned())
            .filter(|v| !v.is_empty())
    };
    Check {
        uid,
        title: note("metadata.gatekeeper.sh/title").unwrap_or_else(|| name.to_owned()),
        description: note("description").unwrap_or_default(),
        severity: note("bartizan.dev/severity")
            .and_then(|w| Severity::parse(&w))
            .unwrap_or_default(),
        remediation: note("bartizan.dev/remediation").unwrap_or_default(),
        references: note("bartizan.dev/references")
            .map(|text| {
                let mut seen = BTreeSet::new();
                text.split(|c: char| c.is_whitespace() || c == ',')
                    .filter(|r| !r.is_empty() && seen.insert(r.to_string()))
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default(),
    }
}

/// A template with its constraints.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub content: String,
    pub kind: String,
    pub check: Check,
    pub template: Template,
    pub constraints: Vec<Constraint>,
}

impl Policy {
    /// A check without a severity of its own takes the worst of its constraints.
    fn settle_severity(&mut self) {
        if !self.template.has_severity {
            let worst = self
                .constraints
                .iter()
                .map(|c| c.severity.unwrap_or(c.action))
                .max();
            self.check.severity = worst.unwrap_or_default();
            for constraint in &mut self.constraints {
                constraint.severity.get_or_insert(constraint.action);
            }
        }
    }
}

/// Compiled-and-proven policies, shared by all worker threads (which compile their own copy).
#[derive(Debug, Default, Clone)]
pub struct Library {
    pub(crate) policies: Arc<Vec<Policy>>,
    pub(crate) exclusions: Arc<Exclusions>,
    pub(crate) implied: Arc<Implied>,
    pub(crate) natives: Arc<Natives>,
    pub(crate) exceptions: Arc<Vec<Exception>>,
    /// The parameters' schemas of all templates, by kind, also of those without constraints.
    schemas: Arc<BTreeMap<String, Option<Value>>>,
    checks: Vec<Check>,
    content: Vec<ContentDigest>,
    notices: Vec<Notice>,
}

impl Library {
    /// The checks, one a template that has at least one constraint and one a
    /// ValidatingAdmissionPolicy that has a binding, sorted by uid.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The digest of each content that was added.
    pub fn content(&self) -> &[ContentDigest] {
        &self.content
    }

    /// What was ignored or refused, and why.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Exceptions that have let nothing pass since this library was made, or have expired.
    pub fn unused_exceptions(&self, now: Timestamp) -> Vec<UnusedSuppression> {
        let all = self.exceptions.iter();
        all.filter_map(|exception| exception.unused(now)).collect()
    }

    /// The same, whose exceptions count their uses for themselves: for trials.
    pub(crate) fn apart(&self) -> Self {
        let exceptions = self.exceptions.iter().map(Exception::apart);
        Self {
            exceptions: Arc::new(exceptions.collect()),
            ..self.clone()
        }
    }

    /// The same, whose exceptions count on where those of the policies before have come to.
    pub fn continuing(mut self, before: &Self) -> Self {
        let mut exceptions = self.exceptions.to_vec();
        for exception in &mut exceptions {
            exception.continue_from(&before.exceptions);
        }
        self.exceptions = Arc::new(exceptions);
        self
    }

    /// Every check, with those that only admission asks.
    pub fn all_checks(&self) -> Vec<Check> {
        let policies = self.policies.iter().map(|p| p.check.clone());
        policies.chain(self.natives.checks()).collect()
    }

    /// Its mutators; see [`Mutators::review`].
    pub fn mutators(&self) -> &Mutators {
        &self.implied.mutators
    }

    /// Its Providers of external data.
    pub fn providers(&self) -> &[Provider] {
        &self.implied.providers
    }

    /// ClusterImagePolicy and TrustRoot objects, for whoever judges images by them.
    pub fn image_policies(&self) -> &[Object] {
        &self.implied.images
    }

    /// One digest of everything that was added, to say which policies judged.
    pub fn digest(&self) -> Digest {
        let mut all = Sha256::new();
        for content in &self.content {
            all.update(format!("{}\0{}\n", content.name, content.digest).as_bytes());
        }
        Digest::of(&all.finalize())
    }

    /// How many templates cannot be run; their constraints answer Unknown.
    pub fn refused(&self) -> usize {
        let refused = |p: &&Policy| p.template.refused.is_some();
        self.policies.iter().filter(refused).count()
    }

    /// How many constraints there are, by Gatekeeper's words for enforcement action and status.
    /// One that cannot be asked, or whose template cannot be run, is in error.
    pub fn constraint_counts(&self) -> BTreeMap<(&'static str, &'static str), usize> {
        let words = ["deny", "dryrun", "scoped", "unrecognized", "warn"];
        let all = words
            .iter()
            .flat_map(|w| [((*w, "active"), 0), ((*w, "error"), 0)]);
        let mut counts: BTreeMap<_, usize> = all.collect();
        for policy in self.policies.iter() {
            for constraint in &policy.constraints {
                let broken = constraint.refused.is_some() || policy.template.refused.is_some();
                let status = if broken { "error" } else { "active" };
                *counts
                    .entry((constraint.actions.word(), status))
                    .or_default() += 1;
            }
        }
        counts
    }

    /// How many of Kubernetes' own admission policies are bound here, by kind and status.
    pub fn native_counts(&self) -> [(&'static str, &'static str, usize); 4] {
        let natives = &self.natives;
        let validating = natives.validating.iter();
        let validating = validating.filter(|n| n.policy.is_ok()).count();
        let mutating = natives.mutating.iter();
        let mutating = mutating.filter(|n| n.policy.is_ok()).count();
        let broken = [
            natives.validating.len() - validating,
            natives.mutating.len() - mutating,
        ];
        [
            ("ValidatingAdmissionPolicy", "active", validating),
            ("ValidatingAdmissionPolicy", "error", broken[0]),
            ("MutatingAdmissionPolicy", "active", mutating),
            ("MutatingAdmissionPolicy", "error", broken[1]),
        ]
    }

    /// How many constraints are enforced at a point.
    pub fn constraints_at(&self, point: Point) -> usize {
        let all = self.policies.iter().flat_map(|p| &p.constraints);
        all.filter(|c| !c.actions.at(point).is_empty()).count()
    }

    /// The first `most` checks that may look at objects of a group and kind; for benches.
    pub fn for_kind(&self, group: &str, kind: &str, most: usize) -> Self {
        let wanted = |p: &&Policy| p.constraints.iter().any(|c| c.matching.wants(group, kind));
        let policies: Vec<_> = self
            .policies
            .iter()
            .filter(wanted)
            .take(most)
            .cloned()
            .collect();
        Self {
            implied: Arc::clone(&self.implied),
            natives: Arc::default(),
            checks: audited(&policies).collect(),
            policies: Arc::new(policies),
            exclusions: Arc::clone(&self.exclusions),
            exceptions: Arc::clone(&self.exceptions),
            schemas: Arc::clone(&self.schemas),
            content: self.content.clone(),
            notices: self.notices.clone(),
        }
    }

    /// The schema of a kind's parameters, if it has one; none where there is no such template.
    pub(crate) fn schema(&self, kind: &str) -> Option<Option<&Value>> {
        self.schemas.get(kind).map(Option::as_ref)
    }

    /// Whether a template looks at `data.inventory`.
    pub(crate) fn asks_inventory(&self) -> bool {
        self.policies.iter().any(|p| p.template.inventory)
    }

    /// Which objects policies look for beside the one at hand, in `data.inventory` or as
    /// parameters; `None` where none does.
    pub(crate) fn inventory(&self) -> Option<Synced> {
        let users = self.policies.iter().filter(|p| p.template.inventory);
        let synced = users.map(|p| p.template.synced.clone()).reduce(Synced::and);
        match (synced, self.natives.params()) {
            (synced, params) if params.is_empty() => synced,
            (None, params) => Some(Synced::Only(params)),
            (Some(synced), params) => Some(synced.and(Synced::Only(params))),
        }
    }
}
