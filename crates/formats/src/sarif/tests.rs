//! The dialects of real scanners, and what is refused.

use super::*;
use bartizan_model::report::Report;
use bartizan_model::{Outcome, Severity};
use proptest::prelude::*;

fn options() -> Options {
    Options::new(
        Scope::parse("repository:shop").unwrap(),
        ScanId::new("scan-1").unwrap(),
        Timestamp::parse("2026-11-21T12:00:00Z").unwrap(),
    )
}

fn run(run: &str) -> Reading {
    read(
        format!(r#"{{"version":"2.1.0","runs":[{run}]}}"#).as_bytes(),
        &options(),
    )
    .unwrap()
}

fn one(text: &str) -> Report {
    let mut reading = run(text);
    assert_eq!(reading.reports.len(), 1);
    reading.reports.remove(0)
}

/// A report as lines for people.
fn show(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} {} complete={} {} to {}",
        report.scan.source,
        report.scan.source_version,
        report.scan.complete,
        report.scan.started,
        report.scan.finished
    )];
    for check in &report.checks {
        lines.push(format!(
            "check {} {} {:?} {:?}",
            check.uid,
            check.severity.word(),
            check.title,
            check.references
        ));
    }
    for result in &report.results {
        lines.push(format!(
            "{} {} {} [{}] {:?} {} {}",
            result.outcome.word(),
            result.check,
            result.asset,
            result.locus,
            result.outcome.why().unwrap_or(&result.message),
            result.severity.map_or("", Severity::word),
            result
                .location
                .as_ref()
                .map_or(String::new(), |l| format!("line {}", l.line)),
        ));
    }
    lines.join("\n")
}

