//! A made-up shop in a cluster, with something of everything a report shows.

use bartizan_model::framework::Score;
use bartizan_model::report::Report;
use bartizan_model::{
    Asset, AssetUid, Check, CheckResult, CheckUid, ControlStatus, Digest, Evidence, Location,
    Observation, Outcome, Scan, ScanId, Scope, ScopeId, Severity, Suppression, TenantId, Timestamp,
};
use bartizan_report::{ControlRow, FrameworkSection, Snapshot, UnusedSuppression};

type Made<T> = Result<T, Box<dyn std::error::Error>>;

/// Rule, severity, title, description, remediation, path of the evidence.
const CHECKS: [(&str, Severity, &str, &str, &str, &str); 7] = [
    (
        "k8spspprivileged",
        Severity::Critical,
        "Containers do not run privileged",
        "A privileged container has every capability and every device of its node. Whoever breaks out of it owns the node, and with it each workload that runs there.",
        "Set securityContext.privileged to false, and add the one capability that is needed:\n\n  securityContext:\n    privileged: false\n    capabilities:\n      drop: [ALL]\n      add: [NET_BIND_SERVICE]",
        "securityContext.privileged",
    ),
    (
        "k8spsphostnamespace",
        Severity::High,
        "Pods do not share the host's namespaces",
        "A Pod in the host's process or network namespace sees and reaches what other workloads do.",
        "Remove hostPID, hostIPC and hostNetwork.",
        "spec.hostNetwork",
    ),
    (
        "k8spspallowprivilegeescalation",
        Severity::High,
        "Containers cannot gain privileges",
        "Without this setting a process can gain more privileges than its parent, by a set-user-id program for example.",
        "Set securityContext.allowPrivilegeEscalation to false.",
        "securityContext.allowPrivilegeEscalation",
    ),
    (
        "k8scontainerlimits",
        Severity::Medium,
        "Containers have CPU and memory limits",
        "One container without limits can starve its whole node.",
        "Set resources.limits.cpu and resources.limits.memory.",
        "resources.limits.memory",
    ),
    (
        "k8sdisallowedtags",
        Severity::Medium,
        "Images are named by a fixed tag or digest",
        "What `latest` means changes, so what was tested is not what runs.",
        "Name the image by digest.",
        "image",
    ),
    (
        "k8srequiredlabels",
        Severity::Low,
        "Objects name their owner",
        "An object that nobody owns is repaired by nobody.",
        "Add the label owner.",
        "metadata.labels.owner",
    ),
    (
        "k8spspreadonlyrootfilesystem",
        Severity::Info,
        "Root file systems are read-only",
        "",
        "",
        "securityContext.readOnlyRootFilesystem",
    ),
];

const OBJECTS: [(&str, &str, &str, &str); 8] = [
    ("Deployment", "shop", "storefront", "web"),
    ("Deployment", "shop", "checkout", "app"),
    ("Deployment", "shop", "payments-gateway", "proxy"),
    ("StatefulSet", "shop", "orders-db", "postgres"),
    ("DaemonSet", "kube-system", "node-agent", "agent"),
    ("CronJob", "batch", "nightly-report", "job"),
    ("Deployment", "shop", "search", "engine"),
    ("Deployment", "platform", "ingress", "nginx"),
];

/// The shop.
pub fn shop() -> Made<Snapshot> {
    let scope = Scope::parse("cluster:prod-eu-1")?;
    let id = scope.id()?;
    let at = Timestamp::parse("2026-11-21T09:30:12Z")?;
    let checks: Vec<Check> = CHECKS
        .iter()
        .map(|(rule, severity, title, description, remediation, _)| {
            Ok(Check {
                uid: CheckUid::of("rego", "bartizan", rule)?,
                title: (*title).to_owned(),
                description: (*description).to_owned(),
                severity: *severity,
                remediation: (*remediation).to_owned(),
                references: vec![
                    "https://kubernetes.io/docs/concepts/security/pod-security-standards/"
                        .to_owned(),
                ],
            })
        })
        .collect::<Made<_>>()?;
    let mut report = Report {
        scan: Scan {
            id: ScanId::new("0193-scan")?,
            source: "bartizan/k8s".to_owned(),
            source_version: "0.1.0".to_owned(),
            scope,
            complete: true,
            started: Timestamp::parse("2026-11-21T09:30:10.25Z")?,
            finished: at,
            content: Vec::new(),
        },
        checks,
        observations: Vec::new(),
        results: Vec::new(),
    };
    for (nth, object) in OBJECTS.iter().enumerate() {
        let asset = asset(&id, object)?;
        for (mth, check) in CHECKS.iter().enumerate() {
            report
                .results
                .push(result(nth, mth, object, &asset, check)?);
        }
        report.observations.push(Observation {
            asset,
            kind: "kubernetes.object".to_owned(),
            digest: Digest::of(b""),
            body: serde_json::Value::Null,
            location: None,
        });
    }
    let mut snapshot = Snapshot::from_report(
        &report,
        &TenantId::default_tenant(),
        "bartizan 0.1.0",
        Timestamp::parse("2026-11-21T09:31:00Z")?,
    )?;
    snapshot.unused_suppressions.push(UnusedSuppression {
        by: "baseline".to_owned(),
        what: "rego/bartizan/k8spspprivileged on Deployment shop/legacy".to_owned(),
        reason: "moves to the new cluster in May".to_owned(),
        location: Some(Location {
            file: "baseline.yaml".to_owned(),
            line: 14,
            column: None,
        }),
    });
    snapshot.frameworks = frameworks()?;
    Ok(snapshot)
}

