//! The evaluator: all policies of a library, compiled for one thread, asked of one object at a
//! time.
//!
//! **Results and loci.** For every check whose constraints match an object there is exactly one
//! result for each of the object's loci of that check, passes too:
//!
//! - the whole object has the empty locus, always;
//! - where a template names containers (`details.locus` such as `container:web`, or
//!   `details.container`), each container, init container and ephemeral container of the Pod
//!   has one: `container:`, `initContainer:` or `ephemeralContainer:` and its name; likewise
//!   `volume:` where a template names volumes;
//! - any other locus that a violation names has one while it fails.
//!
//! So a failure at `container:web` is closed by the Pass at `container:web` of the next scan,
//! complete or not. What has disappeared itself (a container that was removed, an ordinary
//! locus that no longer fails) is closed by its absence from a complete scan; and because all
//! results of a (check, asset) are always reported together, an importer may also close the
//! loci that a scan leaves out of a (check, asset) that it reports.
//!
//! For the whole object: Fail if a violation names no place, else NotApplicable where places
//! were judged, else Pass. Several constraints of a template are one check: Fail wins over
//! Unknown, Unknown over Pass. No result where no constraint matches.
//!
//! A workload is judged through the Pod that it would create; results are the workload's,
//! paths begin at its Pod template.

use crate::ask::{Ask, Known, Parameters};
use crate::budget::Budget;
use crate::engine::{Shared, Violation};
use crate::expand::{self, Expanded};
use crate::library::{Library, Policy};
use crate::matching::{Match, Target, Verdict};
use crate::object::Object;
use crate::redact;
use crate::unit::Unit;
use crate::vap;
use crate::world::World;
use bartizan_model::{AssetUid, CheckResult, Evidence, Location, Outcome, Severity, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Policies compiled for one thread. Make one per worker; never share it.
pub struct Evaluator<'w> {
    library: Library,
    world: &'w World,
    units: Vec<Result<Unit, String>>,
    parameters: Vec<Vec<Parameters>>,
    index: Index,
    natives: vap::set::Index,
    budget: Budget,
    namespaces: HashMap<String, Shared>,
}

/// Which constraints (policy, constraint) may look at a group and kind.
type Index = HashMap<(String, String), Rc<[(usize, usize)]>>;

/// One constraint's answer on one subject.
enum Answer {
    Told(Vec<Violation>),
    Untold(String),
}

/// What is reviewed: the object itself or its Pod.
struct Subject<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
    value: &'a Value,
    /// Where it stands in the object: empty, or `spec.template.`.
    prefix: String,
    generated: bool,
}

impl<'w> Evaluator<'w> {
    /// Compiles all policies. `now` is the time that they see.
    pub fn new(library: &Library, world: &'w World, budget: Budget, now: Timestamp) -> Self {
        let asked = library.asks_inventory();
        let inventory = asked.then(|| world.shared()).flatten();
        let unit = |policy: &Policy| Unit::new(&policy.template, inventory, now, budget);
        Self {
            units: library.policies.iter().map(unit).collect(),
            parameters: library
                .policies
                .iter()
                .map(|p| {
                    p.constraints
                        .iter()
                        .map(|c| Parameters::of(&c.parameters))
                        .collect()
                })
                .collect(),
            library: library.clone(),
            world,
            index: HashMap::new(),
            natives: vap::set::Index::default(),
            budget,
            namespaces: HashMap::new(),
        }
    }

    /// Asks every check whose constraints match. Results come in the order of the checks.
    pub fn judge(&mut self, asset: &AssetUid, object: &Object) -> Vec<CheckResult> {
        let mut answers: BTreeMap<usize, Vec<(usize, usize, Answer)>> = BTreeMap::new();
        let expanded = expand::expand(object);
        let mut subjects = vec![Subject {
            group: &object.group,
            version: &object.version,
            kind: &object.kind,
            value: &object.value,
            prefix: String::new(),
            generated: false,
        }];
        if let Some(Expanded { path, pod }) = &expanded {
            subjects.push(Subject {
                group: "",
                version: "v1",
                kind: "Pod",
                value: pod,
                prefix: format!("{path}."),
                generated: true,
            });
        }
        for (place, subject) in subjects.iter().enumerate() {
            for (policy, constraint, answer) in self.ask(object, subject) {
                answers
                    .entry(policy)
                    .or_default()
                    .push((place, constraint, answer));
            }
        }
        let mut results = Vec::new();
        for (policy, answers) in answers {
            if let Some(policy) = self.library.policies.get(policy) {
                settle(policy, asset, object, &subjects, answers, &mut results);
            }
        }
        let natives = &self.library.natives;
        let said = vap::manifest::ask(natives, &mut self.natives, object, self.world, self.budget);
        results.extend(said.into_iter().map(|said| said.result(asset, object)));
        results
    }

