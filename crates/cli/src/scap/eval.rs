//! `bartizan scap eval`: what `oscap xccdf eval` does, by its options and with its exit codes.

use super::arguments::{ScapEval, WithoutEffect};
use super::safe;
use crate::arguments::{Arguments, Choice, Command, Format, Scan, ScanHost};
use crate::scan::{render, snapshot};
use crate::{Verdict, host, show};
use anyhow::{Result, bail};
use bartizan_scap::results::testresult::Subject;
use bartizan_scap::xccdf::outcome::RuleResult;
use clap::Parser;
use std::collections::HashMap;

/// `OSCAP_ERROR` and `OSCAP_FAIL`.
const ERROR: u8 = 1;
const FAIL: u8 = 2;

/// Runs the command.
pub fn run(options: &ScapEval) -> Verdict {
    match evaluate(options) {
        Ok(true) => Verdict::Exit(FAIL),
        Ok(false) => Verdict::Good,
        Err(error) => {
            show::error(&error);
            Verdict::Exit(ERROR)
        }
    }
}

/// Whether a rule failed.
fn evaluate(options: &ScapEval) -> Result<bool> {
    remarks(&options.without)?;
    if options.file.is_dir() || host::is_yaml(&options.file) {
        bail!("{} is no SCAP content", options.file.display());
    }
    let scan = scan(options)?;
    let mut lines = String::new();
    let mut failed = false;
    let report = host::report_seen(&scan, &mut |subject| {
        (lines, failed) = shown(subject, options);
    })?;
    show::bytes(lines.as_bytes())?;
    if let Some(path) = &options.report {
        let page = render(&snapshot(&report, &[])?, &report, Format::Html, false)?;
        show::to(Some(path), &page)?;
    }
    Ok(failed)
}

/// What is asked for and not done is said, and refused where it would change the machine or
/// leave a file out.
fn remarks(without: &WithoutEffect) -> Result<()> {
    if without.remediate {
        bail!("--remediate is not done here: bartizan scap remediate asks and backs up");
    }
    if without.stig_viewer.is_some() {
        bail!("--stig-viewer: this form of results is not written");
    }
    for (is_asked, what) in [
        (without.oval_results, "--oval-results: see --results-arf"),
        (
            without.check_engine_results,
            "--check-engine-results: see --results-arf",
        ),
        (
            without.export_variables,
            "--export-variables: see --results-arf",
        ),
        (without.thin_results, "--thin-results: results are whole"),
        (
            without.without_syschar,
            "--without-syschar: results are whole",
        ),
        (
            without.fetch_remote_resources || without.local_files.is_some(),
            "what is on other servers is not read: its rules are not checked",
        ),
    ] {
        if is_asked {
            show::remark(what);
        }
    }
    Ok(())
}

/// The same as a scan of the host.
fn scan(options: &ScapEval) -> Result<ScanHost> {
    let words = ["bartizan", "scan", "host"];
    let Command::Scan(Scan::Host(scan)) = Arguments::try_parse_from(words)?.command else {
        bail!("the command line is not what it was");
    };
    let ids = [
        &options.xccdf_id,
        &options.tailoring_id,
        &options.benchmark_id,
    ];
    let mut scan = *scan;
    scan.content = Some(options.file.clone());
    scan.choice = Choice {
        profile: options.profile.clone(),
        datastream_id: options.datastream_id.clone(),
        xccdf_id: ids.into_iter().flatten().next().cloned(),
        tailoring: options.tailoring_file.clone(),
        signature: options.signature,
    };
    scan.rule.clone_from(&options.rule);
    scan.skip_rule.clone_from(&options.skip_rule);
    scan.cpe.clone_from(&options.cpe);
    scan.root.clone_from(&options.root);
    scan.results.clone_from(&options.results);
    scan.arf.clone_from(&options.results_arf);
    scan.sce = options.sce;
    Ok(scan)
}

