//! What a person wants to know after a scan of a host: where it stands by theme, and what to
//! do first.

use bartizan_model::report::Report;
use bartizan_model::{Check, CheckUid, Outcome, Severity};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// So many failures are named as the next to put right.
const NEXT: usize = 3;
/// A theme's column.
const COLUMN: usize = 14;

#[derive(Default)]
struct Theme {
    pass: usize,
    unknown: usize,
    /// By severity, as `Severity::ALL` has them.
    fail: BTreeMap<usize, usize>,
}

/// The text, to follow the table of findings.
pub fn text(report: &Report, is_root: bool) -> String {
    let checks: HashMap<&CheckUid, &Check> =
        report.checks.iter().map(|one| (&one.uid, one)).collect();
    let rank = |uid: &CheckUid| {
        let severity = checks.get(uid).map(|check| check.severity);
        let all = Severity::ALL.into_iter();
        all.take_while(|one| Some(*one) != severity).count()
    };
    let mut themes: BTreeMap<String, Theme> = BTreeMap::new();
    let mut failed: Vec<&CheckUid> = Vec::new();
    let mut unknown = 0;
    for result in &report.results {
        let theme = theme(&result.check).map(|name| themes.entry(name).or_default());
        match &result.outcome {
            Outcome::Pass => theme.into_iter().for_each(|theme| theme.pass += 1),
            Outcome::Fail => {
                failed.push(&result.check);
                if let Some(theme) = theme {
                    *theme.fail.entry(rank(&result.check)).or_default() += 1;
                }
            }
            Outcome::Unknown { .. } => {
                unknown += 1;
                theme.into_iter().for_each(|theme| theme.unknown += 1);
            }
            Outcome::NotApplicable { .. } => {}
        }
    }
    let mut out = String::new();
    by_theme(&mut out, themes);
    failed.sort_by_key(|uid| rank(uid));
    let worst: Vec<&Check> = failed
        .iter()
        .filter_map(|uid| checks.get(uid).copied())
        .filter(|check| !check.remediation.is_empty())
        .take(NEXT)
        .collect();
    if !worst.is_empty() {
        out.push_str("\nFIRST TO PUT RIGHT\n");
        for check in worst {
            let _ = writeln!(
                out,
                "  {}: {}\n      {}",
                check.severity.word(),
                crate::scap::safe(&check.title),
                first_line(&check.remediation)
            );
        }
    }
    out.push_str("\nNEXT\n  --format html -o host.html   all of it as a page, with evidence and remedies\n  --server URL                 keep it: history, acceptance, a certificate\n");
    if unknown > 0 && !is_root {
        let _ = writeln!(
            out,
            "  run it as root               {unknown} checks could not look, which is no pass"
        );
    }
    out
}

/// The checks of the own baselines have their theme before the first hyphen.
fn theme(uid: &CheckUid) -> Option<String> {
    let mut parts = uid.as_str().splitn(3, '/');
    if parts.next() != Some(bartizan_scap::yaml::ENGINE) {
        return None;
    }
    let (theme, _) = parts.nth(1)?.split_once('-')?;
    Some(theme.chars().take(COLUMN).collect())
}

/// The worst theme first.
fn by_theme(out: &mut String, themes: BTreeMap<String, Theme>) {
    let mut themes: Vec<(String, Theme)> = themes.into_iter().collect();
    if themes.is_empty() {
        return;
    }
    let weight = |theme: &Theme| -> Vec<usize> {
        let ranks = 0..Severity::ALL.len();
        ranks
            .map(|rank| theme.fail.get(&rank).copied().unwrap_or(0))
            .collect()
    };
    themes.sort_by_key(|(_, theme)| std::cmp::Reverse(weight(theme)));
    out.push_str("\nBY THEME\n");
    for (name, theme) in &themes {
        let failures: Vec<String> = Severity::ALL
            .into_iter()
            .enumerate()
            .filter_map(|(rank, severity)| {
                let count = theme.fail.get(&rank)?;
                Some(format!("{count} {}", severity.word()))
            })
            .collect();
        let mut line = format!("  {name:COLUMN$} pass {:>3}", theme.pass);
        if !failures.is_empty() {
            let _ = write!(line, "   fail {}", failures.join(", "));
        }
        if theme.unknown > 0 {
            let _ = write!(line, "   unknown {}", theme.unknown);
        }
        out.push_str(&line);
        out.push('\n');
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = crate::scap::safe(line.unwrap_or_default());
    match line.char_indices().nth(160) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{AssetUid, CheckResult, Scan, ScanId, Scope, Timestamp};

    fn report(given: &[(&str, Severity, Outcome)]) -> Report {
        let check = |uid: &str, severity| Check {
            uid: CheckUid::new(uid).unwrap(),
            title: format!("title of {uid}"),
            description: String::new(),
            severity,
            remediation: format!("\nremedy of {uid}\u{1b}[1m\nmore"),
            references: Vec::new(),
        };
        let scope = Scope::parse("host:h").unwrap();
        let asset = AssetUid::kubernetes(&scope.id().unwrap(), "", "Host", "", "h").unwrap();
        let result = |uid: &str, outcome: &Outcome| CheckResult {
            check: CheckUid::new(uid).unwrap(),
            asset: asset.clone(),
            locus: String::new(),
            outcome: outcome.clone(),
            message: String::new(),
            severity: None,
            evidence: Vec::new(),
            location: None,
            suppression: None,
        };
        Report {
            scan: Scan {
                id: ScanId::new("s").unwrap(),
                source: "x".to_owned(),
                source_version: "1".to_owned(),
                scope: scope.clone(),
                complete: true,
                started: Timestamp::from_micros(0),
                finished: Timestamp::from_micros(0),
                content: Vec::new(),
            },
            checks: given.iter().map(|(uid, s, _)| check(uid, *s)).collect(),
            observations: Vec::new(),
            results: given.iter().map(|(uid, _, o)| result(uid, o)).collect(),
        }
    }

    #[test]
    fn the_worst_is_first_and_unknown_is_said() {
        let unknown = Outcome::Unknown {
            why: "w".to_owned(),
        };
        let given = [
            ("host/debian/ssh-a", Severity::Low, Outcome::Fail),
            ("host/debian/ssh-b", Severity::High, Outcome::Pass),
            ("host/debian/net-a", Severity::High, Outcome::Fail),
            ("host/debian/net-b", Severity::High, unknown),
            ("scap/b/r-1", Severity::Critical, Outcome::Pass),
        ];
        let text = text(&report(&given), false);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(
            at("net            pass   0   fail 1 high   unknown 1") < at("ssh            pass   1")
        );
        assert!(at("high: title of host/debian/net-a") < at("low: title of host/debian/ssh-a"));
        assert!(text.contains("      remedy of host/debian/net-a"));
        assert!(!text.contains('\u{1b}') && !text.contains("more\n"));
        assert!(text.contains("run it as root"));
        assert!(!super::text(&report(&given), true).contains("run it as root"));
    }
}
