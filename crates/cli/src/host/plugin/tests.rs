//! Plugins evaluated on temporary roots.

use super::*;
use crate::arguments::{Arguments, Command, Scan as Scanned};
use bartizan_model::Outcome;
use clap::Parser;
use std::collections::BTreeMap;
use std::fs;

fn options(arguments: &[&str]) -> ScanHost {
    let whole = ["bartizan", "scan", "host"].iter().chain(arguments);
    match Arguments::try_parse_from(whole).unwrap().command {
        Command::Scan(Scanned::Host(options)) => *options,
        _ => panic!("no scan of a host"),
    }
}

fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// A Debian with telnet, and without a message of the day.
fn debian() -> tempfile::TempDir {
    folder_of(&[
        ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        ("etc/hostname", "web\n"),
        (
            "etc/passwd",
            "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n",
        ),
        (
            "var/lib/dpkg/status",
            "Package: telnetd\nStatus: install ok installed\nVersion: 0.17\n",
        ),
    ])
}

fn scanned(plugin: &Path, root: &Path) -> Result<Report> {
    let options = options(&[
        "--content",
        plugin.to_str().unwrap(),
        "--root",
        root.to_str().unwrap(),
    ]);
    let machine = Machine::open(root)?;
    folder(&options, plugin, &machine, machine.system())
}

fn words(report: &Report) -> BTreeMap<&str, &str> {
    let results = report.results.iter();
    results
        .map(|result| (result.check.as_str(), result.outcome.word()))
        .collect()
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugin-host")
}

#[test]
fn the_example_judges_a_root() {
    let root = debian();
    let report = scanned(&example(), root.path()).unwrap();
    assert_eq!(report.scan.source, "bartizan/plugin/example");
    let expected = [
        ("host/example-house/motd", "fail"),
        ("rego-host/example/people", "pass"),
        ("rego-host/example/telnet", "fail"),
    ];
    assert_eq!(words(&report), expected.into());
    assert_eq!(report.checks.len(), 3);
    assert_eq!(report.observations.len(), 1);
    let names: Vec<&str> = report.scan.content.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["host/example-house", "rego-host/example"]);
    let telnet = report.results.last().unwrap();
    assert_eq!(telnet.evidence[0].actual.as_deref(), Some("0.17"));
    assert_eq!(report.results[0].asset, telnet.asset);

    // Without its package database nothing of packages is known.
    fs::remove_file(root.path().join("var/lib/dpkg/status")).unwrap();
    fs::write(root.path().join("etc/motd"), "Property of Example\n").unwrap();
    fs::write(
        root.path().join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\n",
    )
    .unwrap();
    let report = scanned(&example(), root.path()).unwrap();
    let expected = [
        ("host/example-house/motd", "pass"),
        ("rego-host/example/people", "not_applicable"),
        ("rego-host/example/telnet", "unknown"),
    ];
    assert_eq!(words(&report), expected.into());
}

const XCCDF: &str = "<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='xccdf_org.example_benchmark_b'>
 <status>draft</status><title>t</title><version>1</version>
 <Rule id='xccdf_org.example_rule_hostname' selected='true'><title>t</title>
  <check system='http://oval.mitre.org/XMLSchema/oval-definitions-5'><check-content-ref href='b-oval.xml' name='oval:org.example:def:1'/></check>
 </Rule>
</Benchmark>";

const OVAL: &str = "<oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5' xmlns:ind='http://oval.mitre.org/XMLSchema/oval-definitions-5#independent'>
 <generator><schema_version xmlns='http://oval.mitre.org/XMLSchema/oval-common-5'>5.11</schema_version></generator>
 <definitions><definition id='oval:org.example:def:1' version='1' class='compliance'><metadata><title>1</title></metadata><criteria><criterion test_ref='oval:org.example:tst:1'/></criteria></definition></definitions>
 <tests><ind:textfilecontent54_test id='oval:org.example:tst:1' version='1' comment='c' check='all' check_existence='at_least_one_exists'><ind:object object_ref='oval:org.example:obj:1'/></ind:textfilecontent54_test></tests>
 <objects><ind:textfilecontent54_object id='oval:org.example:obj:1' version='1'><ind:filepath>/etc/hostname</ind:filepath><ind:pattern operation='pattern match'>^web$</ind:pattern><ind:instance datatype='int'>1</ind:instance></ind:textfilecontent54_object></objects>