/// The rules as lines, and whether one failed.
fn shown(subject: &Subject<'_>, options: &ScapEval) -> (String, bool) {
    let titles: HashMap<&str, String> = subject
        .benchmark
        .rules()
        .map(|(item, _)| {
            let title = subject.policy.text(subject.benchmark, &item.title);
            (&*item.id, safe(&title))
        })
        .collect();
    let mut lines = String::new();
    let mut failed = false;
    for outcome in &subject.evaluation.rules {
        failed |= matches!(
            outcome.result,
            RuleResult::Fail | RuleResult::Unknown | RuleResult::Error
        );
        if outcome.result == RuleResult::NotSelected {
            continue;
        }
        let (id, result) = (safe(&outcome.id), outcome.result.word());
        let title = titles.get(&*outcome.id).map_or("", |title| title);
        let line = if options.progress {
            format!("{id}:{result}\n")
        } else if options.progress_full {
            format!("{id}|{title}|{result}\n")
        } else {
            format!("Title\r\t{title}\nRule\r\t{id}\nResult\r\t{result}\n\n")
        };
        lines.push_str(&line);
    }
    (lines, failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scap::arguments::Scap;
    use std::path::Path;

    const SIGNED: &str = include_str!("../../../scap/src/signature/testdata/enveloped.xml");

    fn code(words: &[&str], file: &Path) -> Verdict {
        let file = file.to_string_lossy();
        let words = ["bartizan", "scap", "eval"]
            .into_iter()
            .chain(words.iter().copied())
            .chain([&*file]);
        match Arguments::try_parse_from(words).unwrap().command {
            Command::Scap(Scap::Eval(options)) => run(&options),
            _ => panic!("another command"),
        }
    }

    #[test]
    fn exit_codes_are_those_of_oscap() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let content = |family: &str| {
            format!(
                "<data-stream-collection xmlns='urn:ds'><data-stream id='s'>
                 <checklists><component-ref id='b' href='#bc'><catalog><uri name='o' uri='#o'/></catalog></component-ref></checklists>
                 <checks><component-ref id='o' href='#oc'/></checks></data-stream>
                 <component id='bc'><Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='xccdf_a_benchmark_b'>
                 <Rule id='xccdf_a_rule_r' selected='true'><title>A rule</title><check system='http://oval.mitre.org/XMLSchema/oval-definitions-5'>
                 <check-content-ref href='o' name='oval:x:def:1'/></check></Rule></Benchmark></component>
                 <component id='oc'><oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5' xmlns:i='http://oval.mitre.org/XMLSchema/oval-definitions-5#independent'>
                 <definitions><definition id='oval:x:def:1' version='1' class='compliance'><criteria><criterion test_ref='oval:x:tst:1'/></criteria></definition></definitions>
                 <tests><i:family_test id='oval:x:tst:1' version='1' check='all'><i:object object_ref='oval:x:obj:1'/><i:state state_ref='oval:x:ste:1'/></i:family_test></tests>
                 <objects><i:family_object id='oval:x:obj:1' version='1'/></objects>
                 <states><i:family_state id='oval:x:ste:1' version='1'><i:family>{family}</i:family></i:family_state></states>
                 </oval_definitions></component></data-stream-collection>"
            )
        };
        std::fs::write(path("good"), content("unix")).unwrap();
        std::fs::write(path("bad"), content("windows")).unwrap();
        std::fs::write(path("signed"), SIGNED).unwrap();
        let changed = SIGNED.replacen("<title>x", "<title>y", 1);
        std::fs::write(path("changed"), changed).unwrap();
        assert_eq!(code(&["--progress"], &path("good")), Verdict::Good);
        assert_eq!(code(&["--progress-full"], &path("bad")), Verdict::Exit(2));
        let skipped = ["--skip-rule", "xccdf_a_rule_r"];
        assert_eq!(code(&skipped, &path("bad")), Verdict::Good);
        let written = path("results");
        let results = ["--results", &*written.to_string_lossy()];
        assert_eq!(code(&results, &path("bad")), Verdict::Exit(2));
        let written = std::fs::read_to_string(written).unwrap();
        assert!(written.contains("<TestResult") && written.contains(">fail<"));
        for (words, file) in [
            (&["--profile", "none"][..], "good"),
            (&["--enforce-signature"][..], "good"),
            (&["--remediate"][..], "good"),
            (&[][..], "changed"),
            (&[][..], "missing"),
        ] {
            assert_eq!(code(words, &path(file)), Verdict::Exit(1), "{words:?}");
        }
        let skip = ["--skip-signature-validation"];
        assert_eq!(code(&skip, &path("changed")), Verdict::Good);
        assert_eq!(
            code(&["--enforce-signature"], &path("signed")),
            Verdict::Good
        );
    }
}
