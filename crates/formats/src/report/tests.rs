//! What is read, what is refused, and that writing and reading are inverse.

use super::*;
use bartizan_model::report::{Line, Report, Trailer};
use bartizan_model::*;
use proptest::prelude::*;

const HEADER: &str = r#"{"header":{"format":"bartizan.report","version":1,"scan":{"id":"s1","source":"bartizan/k8s","source_version":"0.1.0","scope":{"kind":"cluster","name":"prod"},"complete":true,"started":"2026-11-21T09:00:00Z","finished":"2026-11-21T09:00:01Z","content":[]}}}"#;
const CHECK: &str =
    r#"{"check":{"uid":"rego/bartizan/privileged","title":"No privilege","severity":"high"}}"#;
const OBSERVATION: &str = r#"{"observation":{"asset":{"uid":"cluster:prod//Pod/shop/web","kind":"Pod","name":"web","namespace":"shop"},"kind":"kubernetes.object","digest":"sha256:00","body":{"spec":{}}}}"#;
const RESULT: &str = r#"{"result":{"check":"rego/bartizan/privileged","asset":"cluster:prod//Pod/shop/web","locus":"container:web","outcome":"fail","message":"it is"}}"#;
const TRAILER: &str = r#"{"trailer":{"checks":1,"observations":1,"results":1}}"#;

fn join(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

fn whole() -> String {
    join(&[HEADER, CHECK, OBSERVATION, RESULT, TRAILER])
}

fn refused(bytes: &[u8]) -> String {
    let limits = Limits {
        max_line: 600,
        max_lines: 8,
    };
    match read_report(bytes, limits) {
        Ok(report) => panic!("read as {report:?}"),
        Err(error) => {
            assert!(error.fault.is_senders());
            error.to_string()
        }
    }
}

#[test]
fn a_whole_report_is_read_and_written_back() {
    let report = read_report(whole().as_bytes(), Limits::default()).unwrap();
    assert_eq!(report.scan.scope.id().unwrap().as_str(), "cluster:prod");
    assert_eq!(report.results[0].outcome, Outcome::Fail);
    assert_eq!(report.results[0].locus, "container:web");
    let (bytes, counts) = write_report(Vec::new(), &report).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), whole());
    assert_eq!(
        counts,
        Trailer {
            checks: 1,
            observations: 1,
            results: 1
        }
    );
}

#[test]
fn lines_come_with_their_numbers() {
    let text = whole();
    let reader = ReportReader::open(text.as_bytes(), Limits::default()).unwrap();
    let numbers: Vec<(u64, &str)> = reader
        .map(|item| item.unwrap())
        .map(|(number, line)| {
            let kind = match line {
                Line::Header(_) => "header",
                Line::Check(_) => "check",
                Line::Observation(_) => "observation",
                Line::Result(_) => "result",
                Line::Trailer(_) => "trailer",
            };
            (number, kind)
        })
        .collect();
    assert_eq!(
        numbers,
        [
            (2, "check"),
            (3, "observation"),
            (4, "result"),
            (5, "trailer")
        ]
    );
}

