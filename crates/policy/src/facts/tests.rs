//! Modules evaluated over facts.

use super::*;

const PARTS: &[&str] = &["host", "packages", "units", "sysctls", "users"];

fn load(source: &str) -> Result<Plugin, PluginError> {
    Plugin::load("acme", &[("a.rego", source.as_bytes())], PARTS)
}

fn facts() -> Value {
    json!({
        "host": {"name": "web", "live": true},
        "packages": [{"name": "telnetd", "version": "1"}, {"name": "bash", "version": "5"}],
        "units": {"unknown": "systemd is not there"},
        "sysctls": {"kernel.a": "1", "kernel.b": {"unknown": "closed"}},
        "users": [{"name": "root", "uid": 0}],
    })
}

fn results(plugin: &Plugin, budget: Budget) -> Vec<CheckResult> {
    let asset = AssetUid::new("host:web//Host//web").unwrap();
    let now = Timestamp::from_micros(0);
    plugin.evaluate(&facts(), &asset, now, budget, &|_, _| ())
}

fn said(rules: &str) -> CheckResult {
    let plugin = load(&format!("package bartizan.host.x\n\n{rules}\n")).unwrap();
    results(&plugin, Budget::default()).remove(0)
}

fn why(rules: &str) -> String {
    let said = said(rules);
    assert_eq!(said.outcome.word(), "unknown", "{rules}: {said:?}");
    said.outcome.why().unwrap().to_owned()
}

#[test]
fn denials_fail_with_evidence() {
    let said = said(
        "deny contains result if {\n some p in input.packages\n p.name == \"telnetd\"\n result := {\"msg\": sprintf(\"%s is installed\", [p.name]), \"path\": p.name, \"actual\": p, \"expected\": \"absent\"}\n}\n\ndeny contains \"plain\" if input.host.live\n",
    );
    assert_eq!(said.outcome, Outcome::Fail);
    assert_eq!(said.check.as_str(), "rego-host/acme/x");
    assert_eq!(said.message, "plain; telnetd is installed");
    let evidence = said.evidence.iter().find(|e| e.path == "telnetd").unwrap();
    assert!(
        evidence
            .actual
            .as_deref()
            .unwrap()
            .contains("\"version\":\"1\"")
    );
    assert_eq!(evidence.expected.as_deref(), Some("absent"));
    let plain = said.evidence.iter().find(|e| e.path == "facts").unwrap();
    assert_eq!(plain.actual.as_deref(), Some("plain"));
}

#[test]
fn outcomes_have_an_order() {
    let none = "deny contains \"d\" if input.host.name == \"other\"\n";
    assert_eq!(said(none).outcome, Outcome::Pass);
    let not = format!("{none}\nnot_applicable contains {{\"msg\": \"no\"}} if input.host.live\n");
    let outcome = Outcome::NotApplicable { why: "no".into() };
    assert_eq!(said(&not).outcome, outcome);
    let unknown = format!("{not}\nunknown contains \"dark\" if true\n");
    assert_eq!(why(&unknown), "dark");
    let all = format!("{unknown}\ndeny contains \"bad\" if true\n");
    assert_eq!(said(&all).outcome, Outcome::Fail);
}

#[test]
fn what_is_not_known_never_passes() {
    for (rules, reason) in [
        // The part, however it is reached.
        ("deny contains \"d\" if input.units.x.active", "systemd"),
        (
            "deny contains \"d\" if {\n u := input.units\n u.x.active\n}",
            "systemd",
        ),
        (
            "deny contains \"d\" if object.get(input, \"users\", []) == []",
            "not known",
        ),
        // An entry, by name and by iteration.
        (
            "deny contains \"d\" if input.sysctls[\"kernel.b\"] == \"0\"",
            "closed",
        ),
        (
            "deny contains \"d\" if {\n some v in input.sysctls\n v == \"0\"\n}",
            "closed",
        ),
        // Errors of built-ins, which OPA passes over.
        (
            "deny contains \"d\" if to_number(input.host.name) == 0",
            "deny could not",
        ),
        ("deny contains {\"path\": \"p\"} if true", "without msg"),
        ("deny := true", "no set"),
        (
            "metadata := {\"requires\": [\"sysctls/kernel.c\"]}\n\ndeny contains \"d\" if false",
            "not there",
        ),
        (
            "metadata := {\"requires\": [\"units\"]}\n\ndeny contains \"d\" if true",
            "systemd",
        ),
    ] {
        let found = why(rules);
        assert!(found.contains(reason), "{rules}: {found}");
    }
    // A check may deal with it itself, and one entry does not hide another.
    let own = "deny contains \"d\" if input.units.x.active\n\nunknown contains \"mine\" if input.units.unknown";
    assert_eq!(why(own), "mine");
    let other = "deny contains \"d\" if input.sysctls[\"kernel.a\"] == \"0\"";
    assert_eq!(said(other).outcome, Outcome::Pass);
}

