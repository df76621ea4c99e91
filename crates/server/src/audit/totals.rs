//! What each constraint found in the cluster, for its status, the metrics and the console.

use bartizan_cluster::Name;
use bartizan_cluster::audit::{Kind, PolicyId};
use bartizan_policy::audit::ConstraintFound;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Objects of which the messages are kept, each constraint.
const SHOWN: usize = 100;
/// Characters of a message in a constraint's status, as in Gatekeeper.
const MESSAGE: usize = 256;

/// Names a constraint: its kind and name.
pub type Constraint = (String, String);
/// Which object.
pub type Place = (Kind, Name);

/// One constraint's violations.
#[derive(Debug, Default)]
struct Total {
    /// The check of its template.
    check: PolicyId,
    actions: Vec<&'static str>,
    /// How many violations each object has.
    objects: HashMap<Place, u32>,
    /// How many there are in all.
    violations: u64,
    /// The messages of some of them.
    shown: BTreeMap<Place, Vec<String>>,
    changed: bool,
}

/// All constraints' violations.
#[derive(Debug, Default)]
pub struct Totals {
    all: BTreeMap<Constraint, Total>,
    /// Objects of which something was found, by whichever check: most have nothing to forget.
    failing: HashSet<Place>,
}

impl Totals {
    /// The constraints that there are, each with its check. What is gone is forgotten.
    pub fn set(&mut self, constraints: &BTreeMap<Constraint, (PolicyId, Vec<&'static str>)>) {
        self.all.retain(|key, _| constraints.contains_key(key));
        for (key, (check, actions)) in constraints {
            let total = self.all.entry(key.clone()).or_insert_with(|| Total {
                changed: true,
                ..Total::default()
            });
            total.check.clone_from(check);
            if total.actions != *actions {
                total.actions.clone_from(actions);
                total.changed = true;
            }
        }
    }

    /// What was found of one object under these checks takes the place of what was.
    pub fn put(&mut self, place: &Place, checks: &[PolicyId], found: &[ConstraintFound]) {
        let some = found.iter().any(|f| !f.messages.is_empty());
        if !some && !self.failing.contains(place) {
            return;
        }
        if some {
            self.failing.insert(place.clone());
        }
        for (key, total) in &mut self.all {
            if !checks.contains(&total.check) {
                continue;
            }
            let now = found
                .iter()
                .find(|f| (&f.kind, &f.name) == (&key.0, &key.1));
            total.put(place, now.map_or(&[][..], |f| &f.messages));
        }
    }

    /// An object is gone.
    pub fn forget(&mut self, place: &Place) {
        if !self.failing.remove(place) {
            return;
        }
        for total in self.all.values_mut() {
            total.put(place, &[]);
        }
    }

    /// Whether some constraint of a check has violations of an object.
    pub fn fails(&self, place: &Place, check: &str) -> bool {
        let mut of = self.all.values().filter(|total| total.check == check);
        of.any(|total| total.objects.contains_key(place))
    }

    /// Violations of each constraint.
    pub fn counts(&self) -> impl Iterator<Item = (&Constraint, &[&'static str], u64)> {
        let all = self.all.iter();
        all.map(|(key, total)| (key, total.actions.as_slice(), total.violations))
    }

    /// The checks of which not enough messages are kept: their objects are to be judged again.
    pub fn thin(&self, limit: usize) -> Vec<PolicyId> {
        let thin = |t: &&Total| t.shown.len() < t.objects.len().min(limit.min(SHOWN));
        self.all
            .values()
            .filter(thin)
            .map(|t| t.check.clone())
            .collect()
    }

    /// The constraints whose status differs from what was last taken, with at most `limit`
    /// violations, in Gatekeeper's shape.
    pub fn take_changed(&mut self, limit: usize, now: &str) -> Vec<(Constraint, Value)> {
        let mut all = Vec::new();
        for (key, total) in &mut self.all {
            if !std::mem::take(&mut total.changed) {
                continue;
            }
            let violations: Vec<Value> = total
                .shown
                .iter()
                .flat_map(|(place, messages)| messages.iter().map(move |m| (place, m)))
                .take(limit)
                .map(|(place, message)| violation(place, message, &total.actions))
                .collect();
            let status = json!({
                "auditTimestamp": now,
                "totalViolations": total.violations,
                "violations": violations,
            });
            all.push((key.clone(), status));
        }
        all
    }

    /// Its status was not written: it is taken again.
    pub fn again(&mut self, key: &Constraint) {
        if let Some(total) = self.all.get_mut(key) {
            total.changed = true;
        }
    }
}

impl Total {
    fn put(&mut self, place: &Place, messages: &[String]) {
        let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let before = match count {
            0 => self.objects.remove(place),
            n => self.objects.insert(place.clone(), n),
        };
        let gone = u64::from(before.unwrap_or_default());
        self.violations = (self.violations + u64::from(count)).saturating_sub(gone);
        let shown = match count {
            0 => self.shown.remove(place),
            _ => {
                let short = |m: &String| m.chars().take(MESSAGE).collect::<String>();
                let short: Vec<String> = messages.iter().take(20).map(short).collect();
                let same = self.shown.get(place) == Some(&short);
                if same && before == Some(count) {
                    return;
                }
                let before = self.shown.insert(place.clone(), short);
                if self.shown.len() > SHOWN {
                    self.shown.pop_last();
                }
                before
            }
        };
        self.changed |= count > 0 || before.is_some() || shown.is_some();
    }
}

fn violation((kind, name): &Place, message: &str, actions: &[&'static str]) -> Value {
    let mut violation = json!({
        "enforcementAction": actions.last().copied().unwrap_or("deny"),
        "group": kind.group,
        "kind": kind.kind,
        "message": message,
        "name": name.name,
    });
    if let (Some(namespace), Value::Object(map)) = (&name.namespace, &mut violation) {
        map.insert("namespace".into(), namespace.clone().into());
    }
    violation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        (Kind::new("", "Pod"), Name::within("shop", name))
    }

    fn found(messages: &[&str]) -> Vec<ConstraintFound> {
        vec![ConstraintFound {
            kind: "NoRoot".into(),
            name: "all".into(),
            actions: vec!["deny"],
            messages: messages.iter().map(|m| (*m).to_owned()).collect(),
        }]
    }

    fn totals() -> Totals {
        let mut totals = Totals::default();
        let key = ("NoRoot".to_owned(), "all".to_owned());
        totals.set(&BTreeMap::from([(key, ("c".to_owned(), vec!["deny"]))]));
        totals
    }

    #[test]
    fn a_status_is_gatekeepers() {
        let mut totals = totals();
        totals.put(&place("a"), &["c".into()], &found(&["one", "two"]));
        let changed = totals.take_changed(1, "2026-11-25T00:00:00Z");
        assert_eq!(
            changed[0].1,
            json!({"auditTimestamp": "2026-11-25T00:00:00Z", "totalViolations": 2,
                "violations": [{"enforcementAction": "deny", "group": "", "kind": "Pod",
                    "message": "one", "name": "a", "namespace": "shop"}]})
        );
        assert!(totals.take_changed(1, "later").is_empty());
    }

    #[test]
    fn what_is_mended_or_gone_counts_no_more() {
        let mut totals = totals();
        totals.put(&place("a"), &["c".into()], &found(&["one"]));
        totals.put(&place("b"), &["c".into()], &found(&["one"]));
        totals.put(&place("a"), &["other".into()], &[]);
        let count = |t: &Totals| t.counts().map(|(_, _, n)| n).sum::<u64>();
        assert_eq!(count(&totals), 2);
        totals.put(&place("a"), &["c".into()], &[]);
        totals.forget(&place("b"));
        assert_eq!(count(&totals), 0);
        assert_eq!(totals.take_changed(20, "t")[0].1["totalViolations"], 0);
    }

    #[test]
    fn more_than_are_shown_are_counted() {
        let mut totals = totals();
        for n in 0..500 {
            totals.put(&place(&format!("{n:03}")), &["c".into()], &found(&["m"]));
        }
        let status = &totals.take_changed(20, "t")[0].1;
        assert_eq!(status["totalViolations"], 500);
        assert_eq!(status["violations"].as_array().map(Vec::len), Some(20));
        assert!(totals.thin(20).is_empty());
        for n in 0..90 {
            totals.forget(&place(&format!("{n:03}")));
        }
        assert_eq!(totals.thin(20), ["c"]);
    }
}
