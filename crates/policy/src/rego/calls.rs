//! Calls of built-ins that the engine lacks, has otherwise, or must not have.

use super::builtins::OPERATORS;
use super::syntax::{Text, apply, variant, visit};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Built-ins that reach outside or differ from run to run. `regorus` answers some of them with
/// "undefined", which would read as "no violation".
const FORBIDDEN: [(&str, &str); 6] = [
    ("http.send", "it sends a request"),
    ("net.lookup_ip_addr", "it asks the network"),
    ("opa.runtime", "it reads the environment"),
    ("rand.intn", "it is random"),
    ("uuid.rfc4122", "it is random"),
    ("providers.aws.sign_req", "it signs requests"),
];

/// Built-ins of OPA that are not there, or whose texts differ from OPA's; a name that ends with a
/// dot stands for all below it.
const MISSING: [&str; 24] = [
    "crypto.parse_private_keys",
    "crypto.x509.",
    "graph.",
    "graphql.",
    "io.jwt.decode_verify",
    "io.jwt.encode_sign",
    "io.jwt.encode_sign_raw",
    "io.jwt.verify_eddsa",
    "io.jwt.verify_es256",
    "io.jwt.verify_es384",
    "io.jwt.verify_es512",
    "io.jwt.verify_hs256",
    "io.jwt.verify_hs384",
    "io.jwt.verify_hs512",
    "io.jwt.verify_ps256",
    "io.jwt.verify_ps384",
    "io.jwt.verify_ps512",
    "io.jwt.verify_rs256",
    "io.jwt.verify_rs384",
    "json.match_schema",
    "json.patch",
    "json.verify_schema",
    "regex.globs_match",
    "rego.",
];

/// More of them, that came with later versions of OPA.
const MISSING_TOO: [&str; 6] = [
    "io.jwt.verify_rs512",
    "net.cidr_overlap",
    "strings.render_template",
    "uri.",
    "yaml.is_valid",
    "yaml.marshal",
];

/// Operators by their names as functions, and what they are called here.
const OPERATIONS: [(&str, &str); 11] = [
    ("and", "and"),
    ("div", "div"),
    ("gt", "gt"),
    ("gte", "ge"),
    ("lt", "lt"),
    ("lte", "le"),
    ("minus", "minus"),
    ("mul", "mul"),
    ("or", "or"),
    ("plus", "plus"),
    ("rem", "rem"),
];

/// Deprecated built-ins, defined in [`DEPRECATED_MODULE`].
const DEPRECATED: [&str; 9] = [
    "all",
    "any",
    "cast_array",
    "cast_boolean",
    "cast_null",
    "cast_object",
    "cast_set",
    "cast_string",
    "set_diff",
];

/// The deprecated built-ins of OPA in Rego itself. A wrong type is undefined, as there.
pub(crate) const DEPRECATED_MODULE: &str = r#"package bartizan_builtins

any(xs) = r { collection(xs); r := count([1 | xs[_] == true]) > 0 }

all(xs) = r { collection(xs); r := count([1 | x := xs[_]; x != true]) == 0 }

collection(xs) { is_array(xs) }

collection(xs) { is_set(xs) }

cast_array(x) = x { is_array(x) }

cast_array(x) = r { is_set(x); r := [y | y := x[_]] }

cast_set(x) = x { is_set(x) }

cast_set(x) = r { is_array(x); r := {y | y := x[_]} }

cast_boolean(x) = x { is_boolean(x) }

cast_null(x) = x { is_null(x) }

cast_object(x) = x { is_object(x) }

cast_string(x) = x { is_string(x) }

set_diff(a, b) = r { is_set(a); is_set(b); r := a - b }
"#;

