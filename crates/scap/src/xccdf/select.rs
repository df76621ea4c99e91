//! A profile applied to a benchmark: what is selected, which values are in force.

use super::evaluate::EvalError;
use super::model::{Benchmark, Profile, Role, Rule, Severity, Tailoring, Text};
use super::tailoring::{self, Circle};
use std::collections::HashMap;
use std::sync::Arc;

/// The name of the profile that selects everything, as OpenSCAP has it.
pub const ALL: &str = "(all)";

/// A profile applied to a benchmark.
#[derive(Debug, Default)]
pub struct Policy {
    /// The profile, with all that it inherits; None for the benchmark as it is.
    pub profile: Option<Profile>,
    /// By item: whether it is selected itself, whatever the groups around it are.
    pub(super) selected: Vec<bool>,
    refined: HashMap<usize, Refined>,
    set: HashMap<Arc<str>, Vec<Box<str>>>,
    selectors: HashMap<Arc<str>, Option<Box<str>>>,
}

#[derive(Debug, Clone, Default)]
struct Refined {
    selector: Option<Box<str>>,
    role: Role,
    severity: Option<Severity>,
    weight: Option<f64>,
}

/// The full id of a profile that was given in full or by its end.
pub fn profile_id(
    benchmark: &Benchmark,
    tailoring: Option<&Tailoring>,
    given: &str,
) -> Result<Arc<str>, EvalError> {
    let tailored: &[Profile] = tailoring.map_or(&[], |tailoring| &tailoring.profiles);
    let own = benchmark.profiles.iter();
    if let Some(profile) = tailored
        .iter()
        .chain(own)
        .find(|profile| &*profile.id == given)
    {
        return Ok(Arc::clone(&profile.id));
    }
    if given == ALL {
        return Ok(ALL.into());
    }
    for profiles in [tailored, &benchmark.profiles] {
        let mut fitting = profiles
            .iter()
            .filter(|profile| profile.id.ends_with(given));
        if let Some(first) = fitting.next() {
            return match fitting.next() {
                None => Ok(Arc::clone(&first.id)),
                Some(_) => Err(EvalError::AmbiguousProfile(given.to_owned())),
            };
        }
    }
    Err(EvalError::NoProfile(given.to_owned()))
}

impl Policy {
    /// Applies a profile; None is the benchmark as it is.
    pub fn new(
        benchmark: &Benchmark,
        tailoring: Option<&Tailoring>,
        profile: Option<&str>,
    ) -> Result<Self, EvalError> {
        let profile = match profile {
            None => None,
            Some(given) => {
                let id = profile_id(benchmark, tailoring, given)?;
                let found = tailoring::profile(benchmark, tailoring, &id)
                    .map_err(|Circle(id)| EvalError::Circle(id.to_string()))?;
                Some(found.unwrap_or_else(|| everything(benchmark)))
            }
        };
        let mut chosen: HashMap<usize, bool> = HashMap::new();
        let mut policy = Self::default();
        if let Some(profile) = &profile {
            for (id, selected) in &profile.selects {
                for place in meant(benchmark, id) {
                    chosen.insert(place, *selected);
                }
            }
            for change in &profile.refine_rules {
                for place in meant(benchmark, &change.id) {
                    let refined = policy.refined.entry(place).or_default();
                    if change.selector.is_some() {
                        refined.selector.clone_from(&change.selector);
                    }
                    // As OpenSCAP: a change that gives no role makes it `full`.
                    refined.role = change.role;
                    refined.severity = change.severity.or(refined.severity);
                    refined.weight = change.weight.or(refined.weight);
                }
            }
            policy.set = profile.set_values.iter().cloned().collect();
            policy.selectors = profile.refine_values.iter().cloned().collect();
        }
        policy.selected = benchmark
            .items
            .iter()
            .enumerate()
            .map(|(place, item)| chosen.get(&place).copied().unwrap_or(item.selected))
            .collect();
        policy.profile = profile;
        Ok(policy)
    }

    /// Whether an item is selected itself, whatever the groups around it are.
    pub fn is_selected(&self, place: usize) -> bool {
        self.selected.get(place).copied().unwrap_or(false)
    }

    /// The role of a rule.
    pub fn role(&self, place: usize, rule: &Rule) -> Role {
        self.refined
            .get(&place)
            .map_or(rule.role, |refined| refined.role)
    }

    /// The severity of a rule.
    pub fn severity(&self, place: usize, rule: &Rule) -> Severity {
        self.refined
            .get(&place)
            .and_then(|refined| refined.severity)
            .unwrap_or(rule.severity)
    }

    /// The weight of an item.
    pub fn weight(&self, benchmark: &Benchmark, place: usize) -> f64 {
        self.refined
            .get(&place)
            .and_then(|refined| refined.weight)
            .or_else(|| benchmark.items.get(place).map(|item| item.weight))
            .unwrap_or(1.0)
    }

    /// The selector of a rule's checks.
    pub fn selector(&self, place: usize) -> Option<&str> {
        self.refined
            .get(&place)
            .and_then(|refined| refined.selector.as_deref())
    }

    /// The texts of a value that are in force, or why there are none.
    pub fn value(&self, benchmark: &Benchmark, id: &str) -> Result<Vec<Box<str>>, String> {
        let value = benchmark
            .values
            .get(id)
            .ok_or_else(|| format!("the benchmark has no value {id}"))?;
        let selector = self.selectors.get(id).and_then(Option::as_deref);
        // Also where the profile sets a text: OpenSCAP wants the choice to exist.
        let instance = value.choose(selector).ok_or_else(|| {
            let selector = selector.unwrap_or_default();
            format!("the value {id} has no choice {selector:?}")
        })?;
        Ok(match (self.set.get(id), &instance.texts) {
            (Some(texts), _) | (None, Some(texts)) => texts.clone(),
            (None, None) => vec!["".into()],
        })
    }

    /// The values in force, in document order; those that cannot be resolved are left out.
    pub fn values(&self, benchmark: &Benchmark) -> Vec<(Arc<str>, String)> {
        benchmark
            .value_order
            .iter()
            .filter_map(|id| {
                let texts = self.value(benchmark, id).ok()?;
                Some((Arc::clone(id), texts.join(", ")))
            })
            .collect()
    }

    /// A text of the benchmark with its values put in.
    pub fn text(&self, benchmark: &Benchmark, text: &Text) -> String {
        text.render(&|id, title| match benchmark.values.get(id) {
            // A title has no places of its own that could be filled.
            Some(value) if title => Some(value.title.render(&|_, _| None)),
            Some(_) => Some(self.value(benchmark, id).ok()?.join(", ")),
            None => benchmark.plain_texts.get(id).cloned(),
        })
    }
}

/// The items that an id means: an item, else the members of a cluster.
fn meant(benchmark: &Benchmark, id: &str) -> Vec<usize> {
    match benchmark.places.get(id) {
        Some(place) => vec![*place],
        None => benchmark.clusters.get(id).cloned().unwrap_or_default(),
    }
}

fn everything(benchmark: &Benchmark) -> Profile {
    let items = benchmark.items.iter();
    Profile {
        id: ALL.into(),
        selects: items.map(|item| (Arc::clone(&item.id), true)).collect(),
        ..Profile::default()
    }
}
