//! Tests of the reader, on files of our own making. Those that are also where a fuzzer
//! begins are read from its corpus.

use super::*;
use bartizan_model::Outcome;
use std::fmt::Write as _;

const ARF: &str = include_str!("../../../../fuzz/corpus/xccdf/arf");
const BARE: &str = include_str!("../../../../fuzz/corpus/xccdf/bare");
const NAMESPACE: &str = "http://checklists.nist.gov/xccdf/1.2";

fn options(scope: Option<&str>) -> Options {
    Options::new(
        scope.map(|scope| Scope::parse(scope).unwrap()),
        ScanId::new("s").unwrap(),
        Timestamp::parse("2026-11-21T12:00:00Z").unwrap(),
    )
}

fn read_text(text: &str) -> Result<Reading, XccdfError> {
    read(text.as_bytes(), &options(None))
}

fn show(reading: &Reading) -> String {
    let mut out = String::new();
    for report in &reading.reports {
        let scan = &report.scan;
        writeln!(
            out,
            "{} {} {} {} complete={} {} to {}",
            scan.id,
            scan.source,
            scan.source_version,
            scan.scope.id().unwrap(),
            scan.complete,
            scan.started,
            scan.finished
        )
        .unwrap();
        for seen in &report.observations {
            writeln!(out, "{} {}", seen.kind, seen.body).unwrap();
        }
        for check in &report.checks {
            writeln!(
                out,
                "check {} {} {:?} {:?} {:?} {:?}",
                check.uid,
                check.severity.word(),
                check.title,
                check.description,
                check.remediation,
                check.references
            )
            .unwrap();
        }
        for result in &report.results {
            write!(
                out,
                "{} {} {} [{}]",
                result.outcome.word(),
                result.check,
                result.asset,
                result.locus
            )
            .unwrap();
            let severity = result.severity.map(bartizan_model::Severity::word);
            for part in [severity, result.outcome.why(), Some(&*result.message)] {
                if let Some(part) = part.filter(|part| !part.is_empty()) {
                    write!(out, " {part:?}").unwrap();
                }
            }
            out.push('\n');
            for one in &result.evidence {
                let (actual, expected) = (one.actual.as_deref(), one.expected.as_deref());
                writeln!(out, "  {}: {actual:?}, wanted {expected:?}", one.path).unwrap();
            }
        }
    }
    for notice in &reading.notices {
        writeln!(out, "notice {notice}").unwrap();
    }
    out
}