/// Replaces calls; the error names what the engine cannot run.
pub(crate) fn rewrite(source: &str, tree: &Value) -> Result<String, String> {
    let text = Text::new(source)?;
    let own = rule_names(tree, &text);
    let imports = imports(tree, &text);
    let mut edits = Vec::new();
    let mut refused = None;
    visit(tree, &mut |name, node| {
        if name != "Call" {
            return;
        }
        let Some(fcn) = node.get("fcn").and_then(variant).map(|(_, f)| f) else {
            return;
        };
        let (Some(called), Some((start, end))) = (text.of(fcn), text.range(fcn)) else {
            return;
        };
        let root = called.split(['.', '[']).next().unwrap_or_default();
        if let Some(path) = imports.get(root) {
            edits.push((start, start + root.len(), path.clone()));
            return;
        }
        if own.contains(root) {
            return;
        }
        let compact: String = called.split_whitespace().collect();
        if let Some((name, why)) = FORBIDDEN.iter().find(|(n, _)| *n == compact) {
            refused.get_or_insert(format!("it calls {name}, which is not available: {why}"));
        } else if let Some((_, ours)) = OPERATIONS.iter().find(|(n, _)| *n == compact) {
            edits.push((start, end, format!("{OPERATORS}.{ours}")));
        } else if compact == "json.marshal_with_options" {
            let first = node.get("params").and_then(|p| p.get(0)).and_then(variant);
            if let Some((start, end)) = first.and_then(|(_, param)| text.range(param)) {
                edits.push((start, start, format!("{OPERATORS}.printable(")));
                edits.push((end, end, ")".into()));
            }
        } else if compact == "re_match" {
            edits.push((start, end, "regex.match".into()));
        } else if DEPRECATED.contains(&compact.as_str()) {
            edits.push((start, end, format!("data.bartizan_builtins.{compact}")));
        } else if compact == "time.now_ns" {
            if let Some((start, end)) = text.range(node) {
                edits.push((start, end, "data.bartizan_now.ns".into()));
            }
        } else if MISSING
            .iter()
            .chain(&MISSING_TOO)
            .any(|name| compact == *name || (name.ends_with('.') && compact.starts_with(name)))
        {
            refused.get_or_insert(format!("the engine does not have {compact} as OPA has it"));
        }
    });
    if refused.is_none() {
        let deprecated = edits
            .iter()
            .any(|(_, _, to)| to.starts_with("data.bartizan_builtins."));
        refused = mocked(tree, &text, deprecated);
    }
    match refused {
        Some(why) => Err(why),
        None => Ok(apply(source, edits)),
    }
}

/// Names of the module's rules and imports, which hide built-ins.
pub(crate) fn rule_names<'s>(tree: &Value, text: &Text<'s>) -> BTreeSet<&'s str> {
    let mut names = BTreeSet::new();
    let word = |s: &'s str| s.split(['.', '[', '(', ' ']).next().unwrap_or_default();
    for rule in tree
        .get("rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let Some((kind, rule)) = variant(rule) else {
            continue;
        };
        let refr = if kind == "Default" {
            rule.get("refr")
        } else {
            rule.get("head")
                .and_then(variant)
                .and_then(|(_, head)| head.get("refr"))
        };
        if let Some(name) = refr.and_then(variant).and_then(|(_, r)| text.of(r)) {
            names.insert(word(name));
        }
    }
    for import in tree
        .get("imports")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let last = |s: &'s str| s.rsplit(['.', ' ']).next().unwrap_or_default();
        if let Some(all) = text.of(import) {
            names.insert(last(all));
        }
    }
    names
}

/// What each imported name stands for, where that is a path below `data`.
fn imports<'s>(tree: &Value, text: &Text<'s>) -> BTreeMap<&'s str, String> {
    let mut all = BTreeMap::new();
    for import in tree
        .get("imports")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let refr = import.get("refr").and_then(variant);
        let Some(path) = refr.and_then(|(_, r)| text.of(r)) else {
            continue;
        };
        let name = match import
            .get("as")
            .and_then(|s| text.of(&serde_json::json!({ "span": s })))
        {
            Some(name) => name,
            None => path.rsplit('.').next().unwrap_or_default(),
        };
        if path.starts_with("data.") {
            all.insert(name, path.to_owned());
        }
    }
    all
}

