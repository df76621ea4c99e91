//! Fixes of many rules as one bash script or one Ansible playbook.

use super::safe;
use crate::scap::arguments::FixSystem;
use anyhow::{Result, bail};
use bartizan_scap::xccdf::model::{Benchmark, Rule, Text, TextPart};
use bartizan_scap::xccdf::select::Policy;

/// A rule's fix, its values put in.
pub struct Fix {
    /// The rule.
    pub rule: String,
    /// One line.
    pub title: String,
    /// What to do.
    pub text: String,
}

/// The URI of a kind of fix.
pub fn uri(system: FixSystem) -> &'static str {
    match system {
        FixSystem::Bash => "urn:xccdf:fix:script:sh",
        FixSystem::Ansible => "urn:xccdf:fix:script:ansible",
        FixSystem::Puppet => "urn:xccdf:fix:script:puppet",
    }
}

/// The text of a rule's fix of a kind; None where it has none. A fix with a place that
/// nothing can be put into is refused: it would do something else than it says.
pub fn text(
    benchmark: &Benchmark,
    policy: &Policy,
    rule: &Rule,
    system: FixSystem,
) -> Option<Result<String, String>> {
    let wanted = uri(system);
    let fix = rule.fixes.iter().find(|fix| &*fix.system == wanted)?;
    Some(match unfilled(benchmark, policy, &fix.text) {
        Some(id) => Err(format!("its fix needs the value {id}, which has no text")),
        None => Ok(policy.text(benchmark, &fix.text)),
    })
}

fn unfilled<'t>(benchmark: &Benchmark, policy: &Policy, text: &'t Text) -> Option<&'t str> {
    text.parts.iter().find_map(|part| match part {
        TextPart::Sub { id, title: false } => {
            let filled =
                policy.value(benchmark, id).is_ok() || benchmark.plain_texts.contains_key(id);
            (!filled).then_some(&**id)
        }
        _ => None,
    })
}

/// All fixes as one file, `from` said in its head.
pub fn write(system: FixSystem, fixes: &[Fix], from: &str) -> Result<String> {
    match system {
        FixSystem::Bash => Ok(bash(fixes, from)),
        FixSystem::Ansible => Ok(playbook(fixes, from)),
        FixSystem::Puppet => bail!("Puppet fixes are listed, not written as one file"),
    }
}

/// Text in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn bash(fixes: &[Fix], from: &str) -> String {
    let all = fixes.len();
    let mut script = format!(
        "#!/bin/bash\n# Fixes for {all} rules, written by the content's authors. Read before running.\n# From {}.\n\nfailed=0\n",
        safe(from)
    );
    for (at, fix) in fixes.iter().enumerate() {
        let rule = safe(&fix.rule);
        let say = quoted(&format!("fix {} of {all}: {rule}", at + 1));
        script.push_str(&format!(
            "\n# BEGIN {rule}: {}\necho {say} >&2\n(\n:\n{}\n) || {{ echo {} >&2; failed=1; }}\n# END {rule}\n",
            safe(&fix.title),
            fix.text,
            quoted(&format!("the fix of {rule} failed")),
        ));
    }
    script.push_str("\nexit \"$failed\"\n");
    script
}

fn playbook(fixes: &[Fix], from: &str) -> String {
    let mut text = format!(
        "---\n# Fixes for {} rules, written by the content's authors. Read before running.\n# From {}.\n# Run: ansible-playbook -i HOST, THIS_FILE\n- hosts: all\n  become: true\n  tasks:\n",
        fixes.len(),
        safe(from)
    );
    let mut any = false;
    for fix in fixes {
        let (rule, title) = (safe(&fix.rule), safe(&fix.title));
        let mut lines = fix.text.lines();
        let first = lines.find(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#') && line != "---"
        });
        // Tasks are a list at the margin; anything else would break the file for all.
        if !first.is_some_and(|line| line.starts_with("- ")) {
            text.push_str(&format!(
                "\n    # {rule}: its fix is no list of tasks, left out\n"
            ));
            continue;
        }
        any = true;
        text.push_str(&format!("\n    # {rule}: {title}\n"));
        for line in fix.text.lines() {
            if line.trim() == "---" || line.trim().is_empty() {
                text.push('\n');
                continue;
            }
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
    }
    if !any {
        text.push_str("    []\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::process::{Limits, run};
    use crate::host::sce::written;
    use std::time::Duration;

    fn fix(rule: &str, text: &str) -> Fix {
        Fix {
            rule: rule.to_owned(),
            title: "it's\n$(touch /never) a title".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_script_goes_on_after_a_failure_and_tells() {
        let fixes = [
            fix("r'1", "echo one; exit 3"),
            // Alone in parentheses a comment is a fault of syntax.
            fix("r2", "# a comment only"),
            fix("r3", "echo three"),
        ];
        let script = write(FixSystem::Bash, &fixes, "here\nexit 9").unwrap();
        let (_folder, path) = written(script.as_bytes()).unwrap();
        let limits = Limits {
            time: Duration::from_secs(20),
            output: 10_000,
            leave: false,
        };
        let ran = run(&path, &[], &[], limits).unwrap();
        assert_eq!(ran.stdout, b"one\nthree\n");
        assert_eq!(ran.status, Some(1));
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(said.contains("the fix of r'1 failed"), "{said}");
    }

    #[test]
    fn a_playbook_holds_lists_of_tasks_alone() {
        let fixes = [
            fix(
                "a",
                "---\n- name: one\n  command: x\n\n- name: two\n  shell: |\n    a\n      b",
            ),
            fix("b", "[[packages]]"),
        ];
        let text = write(FixSystem::Ansible, &fixes, "here").unwrap();
        assert!(text.contains("\n    - name: one\n      command: x\n\n    - name: two\n      shell: |\n        a\n          b\n"));
        assert!(!text.contains("[[packages]]"));
        assert!(text.contains("# b: its fix is no list of tasks"));
    }
}