#[test]
fn an_arf_becomes_a_report_with_evidence() {
    insta::assert_snapshot!(show(&read_text(ARF).unwrap()), @r##"
s openscap/bench 1.3.7 host:db1 complete=true 2026-11-20T09:00:00Z to 2026-11-20T09:01:00Z
host {"addresses":["127.0.0.1","::1"],"architecture":"","kernel":"","name":"db1","os":"Debian","osVersion":""}
scap.evaluation {"applicable":true,"benchmark":"bench","groups":[],"profile":"strict","profileTitle":"Strict","scores":[{"maximum":100.0,"percent":25.5,"system":"urn:xccdf:scoring:default","value":25.5}],"title":"Our benchmark","version":"3"}
check scap/bench/age high "At most 60 days" "Old ones leak." "Set it\nhere." ["CCE-1", "https://a.example/1"]
check scap/bench/old medium "No old file" "" "" []
fail scap/bench/age host:db1//Host//db1 [] "/etc/login.defs: subexpression is \"99999\", wanted: less than or equal 60"
  /etc/login.defs: subexpression: Some("99999"), wanted Some("less than or equal 60")
fail scap/bench/old host:db1//Host//db1 [] "/etc/old is \"exists\", wanted: does not exist"
  /etc/old: Some("exists"), wanted Some("does not exist")
"##);
}

#[test]
fn a_result_alone_says_what_it_can() {
    insta::assert_snapshot!(show(&read_text(BARE).unwrap()), @r##"
s xccdf/ssg-x-xccdf.xml  host:h complete=false 2019-01-01T10:00:00Z to 2019-01-01T10:00:00Z
host {"addresses":[],"architecture":"","kernel":"","name":"h","os":"","osVersion":""}
scap.evaluation {"applicable":true,"benchmark":"ssg-x-xccdf.xml","groups":[],"profile":null,"profileTitle":null,"scores":[],"title":"","version":""}
fail scap/ssg-x-xccdf.xml/a_b host:h//Host//h [] "low" "too <old> A"
  script a.sh: output: Some("(redacted)"), wanted None
pass scap/ssg-x-xccdf.xml/m host:h//Host//h [definition:d:1]
fail scap/ssg-x-xccdf.xml/m host:h//Host//h [definition:d:2]
fail scap/ssg-x-xccdf.xml/m host:h//Host//h [instance:disk 1]
unknown scap/ssg-x-xccdf.xml/m host:h//Host//h [instance:disk 1#2] "the check ended in an error"
notice t: its benchmark is not in the file, so it may be a part; nothing is closed by it
"##);
}

/// Id, target, attributes, and the outcome of each rule.
type Told<'t> = (&'t str, &'t str, &'t str, &'t [(&'t str, &'t str)]);

/// A benchmark of these rules with these results.
fn benchmark(rules: &[&str], results: &[Told<'_>]) -> String {
    let mut text = format!("<Benchmark xmlns='{NAMESPACE}' id='b'>");
    for rule in rules {
        write!(text, "<Rule id='{rule}'><title>T</title></Rule>").unwrap();
    }
    for (id, target, attributes, outcomes) in results {
        write!(
            text,
            "<TestResult id='{id}' {attributes} test-system='cpe:/a:redhat:openscap:1.3.7'>\
             <target>{target}</target>"
        )
        .unwrap();
        for (rule, word) in *outcomes {
            write!(
                text,
                "<rule-result idref='{rule}'><result>{word}</result></rule-result>"
            )
            .unwrap();
        }
        text.push_str("</TestResult>");
    }
    text + "</Benchmark>"
}

const ENDED: &str = "end-time='2026-11-20T09:00:00Z'";
const EARLIER: &str = "end-time='2026-11-19T09:00:00Z'";

#[test]
fn words_become_outcomes() {
    for (word, wanted) in [
        ("pass", Some("pass")),
        ("fixed", Some("pass")),
        ("fail", Some("fail")),
        ("error", Some("unknown")),
        ("unknown", Some("unknown")),
        ("notchecked", Some("unknown")),
        ("notapplicable", Some("not_applicable")),
        ("informational", Some("unknown")),
        ("notselected", None),
        ("splendid", Some("unknown")),
        ("", Some("unknown")),
    ] {
        let text = benchmark(&["r"], &[("t", "h", ENDED, &[("r", word)])]);
        let reading = read_text(&text).unwrap();
        let outcome = reading.reports[0].results.first();
        let outcome = outcome.map(|result| result.outcome.word());
        assert_eq!(outcome, wanted, "{word}");
    }
}

#[test]
fn what_is_not_finished_closes_nothing() {
    let complete = |rules: &[&str], attributes, outcomes: &[(&str, &str)]| {
        let text = benchmark(rules, &[("t", "h", attributes, outcomes)]);
        let reading = read_text(&text).unwrap();
        let complete = reading.reports[0].scan.complete;
        assert_eq!(
            complete,
            reading.notices.is_empty(),
            "{:?}",
            reading.notices
        );
        complete
    };
    let both: &[(&str, &str)] = &[("a", "pass"), ("b", "notselected")];
    assert!(complete(&["a", "b"], ENDED, both));
    assert!(!complete(&["a", "b"], "", both), "no end");
    assert!(!complete(&["a", "b", "c"], ENDED, both), "no answer for c");
    assert!(!complete(&[], ENDED, &[]), "no answer at all");
}

#[test]
fn several_results_are_several_reports_the_oldest_first() {
    let pass: &[(&str, &str)] = &[("r", "pass")];
    let text = benchmark(
        &["r"],
        &[("t2", "h", ENDED, pass), ("t1", "h", EARLIER, pass)],
    );
    let reading = read_text(&text).unwrap();
    let days: Vec<String> = reading
        .reports
        .iter()
        .map(|report| format!("{} {}", report.scan.id, report.scan.finished))
        .collect();
    assert_eq!(days, ["s 2026-11-19T09:00:00Z", "s-2 2026-11-20T09:00:00Z"]);
    assert!(reading.reports.iter().all(|report| report.scan.complete));
}

#[test]
fn machines_in_one_scope_do_not_close_each_other() {
    let pass: &[(&str, &str)] = &[("r", "pass")];
    let text = benchmark(
        &["r"],
        &[("t1", "one", ENDED, pass), ("t2", "two", ENDED, pass)],
    );
    let apart = read_text(&text).unwrap();
    let scopes: Vec<&str> = apart
        .reports
        .iter()
        .map(|report| report.scan.scope.name.as_str())
        .collect();
    assert_eq!(scopes, ["one", "two"]);
    assert!(apart.reports.iter().all(|report| report.scan.complete));
    let together = read(text.as_bytes(), &options(Some("host:all"))).unwrap();
    assert!(together.reports.iter().all(|report| !report.scan.complete));
    assert_eq!(together.notices.len(), 2);
    let assets: Vec<&str> = together
        .reports
        .iter()
        .map(|report| report.results[0].asset.as_str())
        .collect();
    assert_eq!(assets, ["host:all//Host//one", "host:all//Host//two"]);
}

#[test]
fn a_clock_that_runs_ahead_is_held_back() {
    let ahead = "start-time='2027-01-01T00:00:00Z' end-time='2027-01-01T00:01:00Z'";
    let text = benchmark(&["r"], &[("t", "h", ahead, &[("r", "pass")])]);
    let scan = read_text(&text).unwrap().reports.remove(0).scan;
    assert_eq!(scan.finished, options(None).received);
    assert!(scan.started <= scan.finished);
}

#[test]
fn other_scanners_have_sources_of_their_own() {
    let text = benchmark(&["r"], &[("t", "h", ENDED, &[("r", "pass")])]);
    let source = |text: &str| read_text(text).unwrap().reports.remove(0).scan.source;
    assert_eq!(source(&text), "openscap/b");
    let other = text.replace("redhat:openscap", "acme:Big Scan");
    assert_eq!(source(&other), "xccdf/big-scan/b");
    let none = text.replace("cpe:/a:redhat:openscap:1.3.7", "");
    assert_eq!(source(&none), "xccdf/b");
}

#[test]
fn packed_files_are_read() {
    let gzip = include_bytes!("../../../../fuzz/corpus/xccdf/packed.gz").as_slice();
    let bzip2 = include_bytes!("../../../../fuzz/corpus/xccdf/packed.bz2").as_slice();
    for packed in [gzip, bzip2] {
        let reading = read(packed, &options(None)).unwrap();
        assert_eq!(reading.reports[0].results[0].outcome, Outcome::Pass);
        // Cut off, or damaged: the sender's fault, and never a shorter result.
        let cut = packed.get(..packed.len() - 12).unwrap();
        let error = read(cut, &options(None)).unwrap_err();
        assert!(matches!(error, XccdfError::Xml { .. }), "{error:?}");
    }
}

#[test]
fn hostile_files_are_refused_with_their_line() {
    let deep = "<a>".repeat(300);
    let wrap =
        |inside: &str| format!("<Benchmark xmlns='{NAMESPACE}' id='b'>\n{inside}</Benchmark>");
    for (bad, what) in [
        (
            include_str!("../../../../fuzz/corpus/xccdf/entity").to_owned(),
            "line 1: a document type",
        ),
        (wrap("<title>&x;</title>"), "line 2: entity &x;"),
        (wrap("<title></b>"), "line 2: "),
        (wrap(&deep), "deeper"),
        (wrap("<p:x/>"), "not declared"),
        (wrap(""), "no TestResult"),
        (wrap("<TestResult><rule-result/></TestResult>"), "no idref"),
        (
            wrap("<TestResult><rule-result idref='r'/></TestResult>"),
            "no target",
        ),
        (format!("<Benchmark xmlns='{NAMESPACE}'>"), "ends inside"),
        (format!("<Tailoring xmlns='{NAMESPACE}'/>"), "root element"),
        ("<html/>".to_owned(), "root element"),
        (String::new(), "no element"),
        ("{}".to_owned(), "no element"),
    ] {
        let error = read_text(&bad).unwrap_err().to_string();
        assert!(error.contains(what), "{bad:.60}: {error}");
    }
}

#[test]
fn size_count_and_memory_are_limited() {
    let text = benchmark(
        &["r"],
        &[("t", "h", ENDED, &[("r", "pass"), ("r", "pass")])],
    );
    let mut small = options(None);
    small.max_bytes = 100;
    let error = read(text.as_bytes(), &small).unwrap_err();
    assert!(matches!(error, XccdfError::TooLarge(100)), "{error:?}");
    let mut few = options(None);
    few.max_results = 1;
    let error = read(text.as_bytes(), &few).unwrap_err();
    assert!(matches!(error, XccdfError::TooMany), "{error:?}");
    let long = format!(
        "<TestResult xmlns='{NAMESPACE}'><title>{}</title></TestResult>",
        "x".repeat(9 << 20)
    );
    let error = read_text(&long).unwrap_err().to_string();
    assert!(error.contains("too long"), "{error}");
    // Facts without end: more than may be kept, whatever the size allows.
    let facts = "<fact name='N'>x</fact>".repeat(999);
    let mut many = format!("<TestResult xmlns='{NAMESPACE}'>");
    for turn in 0..900 {
        let facts = facts.replace('N', &turn.to_string());
        write!(many, "<target-facts>{facts}</target-facts>").unwrap();
    }
    let error = read_text(&many).unwrap_err();
    assert!(matches!(error, XccdfError::TooComplex), "{error:?}");
}

#[test]
fn an_input_that_fails_is_nobodys_fault() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let begin = format!("<Benchmark xmlns='{NAMESPACE}'>");
    let input = std::io::Read::chain(begin.as_bytes(), Failing);
    let error = read(input, &options(None)).unwrap_err();
    assert!(matches!(error, XccdfError::Io(_)), "{error:?}");
}
