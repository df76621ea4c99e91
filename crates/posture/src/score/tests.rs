//! Every line of the table, and what must hold whatever the tallies.

use super::*;
use bartizan_model::{Digest, ScopeId};
use proptest::prelude::*;

const NOW: &str = "2026-11-21T12:00:00Z";

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn framework(controls: &[(&str, &[&str])]) -> Framework {
    Framework {
        id: FrameworkId::new("f").unwrap(),
        title: "F".to_owned(),
        version: "1".to_owned(),
        source: "us".to_owned(),
        controls: controls
            .iter()
            .map(|(id, checks)| Control {
                id: ControlId::new(*id).unwrap(),
                title: format!("title {id}"),
                group: String::new(),
                checks: checks.iter().map(|c| (*c).to_owned()).collect(),
                guidance: String::new(),
            })
            .collect(),
    }
}

fn tally(check: &str, counts: [u64; 6]) -> CheckTally {
    let [
        pass,
        fail,
        accepted,
        false_positive,
        not_applicable,
        unknown,
    ] = counts;
    CheckTally {
        check: CheckUid::new(check).unwrap(),
        pass,
        fail,
        accepted,
        false_positive,
        not_applicable,
        unknown,
    }
}

fn assessment(control: &str, verdict: Verdict, at: &str, expires: &str) -> Assessment {
    Assessment {
        framework: FrameworkId::new("f").unwrap(),
        control: ControlId::new(control).unwrap(),
        scope: ScopeId::new("cluster:prod").unwrap(),
        assessor: "ana".to_owned(),
        verdict,
        reason: "seen".to_owned(),
        evidence: vec![Digest::of(b"photo")],
        at: time(at),
        expires: time(expires),
    }
}

/// Status and reason of the one control of a framework.
fn one(checks: &[&str], tallies: &[CheckTally], assessments: &[Assessment]) -> String {
    let posture = evaluate(
        &framework(&[("c", checks)]),
        tallies,
        assessments,
        time(NOW),
    );
    let control = &posture.controls[0];
    format!("{}: {}", control.status.word(), control.why)
}

