//! `bartizan policy check`: objects judged by the policies beside them.

use super::arguments::{Check, CheckFormat, Engine};
use super::write;
use crate::image::judge::{Judge, Source};
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Result, bail, ensure};
use bartizan_policy::check::{Language, Violated};
use bartizan_policy::{Checked, Checker, Failure, Object};
use bartizan_report::policy_report::{self, Line, Object as Subject, Options, Word};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Judges what the files hold.
pub fn run(options: &Check) -> Result<Verdict> {
    let objects = super::objects(&options.input)?;
    let language = match options.engine {
        Engine::Cel => Language::Cel,
        Engine::Rego => Language::Rego,
    };
    let providers = super::asked(options.providers, &objects)?;
    let judge = judge(options, &objects)?;
    let mut checker = Checker::new(objects, language, now()).map_err(anyhow::Error::msg)?;
    checker.ask(providers);
    if let Some(judge) = judge {
        let time = Duration::from_secs(options.image_timeout);
        checker.ask_images(Arc::new(judge), time);
    }
    let Checked {
        mut violations,
        untold,
    } = checker.check();
    let denied = violations.iter().any(Violated::denies);
    if options.deny_only {
        violations.retain(Violated::denies);
    }
    let text = match options.format {
        CheckFormat::Table => table(&violations),
        CheckFormat::Json => {
            let all: Vec<Value> = violations.iter().map(Violated::json).collect();
            // `gator` says null where there is nothing.
            let value = if all.is_empty() {
                Value::Null
            } else {
                all.into()
            };
            write::json(&value)? + "\n"
        }
        CheckFormat::Yaml => {
            let all: Vec<Value> = violations.iter().map(yaml_of).collect();
            write::yaml(&Value::Array(all))
        }
        CheckFormat::Sarif => write::json(&sarif(&violations, &untold))? + "\n",
        CheckFormat::PolicyReport => write::documents(&reports(&violations, &untold)),
        CheckFormat::Junit => junit(checker.objects(), &violations, &untold),
    };
    show::bytes(text.as_bytes())?;
    for line in &untold {
        show::remark(&format!("not judged: {line}"));
    }
    match (denied, untold.len()) {
        (true, _) => Ok(Verdict::Bad),
        (false, 0) => Ok(Verdict::Good),
        (false, count) => bail!("{count} judgements could not be made"),
    }
}

/// Who judges images; nobody where no object says who must have signed.
fn judge(options: &Check, objects: &[Object]) -> Result<Option<Judge>> {
    let signatures = &options.signatures;
    ensure!(
        options.registries || signatures.registry_mirror.is_empty(),
        "--registry-mirror needs --registries"
    );
    let source = match options.registries || options.layout.is_some() {
        true => signatures.source(options.layout.as_ref())?,
        false => Source::Nowhere,
    };
    let trust = signatures.trust(signatures.root()?.as_deref())?;
    let (judge, said) = Judge::of(objects, trust, source, Failure::Closed)?;
    for line in said {
        show::remark(&line);
    }
    Ok((!judge.is_empty()).then_some(judge))
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("")
}

fn table(violations: &[Violated]) -> String {
    let mut out = String::new();
    for violated in violations {
        let object = &violated.object;
        let (name, namespace) = (
            text(object, "/metadata/name"),
            text(object, "/metadata/namespace"),
        );
        let slash = if namespace.is_empty() { "" } else { "/" };
        let _ = writeln!(
            out,
            "{}/{} {namespace}{slash}{name}: [{:?}] Message: {:?}",
            text(object, "/apiVersion"),
            text(object, "/kind"),
            text(&violated.constraint, "/metadata/name"),
            violated.message
        );
    }
    out
}

/// The shape that `gator` has in YAML, which is not the one that it has in JSON.
fn yaml_of(violated: &Violated) -> Value {
    json!({
        "result": {
            "target": bartizan_policy::check::TARGET,
            "msg": violated.message,
            "metadata": {"details": violated.details},
            "constraint": {"object": violated.constraint},
            "enforcementaction": violated.action,
            "scopedenforcementactions": violated.scoped,
        },
        "violatingObject": violated.object,
        "trace": null,
    })
}