#[test]
fn trivy() {
    let report = one(r#"{
      "tool":{"driver":{"fullName":"Trivy Vulnerability Scanner","name":"Trivy","version":"0.65.0","informationUri":"https://example.org","rules":[
        {"id":"CVE-2026-0001","name":"LanguageSpecificPackageVulnerability","shortDescription":{"text":"lodash: pollution"},"fullDescription":{"text":"Objects can be polluted."},
         "defaultConfiguration":{"level":"error"},"helpUri":"https://avd.example.org/cve-2026-0001","help":{"text":"Upgrade to 4.17.21","markdown":"**Upgrade**"},
         "properties":{"precision":"very-high","security-severity":"9.1","tags":["vulnerability","security","CRITICAL"]}}]}},
      "results":[
        {"ruleId":"CVE-2026-0001","ruleIndex":0,"level":"error","message":{"text":"Package: lodash\nInstalled Version: 4.17.20"},
         "locations":[{"physicalLocation":{"artifactLocation":{"uri":"web/package-lock.json","uriBaseId":"ROOTPATH"},"region":{"startLine":1,"startColumn":1,"endLine":1,"endColumn":1}},"message":{"text":"web/package-lock.json: lodash@4.17.20"}}]},
        {"ruleId":"CVE-2026-0001","ruleIndex":0,"level":"error","message":{"text":"Package: lodash-es"},
         "locations":[{"physicalLocation":{"artifactLocation":{"uri":"web/package-lock.json","uriBaseId":"ROOTPATH"},"region":{"startLine":1}}}]}],
      "columnKind":"utf16CodeUnits","originalUriBaseIds":{"ROOTPATH":{"uri":"file:///work/"}}}"#);
    insta::assert_snapshot!(show(&report), @r##"
sarif/trivy 0.65.0 complete=true 2026-11-21T12:00:00Z to 2026-11-21T12:00:00Z
check sarif/trivy/CVE-2026-0001 critical "lodash: pollution" ["https://avd.example.org/cve-2026-0001"]
fail sarif/trivy/CVE-2026-0001 repository:shop/file/web/package-lock.json [] "Package: lodash-es"  line 1
fail sarif/trivy/CVE-2026-0001 repository:shop/file/web/package-lock.json [#2] "Package: lodash\nInstalled Version: 4.17.20"  line 1
"##);
    assert_eq!(report.checks[0].remediation, "Upgrade to 4.17.21");
    assert_eq!(report.observations[0].asset.name, "web/package-lock.json");
}

#[test]
fn semgrep_suppressions_and_fingerprints_without_sign_in() {
    let report = one(r#"{
      "invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[{"descriptor":{"id":"Syntax error"},"level":"warning","message":{"text":"a.ts: partly parsed"}}]}],
      "results":[
        {"fingerprints":{"matchBasedId/v1":"requires login"},"ruleId":"js.eval","message":{"text":"eval"},"properties":{},
         "locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js","uriBaseId":"%SRCROOT%"},"region":{"startLine":30,"startColumn":2,"snippet":{"text":"eval(x)"}}}}]},
        {"fingerprints":{"matchBasedId/v1":"requires login"},"ruleId":"js.eval","message":{"text":"eval"},"suppressions":[{"kind":"inSource"}],
         "locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js"},"region":{"startLine":10}}}]},
        {"fingerprints":{"matchBasedId/v1":"abc_0"},"ruleId":"js.eval","message":{"text":"eval"},"suppressions":[{"kind":"external","status":"rejected"}],
         "locations":[{"physicalLocation":{"artifactLocation":{"uri":"b.js"},"region":{"startLine":10}}}]}],
      "tool":{"driver":{"name":"Semgrep OSS","semanticVersion":"1.100.0","rules":[{"id":"js.eval","name":"js.eval","defaultConfiguration":{"level":"warning"},"fullDescription":{"text":"No eval."}},{"id":"js.unused"}]}}}"#);
    insta::assert_snapshot!(show(&report), @r##"
sarif/semgrep-oss 1.100.0 complete=true 2026-11-21T12:00:00Z to 2026-11-21T12:00:00Z
check sarif/semgrep-oss/js.eval medium "js.eval" []
check sarif/semgrep-oss/js.unused medium "js.unused" []
fail sarif/semgrep-oss/js.eval repository:shop/file/a.js [] "eval"  line 10
fail sarif/semgrep-oss/js.eval repository:shop/file/a.js [#2] "eval"  line 30
fail sarif/semgrep-oss/js.eval repository:shop/file/b.js [fingerprint:abc_0] "eval"  line 10
"##);
    let suppressed: Vec<Option<&str>> = report
        .results
        .iter()
        .map(|r| r.suppression.as_ref().map(|s| s.by.as_str()))
        .collect();
    assert_eq!(suppressed, [Some("annotation"), None, None]);
}

#[test]
fn codeql_extensions_categories_and_line_hashes() {
    let text = r#"{
      "tool":{"driver":{"name":"CodeQL","semanticVersion":"2.20.0"},"extensions":[{"name":"codeql/js-queries","rules":[
        {"id":"js/xss","shortDescription":{"text":"XSS"},"defaultConfiguration":{"level":"error"},"properties":{"problem.severity":"error","security-severity":"7.8"}},
        {"id":"js/dead","defaultConfiguration":{"level":"note"},"properties":{"problem.severity":"recommendation"}}]}]},
      "automationDetails":{"id":"/language:javascript/2026-11-21"},
      "artifacts":[{"location":{"uri":"src/x.js","uriBaseId":"%SRCROOT%","index":0}}],
      "results":[
        {"ruleId":"js/xss","rule":{"id":"js/xss","index":0,"toolComponent":{"index":0}},"message":{"text":"from [a](1)"},
         "partialFingerprints":{"primaryLocationLineHash":"39fa2ee980eb94b0:1","primaryLocationStartColumnFingerprint":"4"},
         "locations":[{"physicalLocation":{"artifactLocation":{"index":0},"region":{"startLine":3}}}],"codeFlows":[{"threadFlows":[]}]},
        {"rule":{"index":1,"toolComponent":{"index":0}},"message":{"text":"dead"},
         "locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/x.js","index":0},"region":{"startLine":9}}}]}]}"#;
    insta::assert_snapshot!(show(&one(text)), @r##"
sarif/codeql/language-javascript 2.20.0 complete=true 2026-11-21T12:00:00Z to 2026-11-21T12:00:00Z
check sarif/codeql/js/dead low "js/dead" []
check sarif/codeql/js/xss high "XSS" []
fail sarif/codeql/js/dead repository:shop/file/src/x.js [] "dead"  line 9
fail sarif/codeql/js/xss repository:shop/file/src/x.js [fingerprint:39fa2ee980eb94b0:1] "from [a](1)"  line 3
"##);
    let python = text.replace("javascript", "python");
    let reading = run(&format!("{text},{python},{text}"));
    let scans: Vec<(String, String)> = reading
        .reports
        .iter()
        .map(|r| (r.scan.id.to_string(), r.scan.source.clone()))
        .collect();
    assert_eq!(
        scans,
        [
            ("scan-1".into(), "sarif/codeql/language-javascript".into()),
            ("scan-1-2".into(), "sarif/codeql/language-python".into())
        ]
    );
    assert_eq!(reading.reports[0].results.len(), 2);
    assert_eq!(
        reading.notices,
        ["sarif/codeql/language-javascript lists 2 results twice; each counts once"]
    );
}