fn asset(scope: &ScopeId, (kind, namespace, name, _): &(&str, &str, &str, &str)) -> Made<Asset> {
    Ok(Asset {
        uid: AssetUid::kubernetes(scope, "apps", kind, namespace, name)?,
        kind: (*kind).to_owned(),
        name: (*name).to_owned(),
        namespace: (*namespace).to_owned(),
    })
}

fn result(
    nth: usize,
    mth: usize,
    object: &(&str, &str, &str, &str),
    asset: &Asset,
    (rule, _, _, _, _, path): &(&str, Severity, &str, &str, &str, &str),
) -> Made<CheckResult> {
    let fails =
        (nth * 5 + mth * 3) % 7 < 2 + mth / 2 && mth != 1 || matches!((nth, mth), (4, 0 | 1));
    let outcome = match (nth, mth) {
        (5, 3) => Outcome::Unknown {
            why: "the value comes from an unrendered Helm template; render it with: helm template charts/nightly".to_owned(),
        },
        (3, 6) => Outcome::NotApplicable {
            why: "a database writes to its disk".to_owned(),
        },
        _ if fails => Outcome::Fail,
        _ => Outcome::Pass,
    };
    let failed = outcome == Outcome::Fail;
    let container = object.3;
    Ok(CheckResult {
        check: CheckUid::of("rego", "bartizan", rule)?,
        asset: asset.uid.clone(),
        locus: format!("container:{container}"),
        message: if failed {
            format!("container {container}: {path} is not as it should be")
        } else {
            String::new()
        },
        severity: None,
        evidence: if failed {
            vec![Evidence {
                path: format!("spec.template.spec.containers[0].{path}"),
                actual: mth.is_multiple_of(2).then(|| "true".to_owned()),
                expected: Some("false".to_owned()),
            }]
        } else {
            Vec::new()
        },
        location: Some(Location {
            file: format!("shop/{}.yaml", asset.name),
            line: 12 + u32::try_from(mth)? * 3,
            column: None,
        }),
        suppression: (failed && nth == 4 && mth == 0).then(|| Suppression {
            by: "annotation".to_owned(),
            reason: "The agent reads kernel counters; reviewed by the platform team.".to_owned(),
        }),
        outcome,
    })
}

fn frameworks() -> Made<Vec<FrameworkSection>> {
    let control = |id: &str, title: &str, group: &str, status, why: &str| -> Made<ControlRow> {
        Ok(ControlRow {
            id: id.to_owned(),
            title: title.to_owned(),
            group: group.to_owned(),
            status,
            why: why.to_owned(),
            checks: vec![CheckUid::of("rego", "bartizan", "k8spspprivileged")?],
        })
    };
    Ok(vec![
        FrameworkSection {
            id: "nist-800-53-r5".to_owned(),
            title: "NIST SP 800-53 Rev. 5".to_owned(),
            version: "5.1.1".to_owned(),
            counts: Score {
                passed: 2,
                failed: 1,
                accepted: 1,
                not_assessed: 1,
                not_applicable: 0,
                manual: 1,
            },
            controls: vec![
                control(
                    "AC-6",
                    "Least privilege",
                    "Access Control",
                    ControlStatus::Failed,
                    "3 results fail and nobody accepted them.",
                )?,
                control(
                    "AC-6(9)",
                    "Log use of privileged functions",
                    "Access Control",
                    ControlStatus::Manual,
                    "Only a person can judge it, and none has.",
                )?,
                control(
                    "CM-7",
                    "Least functionality",
                    "Configuration Management",
                    ControlStatus::Passed,
                    "8 results pass from 1 check, none fails.",
                )?,
                control(
                    "SC-5",
                    "Denial-of-service protection",
                    "System and Communications Protection",
                    ControlStatus::NotAssessed,
                    "1 result could not be told, so whether the control passes is not known.",
                )?,
                control(
                    "SC-7",
                    "Boundary protection",
                    "System and Communications Protection",
                    ControlStatus::Accepted,
                    "1 failure is knowingly accepted; that is no pass.",
                )?,
                control(
                    "SI-7",
                    "Software, firmware and information integrity",
                    "System and Information Integrity",
                    ControlStatus::Passed,
                    "7 results pass from 2 checks, none fails.",
                )?,
            ],
        },
        FrameworkSection {
            id: "soc-2".to_owned(),
            title: "SOC 2".to_owned(),
            version: "2017 (2022)".to_owned(),
            counts: Score {
                passed: 3,
                failed: 0,
                accepted: 0,
                not_assessed: 0,
                not_applicable: 1,
                manual: 2,
            },
            controls: vec![
                control(
                    "CC6.1",
                    "Logical access",
                    "CC6",
                    ControlStatus::Passed,
                    "9 results pass from 3 checks, none fails.",
                )?,
                control(
                    "CC7.2",
                    "Monitoring",
                    "CC7",
                    ControlStatus::NotApplicable,
                    "Its checks ran and had nothing to look at.",
                )?,
            ],
        },
        FrameworkSection {
            id: "cis-kubernetes".to_owned(),
            title: "CIS Kubernetes Benchmark".to_owned(),
            version: "1.12".to_owned(),
            counts: Score {
                passed: 4,
                failed: 9,
                accepted: 0,
                not_assessed: 10,
                not_applicable: 0,
                manual: 14,
            },
            controls: vec![control(
                "5.2.2",
                "Privileged containers",
                "5.2",
                ControlStatus::Failed,
                "2 results fail and nobody accepted them.",
            )?],
        },
    ])
}
