//! Checks by script (the script check engine, SCE): what scripts are given and what their
//! exit status means. Running them is for the caller, through [`Scripts`].

use super::model::{Benchmark, SimpleCheck};
use super::outcome::{RuleResult, Why};
use std::sync::Arc;

/// The check system of scripts.
pub const SCE: &str = "http://open-scap.org/page/SCE";

/// Longer output is cut where it becomes a result.
const MAX_OUTPUT: usize = 16_000;
/// And where it becomes a reason.
const MAX_REASON: usize = 1_000;

/// The results by exit status, from 101.
const RESULTS: [(&str, RuleResult); 9] = [
    ("PASS", RuleResult::Pass),
    ("FAIL", RuleResult::Fail),
    ("ERROR", RuleResult::Error),
    ("UNKNOWN", RuleResult::Unknown),
    ("NOT_APPLICABLE", RuleResult::NotApplicable),
    ("NOT_CHECKED", RuleResult::NotChecked),
    ("NOT_SELECTED", RuleResult::NotSelected),
    ("INFORMATIONAL", RuleResult::Informational),
    ("FIXED", RuleResult::Fixed),
];

/// A script of the content. Hostile: whoever runs it decided to trust the content.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    /// What the content calls it.
    pub name: &'a str,
    /// The whole of it, its interpreter's line first.
    pub text: &'a [u8],
}

/// What a script did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ran {
    /// The exit status; None when a signal ended it.
    pub status: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained.
    pub stderr: Vec<u8>,
}

/// What runs scripts. Time and output are bounded by whoever implements it.
pub trait Scripts {
    /// Runs a script under exactly these variables and whatever the runner adds of its own;
    /// or says why it could not.
    fn run(&self, script: &Script<'_>, environment: &[(String, String)]) -> Result<Ran, String>;
}

type Exports = [(Arc<str>, Arc<str>, String)];

/// The variables of a script: the words for results, and values with their types.
pub(super) fn environment(benchmark: &Benchmark, exports: &Exports) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = RESULTS
        .iter()
        .zip(101..)
        .map(|((word, _), status)| (format!("XCCDF_RESULT_{word}"), status.to_string()))
        .collect();
    for (name, value, text) in exports {
        // A name that is none in an environment cannot be asked for by a script either.
        if name.is_empty() || name.contains(['=', '\0']) {
            continue;
        }
        let key = format!("XCCDF_VALUE_{name}");
        if let Some((_, known)) = all.iter_mut().find(|(known, _)| *known == key) {
            known.push(',');
            known.push_str(text);
            continue;
        }
        let kind = benchmark.values.get(value).map_or("", |value| &*value.kind);
        let kind = match kind {
            "number" => "NUMBER",
            "boolean" => "BOOLEAN",
            _ => "STRING",
        };
        all.push((key, text.clone()));
        all.push((format!("XCCDF_TYPE_{name}"), kind.to_owned()));
    }
    all
}

/// The result, and what to say of it.
pub(super) fn result(script: &str, ran: &Ran) -> (RuleResult, Option<String>, Vec<Why>) {
    let known = ran
        .status
        .and_then(|status| usize::try_from(status.checked_sub(101)?).ok())
        .and_then(|place| RESULTS.get(place));
    let Some((_, result)) = known else {
        let how = match ran.status {
            Some(status) => format!("with status {status}, which is no result"),
            None => "by a signal".to_owned(),
        };
        let complaint = match cut(&ran.stderr, MAX_REASON) {
            text if text.trim().is_empty() => String::new(),
            text => format!(": {}", text.trim()),
        };
        let message = format!("The script {script} ended {how}{complaint}.");
        return (RuleResult::Error, Some(message), Vec::new());
    };
    let printed = cut(&ran.stdout, MAX_REASON);
    let mut why = Vec::new();
    if *result != RuleResult::Pass && !printed.trim().is_empty() {
        why.push(Why {
            what: format!("script {script}: output"),
            actual: Some(printed.trim().to_owned()),
            expected: None,
        });
    }
    (*result, None, why)
}

/// What a check imports of a script's run: `stdout` and `stderr`; all else is empty.
pub(super) fn imports(check: &SimpleCheck, ran: &Ran) -> Vec<(Arc<str>, String)> {
    let of = |name: &Arc<str>| {
        let text = match &**name {
            "stdout" => cut(&ran.stdout, MAX_OUTPUT),
            "stderr" => cut(&ran.stderr, MAX_OUTPUT),
            _ => String::new(),
        };
        (Arc::clone(name), text)
    };
    check.imports.iter().map(of).collect()
}

fn cut(bytes: &[u8], most: usize) -> String {
    let cut = bytes.get(..most).unwrap_or(bytes);
    let mut text = String::from_utf8_lossy(cut).into_owned();
    if cut.len() < bytes.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agreed_statuses_are_results() {
        for (status, expected) in [
            (Some(101), RuleResult::Pass),
            (Some(102), RuleResult::Fail),
            (Some(104), RuleResult::Unknown),
            (Some(109), RuleResult::Fixed),
            (Some(0), RuleResult::Error),
            (Some(100), RuleResult::Error),
            (Some(110), RuleResult::Error),
            (Some(i32::MIN), RuleResult::Error),
            (None, RuleResult::Error),
        ] {
            let ran = Ran {
                status,
                ..Ran::default()
            };
            assert_eq!(result("x", &ran).0, expected, "{status:?}");
        }
    }

    #[test]
    fn a_failure_gives_its_output_as_the_reason() {
        let ran = Ran {
            status: Some(102),
            stdout: b"the table is missing\n".to_vec(),
            stderr: b"e".to_vec(),
        };
        let (_, _, why) = result("x.sh", &ran);
        assert_eq!(
            why.first().unwrap().actual.as_deref(),
            Some("the table is missing")
        );
        let check = SimpleCheck {
            imports: vec!["stdout".into(), "stderr".into(), "other".into()],
            ..SimpleCheck::default()
        };
        let texts: Vec<String> = imports(&check, &ran).into_iter().map(|one| one.1).collect();
        assert_eq!(texts, ["the table is missing\n", "e", ""]);
    }

    #[test]
    fn values_become_variables() {
        let exports: Vec<(Arc<str>, Arc<str>, String)> = vec![
            ("a".into(), "v".into(), "1".to_owned()),
            ("a".into(), "v".into(), "2".to_owned()),
            ("b=c".into(), "v".into(), "3".to_owned()),
        ];
        let environment = environment(&Benchmark::default(), &exports);
        let get = |name: &str| {
            let found = environment.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| &**value)
        };
        assert_eq!(get("XCCDF_RESULT_PASS"), Some("101"));
        assert_eq!(get("XCCDF_RESULT_FIXED"), Some("109"));
        assert_eq!(get("XCCDF_VALUE_a"), Some("1,2"));
        assert_eq!(get("XCCDF_TYPE_a"), Some("STRING"));
        assert_eq!(environment.len(), 11);
    }
}