#[test]
fn results_alone() {
    let judged = |counts| one(&["a/*"], &[tally("a/b/c", counts)], &[]);
    let cases = [
        judged([3, 0, 0, 0, 0, 0]),
        judged([1, 1, 0, 0, 0, 0]),
        judged([9, 2, 1, 1, 1, 1]),
        judged([9, 0, 0, 0, 0, 1]),
        judged([9, 0, 1, 0, 0, 0]),
        judged([9, 0, 2, 0, 0, 3]),
        judged([0, 0, 0, 2, 0, 0]),
        judged([1, 0, 0, 2, 0, 0]),
        judged([0, 0, 0, 0, 5, 0]),
        judged([0, 0, 0, 1, 5, 0]),
        judged([0, 0, 0, 0, 0, 0]),
        one(&["x/*"], &[tally("a/b/c", [1, 0, 0, 0, 0, 0])], &[]),
        one(&[], &[tally("a/b/c", [1, 0, 0, 0, 0, 0])], &[]),
    ];
    insta::assert_snapshot!(cases.join("\n"), @r##"
passed: 3 results pass from 1 check, none fails.
failed: 1 result fails and nobody accepted it.
failed: 2 results fail and nobody accepted them.
not_assessed: 1 result could not be told, so whether the control passes is not known.
accepted: 1 failure is knowingly accepted; that is no pass.
not_assessed: 3 results could not be told, so whether the control passes is not known.
not_assessed: Its only failures were ruled false positives and nothing passes.
passed: 1 result passes from 1 check, none fails.
not_applicable: Its checks ran and had nothing to look at.
not_assessed: Its only failures were ruled false positives and nothing passes.
not_assessed: None of its checks has given a result in this scope.
not_assessed: None of its checks has given a result in this scope.
manual: Only a person can judge it, and none has.
"##);
}

#[test]
fn people() {
    let said = |verdict| assessment("c", verdict, "2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let manual = |assessments: &[Assessment]| one(&[], &[], assessments);
    let with = |counts, verdict| one(&["a/*"], &[tally("a/b/c", counts)], &[said(verdict)]);
    let old = |verdict| assessment("c", verdict, "2025-01-01T00:00:00Z", "2026-11-21T12:00:00Z");
    let cases = [
        manual(&[said(Verdict::Passed)]),
        manual(&[said(Verdict::Failed)]),
        manual(&[said(Verdict::NotApplicable)]),
        // Expired at this very moment.
        manual(&[old(Verdict::Passed)]),
        // Not given yet.
        manual(&[assessment(
            "c",
            Verdict::Passed,
            "2026-12-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        )]),
        // Of another control.
        manual(&[assessment(
            "d",
            Verdict::Passed,
            "2026-11-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        )]),
        // The newest counts though it has expired and an older one has not.
        manual(&[
            said(Verdict::Passed),
            assessment(
                "c",
                Verdict::Failed,
                "2026-11-10T00:00:00Z",
                "2026-11-12T00:00:00Z",
            ),
        ]),
        // Of two at the same moment the graver.
        manual(&[said(Verdict::Passed), said(Verdict::Failed)]),
        // A person never overrules a machine upwards.
        with([1, 1, 0, 0, 0, 0], Verdict::Passed),
        with([1, 1, 0, 0, 0, 0], Verdict::NotApplicable),
        with([1, 0, 0, 0, 0, 1], Verdict::Passed),
        with([0, 0, 1, 0, 0, 0], Verdict::Passed),
        // But downwards.
        with([1, 0, 0, 0, 0, 0], Verdict::Failed),
        with([0, 0, 0, 0, 0, 1], Verdict::Failed),
        // And where the machine has no verdict.
        with([0, 0, 0, 0, 0, 0], Verdict::Passed),
        with([0, 0, 0, 1, 0, 0], Verdict::Passed),
        with([0, 0, 0, 0, 1, 0], Verdict::Passed),
        with([1, 0, 0, 0, 0, 0], Verdict::NotApplicable),
    ];
    insta::assert_snapshot!(cases.join("\n"), @r##"
passed: ana judged it passed on 2026-11-01, valid until 2027-01-01.
failed: ana judged it failed on 2026-11-01, valid until 2027-01-01.
not_applicable: ana judged it not applicable on 2026-11-01, valid until 2027-01-01.
manual: The verdict of ana expired on 2026-11-21; a person has to judge it again.
manual: Only a person can judge it, and none has.
manual: Only a person can judge it, and none has.
manual: The verdict of ana expired on 2026-11-12; a person has to judge it again.
failed: ana judged it failed on 2026-11-01, valid until 2027-01-01.
failed: 1 result fails and nobody accepted it.
failed: 1 result fails and nobody accepted it.
not_assessed: 1 result could not be told, so whether the control passes is not known.
accepted: 1 failure is knowingly accepted; that is no pass.
failed: ana judged it failed on 2026-11-01, valid until 2027-01-01.
failed: ana judged it failed on 2026-11-01, valid until 2027-01-01.
passed: ana judged it passed on 2026-11-01, valid until 2027-01-01.
passed: ana judged it passed on 2026-11-01, valid until 2027-01-01.
passed: ana judged it passed on 2026-11-01, valid until 2027-01-01.
passed: 1 result passes from 1 check, none fails.
"##);
}

#[test]
fn a_framework_adds_up() {
    let framework = framework(&[
        ("pass", &["a/b/p*"]),
        ("fail", &["a/b/f", "a/b/p1"]),
        ("accepted", &["*/acc"]),
        ("unknown", &["a/b/u"]),
        ("none", &["z"]),
        ("na", &["a/b/n"]),
        ("manual", &[]),
    ]);
    let tallies = [
        tally("a/b/p1", [2, 0, 0, 0, 0, 0]),
        tally("a/b/f", [5, 1, 0, 0, 0, 0]),
        tally("a/b/acc", [5, 0, 1, 0, 0, 0]),
        tally("a/b/u", [5, 0, 0, 0, 0, 1]),
        tally("a/b/n", [0, 0, 0, 0, 4, 0]),
        tally("a/b/p2", [1, 0, 0, 0, 0, 0]),
    ];
    let posture = evaluate(&framework, &tallies, &[], time(NOW));
    assert_eq!(
        posture.counts,
        Score {
            passed: 1,
            failed: 1,
            accepted: 1,
            not_assessed: 2,
            not_applicable: 1,
            manual: 1
        }
    );
    assert_eq!(posture.score, Some(50.0));
    assert_eq!(posture.coverage, Some(57.14));
    assert_eq!(
        posture.controls[1],
        ControlPosture {
            id: ControlId::new("fail").unwrap(),
            title: "title fail".to_owned(),
            group: String::new(),
            status: ControlStatus::Failed,
            why: "1 result fails and nobody accepted it.".to_owned(),
            tally: Tally {
                pass: 7,
                fail: 1,
                ..Tally::default()
            },
            checks: vec![
                CheckUid::new("a/b/f").unwrap(),
                CheckUid::new("a/b/p1").unwrap()
            ],
        }
    );
}

fn any_tallies() -> impl Strategy<Value = Vec<CheckTally>> {
    let counts = (0..3_u64, 0..2_u64, 0..2_u64, 0..2_u64, 0..2_u64, 0..2_u64);
    proptest::collection::vec((0..6_u8, counts), 0..10).prop_map(|all| {
        all.into_iter()
            .map(|(n, (a, b, c, d, e, f))| tally(&format!("a/b/{n}"), [a, b, c, d, e, f]))
            .collect()
    })
}

fn any_assessments() -> impl Strategy<Value = Vec<Assessment>> {
    let verdict = prop_oneof![
        Just(Verdict::Passed),
        Just(Verdict::Failed),
        Just(Verdict::NotApplicable)
    ];
    proptest::collection::vec((0..4_u8, verdict, 1..28_u8, 1..28_u8), 0..6).prop_map(|all| {
        all.into_iter()
            .map(|(control, verdict, at, expires)| {
                assessment(
                    &format!("c{control}"),
                    verdict,
                    &format!("2026-11-{at:02}T00:00:00Z"),
                    &format!("2026-11-{expires:02}T00:00:00Z"),
                )
            })
            .collect()
    })
}

fn scored(tallies: &[CheckTally], assessments: &[Assessment]) -> FrameworkPosture {
    let framework = framework(&[
        ("c0", &["a/b/0", "a/b/1"]),
        ("c1", &["a/b/*"]),
        ("c2", &["*/5", "a/*/4"]),
        ("c3", &[]),
    ]);
    evaluate(&framework, tallies, assessments, time(NOW))
}

/// No better than: leaving, or never having had, the status Passed.
fn no_more_passes(before: &FrameworkPosture, after: &FrameworkPosture) -> bool {
    before
        .controls
        .iter()
        .zip(&after.controls)
        .all(|(b, a)| a.status != ControlStatus::Passed || b.status == ControlStatus::Passed)
}

proptest! {
    #[test]
    fn order_does_not_matter(tallies in any_tallies(), assessments in any_assessments(), by: u8) {
        let before = scored(&tallies, &assessments);
        let (mut t, mut a) = (tallies, assessments);
        t.reverse();
        a.reverse();
        let (at, aa) = (usize::from(by) % (t.len() + 1), usize::from(by) % (a.len() + 1));
        t.rotate_left(at);
        a.rotate_left(aa);
        prop_assert_eq!(before, scored(&t, &a));
    }

    #[test]
    fn an_unknown_failure_or_acceptance_never_makes_a_pass(
        tallies in any_tallies(), assessments in any_assessments(), n in 0..7_u8, what in 0..3_usize,
    ) {
        let before = scored(&tallies, &assessments);
        let mut more = tallies;
        let counts = [[0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]][what];
        more.push(tally(&format!("a/b/{n}"), counts));
        let after = scored(&more, &assessments);
        prop_assert!(no_more_passes(&before, &after));
        prop_assert!(after.counts.passed <= before.counts.passed);
        if what == 0 {
            // A failure never raises the score either.
            prop_assert!(after.counts.failed >= before.counts.failed);
            if let (Some(before), Some(after)) = (before.score, after.score) {
                prop_assert!(after <= before, "{} then {}", before, after);
            }
        }
    }

    /// Accepting a failure (a waiver) takes it out of the failures and makes no pass of it.
    #[test]
    fn accepting_makes_no_pass(tallies in any_tallies(), assessments in any_assessments()) {
        let before = scored(&tallies, &assessments);
        let mut waived = tallies;
        for t in &mut waived {
            t.accepted += t.fail;
            t.fail = 0;
        }
        let after = scored(&waived, &assessments);
        prop_assert!(no_more_passes(&before, &after));
        let failed_by_machine = after.controls.iter().any(|c| c.status == ControlStatus::Failed && c.tally.fail > 0);
        prop_assert!(!failed_by_machine);
    }

    #[test]
    fn counts_are_those_of_the_controls(tallies in any_tallies(), assessments in any_assessments()) {
        let posture = scored(&tallies, &assessments);
        let of = |status| posture.controls.iter().filter(|c| c.status == status).count() as u32;
        prop_assert_eq!(posture.counts, Score {
            passed: of(ControlStatus::Passed),
            failed: of(ControlStatus::Failed),
            accepted: of(ControlStatus::Accepted),
            not_assessed: of(ControlStatus::NotAssessed),
            not_applicable: of(ControlStatus::NotApplicable),
            manual: of(ControlStatus::Manual),
        });
        for control in &posture.controls {
            prop_assert!(control.status != ControlStatus::Passed || control.tally.unknown == 0);
        }
    }
}