</oval_definitions>";

#[test]
fn scap_content_yaml_and_rego_are_one_report() {
    let root = debian();
    let plugin = folder_of(&[
        ("b-xccdf.xml", XCCDF),
        ("b-oval.xml", OVAL),
        (
            "checks/a.rego",
            "package bartizan.host.a\n\ndeny contains \"d\" if input.host.live\n",
        ),
        ("plugin.yaml", "id: all\n"),
        (".hidden.rego", "nonsense"),
        ("readme.txt", "nonsense"),
    ]);
    std::os::unix::fs::symlink("/etc/passwd", plugin.path().join("link.rego")).unwrap();
    let report = scanned(plugin.path(), root.path()).unwrap();
    assert_eq!(report.scan.source, "bartizan/plugin/all");
    let expected = [
        ("rego-host/all/a", "pass"),
        (
            "scap/xccdf_org.example_benchmark_b/xccdf_org.example_rule_hostname",
            "pass",
        ),
    ];
    assert_eq!(words(&report), expected.into());
    let assets: std::collections::BTreeSet<_> = report.results.iter().map(|r| &r.asset).collect();
    assert_eq!(assets.len(), 1);
    fs::write(plugin.path().join("c-xccdf.xml"), XCCDF).unwrap();
    let error = format!("{:#}", scanned(plugin.path(), root.path()).unwrap_err());
    assert!(error.contains("one SCAP content"), "{error}");
}

#[test]
fn faults_of_plugins_are_named() {
    let root = debian();
    for (files, what) in [
        (vec![("plugin.yaml", "id: a b\n")], "field id"),
        (vec![("plugin.yaml", "id: x\n")], "no checks"),
        (
            vec![("plugin.yaml", "id: x\n"), ("sub/a.rego", "package a {")],
            "sub/a.rego",
        ),
        (
            vec![("plugin.yaml", "id: x\n"), ("a.yaml", "id: [")],
            "a.yaml",
        ),
        (
            vec![("plugin.yaml", "id: x\n"), ("a.yaml", "part: p\n")],
            "no baseline",
        ),
    ] {
        let plugin = folder_of(&files);
        let error = format!("{:#}", scanned(plugin.path(), root.path()).unwrap_err());
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn builtin_plugins_ask_what_is_mapped() {
    let root = debian();
    let path = root.path().to_str().unwrap();
    let ask = |name| {
        let options = options(&["--plugin", name, "--root", path]);
        let machine = Machine::open(root.path()).unwrap();
        builtin(&options, &machine, machine.system())
    };
    let soc2 = ask("soc2").unwrap();
    assert_eq!(soc2.scan.source, "bartizan/plugin/soc2");
    assert!(soc2.results.len() > 20, "{}", soc2.results.len());
    assert!(
        soc2.checks
            .iter()
            .all(|c| c.uid.as_str().starts_with("host/debian/"))
    );
    let failed = |report: &Report| {
        let fails = |r: &&bartizan_model::CheckResult| r.outcome == Outcome::Fail;
        report.results.iter().filter(fails).count()
    };
    assert!(failed(&soc2) > 0);
    assert!(ask("cis-debian").unwrap().results.len() > 20);
    for (name, what) in [
        ("cis-rhel", "not for this system"),
        ("pci", "there is no plugin"),
    ] {
        let error = ask(name).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn facts_and_the_list_are_written() {
    let root = debian();
    let out = root.path().join("out.json");
    let machine = Machine::open(root.path()).unwrap();
    write_facts(&out, &machine, machine.system()).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(told["version"], 1);
    assert_eq!(told["packages"][0]["name"], "telnetd");
    list(&options(&[
        "--list-plugins",
        "--format",
        "json",
        "-o",
        out.to_str().unwrap(),
    ]))
    .unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(listed[0]["id"], "cis-debian");
    assert!(list(&options(&["--list-plugins", "--format", "html"])).is_err());
}