    fn ask(&mut self, object: &Object, subject: &Subject<'_>) -> Vec<(usize, usize, Answer)> {
        let candidates = self.candidates(subject.group, subject.kind);
        let target = Target {
            group: subject.group,
            kind: subject.kind,
            namespace: &object.namespace,
            value: subject.value,
            generated: subject.generated,
        };
        let mut matched = Vec::new();
        let mut answers = Vec::new();
        for &(policy, constraint) in candidates.iter() {
            let Some(matching) = self.matching(policy, constraint) else {
                continue;
            };
            match matching.test(&target, self.world.namespaces()) {
                Verdict::No => continue,
                Verdict::Unknown(why) => answers.push((policy, constraint, Answer::Untold(why))),
                Verdict::Yes => matched.push((policy, constraint)),
            }
        }
        if matched.is_empty() {
            return answers;
        }
        let namespace = self.namespace(&object.namespace);
        let kind = (subject.group, subject.version, subject.kind);
        let name = subject.value.pointer("/metadata/name");
        let request = request_of(kind, &object.namespace, name);
        let ask = Ask::new(subject.value, &Value::Null, namespace, &request);
        for (policy, constraint) in matched {
            let parameters = self.parameters.get(policy).and_then(|p| p.get(constraint));
            if let Some(why) = self.refused(policy, constraint) {
                let why = format!("the constraint cannot be used: {why}");
                answers.push((policy, constraint, Answer::Untold(why)));
                continue;
            }
            let answer = match (self.units.get_mut(policy), parameters) {
                (Some(Ok(unit)), Some(parameters)) => match unit.evaluate(&ask, parameters) {
                    Ok(violations) => Answer::Told(violations),
                    Err(why) => Answer::Untold(why),
                },
                (Some(Err(why)), _) => Answer::Untold(format!("the policy cannot be run: {why}")),
                _ => Answer::Untold("the policy is gone".into()),
            };
            answers.push((policy, constraint, answer));
        }
        answers
    }

    fn matching(&self, policy: usize, constraint: usize) -> Option<&Match> {
        let constraints = &self.library.policies.get(policy)?.constraints;
        constraints.get(constraint).map(|c| &c.matching)
    }

    fn refused(&self, policy: usize, constraint: usize) -> Option<&String> {
        let constraints = &self.library.policies.get(policy)?.constraints;
        constraints.get(constraint)?.refused.as_ref()
    }

    fn candidates(&mut self, group: &str, kind: &str) -> Rc<[(usize, usize)]> {
        let key = (group.to_owned(), kind.to_owned());
        if let Some(known) = self.index.get(&key) {
            return Rc::clone(known);
        }
        let mut all = Vec::new();
        for (p, policy) in self.library.policies.iter().enumerate() {
            for (c, constraint) in policy.constraints.iter().enumerate() {
                if constraint.audited && constraint.matching.wants(group, kind) {
                    all.push((p, c));
                }
            }
        }
        let all: Rc<[_]> = all.into();
        // Hostile input may name any number of kinds.
        if self.index.len() < 1_000 {
            self.index.insert(key, Rc::clone(&all));
        }
        all
    }

    fn namespace(&mut self, name: &str) -> Option<Known<'w>> {
        let json = self.world.namespace_object(name)?;
        let rego = match self.namespaces.get(name) {
            Some(known) => known.clone(),
            None => {
                let made = Shared::of(json);
                self.namespaces.insert(name.to_owned(), made.clone());
                made
            }
        };
        Some(Known { json, rego })
    }
}

/// The fields of `input.review` beside the object, as Gatekeeper's audit gives them.
pub(crate) fn request_of(
    (group, version, kind): (&str, &str, &str),
    namespace: &str,
    name: Option<&Value>,
) -> Value {
    let mut request = json!({
        "kind": {"group": group, "kind": kind, "version": version},
        "name": name,
        "operation": "",
        "options": null,
        "resource": {"group": "", "resource": "", "version": ""},
        "uid": "",
        "userInfo": {}
    });
    if let (false, Value::Object(map)) = (namespace.is_empty(), &mut request) {
        map.insert("namespace".into(), namespace.into());
    }
    request
}

/// What is gathered for one locus of one check.
#[derive(Default)]
struct Tally {
    messages: Vec<String>,
    unknown: Option<String>,
    severity: Option<Severity>,
    evidence: Vec<Evidence>,
    path: Option<String>,
}