/// A built-in that `with` replaces where it is called by another name here.
/// Those that are written in Rego here call others, which `with` would replace within them.
fn mocked(tree: &Value, text: &Text<'_>, deprecated: bool) -> Option<String> {
    let mut found = None;
    with_modifiers(tree, &mut |modifier| {
        let name = modifier
            .get("refr")
            .and_then(variant)
            .and_then(|(_, r)| text.of(r));
        let name: String = name.unwrap_or_default().split_whitespace().collect();
        let renamed = ["time.now_ns", "re_match", "walk"].contains(&name.as_str())
            || DEPRECATED.contains(&name.as_str())
            || OPERATIONS.iter().any(|(n, _)| *n == name)
            || FORBIDDEN.iter().any(|(f, _)| *f == name)
            || (deprecated && (name == "count" || name.starts_with("is_")));
        if renamed {
            found.get_or_insert(format!(
                "`with {name} as` replaces a built-in that is renamed here"
            ));
        }
    });
    found
}

fn with_modifiers<'t>(node: &'t Value, see: &mut dyn FnMut(&'t Value)) {
    match node {
        Value::Array(items) => items.iter().for_each(|v| with_modifiers(v, see)),
        Value::Object(map) => {
            let modifiers = map.get("with_mods").and_then(Value::as_array);
            modifiers.into_iter().flatten().for_each(&mut *see);
            map.values().for_each(|v| with_modifiers(v, see));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax::parse;
    use super::*;

    fn rewritten(source: &str) -> Result<String, String> {
        rewrite(source, &parse(source, false).unwrap())
    }

    #[test]
    fn old_and_clock_builtins() {
        assert_eq!(
            rewritten("package a\np { re_match(`^x`, input.a); any([true]); x := time.now_ns() }"),
            Ok("package a\np { regex.match(`^x`, input.a); data.bartizan_builtins.any([true]); x := data.bartizan_now.ns }".into())
        );
        assert_eq!(
            rewritten("package a\np { minus(input.a, 1) == 2 }"),
            Ok("package a\np { bartizan_op.minus(input.a, 1) == 2 }".into())
        );
        assert_eq!(
            rewritten("package a\np { json.marshal_with_options(input.a, {}) }"),
            Ok(
                "package a\np { json.marshal_with_options(bartizan_op.printable(input.a), {}) }"
                    .into()
            )
        );
        let own = "package a\nany(x) { x }\np { any(1) }";
        assert_eq!(rewritten(own), Ok(own.into()));
    }

    #[test]
    fn imported_functions_are_called_by_path() {
        assert_eq!(
            rewritten("package a\nimport data.lib.x.f\nimport data.lib.y as z\np { f(1); z.g(2); h.f(3) }"),
            Ok("package a\nimport data.lib.x.f\nimport data.lib.y as z\np { data.lib.x.f(1); data.lib.y.g(2); h.f(3) }".into())
        );
    }

    #[test]
    fn what_reaches_out_is_refused() {
        for call in ["http.send({})", "opa.runtime()", "rand.intn(\"a\", 3)"] {
            let got = rewritten(&format!("package a\np {{ x := {call} }}"));
            assert!(got.unwrap_err().contains("not available"), "{call}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for call in [
            "json.patch({}, [])",
            "graphql.parse(\"\", \"\")",
            "rego.parse_module(\"\", \"\")",
        ] {
            let got = rewritten(&format!("package a\np {{ x := {call} }}"));
            assert!(got.unwrap_err().contains("does not have"), "{call}");
        }
        let mocked = "package a\np { q with time.now_ns as 1 }\nq { true }";
        assert!(rewritten(mocked).unwrap_err().contains("renamed"));
        let within = "package a\np { any(input.a) with count as 1 }";
        assert!(rewritten(within).unwrap_err().contains("renamed"));
        assert!(rewritten("package a\np { q with count as 1 }\nq { true }").is_ok());
    }
}
