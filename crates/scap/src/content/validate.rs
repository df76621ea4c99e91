//! What is wrong with content: references that lead nowhere, documents that are not read.

use super::{Bundle, Chosen, Component, Found, Resources, Target, cpe};
use crate::xccdf::model::{Benchmark, Body, Check, OVAL, Profile, SimpleCheck};
use crate::xccdf::script::SCE;
use std::collections::HashSet;
use std::fmt;

const MAX_PROBLEMS: usize = 1000;
/// Profiles do not inherit through more than this.
const MAX_CHAIN: usize = 64;

/// Something wrong with content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as a rule's id.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.what)
    }
}

#[derive(Default)]
struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    fn add(&mut self, place: &str, what: impl Into<String>) {
        if self.found.len() < MAX_PROBLEMS {
            self.found.push(Problem {
                place: place.to_owned(),
                what: what.into(),
            });
        }
    }
}

/// The problems of a file, at most [`MAX_PROBLEMS`].
pub(super) fn bundle(bundle: &Bundle) -> Vec<Problem> {
    let mut problems = Problems::default();
    let mut broken: Vec<(&str, &str)> = bundle
        .components()
        .filter_map(|(id, component)| match component {
            Component::Broken(what) => Some((&**id, what.as_str())),
            _ => None,
        })
        .collect();
    broken.sort_unstable();
    for (id, what) in broken {
        problems.add(id, what);
    }
    for stream in &bundle.streams {
        let plain = [&stream.checklists, &stream.checks, &stream.dictionaries];
        for reference in plain.into_iter().flatten() {
            match &reference.target {
                Target::Local(id) if bundle.component(id).is_none() => {
                    problems.add(&reference.id, format!("there is no component {id}"));
                }
                Target::Remote(href) => {
                    let what = format!("{href} is elsewhere and not fetched: not checked");
                    problems.add(&reference.id, what);
                }
                Target::Local(_) => {}
            }
        }
        let all = plain.into_iter().chain([&stream.extended]).flatten();
        for reference in all {
            for (name, id) in &reference.catalog {
                if stream.reference(id).is_none() {
                    let what = format!("{name} means {id}, which is not in the stream");
                    problems.add(&reference.id, what);
                }
            }
        }
        for reference in &stream.checklists {
            if let Some(chosen) = bundle.chosen(stream, reference)
                && chosen.tailoring.is_none()
            {
                checklist(bundle, &chosen, &mut problems);
            }
        }
    }
    problems.found
}

fn checklist(bundle: &Bundle, chosen: &Chosen<'_>, problems: &mut Problems) {
    let benchmark = chosen.benchmark;
    let resources = bundle.resources(chosen);
    let is_platform = |platform: &str| {
        let id = platform.strip_prefix('#').unwrap_or(platform);
        let known = |specification: &cpe::Specification| specification.platforms.contains_key(id);
        benchmark.specification.as_ref().is_some_and(known)
            || bundle.specifications(chosen).any(known)
            || cpe::Name::parse(platform).is_some()
    };
    let mut seen = HashSet::new();
    for platform in &benchmark.platforms {
        if !is_platform(platform) {
            problems.add(&benchmark.id, format!("there is no platform {platform}"));
        }
    }
    for item in &benchmark.items {
        if !seen.insert(&item.id) {
            problems.add(&item.id, "the id is used twice");
        }
        for platform in &item.platforms {
            if !is_platform(platform) {
                problems.add(&item.id, format!("there is no platform {platform}"));
            }
        }
        for other in item.requires.iter().flatten().chain(&item.conflicts) {
            if benchmark.item(other).is_none() {
                problems.add(&item.id, format!("there is no item {other}"));
            }
        }
        if let Body::Rule(rule) = &item.body {
            for one in &rule.checks {
                check(benchmark, &resources, &item.id, one, problems);
            }
        }
    }
    for one in &benchmark.profiles {
        profile(benchmark, one, problems);
    }
}

/// Recursion is bounded by the depth of the XML.
fn check(
    benchmark: &Benchmark,
    resources: &Resources<'_>,
    place: &str,
    one: &Check,
    problems: &mut Problems,
) {
    match one {
        Check::Complex { parts, .. } => {
            for part in parts {
                check(benchmark, resources, place, part, problems);
            }
        }
        Check::Simple(simple) if &*simple.system == OVAL => {
            oval_check(benchmark, resources, place, simple, problems);
        }
        Check::Simple(simple) if &*simple.system == SCE => {
            for (href, _) in &simple.refs {
                let found = resources.find(href).map(|(_, found)| found);
                if !matches!(found, Some(Found::Component(Component::Script(_)))) {
                    problems.add(place, format!("{href} names no script"));
                }
            }
        }
        // Other systems are not evaluated here.
        Check::Simple(_) => {}
    }
}

fn oval_check(
    benchmark: &Benchmark,
    resources: &Resources<'_>,
    place: &str,
    check: &SimpleCheck,
    problems: &mut Problems,
) {
    for (_, value) in &check.exports {
        if !benchmark.values.contains_key(value) {
            problems.add(place, format!("there is no value {value}"));
        }
    }
    for (href, name) in &check.refs {
        match resources.find(href).map(|(_, found)| found) {
            Some(Found::Component(Component::Oval(document))) => {
                if let Some(name) = name
                    && !document.definitions.contains_key(name)
                {
                    problems.add(place, format!("{href} has no definition {name}"));
                }
            }
            // Reported where they are.
            Some(Found::Component(Component::Broken(_)) | Found::Remote(_)) => {}
            _ => problems.add(place, format!("{href} names no OVAL definitions")),
        }
    }
}

fn profile(benchmark: &Benchmark, profile: &Profile, problems: &mut Problems) {
    for (id, _) in &profile.selects {
        if benchmark.item(id).is_none() && !benchmark.has_cluster(id) {
            problems.add(&profile.id, format!("there is no item {id}"));
        }
    }
    for change in &profile.refine_rules {
        if benchmark.item(&change.id).is_none() && !benchmark.has_cluster(&change.id) {
            problems.add(&profile.id, format!("there is no item {}", change.id));
        }
    }
    for (id, selector) in &profile.refine_values {
        match benchmark.values.get(id) {
            None => problems.add(&profile.id, format!("there is no value {id}")),
            Some(value) if value.choose(selector.as_deref()).is_none() => {
                let selector = selector.as_deref().unwrap_or_default();
                let what = format!("the value {id} has no choice {selector:?}");
                problems.add(&profile.id, what);
            }
            Some(_) => {}
        }
    }
    for (id, _) in &profile.set_values {
        if !benchmark.values.contains_key(id) {
            problems.add(&profile.id, format!("there is no value {id}"));
        }
    }
    let mut next = profile.extends.as_deref();
    let mut chain = 0;
    while let Some(parent) = next {
        chain += 1;
        let found = benchmark.profile(parent);
        if found.is_none() {
            problems.add(&profile.id, format!("there is no profile {parent}"));
        } else if chain > MAX_CHAIN || parent == &*profile.id {
            problems.add(&profile.id, "it extends itself");
            return;
        }
        next = found.and_then(|found| found.extends.as_deref());
    }
}