fn settle(
    policy: &Policy,
    asset: &AssetUid,
    object: &Object,
    subjects: &[Subject<'_>],
    answers: Vec<(usize, usize, Answer)>,
    results: &mut Vec<CheckResult>,
) {
    let loci = policy.template.loci;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    tallies.entry(String::new()).or_default();
    let mut places: Vec<(String, String)> = Vec::new();
    for (place, constraint, answer) in answers {
        let Some(subject) = subjects.get(place) else {
            continue;
        };
        let is_pod = subject.kind == "Pod" && subject.group.is_empty();
        if is_pod && places.is_empty() && (loci.containers || loci.volumes) {
            let mut known = Vec::new();
            if loci.containers {
                known.extend(expand::containers(subject.value));
            }
            if loci.volumes {
                known.extend(expand::volumes(subject.value));
            }
            for (locus, path) in known {
                let locus = tidy(&locus);
                let path = format!("{}{path}", subject.prefix);
                tallies
                    .entry(locus.clone())
                    .or_default()
                    .path
                    .get_or_insert(path.clone());
                places.push((locus, path));
            }
        }
        let constraint = policy.constraints.get(constraint);
        match answer {
            Answer::Untold(why) => {
                for tally in tallies.values_mut() {
                    tally.unknown.get_or_insert_with(|| why.clone());
                }
            }
            Answer::Told(violations) => {
                for violation in violations {
                    let locus = locus_of(&violation, &places);
                    let tally = tallies.entry(locus).or_default();
                    tally.add(violation, subject);
                    let severity = constraint.and_then(|c| c.severity);
                    tally.severity = tally.severity.max(severity.or(Some(policy.check.severity)));
                    if let Some(c) = constraint.filter(|_| policy.constraints.len() > 1) {
                        let expected = c.parameters.to_string().chars().take(200).collect();
                        tally.evidence.push(Evidence {
                            path: format!("constraint {}", c.name),
                            actual: None,
                            expected: Some(expected),
                        });
                    }
                }
            }
        }
    }
    let judged_places = tallies.len() > 1;
    for (locus, tally) in tallies {
        results.push(tally.result(policy, asset, object, locus, judged_places));
    }
}

fn locus_of(violation: &Violation, places: &[(String, String)]) -> String {
    if let Some(locus) = &violation.locus {
        return tidy(locus);
    }
    let Some(name) = &violation.container else {
        return String::new();
    };
    let known = places
        .iter()
        .find(|(locus, _)| locus.split_once(':').is_some_and(|(_, n)| n == name));
    known.map_or_else(
        || tidy(&format!("container:{name}")),
        |(locus, _)| locus.clone(),
    )
}

/// A locus is part of a key: short and printable.
fn tidy(locus: &str) -> String {
    locus
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(256)
        .collect()
}

impl Tally {
    fn add(&mut self, violation: Violation, subject: &Subject<'_>) {
        let mut message: String = violation.message.chars().take(1_000).collect();
        if subject.generated {
            let place = subject.prefix.trim_end_matches('.');
            message.push_str(&format!(" (Pod template at {place})"));
        }
        if !self.messages.contains(&message) {
            self.messages.push(message);
        }
        let path = violation.path.map(|p| format!("{}{p}", subject.prefix));
        if let Some(path) = &path {
            self.path.get_or_insert(path.clone());
        }
        if let Some(path) = path {
            let actual = violation.actual.map(|a| redact::text(&path, &a));
            self.evidence.push(Evidence {
                path,
                actual,
                expected: violation.expected,
            });
        }
    }

    fn result(
        mut self,
        policy: &Policy,
        asset: &AssetUid,
        object: &Object,
        locus: String,
        judged_places: bool,
    ) -> CheckResult {
        let failed = !self.messages.is_empty();
        let outcome = match (failed, self.unknown) {
            (true, _) => Outcome::Fail,
            (false, Some(why)) => Outcome::Unknown { why },
            (false, None) if locus.is_empty() && judged_places => Outcome::NotApplicable {
                why: "judged for each place within it".into(),
            },
            (false, None) => Outcome::Pass,
        };
        if let Some(helm) = object.helm.as_ref().filter(|_| failed) {
            self.evidence.push(Evidence {
                path: "helm template".into(),
                actual: Some(helm.clone()),
                expected: None,
            });
        }
        let location = match (&self.path, locus.is_empty() && !failed) {
            (Some(path), false) => within(object, path),
            _ => object.location.clone(),
        };
        CheckResult {
            check: policy.check.uid.clone(),
            asset: asset.clone(),
            locus,
            outcome,
            message: self.messages.join("; "),
            severity: self
                .severity
                .filter(|s| failed && *s != policy.check.severity),
            evidence: self.evidence,
            location: Some(location),
            suppression: None,
        }
    }
}

/// The line of the innermost item on `path` whose line is known.
fn within(object: &Object, path: &str) -> Location {
    let end = path.rfind(']').map_or(0, |at| at + 1);
    let mut place = path.get(..end).unwrap_or_default();
    loop {
        let location = object.locate(place);
        if location != object.location || place.is_empty() {
            return location;
        }
        let shorter = place
            .get(..place.len() - 1)
            .and_then(|p| p.rfind(']'))
            .map_or(0, |at| at + 1);
        place = place.get(..shorter).unwrap_or_default();
    }
}
