//! What an evaluation says as a whole, as a fact of the host: profile, scores, groups.

use super::testresult::Subject;
use crate::xccdf::model::{Benchmark, Body};
use crate::xccdf::outcome::{RuleResult, Score};
use bartizan_model::{Asset, CheckUid, Digest, Observation};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// The kind of the observation.
pub const EVALUATION: &str = "scap.evaluation";

/// Content decides how many groups there are, and how long their titles are.
const MAX_GROUPS: usize = 200;
const MAX_TITLE: usize = 200;

#[derive(Default)]
struct Group {
    pass: u64,
    fail: u64,
    unknown: u64,
    not_applicable: u64,
    failing: Vec<String>,
}

/// The fact. `uid` makes the uid of a rule's check.
pub(super) fn observation(
    asset: Asset,
    subject: &Subject<'_>,
    uid: &dyn Fn(&str) -> Option<CheckUid>,
) -> Observation {
    let (benchmark, policy, evaluation) = (subject.benchmark, subject.policy, subject.evaluation);
    let title = |text| cut(&policy.text(benchmark, text));
    let profile_title = policy.profile.as_ref().map(|one| title(&one.title));
    let body = json!({
        "benchmark": cut(&evaluation.benchmark),
        "version": cut(&evaluation.version),
        "title": title(&benchmark.title),
        "profile": evaluation.profile.as_deref().map(cut),
        "profileTitle": profile_title,
        "applicable": evaluation.applicable,
        "scores": evaluation.scores.iter().filter_map(score).collect::<Vec<_>>(),
        "groups": groups(subject, uid),
    });
    Observation {
        asset,
        kind: EVALUATION.to_owned(),
        digest: Digest::of(body.to_string().as_bytes()),
        body,
        location: None,
    }
}

fn score(score: &Score) -> Option<Value> {
    let percent = 100.0 * score.value / score.maximum;
    percent.is_finite().then(|| {
        json!({
            "system": score.system,
            "value": score.value,
            "maximum": score.maximum,
            "percent": percent,
        })
    })
}

fn groups(subject: &Subject<'_>, uid: &dyn Fn(&str) -> Option<CheckUid>) -> Vec<Value> {
    let (benchmark, policy) = (subject.benchmark, subject.policy);
    let places = places(benchmark);
    // By the place of the group, which is its order.
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for outcome in &subject.evaluation.rules {
        let Some(place) = places.get(&*outcome.id) else {
            continue;
        };
        if outcome.result == RuleResult::NotSelected
            || (groups.len() >= MAX_GROUPS && !groups.contains_key(place))
        {
            continue;
        }
        let group = groups.entry(*place).or_default();
        match outcome.result {
            RuleResult::Pass | RuleResult::Fixed => group.pass += 1,
            RuleResult::Fail => {
                group.fail += 1;
                group
                    .failing
                    .extend(uid(&outcome.id).map(|uid| uid.to_string()));
            }
            RuleResult::NotApplicable => group.not_applicable += 1,
            _ => group.unknown += 1,
        }
    }
    let item = |place: usize| benchmark.items.get(place);
    groups
        .into_iter()
        .filter_map(|(place, group)| {
            let own = item(place)?;
            let mut title = cut(&policy.text(benchmark, &own.title));
            if let Some(above) = own.parent.and_then(item) {
                title = format!("{} › {title}", cut(&policy.text(benchmark, &above.title)));
            }
            Some(json!({
                "title": title,
                "pass": group.pass,
                "fail": group.fail,
                "unknown": group.unknown,
                "notApplicable": group.not_applicable,
                "failing": group.failing,
            }))
        })
        .collect()
}

/// By rule the group that it is counted in: the second from the top, else the first. Deeper
/// ones are too many to be read.
fn places(benchmark: &Benchmark) -> HashMap<&str, usize> {
    let mut places = HashMap::new();
    // By item the group that is counted for what is in it, and how deep that is.
    let mut counted: Vec<Option<(usize, usize)>> = Vec::with_capacity(benchmark.items.len());
    for (place, item) in benchmark.items.iter().enumerate() {
        // A group stands before what is in it.
        let above = item
            .parent
            .and_then(|parent| counted.get(parent).copied().flatten());
        let own = match (&item.body, above) {
            (Body::Rule(_), above) => {
                if let Some((group, _)) = above {
                    places.insert(&*item.id, group);
                }
                None
            }
            (Body::Group, Some((_, 1))) => Some((place, 2)),
            (Body::Group, Some(above)) => Some(above),
            (Body::Group, None) => Some((place, 1)),
        };
        counted.push(own);
    }
    places
}

/// A text on one line.
fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = line.chars().filter(|c| !c.is_control());
    plain.take(MAX_TITLE).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testresult::tests::outcome;
    use super::*;
    use crate::content::Bundle;
    use crate::xccdf::outcome::Evaluation;
    use crate::xccdf::select::Policy;
    use bartizan_model::AssetUid;

    #[test]
    fn rules_are_counted_in_the_second_group_from_the_top() {
        let bundle = Bundle::load(
            b"<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='b'><title>B</title>
 <Group id='g1'><title>One</title><Rule id='r1'/>
  <Group id='g2'><title>Two</title><Rule id='r2'/><Group id='g3'><title>Three</title><Rule id='r3'/></Group></Group></Group>
 <Rule id='r4'/></Benchmark>",
        )
        .unwrap();
        let benchmark = bundle.benchmark(None, None).unwrap().benchmark;
        let policy = Policy::new(benchmark, None, None).unwrap();
        let evaluation = Evaluation {
            platforms: Vec::new(),
            benchmark: "b".into(),
            version: "1".to_owned(),
            profile: None,
            applicable: true,
            rules: vec![
                outcome("r1", RuleResult::Pass),
                outcome("r2", RuleResult::Fail),
                outcome("r3", RuleResult::Error),
                outcome("r4", RuleResult::Fail),
            ],
            values: Vec::new(),
            scores: vec![Score {
                system: "urn:xccdf:scoring:flat",
                value: 1.0,
                maximum: 4.0,
            }],
        };
        let subject = Subject {
            benchmark,
            policy: &policy,
            evaluation: &evaluation,
        };
        let asset = Asset {
            uid: AssetUid::new("host:h//Host//h").unwrap(),
            kind: "Host".to_owned(),
            name: "h".to_owned(),
            namespace: String::new(),
        };
        let uid = |rule: &str| CheckUid::of("scap", "b", rule).ok();
        let body = observation(asset, &subject, &uid).body;
        assert_eq!(
            body.get("groups").unwrap(),
            &json!([
                {"title": "One", "pass": 1, "fail": 0, "unknown": 0, "notApplicable": 0, "failing": []},
                {"title": "One › Two", "pass": 0, "fail": 1, "unknown": 1, "notApplicable": 0, "failing": ["scap/b/r2"]},
            ])
        );
        assert_eq!(body.pointer("/scores/0/percent"), Some(&json!(25.0)));
    }
}