#[test]
fn kinds_logical_locations_and_baselines() {
    let report = one(
        r#"{"tool":{"driver":{"name":"kube-linter","rules":[{"id":"no-root","help":{"text":"Set runAsNonRoot"},"helpUri":"javascript:alert(1)"}]}},
      "invocations":[{"executionSuccessful":true,"startTimeUtc":"2026-11-21T09:00:00Z","endTimeUtc":"2026-11-21T09:00:05.5Z"}],
      "results":[
        {"ruleId":"no-root","kind":"pass","level":"none","locations":[{"logicalLocations":[{"fullyQualifiedName":"shop/api"}],"physicalLocation":{"artifactLocation":{"uri":"a.yaml"}}}]},
        {"ruleId":"no-root","message":{"text":"root"},"locations":[{"logicalLocations":[{"fullyQualifiedName":"shop/web"}],"physicalLocation":{"artifactLocation":{"uri":"a.yaml"}}}]},
        {"ruleId":"no-root","kind":"notApplicable","locations":[{"logicalLocations":[{"name":"job"}]}]},
        {"ruleId":"no-root","kind":"open","message":{"text":"templated"}},
        {"ruleId":"no-root/sub","kind":"review"},
        {"ruleId":"other","ruleIndex":0,"kind":"informational"},
        {"ruleIndex":0,"kind":"splendid","level":"error"},
        {"ruleId":"no-root","baselineState":"absent","message":{"text":"gone"}}]}"#,
    );
    insta::assert_snapshot!(show(&report), @r##"
sarif/kube-linter  complete=true 2026-11-21T09:00:00Z to 2026-11-21T09:00:05.5Z
check sarif/kube-linter/no-root medium "no-root" []
check sarif/kube-linter/other medium "other" []
pass sarif/kube-linter/no-root repository:shop/file/a.yaml [logical:shop/api] ""  line 1
fail sarif/kube-linter/no-root repository:shop/file/a.yaml [logical:shop/web] "root"  line 1
unknown sarif/kube-linter/no-root repository:shop/scope [] "the tool asks a person to look"  
unknown sarif/kube-linter/no-root repository:shop/scope [#2] "the result is of kind \"splendid\", which SARIF does not have"  
unknown sarif/kube-linter/no-root repository:shop/scope [#3] "the tool could not tell: templated"  
not_applicable sarif/kube-linter/no-root repository:shop/scope [logical:job] "the tool says that it does not apply"  
not_applicable sarif/kube-linter/other repository:shop/scope [] "the tool gives information, no verdict"
"##);
}

#[test]
fn messages_are_made_of_templates() {
    let report = one(
        r#"{"tool":{"driver":{"name":"t","rules":[{"id":"A","messageStrings":{"default":{"text":"{0} is {1}, {0}"}}}]}},
      "results":[{"ruleId":"A","message":{"id":"default","arguments":["x","bad"]}},{"ruleId":"A","message":{"markdown":"*m*"}}]}"#,
    );
    let messages: Vec<&str> = report.results.iter().map(|r| &*r.message).collect();
    assert_eq!(messages, ["*m*", "x is bad, x"]);
}

#[test]
fn what_did_not_finish_is_incomplete() {
    let tool = r#""tool":{"driver":{"name":"t"}}"#;
    let cases = [
        r#""results":[]"#,
        r#""results":[],"invocations":[{"executionSuccessful":true}]"#,
        r#""results":[],"invocations":[{"executionSuccessful":false}]"#,
        r#""results":[],"invocations":[{"toolExecutionNotifications":[{"level":"error","message":{"text":"boom"}}]}]"#,
        r#""results":null"#,
    ]
    .map(|rest| {
        let reading = run(&format!("{{{tool},{rest}}}"));
        (reading.reports[0].scan.complete, reading.notices.len())
    });
    assert_eq!(
        cases,
        [(true, 0), (true, 0), (false, 1), (false, 1), (false, 1)]
    );
}

#[test]
fn a_clock_that_runs_ahead_is_set_back() {
    let report = one(
        r#"{"tool":{"driver":{"name":"t"}},"results":[],"invocations":[{"startTimeUtc":"2031-01-01T00:00:00Z","endTimeUtc":"2031-01-01T00:01:00Z"}]}"#,
    );
    let received = options().received;
    assert_eq!(
        (report.scan.started, report.scan.finished),
        (received, received)
    );
}

#[test]
fn adding_a_result_below_keeps_the_names_above() {
    let at = |line: u32| {
        format!(
            r#"{{"ruleId":"A","message":{{"text":"m"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"f"}},"region":{{"startLine":{line}}}}}}}]}}"#
        )
    };
    let loci = |lines: &[u32]| -> Vec<(String, u32)> {
        let results: Vec<String> = lines.iter().map(|l| at(*l)).collect();
        one(&format!(
            r#"{{"tool":{{"driver":{{"name":"t"}}}},"results":[{}]}}"#,
            results.join(",")
        ))
        .results
        .into_iter()
        .map(|r| (r.locus, r.location.map_or(0, |l| l.line)))
        .collect()
    };
    assert_eq!(loci(&[9, 3]), [("".into(), 3), ("#2".into(), 9)]);
    assert_eq!(
        loci(&[9, 40, 3]),
        [("".into(), 3), ("#2".into(), 9), ("#3".into(), 40)]
    );
}

#[test]
fn gitleaks_names_of_people_are_not_kept() {
    let report = one(
        r#"{"tool":{"driver":{"name":"gitleaks"}},"results":[{"ruleId":"aws-key","message":{"text":"key"},
        "partialFingerprints":{"author":"A. Person","email":"a@example.org","commitSha":"1f"},
        "locations":[{"physicalLocation":{"artifactLocation":{"uri":"f"},"region":{"startLine":1}}}]}]}"#,
    );
    let text = format!("{report:?}");
    assert!(!text.contains("Person") && !text.contains("example.org"));
    assert_eq!(report.results[0].locus, "");
}