fn sarif(violations: &[Violated], untold: &[String]) -> Value {
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    let mut results = Vec::new();
    for violated in violations {
        let kind = text(&violated.constraint, "/kind");
        let name = text(&violated.constraint, "/metadata/name");
        rules
            .entry(kind.to_owned())
            .or_insert_with(|| json!({"id": kind}));
        let level = match (violated.denies(), violated.action.as_str()) {
            (true, _) => "error",
            (false, "dryrun") => "note",
            (false, _) => "warning",
        };
        let object = &violated.object;
        let logical = [
            text(object, "/kind"),
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        ];
        let mut location = Map::new();
        location.insert(
            "physicalLocation".into(),
            json!({
                "artifactLocation": {"uri": uri(&violated.file)},
                "region": {"startLine": violated.line.max(1)}
            }),
        );
        location.insert(
            "logicalLocations".into(),
            json!([{"fullyQualifiedName": logical.join("/")}]),
        );
        results.push(json!({
            "ruleId": kind, "level": level,
            "message": {"text": format!("[{name}] {}", violated.message)},
            "locations": [location],
        }));
    }
    let notes: Vec<_> = untold
        .iter()
        .map(|line| json!({"level": "error", "message": {"text": format!("not judged: {line}")}}))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bartizan", "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>()
            }},
            "invocations": [{
                "executionSuccessful": untold.is_empty(),
                "toolExecutionNotifications": notes
            }],
            "results": results
        }]
    })
}

/// What is wrong as PolicyReports. What passes is not among them: `gator` does not tell it.
fn reports(violations: &[Violated], untold: &[String]) -> Vec<Value> {
    let at = Some(now());
    let wrong = violations.iter().map(|violated| {
        let object = &violated.object;
        let said = |path| text(object, path).to_owned();
        Line {
            policy: text(&violated.constraint, "/kind").to_owned(),
            rule: text(&violated.constraint, "/metadata/name").to_owned(),
            category: String::new(),
            severity: None,
            subject: Subject {
                api_version: said("/apiVersion"),
                kind: said("/kind"),
                namespace: said("/metadata/namespace"),
                name: said("/metadata/name"),
                uid: said("/metadata/uid"),
            },
            outcome: if violated.denies() {
                Word::Fail
            } else {
                Word::Warn
            },
            message: violated.message.clone(),
            at,
            properties: BTreeMap::from([
                ("enforcementAction".to_owned(), violated.action.clone()),
                (
                    "location".to_owned(),
                    format!("{}:{}", violated.file, violated.line),
                ),
            ]),
        }
    });
    let unknown = untold.iter().map(|why| Line {
        policy: "not judged".to_owned(),
        rule: String::new(),
        category: String::new(),
        severity: None,
        subject: Subject::default(),
        outcome: Word::Error,
        message: why.clone(),
        at,
        properties: BTreeMap::new(),
    });
    policy_report::reports(wrong.chain(unknown), Options::new("check"))
}

/// A path as a relative reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

/// Each object is a test; what is denied is a failure, what is only told is output.
fn junit(objects: &[Object], violations: &[Violated], untold: &[String]) -> String {
    let mut body = String::new();
    let mut failures = 0;
    for object in objects {
        let ours = violations.iter().filter(|v| v.object == object.value);
        let (denied, told): (Vec<_>, Vec<_>) = ours.partition(|v| v.denies());
        let line =
            |v: &&Violated| format!("[{}] {}", text(&v.constraint, "/metadata/name"), v.message);
        let slash = if object.namespace.is_empty() { "" } else { "/" };
        let name = format!("{} {}{slash}{}", object.kind, object.namespace, object.name);
        let _ = write!(
            body,
            "    <testcase classname=\"{}\" name=\"{}\">",
            write::xml(&object.location.file),
            write::xml(&name)
        );
        if !denied.is_empty() {
            failures += 1;
            let lines: Vec<_> = denied.iter().map(line).collect();
            let _ = write!(
                body,
                "<failure message=\"{}\"/>",
                write::xml(&lines.join("\n"))
            );
        }
        if !told.is_empty() {
            let lines: Vec<_> = told.iter().map(line).collect();
            let _ = write!(
                body,
                "<system-out>{}</system-out>",
                write::xml(&lines.join("\n"))
            );
        }
        body.push_str("</testcase>\n");
    }
    for line in untold {
        let line = write::xml(line);
        let _ = writeln!(
            body,
            "    <testcase classname=\"not judged\" name=\"{line}\"><error message=\"not judged\"/></testcase>"
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"bartizan \
         policy check\" tests=\"{}\" failures=\"{failures}\" errors=\"{}\">\n{body}  </testsuite>\n\
         </testsuites>\n",
        objects.len() + untold.len(),
        untold.len()
    )
}
