//! A page for every policy of `content/policies`, and an index of them, written from what the
//! policies say of themselves: annotations, schema of parameters, suite and frameworks.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const FOLDER: &str = "docs/policies";

/// Values of `bartizan.dev/theme`, in the order of the index.
const THEMES: [(&str, &str); 8] = [
    ("pods", "What Pods may do to their node"),
    ("images", "Images"),
    ("secrets", "Secrets"),
    ("accounts", "Accounts and rights"),
    ("people", "People at work in the cluster"),
    ("network", "Network"),
    ("availability", "Resources and availability"),
    ("housekeeping", "Namespaces and upgrades"),
];

/// Writes the pages; with `check` it only says which ones are not as they should be.
pub fn run(root: &Path, check: bool) -> Result<()> {
    let pages = pages(root)?;
    let folder = root.join(FOLDER);
    let mut stale = Vec::new();
    for (name, text) in &pages {
        if std::fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text) {
            stale.push(name.clone());
        }
    }
    if folder.is_dir() {
        for entry in std::fs::read_dir(&folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !pages.contains_key(&name) {
                stale.push(name);
            }
        }
    }
    if check {
        if !stale.is_empty() {
            bail!(
                "run cargo xtask pages: not current are {}",
                stale.join(", ")
            );
        }
        println!("{} pages are current", pages.len());
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    for name in stale {
        let path = folder.join(&name);
        match pages.get(&name) {
            Some(text) => std::fs::write(path, text)?,
            None => std::fs::remove_file(path)?,
        }
    }
    println!("{} pages in {FOLDER}", pages.len());
    Ok(())
}

/// A policy as the pages need it.
struct Policy {
    name: String,
    template: Value,
    constraint: Value,
    suite: Value,
}

impl Policy {
    fn note(&self, key: &str) -> Result<&str> {
        let notes = self
            .template
            .get("metadata")
            .and_then(|m| m.get("annotations"));
        notes
            .and_then(|n| n.get(key)?.as_str())
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .with_context(|| format!("{} has no annotation {key}", self.name))
    }

    fn title(&self) -> Result<&str> {
        self.note("metadata.gatekeeper.sh/title")
    }

    fn severity(&self) -> Result<&str> {
        self.note("bartizan.dev/severity")
    }

