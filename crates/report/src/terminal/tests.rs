//! What stands on the terminal.

use super::*;
use crate::{fixture, hostile};
use bartizan_model::{CheckUid, ScopeId, Timestamp};
use proptest::prelude::*;

#[test]
fn a_small_report() {
    let mut snapshot = fixture::shop().unwrap();
    snapshot
        .failing
        .retain(|row| row.asset.name == "orders-db" || row.asset.name == "node-agent");
    snapshot.notices.push("The scan is incomplete.".to_owned());
    let text = render(
        &snapshot,
        &Options {
            width: 90,
            max_rows: 2,
            ..Options::default()
        },
    );
    insta::assert_snapshot!(text, @r##"
cluster:prod-eu-1  scanned 2026-11-21 09:30 UTC  bartizan 0.1.0
! The scan is incomplete.

◆ CRITICAL 1
  k8spspprivileged  Containers do not run privileged
    StatefulSet shop/orders-db  shop/orders-db.yaml:12  container postgres:
    container:postgres                                  securityContext.privileged is not
                                                        as it should be

▲ HIGH 2
  k8spspallowprivilegeescalation  Containers cannot gain privileges
    StatefulSet shop/orders-db  shop/orders-db.yaml:18  container postgres: securityConte
    container:postgres                                  xt.allowPrivilegeEscalation is
                                                        not as it should be
  k8spsphostnamespace  Pods do not share the host's namespaces
    DaemonSet               shop/node-agent.yaml:15  container agent: spec.hostNetwork is
    kube-system/node-agent                           not as it should be
    container:agent

■ MEDIUM 1
  k8scontainerlimits  Containers have CPU and memory limits
    DaemonSet               shop/node-agent.yaml:21  container agent:
    kube-system/node-agent                           resources.limits.memory is not as it
    container:agent                                  should be

▼ LOW 2
  k8srequiredlabels  Objects name their owner
    DaemonSet                   shop/node-agent.yaml:27  container agent:
    kube-system/node-agent                               metadata.labels.owner is not as
    container:agent                                      it should be
    StatefulSet shop/orders-db  shop/orders-db.yaml:27   container postgres:
    container:postgres                                   metadata.labels.owner is not as
                                                         it should be

○ INFO 1
  k8spspreadonlyrootfilesystem  Root file systems are read-only
    DaemonSet               shop/node-agent.yaml:30  container agent: securityContext.rea
    kube-system/node-agent                           dOnlyRootFilesystem is not as it
    container:agent                                  should be

? UNKNOWN 1  not judged, which is no pass
───────────────────────────────────────────────────────────────────────────────────
 Check                Where                          Why
═══════════════════════════════════════════════════════════════════════════════════
 k8scontainerlimits   CronJob batch/nightly-report   the value comes from an
                      container:job                  unrendered Helm template;
                      shop/nightly-report.yaml:21    render it with: helm template
                                                     charts/nightly
───────────────────────────────────────────────────────────────────────────────────

- SUPPRESSED 1  known and left, which is no pass
──────────────────────────────────────────────────────────────────────────────────
 Check              Where                           Reason
══════════════════════════════════════════════════════════════════════════════════
 k8spspprivileged   DaemonSet                       The agent reads kernel
                    kube-system/node-agent          counters; reviewed by the
                    container:agent                 platform team.
                                                    by source
──────────────────────────────────────────────────────────────────────────────────

! UNUSED SUPPRESSIONS 1  nothing needs them any more
──────────────────────────────────────────────────────────────────────────
 By         What                            Reason
══════════════════════════════════════════════════════════════════════════
 baseline   rego/bartizan/k8spspprivilege   moves to the new cluster in
            d on Deployment shop/legacy     May
            baseline.yaml:14
──────────────────────────────────────────────────────────────────────────

FRAMEWORKS
NIST SP 800-53 Rev. 5     █████████████░░░░░░░  66.7 %  coverage  66.7 %
                          passed 2, failed 1, accepted 1, not assessed 1, manual 1, not applicable 0
SOC 2                     ████████████████████ 100.0 %  coverage  66.7 %
                          passed 3, failed 0, accepted 0, not assessed 0, manual 2, not applicable 1
CIS Kubernetes Benchmark  ██████░░░░░░░░░░░░░░  30.8 %  coverage  35.1 %
                          passed 4, failed 9, accepted 0, not assessed 10, manual 14, not applicable 0

SUMMARY
◆ critical 1   ▲ high 2   ■ medium 1   ▼ low 2   ○ info 1
8 objects: pass 27, fail 27 (1 suppressed), unknown 1, not applicable 1
"##);
}

#[test]
fn of_one_object_its_name_and_each_reason_are_said_once() {
    let mut snapshot = fixture::shop().unwrap();
    snapshot.counts.assets = 1;
    snapshot.failing.truncate(2);
    for row in &mut snapshot.failing {
        row.finding.locus.clear();
        row.location = None;
        row.finding.message = "word ".repeat(40);
    }
    let again = snapshot.unknown.clone();
    snapshot.unknown.extend(again);
    for row in &mut snapshot.unknown {
        row.subject.locus.clear();
        row.subject.location = None;
        row.why = "the kernel does not say".to_owned();
    }
    let name = snapshot.failing.first().unwrap().asset.name.clone();
    snapshot.suppressed.clear();
    let text = render(
        &snapshot,
        &Options {
            width: 60,
            ..Options::default()
        },
    );
    assert_eq!(text.matches("the kernel does not say").count(), 1, "{text}");
    assert!(!text.contains(&name), "{text}");
    assert!(text.contains("\n    word word"), "{text}");
    let longest = text.lines().filter(|line| line.starts_with("    word"));
    assert!(longest.map(str::len).max().unwrap() <= 60, "{text}");
}

#[test]
fn an_empty_report() {
    let at = Timestamp::from_micros(0);
    let snapshot = Snapshot::empty(ScopeId::new("cluster:new").unwrap(), "bartizan 0.1.0", at);
    insta::assert_snapshot!(render(&snapshot, &Options::default()), @r##"
cluster:new  never scanned  bartizan 0.1.0

SUMMARY
◆ critical 0   ▲ high 0   ■ medium 0   ▼ low 0   ○ info 0
0 objects: pass 0, fail 0 (0 suppressed), unknown 0, not applicable 0
"##);
}

#[test]
fn colour_only_where_asked_for() {
    let snapshot = fixture::shop().unwrap();
    let plain = render(&snapshot, &Options::default());
    assert!(!plain.contains('\u{1b}'));
    let coloured = Options {
        colour: true,
        ..Options::default()
    };
    let coloured = render(&snapshot, &coloured);
    let stripped: String = coloured
        .split('\u{1b}')
        .enumerate()
        .map(|(at, part)| match part.split_once('m') {
            Some((_, rest)) if at > 0 => rest,
            _ => part,
        })
        .collect();
    assert_eq!(stripped, plain);
}

#[test]
fn hostile_text_moves_nothing() {
    let text = render(&hostile(), &Options::default());
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(bad));
}

proptest! {
    #[test]
    fn lines_fit(width in 60..200_u16, name in "[a-z-]{1,120}", message in "\\PC{0,200}") {
        let mut snapshot = fixture::shop().unwrap();
        for row in &mut snapshot.failing {
            row.asset.name = name.clone();
            row.finding.message = message.clone();
            row.finding.check = CheckUid::new("rego/bartizan/x").unwrap();
            row.finding.title = "t".to_owned();
        }
        let text = render(&snapshot, &Options { width, ..Options::default() });
        let table = |line: &&str| line.starts_with("    ");
        for line in text.lines().filter(table).filter(|line| line.is_ascii()) {
            // The counts under a score are one line however narrow the terminal is.
            prop_assert!(line.contains("passed ") || line.len() <= usize::from(width), "{}", line);
        }
    }
}