#[test]
fn no_two_results_share_a_subject() {
    let at = |name: &str, line: u32| {
        format!(
            r#"{{"ruleId":"A","message":{{"text":"m"}},"locations":[{{"logicalLocations":[{{"name":"{name}"}}],"physicalLocation":{{"artifactLocation":{{"uri":"f"}},"region":{{"startLine":{line}}}}}}}]}}"#
        )
    };
    let results = [at("x", 1), at("x", 2), at("x#2", 3), at("x", 4)].join(",");
    let report = one(&format!(
        r#"{{"tool":{{"driver":{{"name":"t"}}}},"results":[{results}]}}"#
    ));
    let loci: Vec<&str> = report.results.iter().map(|r| &*r.locus).collect();
    assert_eq!(
        loci,
        ["logical:x", "logical:x#2", "logical:x#3", "logical:x#4"]
    );
}

#[test]
fn what_is_not_sarif_is_refused() {
    let small = Options {
        max_bytes: 300,
        max_results: 2,
        ..options()
    };
    let run = |rest: &str| {
        format!(r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"t"}}}},{rest}}}]}}"#)
    };
    let cases: Vec<String> = [
        "".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"version":"2.0.0","runs":[]}"#.to_owned(),
        r#"{"version":"2.1.0","runs":[]}"#.to_owned(),
        r#"{"version":"2.1.0","runs":[{}]}"#.to_owned(),
        r#"{"version":"2.1.0","runs":[]} {}"#.to_owned(),
        run(r#""results":[{},{},{}]"#),
        run(r#""externalPropertyFileReferences":{"results":[{"location":{"uri":"r.json"}}]}"#),
        run(&format!(r#""x":"{}""#, "y".repeat(300))),
        "[".repeat(299),
        r#"{"version":"2.1.0","runs":[{"tool":"#.to_owned(),
    ]
    .iter()
    .map(|text| read(text.as_bytes(), &small).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(cases.join("\n"), @r##"
not SARIF: EOF while parsing a value at line 1 column 0
SARIF version ""; this build reads 2.1.0
SARIF version ""; this build reads 2.1.0
SARIF version "2.0.0"; this build reads 2.1.0
the file has no run
not SARIF: missing field `tool` at line 1 column 29
not SARIF: trailing characters at line 1 column 31
the file has more than 2 results; upload it in parts, one scope each
the results of sarif/t are in external property files; inline them
the file is larger than 300 bytes
not SARIF: EOF while parsing a list at line 1 column 299
not SARIF: EOF while parsing a value at line 1 column 35
"##);
}

#[test]
fn a_file_of_empty_results_is_refused_before_it_fills_the_memory() {
    let mut text = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{}},"results":[{}"#.to_owned();
    text.push_str(&",{}".repeat(1_000_000));
    text.push_str("]}]}");
    assert!(matches!(
        read(text.as_bytes(), &options()),
        Err(SarifError::TooComplex)
    ));
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let text = "\u{feff}{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"t\"}},\"results\":[]}]}";
    assert_eq!(read(text.as_bytes(), &options()).unwrap().reports.len(), 1);
}

proptest! {
    #[test]
    fn hostile_values_do_not_panic(
        uri in "\\PC{0,20}|[%./\\\\:a]{0,12}", rule in ".{0,9}", kind in ".{0,5}", line: i64, name in ".{0,6}",
    ) {
        let text = serde_json::json!({"version": "2.1.0", "runs": [{
            "tool": {"driver": {"name": name}},
            "results": [{"ruleId": rule, "kind": kind, "ruleIndex": line, "message": {"text": uri},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}}]}],
        }]}).to_string();
        crate::fuzzing::sarif(text.as_bytes());
        let reading = read(text.as_bytes(), &options()).unwrap();
        let result = &reading.reports[0].results[0];
        let judged = matches!(kind.as_str(), "pass") && result.outcome == Outcome::Pass;
        prop_assert!(judged || result.outcome != Outcome::Pass);
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzzing::sarif(&bytes);
    }

    /// The order of results in the file changes nothing.
    #[test]
    fn order_does_not_matter(lines in proptest::collection::vec((0..3_u32, 1..5_u32, 0..2_u32), 0..8), seed: u64) {
        let result = |(rule, line, file): &(u32, u32, u32)| serde_json::json!({
            "ruleId": format!("r{rule}"), "message": {"text": "m"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": format!("f{file}")}, "region": {"startLine": line}}}],
        });
        let report = |lines: &[(u32, u32, u32)]| {
            let results: Vec<_> = lines.iter().map(result).collect();
            one(&serde_json::json!({"tool": {"driver": {"name": "t"}}, "results": results}).to_string())
        };
        let mut other = lines.clone();
        let by = (seed % (lines.len() as u64 + 1)) as usize;
        other.rotate_left(by);
        other.reverse();
        prop_assert_eq!(report(&lines), report(&other));
    }
}
