//! Hosts: from a bare machine to a certificate that verifies offline, with the evidence of
//! what failed.

use crate::support::{Installation, Run, backends, run};
use serde_json::Value;
use std::fs;
use std::path::Path;

const BENCHMARK: &str = r#"<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2" id="xccdf_t_benchmark_b" resolved="1" xml:lang="en">
 <status>draft</status><title>Test</title><version>1</version>
 <Rule id="xccdf_t_rule_root-login" selected="true" severity="high"><title>Root may not log in over SSH</title>
  <description>Set PermitRootLogin to no.</description><rationale>Every attacker knows that name.</rationale>
  <check system="http://oval.mitre.org/XMLSchema/oval-definitions-5"><check-content-ref href="oval.xml" name="oval:t:def:1"/></check></Rule>
 <Rule id="xccdf_t_rule_shadow" selected="true" severity="medium"><title>Root has no password</title>
  <check system="http://oval.mitre.org/XMLSchema/oval-definitions-5"><check-content-ref href="oval.xml" name="oval:t:def:2"/></check></Rule>
</Benchmark>"#;

const OVAL: &str = r#"<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5" xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5">
 <generator><oval:schema_version>5.11</oval:schema_version><oval:timestamp>2026-01-01T00:00:00</oval:timestamp></generator>
 <definitions>
  <definition id="oval:t:def:1" version="1" class="compliance"><metadata><title>t</title><description>d</description></metadata><criteria><criterion test_ref="oval:t:tst:1"/></criteria></definition>
  <definition id="oval:t:def:2" version="1" class="compliance"><metadata><title>t</title><description>d</description></metadata><criteria><criterion test_ref="oval:t:tst:2"/></criteria></definition>
 </definitions>
 <tests>
  <textfilecontent54_test xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#independent" id="oval:t:tst:1" version="1" check="all" comment="c"><object object_ref="oval:t:obj:1"/><state state_ref="oval:t:ste:1"/></textfilecontent54_test>
  <shadow_test xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#unix" id="oval:t:tst:2" version="1" check="all" comment="c"><object object_ref="oval:t:obj:2"/><state state_ref="oval:t:ste:2"/></shadow_test>
 </tests>
 <objects>
  <textfilecontent54_object xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#independent" id="oval:t:obj:1" version="1"><filepath>/etc/ssh/sshd_config</filepath><pattern operation="pattern match">^PermitRootLogin\s+(\S+)</pattern><instance datatype="int">1</instance></textfilecontent54_object>
  <shadow_object xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#unix" id="oval:t:obj:2" version="1"><username>root</username></shadow_object>
 </objects>
 <states>
  <textfilecontent54_state xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#independent" id="oval:t:ste:1" version="1"><subexpression>no</subexpression></textfilecontent54_state>
  <shadow_state xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#unix" id="oval:t:ste:2" version="1"><password operation="pattern match">^[!*]</password></shadow_state>
 </states>
</oval_definitions>"#;

const HASH: &str = "$6$saltsalt$NotARealHashButLooksLikeOne0123456789";