#[test]
fn libraries_are_looked_into() {
    let lib = "package acme.lib\n\nactive(name) if input.units[name].active\n";
    let check = "package bartizan.host.ssh.on\n\ndeny contains \"d\" if data.acme.lib.active(\"ssh.service\")\n";
    let test = "package broken {";
    let files: [(&str, &[u8]); 3] = [
        ("lib.rego", lib.as_bytes()),
        ("on.rego", check.as_bytes()),
        ("on_test.rego", test.as_bytes()),
    ];
    let plugin = Plugin::load("acme", &files, PARTS).unwrap();
    let said = results(&plugin, Budget::default());
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].check.as_str(), "rego-host/acme/ssh.on");
    assert_eq!(said[0].outcome.word(), "unknown");
}

#[test]
fn annotations_and_the_rule_describe_a_check() {
    let plugin = load(
        "# METADATA\n# title: No telnet\n# description: |\n#  It is\n#  plain.\n# custom:\n#   severity: high\n#   remediation: Remove it.\n#   controls:\n#     soc2: [CC6.7]\n#     cis-controls: ['4.8']\n# related_resources:\n# - ref: https://example.org/\npackage bartizan.host.telnet\n\nimport rego.v1\n\nmetadata := {\"severity\": \"low\"}\n\ndeny contains \"d\" if false\n",
    )
    .unwrap();
    let check = &plugin.checks[0];
    assert_eq!(check.title, "No telnet");
    assert_eq!(check.description, "It is\nplain.");
    assert_eq!(check.severity, bartizan_model::Severity::Low);
    assert_eq!(check.remediation, "Remove it.");
    let references = ["cis-controls 4.8", "soc2 CC6.7", "https://example.org/"];
    assert_eq!(check.references, references);
    // Rego of before OPA 1.
    let old = load("package bartizan.host.old\n\ndeny[msg] { input.host.live; msg := \"d\" }\n");
    let said = results(&old.unwrap(), Budget::default());
    assert_eq!(said[0].outcome, Outcome::Fail);
}

#[test]
fn faults_of_authors_are_named_when_loaded() {
    for (source, what) in [
        (
            "package bartizan.host.x\n\ndenny contains 1 if true",
            "no rule deny",
        ),
        (
            "package bartizan.host.x\n\ndeny contains \"d\" if input.pakages",
            "input.pakages",
        ),
        (
            "package bartizan.host.x\n\ndeny contains \"d\" if {",
            "a.rego",
        ),
        ("package lib.x\n\np := 1", "no package is below"),
        (
            "package bartizan.host.x\n\ndeny contains x if x := http.send({})",
            "http.send",
        ),
        (
            "package bartizan.host.x\n\ndeny contains \"d\" if nope(1)",
            "nope",
        ),
        (
            "# METADATA\n# custom: {severity: loud}\npackage bartizan.host.x\n\ndeny contains \"d\" if true",
            "loud",
        ),
        (
            "# METADATA\n# custom: {requires: [moon]}\npackage bartizan.host.x\n\ndeny contains \"d\" if true",
            "moon",
        ),
        (
            "# METADATA\n# [\npackage bartizan.host.x\n\ndeny contains \"d\" if true",
            "METADATA",
        ),
    ] {
        let error = load(source).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
    let many: Vec<(String, &[u8])> = (0..501).map(|i| (i.to_string(), &b""[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(n, b)| (n.as_str(), *b)).collect();
    assert!(Plugin::load("a", &many, PARTS).is_err());
}

#[test]
fn an_endless_check_is_unknown_and_the_next_one_is_asked() {
    let slow = "package bartizan.host.a\n\ndeny contains \"d\" if {\n some a, b, c, d in numbers.range(1, 3000)\n a + b + c + d == -1\n}\n";
    let slow = slow.replace(
        "some a, b, c, d in numbers.range(1, 3000)",
        "some a in numbers.range(1, 3000)\n some b in numbers.range(1, 3000)\n some c in numbers.range(1, 3000)\n d := 1",
    );
    let next = "package bartizan.host.b\n\ndeny contains \"d\" if input.host.live\n";
    let files: [(&str, &[u8]); 2] = [("a.rego", slow.as_bytes()), ("b.rego", next.as_bytes())];
    let plugin = Plugin::load("acme", &files, PARTS).unwrap();
    let budget = Budget {
        time: std::time::Duration::from_millis(200),
    };
    let said = results(&plugin, budget);
    assert!(
        said[0].outcome.why().unwrap().contains("budget"),
        "{said:?}"
    );
    assert_eq!(said[1].outcome, Outcome::Fail);
}