    fn action(&self) -> &str {
        text(&self.constraint, "/spec/enforcementAction")
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.into_iter().flatten()
}

fn words(value: &Value, pointer: &str) -> Vec<String> {
    let all = list(value, pointer).filter_map(Value::as_str);
    all.map(|word| format!("`{word}`")).collect()
}

fn yaml(path: &Path) -> Result<Value> {
    let bytes = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_saphyr::from_str(&bytes).with_context(|| path.display().to_string())
}

/// The pages by file name.
fn pages(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut frameworks = Vec::new();
    for path in sorted(&root.join("content/frameworks"))? {
        frameworks.push(yaml(&path)?);
    }
    let mut policies = Vec::new();
    for folder in sorted(&root.join("content/policies"))? {
        policies.push(Policy {
            name: folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            template: yaml(&folder.join("template.yaml"))?,
            constraint: yaml(&folder.join("constraint.yaml"))?,
            suite: yaml(&folder.join("suite.yaml"))?,
        });
    }
    let mut pages = BTreeMap::new();
    for policy in &policies {
        let page = page(root, policy, &frameworks)?;
        pages.insert(format!("{}.md", policy.name), page);
    }
    pages.insert("README.md".to_owned(), index(&policies)?);
    Ok(pages)
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut all = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    all.sort();
    Ok(all)
}

fn index(policies: &[Policy]) -> Result<String> {
    let mut out = format!(
        "# Policies\n\nThe {} policies that are built in, by theme. Each works unchanged in Gatekeeper. \
         Action is what the default constraint does: `deny` refuses, `warn` lets pass and says why, `dryrun` \
         only records.\nThese pages are written by `cargo xtask pages`; \
         [content/README.md](../../content/README.md) says how to add a policy.\n",
        policies.len()
    );
    let mut told = 0;
    for (theme, heading) in THEMES {
        write!(
            out,
            "\n## {heading}\n\n| policy | asks | severity | action |\n|---|---|---|---|\n"
        )?;
        for policy in policies {
            if policy.note("bartizan.dev/theme")? == theme {
                told += 1;
                let (name, title) = (&policy.name, policy.title()?);
                let (severity, action) = (policy.severity()?, policy.action());
                writeln!(
                    out,
                    "| [{name}]({name}.md) | {title} | {severity} | `{action}` |"
                )?;
            }
        }
    }
    if told != policies.len() {
        bail!(
            "{} policies have a theme that is not known",
            policies.len() - told
        );
    }
    Ok(out)
}

fn page(root: &Path, policy: &Policy, frameworks: &[Value]) -> Result<String> {
    let name = &policy.name;
    let mut out = format!(
        "<!-- Written by `cargo xtask pages` from content/policies/{name}. -->\n\n# {}\n\n{}\n\n",
        policy.title()?,
        policy.note("description")?
    );
    let uid = format!("rego/bartizan/{}", text(&policy.template, "/metadata/name"));
    let kind = text(&policy.template, "/spec/crd/spec/names/kind");
    let kinds: Vec<String> = list(&policy.constraint, "/spec/match/kinds")
        .flat_map(|entry| words(entry, "/kinds"))
        .collect();
    write!(
        out,
        "| | |\n|---|---|\n| check | `{uid}` |\n| kind of its constraints | `{kind}` |\n\
         | severity | {} |\n| action | `{}` |\n| looks at | {} |\n",
        policy.severity()?,
        policy.action(),
        kinds.join(", "),
    )?;
    let left_out = words(&policy.constraint, "/spec/match/excludedNamespaces");
    if !left_out.is_empty() {
        writeln!(
            out,
            "| leaves out the namespaces | {} |",
            left_out.join(", ")
        )?;
    }
    let engines: Vec<&str> = list(&policy.template, "/spec/targets/0/code")
        .map(|code| text(code, "/engine"))
        .collect();
    if engines.contains(&"K8sNativeValidation") {
        writeln!(
            out,
            "| written in | Rego, and CEL for clusters without a webhook |"
        )?;
    }
    if let Ok(sync) = policy.note("metadata.gatekeeper.sh/requires-sync-data") {
        writeln!(out, "| needs to know all | `{sync}` |")?;
    }
    parameters(&mut out, policy)?;
    example(&mut out, root, policy, "Fails", false)?;
    example(&mut out, root, policy, "Passes", true)?;
    write!(
        out,
        "\n## To put it right\n\n```yaml\n{}\n```\n",
        policy.note("bartizan.dev/remediation")?
    )?;
    mapped(&mut out, &uid, frameworks)?;
    write!(
        out,
        "\n## More\n\n- [template, constraint and tests](../../content/policies/{name})\n"
    )?;
    for reference in policy.note("bartizan.dev/references")?.split_whitespace() {
        writeln!(out, "- <{reference}>")?;
    }
    Ok(out)
}

fn parameters(out: &mut String, policy: &Policy) -> Result<()> {
    let place = "/spec/crd/spec/validation/openAPIV3Schema/properties";
    let Some(Value::Object(properties)) = policy.template.pointer(place) else {
        return Ok(());
    };
    out.push_str("\n## Parameters\n\n| name | type | what | in the default constraint |\n|---|---|---|---|\n");
    for (name, schema) in properties {
        let of = match (text(schema, "/type"), text(schema, "/items/type")) {
            ("array", inner) => format!("list of {inner}"),
            (plain, _) => plain.to_owned(),
        };
        let what = text(schema, "/description");
        let set = policy
            .constraint
            .pointer("/spec/parameters")
            .and_then(|p| p.get(name));
        let set = set.map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
        let row = format!("| `{name}` | {of} | {what} | {set} |");
        writeln!(out, "{}", row.replace('\n', " "))?;
    }
    Ok(())
}

/// The first case of the suite's first test that fails, or passes.
fn example(
    out: &mut String,
    root: &Path,
    policy: &Policy,
    heading: &str,
    good: bool,
) -> Result<()> {
    let name = &policy.name;
    let fits = |case: &&Value| {
        let clean = match case.pointer("/assertions/0/violations") {
            Some(Value::String(word)) => word == "no",
            Some(Value::Bool(any)) => !any,
            Some(Value::Number(count)) => count.as_u64() == Some(0),
            _ => false,
        };
        clean == good
    };
    let case = list(&policy.suite, "/tests/0/cases")
        .find(fits)
        .with_context(|| format!("the suite of {name} has no example that {heading}"))?;
    let folder = root.join("content/policies").join(name);
    let shown = |file: &str| {
        let path = folder.join(file);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let object = shown(text(case, "/object"))?;
    write!(
        out,
        "\n## {heading}\n\n```yaml\n{}\n```\n",
        object.trim_end()
    )?;
    for file in list(case, "/inventory").filter_map(Value::as_str) {
        let object = shown(file)?;
        write!(
            out,
            "\nWhere the cluster also has:\n\n```yaml\n{}\n```\n",
            object.trim_end()
        )?;
    }
    let message = text(case, "/assertions/0/message");
    if !message.is_empty() {
        let message = message.replace('\\', "");
        write!(out, "\nThe message says `{message}`.\n")?;
    }
    Ok(())
}

fn mapped(out: &mut String, uid: &str, frameworks: &[Value]) -> Result<()> {
    let last = uid.rsplit('/').next().unwrap_or(uid);
    let mut rows = String::new();
    for framework in frameworks {
        for control in list(framework, "/controls") {
            let ours = |pattern: &Value| pattern.as_str() == Some(&format!("rego/*/{last}"));
            if list(control, "/checks").any(ours) {
                let (title, id) = (text(framework, "/title"), text(control, "/id"));
                writeln!(rows, "| {title} | {id} | {} |", text(control, "/title"))?;
            }
        }
    }
    if !rows.is_empty() {
        write!(
            out,
            "\n## Controls\n\n| framework | control | title |\n|---|---|---|\n{rows}"
        )?;
    }
    Ok(())
}
