//! What is shipped: content/host and its mapping to frameworks.

use super::fake::Fake;
use super::question::Question;
use super::*;
use bartizan_model::{AssetUid, Framework, ScanId, Scope, ScopeKind, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

const OS: &str = "ID=debian\nVERSION_ID=\"12\"\n";

fn debian() -> Baseline {
    let all = builtin().unwrap();
    all.into_iter().find(|b| b.id == "debian").unwrap()
}

fn run(fake: &Fake) -> Vec<Answer> {
    evaluate(&debian(), fake, &|_, _| {})
}

#[test]
fn every_shipped_check_is_whole() {
    let all = builtin().unwrap_or_else(|error| panic!("{error}"));
    let ids: Vec<&str> = all.iter().map(|b| b.id.as_str()).collect();
    assert_eq!(ids, ["debian", "rhel"]);
    for baseline in &all {
        assert!(baseline.checks.len() >= 120, "{}", baseline.checks.len());
        for check in &baseline.checks {
            let id = &check.id;
            assert!(check.title.len() < 100, "{id}: the title is long");
            assert!(check.description.ends_with('.'), "{id}: description");
            assert!(check.remediation.ends_with('.'), "{id}: remediation");
            let controls = &check.controls;
            for (catalogue, ids) in [
                ("NIST", &controls.nist),
                ("CIS", &controls.cis_controls),
                ("SOC 2", &controls.soc2),
            ] {
                assert!(!ids.is_empty(), "{id}: no control of {catalogue}");
            }
        }
        assert_eq!(checks(baseline).unwrap().len(), baseline.checks.len());
    }
    // What needs a package database that only dpkg has is not asked elsewhere.
    let rhel = all.iter().find(|b| b.id == "rhel").unwrap();
    for check in &rhel.checks {
        let asks = |q: &Question| format!("{q:?}").contains("Package(");
        assert!(!asks(&check.question), "{}", check.id);
    }
}

/// The controls of one catalogue.
type Ids = fn(&question::Check) -> &Vec<String>;

/// A control names a check if, and only if, the check names the control.
#[test]
fn frameworks_and_checks_name_each_other() {
    let frameworks: [(&str, &str, Ids); 3] = [
        (
            "nist-800-53-r5",
            include_str!("../../../../content/frameworks/nist-800-53-r5.yaml"),
            |check| &check.controls.nist,
        ),
        (
            "cis-controls-v8",
            include_str!("../../../../content/frameworks/cis-controls-v8.yaml"),
            |check| &check.controls.cis_controls,
        ),
        (
            "soc2",
            include_str!("../../../../content/frameworks/soc2.yaml"),
            |check| &check.controls.soc2,
        ),
    ];
    let all = builtin().unwrap();
    for (name, text, of) in frameworks {
        let framework: Framework = serde_saphyr::from_str(text).unwrap();
        assert_eq!(framework.id.as_str(), name);
        let mut in_checks: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for check in all.iter().flat_map(|baseline| &baseline.checks) {
            for control in of(check) {
                let pattern = format!("host/*/{}", check.id);
                in_checks.entry(control).or_default().insert(pattern);
            }
        }
        let mut in_framework: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for control in &framework.controls {
            let ours = control.checks.iter().filter(|p| p.starts_with("host/"));
            let ours: BTreeSet<String> = ours.cloned().collect();
            if !ours.is_empty() {
                in_framework.insert(control.id.as_str(), ours);
            }
        }
        assert_eq!(in_checks, in_framework, "{name}");
    }
}

#[test]
fn an_empty_root_passes_nothing() {
    let answers = run(&Fake::new());
    assert!(answers.len() >= 120);
    for answer in answers {
        assert_eq!(answer.outcome.word(), "unknown", "{answer:?}");
    }
}

#[test]
fn with_nothing_but_its_name_only_absence_passes() {
    for live in [true, false] {
        let mut fake = Fake::new();
        fake.live = live;
        fake.write("/etc/os-release", OS);
        let answers = run(&fake);
        let mut words: BTreeMap<&str, usize> = BTreeMap::new();
        for answer in &answers {
            *words.entry(answer.outcome.word()).or_default() += 1;
            let seen = ["debian-release", "folder-etc"].contains(&answer.check.as_str());
            if answer.outcome == Outcome::Pass && !seen {
                assert!(!answer.evidence.is_empty(), "{answer:?}");
                for found in &answer.evidence {
                    assert_eq!(found.actual.as_deref(), Some("absent"), "{answer:?}");
                }
            }
        }
        let passes = words.get("pass").copied().unwrap_or_default();
        assert!(passes * 10 < answers.len(), "{words:?}");
    }
}

#[test]
fn where_nothing_can_be_read_nothing_passes_or_fails() {
    let mut fake = Fake::new();
    fake.write("/usr/lib/os-release", OS);
    for closed in [
        "etc", "proc", "sys", "var", "home", "root", "boot", "sbin", "tmp", "dev",
    ] {
        fake.closed.push(format!("/{closed}").into());
    }
    for closed in [
        "bin",
        "sbin",
        "lib/systemd",
        "lib/sysctl.d",
        "lib/modprobe.d",
        "lib/xorg",
    ] {
        fake.closed.push(format!("/usr/{closed}").into());
    }
    for closed in ["/usr/local", "/usr/libexec", "/lib", "/run"] {
        fake.closed.push(closed.into());
    }
    // A closed os-release is an error, not a reason to look elsewhere.
    assert!(run(&fake).iter().all(|a| a.outcome.word() == "unknown"));
    let mut everywhere = debian();
    everywhere.applies = None;
    for answer in evaluate(&everywhere, &fake, &|_, _| {}) {
        // /usr itself is there and open.
        if answer.check != "folder-usr-lib" {
            assert_eq!(answer.outcome.word(), "unknown", "{answer:?}");
        }
    }
}

#[test]
fn a_baseline_says_for_whom_it_is() {
    let fake = Fake::new();
    fake.write(
        "/etc/os-release",
        "ID=rocky\nID_LIKE=\"rhel centos fedora\"\n",
    );
    let facts = Facts::new(&fake);
    let fits = |b: &Baseline| applies(b, &facts).unwrap();
    let fitting: Vec<String> = builtin()
        .unwrap()
        .iter()
        .filter(|b| fits(b))
        .map(|b| b.id.clone())
        .collect();
    assert_eq!(fitting, ["rhel"]);
    let answers = run(&fake);
    assert!(answers.iter().all(|a| a.outcome.word() == "not_applicable"));
}

#[test]
fn somebody_elses_file_may_use_our_parts() {
    let file = b"id: mine\ntitle: M\nversion: '2'\nparts: [ssh]\n";
    let made = custom(&[("mine.yaml", file)]).unwrap();
    assert_eq!(made.len(), 1);
    assert!(made[0].checks.len() > 20);
    let clash = b"id: debian\ntitle: M\nversion: '2'\nparts: [ssh]\n";
    assert!(custom(&[("clash.yaml", clash)]).is_err());
}

#[test]
fn a_report_has_one_result_a_check() {
    let fake = Fake::new();
    fake.write("/etc/os-release", OS);
    let baseline = debian();
    let seen = std::cell::RefCell::new(Vec::new());
    let answers = evaluate(&baseline, &fake, &|done, of| {
        seen.borrow_mut().push((done, of))
    });
    let total = baseline.checks.len();
    assert_eq!(seen.borrow().last(), Some(&(total, total)));
    let scan = Scan {
        id: ScanId::new("s1").unwrap(),
        source: "bartizan/host".into(),
        source_version: "1".into(),
        scope: Scope {
            kind: ScopeKind::Host,
            name: "db-1".into(),
        },
        complete: true,
        started: Timestamp::from_micros(0),
        finished: Timestamp::from_micros(1),
        content: Vec::new(),
    };
    let asset = Asset {
        uid: AssetUid::new("host:db-1").unwrap(),
        kind: "Host".into(),
        name: "db-1".into(),
        namespace: String::new(),
    };
    let report = report(&[(&baseline, answers)], scan, asset).unwrap();
    assert_eq!((report.checks.len(), report.results.len()), (total, total));
    assert!(report.checks.is_sorted_by(|a, b| a.uid < b.uid));
    assert!(report.results.is_sorted_by(|a, b| a.check < b.check));
    assert_eq!(report.observations.len(), 1);
    assert_eq!(report.scan.content[0].name, "host/debian");
}
