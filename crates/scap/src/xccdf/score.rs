//! Scores by XCCDF's four models (NISTIR 7275r4, 7.3).

use super::check::combine;
use super::model::{Benchmark, Body, Role};
use super::outcome::{RuleOutcome, RuleResult, Score};
use super::select::Policy;
use std::collections::HashMap;

const DEFAULT: &str = "urn:xccdf:scoring:default";
const FLAT: &str = "urn:xccdf:scoring:flat";
const UNWEIGHTED: &str = "urn:xccdf:scoring:flat-unweighted";
const ABSOLUTE: &str = "urn:xccdf:scoring:absolute";

/// The scores of an evaluation.
pub(super) fn scores(
    benchmark: &Benchmark,
    policy: &Policy,
    outcomes: &[RuleOutcome],
) -> Vec<Score> {
    let mut results: HashMap<&str, RuleResult> = HashMap::new();
    for outcome in outcomes {
        // Many results of one rule (`multi-check`) count as one that needs all.
        results
            .entry(&outcome.id)
            .and_modify(|known| *known = combine(true, *known, outcome.result))
            .or_insert(outcome.result);
    }
    let scored = |place: usize| -> Option<bool> {
        let item = benchmark.items.get(place)?;
        let Body::Rule(rule) = &item.body else {
            return None;
        };
        if policy.role(place, rule) == Role::Unscored {
            return None;
        }
        match results.get(&*item.id)? {
            RuleResult::Pass | RuleResult::Fixed => Some(true),
            RuleResult::Fail | RuleResult::Error | RuleResult::Unknown => Some(false),
            RuleResult::Informational
            | RuleResult::NotApplicable
            | RuleResult::NotChecked
            | RuleResult::NotSelected => None,
        }
    };
    let (mut flat, mut flat_most, mut count, mut most) = (0.0, 0.0, 0.0, 0.0);
    for place in 0..benchmark.items.len() {
        if let Some(passed) = scored(place) {
            let weight = policy.weight(benchmark, place);
            flat_most += weight;
            most += 1.0;
            if passed {
                flat += weight;
                count += 1.0;
            }
        }
    }
    let whole = weighted(benchmark, policy, &scored, None).unwrap_or(0.0);
    let is_whole = flat >= flat_most;
    [
        (DEFAULT, whole, 100.0),
        (FLAT, flat, flat_most),
        (UNWEIGHTED, count, most),
        (ABSOLUTE, if is_whole { 1.0 } else { 0.0 }, 1.0),
    ]
    .into_iter()
    .map(|(system, value, maximum)| Score {
        system,
        value,
        maximum,
    })
    .collect()
}

/// The default model: the mean of what is inside, by weight; None where nothing is scored.
/// Recursion is bounded by the depth of the XML.
fn weighted(
    benchmark: &Benchmark,
    policy: &Policy,
    scored: &dyn Fn(usize) -> Option<bool>,
    of: Option<usize>,
) -> Option<f64> {
    let is_rule = |place: usize| {
        let item = benchmark.items.get(place);
        item.is_some_and(|item| matches!(item.body, Body::Rule(_)))
    };
    let (mut sum, mut weights, mut any) = (0.0, 0.0, false);
    for place in benchmark.children(of) {
        let score = if is_rule(place) {
            scored(place).map(|passed| if passed { 100.0 } else { 0.0 })
        } else {
            weighted(benchmark, policy, scored, Some(place))
        };
        if let Some(score) = score {
            let weight = policy.weight(benchmark, place);
            sum += score * weight;
            weights += weight;
            any = true;
        }
    }
    any.then_some(if weights > 0.0 { sum / weights } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{xccdf::parse, xml};

    #[test]
    fn four_models() {
        let text = "<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='b'>
          <Group id='g' weight='3'><Rule id='a' weight='1'/><Rule id='b' weight='3'/></Group>
          <Group id='none'><Rule id='c'/></Group>
          <Rule id='d'/><Rule id='e' role='unscored'/>
        </Benchmark>";
        let benchmark = parse::benchmark(&xml::parse(text.as_bytes()).unwrap()).unwrap();
        let policy = Policy::new(&benchmark, None, None).unwrap();
        let outcome = |id: &str, result| RuleOutcome {
            id: id.into(),
            result,
            check: None,
            message: None,
            why: Vec::new(),
        };
        let outcomes = [
            outcome("a", RuleResult::Fail),
            outcome("b", RuleResult::Pass),
            outcome("c", RuleResult::NotApplicable),
            outcome("d", RuleResult::Error),
            outcome("e", RuleResult::Pass),
        ];
        let found = scores(&benchmark, &policy, &outcomes);
        let found: Vec<_> = found
            .iter()
            .map(|score| (score.value, score.maximum))
            .collect();
        // g is 75 of weight 3, d is 0 of weight 1.
        assert_eq!(found, [(56.25, 100.0), (3.0, 5.0), (1.0, 3.0), (0.0, 1.0)]);
    }
}
