//! Seeded reports of a given size.

use anyhow::Result;
use serde_json::{Value, json};
use std::io::Write;

/// Checks in a generated report.
pub const CHECKS: u64 = 40;

/// Writes a report of `results` verdicts, half of them failures, over `results / CHECKS` assets.
pub fn report(mut out: impl Write, seed: u64, scope: &str, results: u64) -> Result<()> {
    let severities = ["critical", "high", "medium", "low", "info"];
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Pod"];
    let mut line = |value: &Value| -> Result<()> {
        serde_json::to_writer(&mut out, value)?;
        out.write_all(b"\n")?;
        Ok(())
    };
    line(
        &json!({"header": {"format": "bartizan.report", "version": 1, "scan": {
            "id": format!("bench-{seed}-{results}"), "source": "bartizan/k8s", "source_version": "0",
            "scope": {"kind": "cluster", "name": scope}, "complete": true,
            "started": "2026-11-21T09:00:00Z", "finished": "2026-11-21T09:00:01Z", "content": [],
        }}}),
    )?;
    for check in 0..CHECKS {
        line(&json!({"check": {
            "uid": uid(check), "title": format!("Synthetic check number {check}"),
            "severity": severities.get((check % 5) as usize), "remediation": "Set the field.",
        }}))?;
    }
    let assets = results.div_ceil(CHECKS);
    let asset = |n: u64| {
        let kind = kinds.get((n % 5) as usize).copied().unwrap_or("Pod");
        let namespace = format!("team-{}", n % 97);
        let name = format!("service-{n}");
        (
            format!("cluster:{scope}/apps/{kind}/{namespace}/{name}"),
            kind,
            namespace,
            name,
        )
    };
    for n in 0..assets {
        let (uid, kind, namespace, name) = asset(n);
        line(&json!({"observation": {
            "asset": {"uid": uid, "kind": kind, "namespace": namespace, "name": name},
            "kind": "kubernetes.object", "digest": format!("sha256:{n:064x}"),
            "body": {"kind": kind, "metadata": {"name": name, "namespace": namespace}},
        }}))?;
    }
    let mut written = 0;
    // Sorted by check, then asset, as reports are.
    'all: for check in 0..CHECKS {
        for n in 0..assets {
            if written == results {
                break 'all;
            }
            let (uid_of_asset, ..) = asset(n);
            let fails = (n + check + seed).is_multiple_of(2);
            line(&json!({"result": {
                "check": uid(check), "asset": uid_of_asset,
                "outcome": if fails { "fail" } else { "pass" },
                "message": if fails { format!("service-{n} breaks rule {check}; set the field") } else { String::new() },
            }}))?;
            written += 1;
        }
    }
    line(&json!({"trailer": {"checks": CHECKS, "observations": assets, "results": written}}))
}

/// The uid of check number `n`.
pub fn uid(n: u64) -> String {
    format!("rego/bench/check{n:02}")
}