/// A root folder of a small Debian that lets root log in.
fn machine(root: &Path) {
    fs::create_dir_all(root.join("etc/ssh")).unwrap();
    fs::create_dir_all(root.join("usr/sbin")).unwrap();
    let write = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
    write(
        "etc/os-release",
        "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\n",
    );
    write("usr/sbin/sshd", "");
    write("etc/hostname", "web1\n");
    write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    write("etc/group", "root:x:0:\n");
    write("etc/shadow", &format!("root:{HASH}:19000:0:99999:7:::\n"));
    write("etc/ssh/sshd_config", "PermitRootLogin yes\n");
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The active finding of a check of the scope, with everything about it.
fn finding(place: &Installation, scope: &str, check: &str) -> Value {
    let path = format!("/findings?scope={scope}&check={check}");
    let found = place.server.get(&path).unwrap();
    let key = found["items"][0]["key"]
        .as_str()
        .unwrap_or_else(|| panic!("no finding of {check}: {found}"));
    place.server.get(&format!("/findings/{key}")).unwrap()
}

/// Attests the scope, verifies it without the server, and alters a byte.
fn certify(place: &Installation, scope: &str) {
    let at = |name: &str| text(&place.data.path().join(name));
    let (token, jwks, evidence) = (at("host.jwt"), at("keys.json"), at("evidence.json"));
    let issued = place.client(&[
        "attest",
        "--scope",
        scope,
        "--framework",
        "cis-controls-v8",
        "-o",
        &token,
        "--jwks",
        &jwks,
        "--evidence",
        &evidence,
    ]);
    assert_eq!(issued.code, 0, "{}", issued.err);
    let verify = || -> Run { run(&["verify", &token, "--jwks", &jwks, "--evidence", &evidence]) };
    let good = verify();
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert!(good.out.contains("VALID"), "{}", good.out);
    assert!(good.out.contains(scope), "{}", good.out);

    let bytes = fs::read(&token).unwrap();
    let mut altered = bytes.clone();
    let middle = bytes.len() / 2;
    altered[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    fs::write(&token, &altered).unwrap();
    assert_eq!(verify().code, 1, "a flipped byte goes unnoticed");
    fs::write(&token, &bytes).unwrap();
    assert_eq!(verify().code, 0);
}

#[test]
fn a_bare_machine_gets_a_certificate_and_shows_its_evidence() {
    for backend in backends() {
        let place = Installation::new(&backend);
        let root = tempfile::tempdir().unwrap();
        machine(root.path());
        let sent = place.client(&[
            "scan",
            "host",
            "--root",
            &text(root.path()),
            "--fail-on",
            "never",
        ]);
        assert_eq!(sent.code, 0, "{}", sent.err);
        let found = finding(&place, "host:web1", "host/debian/ssh-root-login");
        let evidence = found["evidence"].as_array().unwrap();
        let seen = evidence.iter().any(|one| {
            one["path"]
                .as_str()
                .unwrap()
                .contains("/etc/ssh/sshd_config")
                && one["actual"].as_str().unwrap_or_default().contains("yes")
                && one["expected"].is_string()
        });
        assert!(seen, "the evidence does not say what was found: {found}");
        certify(&place, "host:web1");

        // What was put right is fixed by the next scan.
        fs::write(
            root.path().join("etc/ssh/sshd_config"),
            "PermitRootLogin no\n",
        )
        .unwrap();
        let again = place.client(&[
            "scan",
            "host",
            "--root",
            &text(root.path()),
            "--fail-on",
            "never",
        ]);
        assert_eq!(again.code, 0, "{}", again.err);
        let path = "/findings?scope=host:web1&check=host/debian/ssh-root-login&status=fixed";
        let fixed = place.server.get(path).unwrap();
        assert_eq!(fixed["items"].as_array().unwrap().len(), 1, "{fixed}");
    }
}

#[test]
fn scap_content_is_judged_and_passwords_stay() {
    let place = Installation::new(&bartizan_xtask::running::Backend::Sqlite);
    let root = tempfile::tempdir().unwrap();
    machine(root.path());
    let content = tempfile::tempdir().unwrap();
    let at = |name: &str| content.path().join(name);
    fs::write(at("benchmark.xml"), BENCHMARK).unwrap();
    fs::write(at("oval.xml"), OVAL).unwrap();
    let sent = place.client(&[
        "scan",
        "host",
        "--root",
        &text(root.path()),
        "--content",
        &text(&at("benchmark.xml")),
        "--scope",
        "host:web1",
        "--arf",
        &text(&at("arf.xml")),
        "--results",
        &text(&at("results.xml")),
    ]);
    assert_eq!(sent.code, 1, "a high rule fails: {}", sent.err);
    let check = "scap/xccdf_t_benchmark_b/xccdf_t_rule_root-login";
    let found = finding(&place, "host:web1", check);
    let evidence = &found["evidence"][0];
    assert!(
        evidence["path"]
            .as_str()
            .unwrap()
            .starts_with("/etc/ssh/sshd_config"),
        "{found}"
    );
    assert_eq!(evidence["actual"], "yes", "{found}");
    assert!(
        evidence["expected"].as_str().unwrap().contains("no"),
        "{found}"
    );
    assert_eq!(found["remediation"], "Set PermitRootLogin to no.");
    certify(&place, "host:web1");

    // The password decided a rule, and is nowhere.
    let shadow = finding(
        &place,
        "host:web1",
        "scap/xccdf_t_benchmark_b/xccdf_t_rule_shadow",
    );
    let arf = fs::read_to_string(at("arf.xml")).unwrap();
    let results = fs::read_to_string(at("results.xml")).unwrap();
    for document in [&arf, &results, &shadow.to_string(), &sent.out, &sent.err] {
        assert!(!document.contains("NotARealHash"), "{document}");
    }
    assert!(arf.contains("<unix-sys:password mask=\"true\"/>"), "{arf}");
    assert!(
        results.contains("<Rule ") && results.contains("<TestResult "),
        "the results stand in their benchmark"
    );
}

/// The machine that the test runs on, as it is, with nothing given.
#[test]
fn this_machine_is_judged() {
    let found = run(&["scan", "host", "--format", "json", "--fail-on", "never"]);
    assert_eq!(found.code, 0, "{}", found.err);
    let report: Value = serde_json::from_str(&found.out).unwrap();
    assert!(report["summary"]["pass"].as_u64().unwrap() > 0, "{report}");
    let shown = run(&["scan", "host", "--fail-on", "never"]);
    assert!(shown.out.contains("SUMMARY"), "{}", shown.out);
}

/// By check and locus: the outcome, the severity and the evidence of a report's results, and
/// what is said of the checks.
fn said(report: &Path) -> (Vec<String>, Vec<String>) {
    let (mut results, mut checks) = (Vec::new(), Vec::new());
    for line in fs::read_to_string(report).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let result = &line["result"];
        if result.is_object() {
            let outcome = (&result["check"], &result["asset"], &result["locus"]);
            let evidence = match result["outcome"].as_str() {
                Some("fail") => &result["evidence"],
                _ => &Value::Null,
            };
            results.push(format!(
                "{outcome:?} {} {} {} {evidence}",
                result["outcome"], result["why"], result["message"]
            ));
        }
        if line["check"].is_object() {
            checks.push(line["check"].to_string());
        }
    }
    (results, checks)
}

#[test]
fn written_results_come_back_as_the_same_findings() {
    let place = Installation::new(&bartizan_xtask::running::Backend::Sqlite);
    let root = tempfile::tempdir().unwrap();
    machine(root.path());
    let content = tempfile::tempdir().unwrap();
    let at = |name: &str| content.path().join(name);
    fs::write(at("benchmark.xml"), BENCHMARK).unwrap();
    fs::write(at("oval.xml"), OVAL).unwrap();
    let (benchmark, machine) = (text(&at("benchmark.xml")), text(root.path()));
    let words = ["scan", "host", "--root", &machine, "--content", &benchmark];
    let (ours, arf, results) = (at("ours.jsonl"), at("arf.xml"), at("results.xml"));
    let places = [text(&ours), text(&arf), text(&results)];
    let mut scan = words.to_vec();
    scan.extend(["--scope", "host:web1", "--format", "report"]);
    scan.extend([
        "-o",
        &places[0],
        "--arf",
        &places[1],
        "--results",
        &places[2],
    ]);
    let scanned = place.client(&scan);
    assert_eq!(scanned.code, 1, "a high rule fails: {}", scanned.err);
    let check = "scap/xccdf_t_benchmark_b/xccdf_t_rule_root-login";
    let before = finding(&place, "host:web1", check);

    let import = |file: &str, back: &Path| {
        let back = text(back);
        let words = ["scap", "import", file, "--scope", "host:web1"];
        let imported = place.client(&[&words[..], &["--format", "report", "-o", &back]].concat());
        assert_eq!(imported.code, 1, "a high rule fails: {}", imported.err);
    };
    let (results_then, checks_then) = said(&ours);
    assert!(results_then.len() >= 2, "{results_then:?}");
    for (file, has_items) in [(&places[1], true), (&places[2], false)] {
        let back = at("back.jsonl");
        import(file, &back);
        let (results_now, checks_now) = said(&back);
        assert_eq!(checks_now, checks_then);
        if has_items {
            assert_eq!(results_now, results_then);
        } else {
            let bare = |all: &[String]| -> Vec<String> {
                let words = |one: &String| one.splitn(5, ' ').take(4).collect::<Vec<_>>().join(" ");
                all.iter().map(words).collect()
            };
            assert_eq!(bare(&results_now), bare(&results_then));
        }
    }
    // The same finding, not one beside it.
    let after = finding(&place, "host:web1", check);
    assert_eq!(after["key"], before["key"], "{after}");
    let all = place.server.get("/findings?scope=host:web1").unwrap();
    let same: Vec<_> = all["items"].as_array().unwrap().iter().collect();
    let same = same.iter().filter(|one| one["check"] == check);
    assert_eq!(same.count(), 1, "{all}");
}