#[test]
fn members_of_later_versions_are_passed_over() {
    let text = whole()
        .replace(
            r#""complete":true"#,
            r#""complete":true,"region":{"a":[1]}"#,
        )
        .replace(
            r#""outcome":"fail""#,
            r#""outcome":"fail","confidence":0.5"#,
        );
    let read = read_report(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(
        Some(read),
        read_report(whole().as_bytes(), Limits::default()).ok()
    );
}

#[test]
fn everything_else_is_refused_with_its_line() {
    let second = |line: &str| refused(join(&[HEADER, line, TRAILER]).as_bytes());
    let cases = [
        refused(b""),
        refused(b"\n"),
        refused(b"<html>"),
        refused(CHECK.as_bytes()),
        refused(HEADER.replace("bartizan.report", "other").as_bytes()),
        refused(
            HEADER
                .replace(r#""version":1"#, r#""version":2"#)
                .as_bytes(),
        ),
        refused(HEADER.as_bytes()),
        refused(join(&[HEADER, CHECK]).as_bytes()),
        second(HEADER),
        second(""),
        second(r#"{"policy":{}}"#),
        second("[1]"),
        second(r#"{"check":{"uid":"a"}}"#),
        second(r#"{"check":{"uid":"","title":"t","severity":"high"}}"#),
        second(&CHECK.replace("high", "dreadful")),
        second(&RESULT.replace("fail", "perhaps")),
        second(&RESULT.replace(r#""outcome":"fail""#, r#""outcome":"unknown""#)),
        second(&RESULT.replace(
            r#""outcome":"fail""#,
            r#""outcome":"fail","outcome":"pass""#,
        )),
        second(&format!("{CHECK}{CHECK}")),
        second(&RESULT.replace("it is", "it\\u0000is")),
        second(&RESULT.replace("it is", "it\0is")),
        second(&RESULT.replace("it is", &"is".repeat(300))),
        second(&OBSERVATION.replace("{}", &format!("{}{}", "[".repeat(130), "]".repeat(130)))),
        refused(join(&[HEADER, RESULT, CHECK, TRAILER]).as_bytes()),
        refused(join(&[HEADER, CHECK, RESULT, TRAILER]).as_bytes()),
        refused(format!("{}{CHECK}", whole()).as_bytes()),
        refused(join(&[HEADER, &join(&[CHECK; 8])]).as_bytes()),
        refused(&[HEADER.as_bytes(), b"\n{\"check\":\"\xff\"}\n"].concat()),
    ];
    insta::assert_snapshot!(cases.join("\n"), @r##"
report line 1: the input is empty
report line 1: the line is blank
report line 1: the first line must be the header, {"header":{…}}
report line 1: the first line must be the header, {"header":{…}}
report line 1: the format is "other"; this reader reads "bartizan.report"
report line 1: the report has version 2; this build reads version 1
report line 2: the report ends without its trailer, so it was cut off; send it again whole
report line 3: the report ends without its trailer, so it was cut off; send it again whole
report line 2: a second header; a report holds one scan
report line 2: the line is blank
report line 2: the line is of no known kind; version 1 has header, check, observation, result and trailer
report line 2: the line is of no known kind; version 1 has header, check, observation, result and trailer
report line 2: missing field `title` (column 20)
report line 2: check uid "" is not valid: it is empty (column 18)
report line 2: unknown variant `dreadful`, expected one of `info`, `low`, `medium`, `high`, `critical` (column 87)
report line 2: unknown variant `perhaps`, expected one of `pass`, `fail`, `not_applicable`, `unknown` (column 145)
report line 2: missing field `why` (column 145)
report line 2: duplicate field `outcome` (column 159)
report line 2: trailing characters (column 86)
report line 2: the line holds a NUL character, which cannot be stored
report line 2: the line holds a NUL character, which cannot be stored
report line 2: the line is longer than 600 bytes
report line 2: recursion limit exceeded (column 294)
report line 3: a check cannot follow a result; the order is header, checks, observations, results, trailer
report line 4: the trailer counts 1 observations, but 0 were read; the report is damaged
report line 6: there is more after the trailer, which must be the last line
report line 9: the report has more than 8 lines; split the scan into several scopes
report line 2: byte 11 of the line is not UTF-8
"##);
}

#[test]
fn escaped_backslashes_before_u0000_are_text() {
    let text = whole().replace("it is", r"it \\u0000 is");
    let read = read_report(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(read.results[0].message, r"it \u0000 is");
}

#[test]
fn a_failing_input_is_not_the_senders_fault() {
    #[derive(Debug)]
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("cable"))
        }
    }
    let error = ReportReader::open(std::io::BufReader::new(Broken), Limits::default()).unwrap_err();
    assert!(!error.fault.is_senders());
    assert_eq!(
        error.to_string(),
        "report line 1: the input could not be read: cable"
    );
}

#[test]
fn the_writer_keeps_order_bounds_and_storable_text() {
    let report = read_report(whole().as_bytes(), Limits::default()).unwrap();
    let mut writer = ReportWriter::new(Vec::new(), &report.scan).unwrap();
    let mut result = report.results[0].clone();
    result.message = "a\0b \\u0000".to_owned();
    writer.result(&result).unwrap();
    assert_eq!(
        writer.check(&report.checks[0]).unwrap_err().to_string(),
        "a check cannot follow a result in a report"
    );
    result.message = "x".repeat(5 << 20);
    assert!(matches!(
        writer.result(&result),
        Err(WriteError::TooLong { .. })
    ));
    let (bytes, counts) = writer.finish().unwrap();
    assert_eq!(counts.results, 1);
    let read = read_report(bytes.as_slice(), Limits::default()).unwrap();
    assert_eq!(read.results[0].message, "a\u{fffd}b \\u0000");
}

#[test]
fn resuming_a_shorter_report_is_an_error() {
    let text = whole();
    let mut reader = ReportReader::open(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(
        reader.skip_results(2).unwrap_err().to_string(),
        "report line 5: the report is shorter than the part of it that was read before"
    );
    assert!(reader.next().is_none());
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Pass),
        Just(Outcome::Fail),
        "[^\0]{0,9}".prop_map(|why| Outcome::NotApplicable { why }),
        "[^\0]{0,9}".prop_map(|why| Outcome::Unknown { why }),
    ]
}

fn any_result() -> impl Strategy<Value = CheckResult> {
    (
        any_outcome(),
        "[^\0]{0,20}",
        proptest::option::of((0..5_i64).prop_map(Severity::from_rank)),
        proptest::option::of("[^\0]{0,9}"),
        proptest::option::of(any::<u32>()),
    )
        .prop_map(|(outcome, text, severity, actual, line)| CheckResult {
            check: CheckUid::new("rego/bartizan/x").unwrap(),
            asset: AssetUid::new("cluster:prod//Pod/shop/web").unwrap(),
            locus: text.clone(),
            outcome,
            message: text.clone(),
            severity,
            evidence: vec![Evidence {
                path: text.clone(),
                actual,
                expected: None,
            }],
            location: line.map(|line| Location {
                file: text.clone(),
                line,
                column: None,
            }),
            suppression: severity.map(|_| Suppression {
                by: "annotation".to_owned(),
                reason: text,
            }),
        })
}

proptest! {
    #[test]
    fn writing_and_reading_are_inverse(results in proptest::collection::vec(any_result(), 0..20), n in 0..25_u64) {
        let base = read_report(whole().as_bytes(), Limits::default()).unwrap();
        let report = Report { results, ..base };
        let (bytes, _) = write_report(Vec::new(), &report).unwrap();
        let expected = read_report(bytes.as_slice(), Limits::default()).unwrap();
        prop_assert_eq!(&expected, &report);

        // Resuming after n results gives what reading to there and on would have given.
        let mut reader = ReportReader::open(bytes.as_slice(), Limits::default()).unwrap();
        let len = report.results.len() as u64;
        if n <= len {
            reader.skip_results(n).unwrap();
            prop_assert_eq!(reader.position().counts.results, n);
            let rest: Vec<CheckResult> = reader
                .map(|item| item.unwrap().1)
                .filter_map(|line| match line { Line::Result(r) => Some(r), _ => None })
                .collect();
            prop_assert_eq!(rest.as_slice(), &expected.results[n as usize..]);
        } else {
            prop_assert!(reader.skip_results(n).is_err());
        }
    }

    #[test]
    fn any_cut_is_refused(at in 0..800_usize) {
        let text = whole();
        let cut = at % (text.len() - 1);
        prop_assert!(read_report(&text.as_bytes()[..cut], Limits::default()).is_err());
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzzing::report(&bytes);
        crate::fuzzing::report(&[HEADER.as_bytes(), b"\n", &bytes].concat());
    }
}
