//! The dashboard and the alert rules of `deploy/monitoring` name metrics that there are, and
//! leave none of admission, audit and feeds out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Words of a text that are names of metrics of ours or Gatekeeper's.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("bartizan_") || word.starts_with("gatekeeper_"))
        .map(str::to_owned)
        .collect()
}

fn sources(folder: &Path, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else {
            // `pub const NAME: &str = "bartizan_…";`
            let text = fs::read_to_string(&path).unwrap();
            let constants = text.split("pub const ").skip(1);
            let values = constants.filter_map(|c| c.split(';').next()?.split('"').nth(1));
            all.extend(values.flat_map(named));
        }
    }
}

#[test]
fn dashboard_and_alerts_name_the_metrics_that_there_are() {
    let mut there = BTreeSet::new();
    sources(&root().join("crates/server/src"), &mut there);
    assert!(there.len() > 25, "{there:?}");
    let folder = root().join("deploy/monitoring");
    let mut used = BTreeSet::new();
    for file in ["admission.json", "vulnerabilities.json", "alerts.yaml"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        for name in named(&text) {
            let plain = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .filter(|plain| there.contains(*plain))
                .unwrap_or(&name)
                .to_owned();
            assert!(there.contains(&plain), "{file}: there is no metric {name}");
            used.insert(plain);
        }
    }
    let ours = there.iter().filter(|name| {
        [
            "bartizan_admission_",
            "bartizan_audit_",
            "bartizan_cve_",
            "gatekeeper_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    });
    let left: Vec<_> = ours.filter(|name| !used.contains(*name)).collect();
    assert!(
        left.is_empty(),
        "neither dashboard nor alerts look at {left:?}"
    );
}
