//! Patterns: what `walk` yields, and objects that are taken apart.
//!
//! The engine has no `walk`, and matches `{"k": x}` with an object that has more keys than `k`,
//! which OPA does not. So `walk(a, [p, v])` becomes `[p, v] = all(a)[_]`, and what is matched with
//! a pattern of an object passes through a built-in that lets only values of that shape through.

use super::builtins::{OPERATORS, arity};
use super::calls::rule_names;
use super::syntax::{Text, apply, parse, variant, visit};
use serde_json::Value;
use std::collections::BTreeSet;

type Edit = (usize, usize, String);

/// Rewrites a module; the error says which pattern cannot be told apart.
pub(crate) fn rewrite(mut source: String, v1: bool) -> Result<String, String> {
    // Each turn rewrites what does not hold each other, the outer ones first.
    for _ in 0..64 {
        let tree = parse(&source, v1)?;
        let text = Text::new(&source)?;
        let walks = walks(&tree, &text);
        if walks.is_empty() {
            break;
        }
        source = apply(&source, walks);
    }
    let tree = parse(&source, v1)?;
    let text = Text::new(&source)?;
    let edits = objects(&tree, &text)?;
    if edits.is_empty() {
        return Ok(source);
    }
    Ok(apply(&source, edits))
}

/// The name that a call calls, and its arguments.
fn called<'t, 's>(call: &'t Value, text: &Text<'s>) -> Option<(&'s str, &'t [Value])> {
    let (_, name) = call.get("fcn").and_then(variant)?;
    Some((text.of(name)?, call.get("params")?.as_array()?))
}

fn walks(tree: &Value, text: &Text<'_>) -> Vec<Edit> {
    let own = rule_names(tree, text);
    let hidden = |name: &str| own.contains(name.split('.').next().unwrap_or_default());
    let mut edits: Vec<Edit> = Vec::new();
    let mut add = |edit: Option<Edit>| {
        let apart = |(start, end, _): &Edit| edits.iter().all(|(b, e, _)| e <= start || b >= end);
        if let Some(edit) = edit.filter(apart) {
            edits.push(edit);
        }
    };
    visit(tree, &mut |kind, node| {
        // A statement of its own, which has what it yields as another argument.
        if let "Expr" | "NotExpr" = kind
            && let Some(("Call", call)) = node.get("expr").and_then(variant)
            && let Some((name, [arguments @ .., yields])) = called(call, text)
            && !hidden(name)
        {
            match (name, arguments) {
                ("walk", [over]) => add(walk(call, over, Some(yields), text)),
                _ if arity(name) == Some(arguments.len()) => {
                    add(yielding(call, name, arguments, yields, text));
                }
                _ => {}
            }
        }
        if kind == "Call"
            && let Some(("walk", [over])) = called(node, text)
            && !hidden("walk")
        {
            add(walk(node, over, None, text));
        }
    });
    edits
}

/// `f(x, y)` as `y = f(x)`, for a built-in of ours, which the engine does not know to yield.
fn yielding(
    call: &Value,
    name: &str,
    arguments: &[Value],
    yields: &Value,
    text: &Text<'_>,
) -> Option<Edit> {
    let of = |node: &Value| variant(node).and_then(|(_, inner)| text.of(inner));
    let (start, end) = text.range(call)?;
    let arguments: Option<Vec<&str>> = arguments.iter().map(of).collect();
    let arguments = arguments?.join(", ");
    Some((start, end, format!("{} = {name}({arguments})", of(yields)?)))
}

fn walk(call: &Value, over: &Value, yields: Option<&Value>, text: &Text<'_>) -> Option<Edit> {
    let of = |node: &Value| variant(node).and_then(|(_, inner)| text.of(inner));
    let (start, end) = text.range(call)?;
    let all = format!("{OPERATORS}.walk({})[_]", of(over)?);
    Some(match yields {
        Some(yields) => (start, end, format!("{} = {all}", of(yields)?)),
        None => (start, end, all),
    })
}

/// What has a value for certain in a rule: its arguments, what `:=`, `some … in` and `every` name.
fn bound<'s>(rule: &Value, names: &BTreeSet<&'s str>, text: &Text<'s>) -> BTreeSet<&'s str> {
    let mut all: BTreeSet<&str> = names.clone();
    all.extend(["input", "data"]);
    see_all(rule, &mut |kind, node| {
        let parts: Vec<&Value> = match kind {
            "AssignExpr" if node.get("op").and_then(Value::as_str) == Some("ColEq") => {
                node.get("lhs").into_iter().collect()
            }
            "SomeIn" => ["key", "value"]
                .iter()
                .filter_map(|n| node.get(n))
                .collect(),
            "Func" => node.get("args").into_iter().collect(),
            _ => Vec::new(),
        };
        for part in parts {
            variables(part, text, &mut all);
        }
        if kind == "Every" {
            let named = ["key", "value"].iter().filter_map(|n| node.get(n));
            all.extend(named.filter_map(|span| text.of(&serde_json::json!({ "span": span }))));
        }
    });
    all
}

/// Variables of a pattern, in arrays and values of objects.
fn variables<'s>(expr: &Value, text: &Text<'s>, into: &mut BTreeSet<&'s str>) {
    match (variant(expr), expr) {
        (Some(("Var", node)), _) => into.extend(text.of(node)),
        (Some(("Array", node)), _) => {
            for item in node
                .get("items")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                variables(item, text, into);
            }
        }
        (Some(("Object", node)), _) => {
            for value in values(node) {
                variables(value, text, into);
            }
        }
        (_, Value::Array(items)) => items.iter().for_each(|item| variables(item, text, into)),
        _ => {}
    }
}

fn values(object: &Value) -> impl Iterator<Item = &Value> {
    let fields = object.get("fields").and_then(Value::as_array);
    fields
        .into_iter()
        .flatten()
        .filter_map(|field| field.get(2))
}

/// Whether there is an object with a variable in it.
fn object_pattern(expr: &Value, text: &Text<'_>) -> bool {
    match variant(expr) {
        Some(("Object", node)) => {
            let mut found = BTreeSet::new();
            values(node).for_each(|value| variables(value, text, &mut found));
            !found.is_empty()
        }
        Some(("Array", node)) => {
            let items = node.get("items").and_then(Value::as_array);
            items.is_some_and(|all| all.iter().any(|item| object_pattern(item, text)))
        }
        _ => false,
    }
}

/// A pattern with null for what may be anything.
fn shape(expr: &Value, text: &Text<'_>) -> Option<String> {
    Some(match variant(expr)? {
        ("Object", node) => {
            let fields = node.get("fields")?.as_array()?;
            let fields: Option<Vec<String>> = fields
                .iter()
                .map(|field| {
                    let (_, key) = field.get(1).and_then(variant)?;
                    Some(format!(
                        "{}: {}",
                        text.of(key)?,
                        shape(field.get(2)?, text)?
                    ))
                })
                .collect();
            format!("{{{}}}", fields?.join(", "))
        }
        ("Array", node) => {
            let items = node.get("items")?.as_array()?.iter();
            let items: Option<Vec<String>> = items.map(|item| shape(item, text)).collect();
            format!("[{}]", items?.join(", "))
        }
        _ => "null".into(),
    })
}

fn refused() -> String {
    "a pattern of an object, of which the engine matches a part".into()
}

/// Lets values through to patterns only if they have their shape.
fn objects(tree: &Value, text: &Text<'_>) -> Result<Vec<Edit>, String> {
    let names = rule_names(tree, text);
    let mut edits = Vec::new();
    let mut fault = None;
    let rules = tree.get("rules").and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        let bound = bound(rule, &names, text);
        see_all(rule, &mut |kind, node| {
            let made = match kind {
                "AssignExpr" => unified(node, rule, &bound, text),
                "SomeIn" => iterated(node, text),
                "Func" => {
                    let arguments = node.get("args").and_then(Value::as_array);
                    let any = |all: &Vec<Value>| all.iter().any(|a| object_pattern(a, text));
                    if arguments.is_some_and(any) {
                        Err(refused())
                    } else {
                        Ok(None)
                    }
                }
                _ => return,
            };
            match made {
                Ok(Some(made)) => edits.extend(made),
                Ok(None) => {}
                Err(why) => fault = fault.take().or(Some(why)),
            }
        });
    }
    fault.map_or(Ok(edits), Err)
}

fn around(expr: &Value, function: &str, shape: &str, text: &Text<'_>) -> Option<[Edit; 2]> {
    let (start, end) = text.range(variant(expr)?.1)?;
    Some([
        (start, start, format!("{OPERATORS}.{function}(")),
        (end, end, format!(", {shape})")),
    ])
}

fn unified(
    node: &Value,
    rule: &Value,
    bound: &BTreeSet<&str>,
    text: &Text<'_>,
) -> Result<Option<[Edit; 2]>, String> {
    let (Some(left), Some(right)) = (node.get("lhs"), node.get("rhs")) else {
        return Ok(None);
    };
    let declares = node.get("op").and_then(Value::as_str) == Some("ColEq");
    let (pattern, other) = match (object_pattern(left, text), object_pattern(right, text)) {
        (true, false) => (left, right),
        // What is right of `:=` is only made.
        (false, true) if !declares => (right, left),
        (true, true) => return Err(refused()),
        _ => return Ok(None),
    };
    match variant(other) {
        Some(("Object" | "Array", _)) | None => return Err(refused()),
        Some(("Var", name)) if !declares => {
            let name = text.of(name).unwrap_or_default();
            let mut parts = BTreeSet::new();
            variables(pattern, text, &mut parts);
            // Then it is a comparison, or the making of an object.
            if parts.iter().all(|part| bound.contains(part)) && name != "_" {
                return Ok(None);
            }
            if name == "_" || !bound.contains(name) {
                return if other_bindings(rule, name, text) > 1 {
                    Err(refused())
                } else {
                    Ok(None)
                };
            }
        }
        Some(_) => {}
    }
    let shape = shape(pattern, text).ok_or_else(refused)?;
    around(other, "shaped", &shape, text)
        .map(Some)
        .ok_or_else(refused)
}

fn iterated(node: &Value, text: &Text<'_>) -> Result<Option<[Edit; 2]>, String> {
    let part = |name: &str| node.get(name).filter(|part| object_pattern(part, text));
    if part("key").is_some() {
        return Err(refused());
    }
    let Some(pattern) = part("value") else {
        return Ok(None);
    };
    let shape = shape(pattern, text).ok_or_else(refused)?;
    let over = node.get("collection").ok_or_else(refused)?;
    around(over, "shaped_items", &shape, text)
        .map(Some)
        .ok_or_else(refused)
}

/// In how many places of a rule a variable may get its value by `=` or as an index.
fn other_bindings(rule: &Value, name: &str, text: &Text<'_>) -> usize {
    let mut count = 0;
    let is = |expr: Option<&Value>| {
        let mut names = BTreeSet::new();
        expr.into_iter()
            .for_each(|e| variables(e, text, &mut names));
        names.contains(name)
    };
    see_all(rule, &mut |kind, node| {
        count += usize::from(match kind {
            "AssignExpr" => is(node.get("lhs")) || is(node.get("rhs")),
            "RefBrack" => is(node.get("index")),
            "Call" => {
                let last = node
                    .get("params")
                    .and_then(Value::as_array)
                    .and_then(|p| p.last());
                is(last)
            }
            _ => false,
        });
    });
    count
}

/// Every variant, also those without a place of their own.
fn see_all<'t>(node: &'t Value, see: &mut dyn FnMut(&'t str, &'t Value)) {
    match node {
        Value::Array(items) => items.iter().for_each(|v| see_all(v, see)),
        Value::Object(map) => {
            if let Some((name, inner)) = variant(node) {
                see(name, inner);
            }
            map.values().for_each(|v| see_all(v, see));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(statement: &str) -> Result<String, String> {
        let source = format!("package a\nimport future.keywords.in\np {{ {statement} }}\n");
        let out = rewrite(source, false)?;
        let body = out.split("p { ").nth(1).unwrap();
        let body = body.trim_end().trim_end_matches(" }");
        Ok(body.replace("bartizan_op.", ""))
    }

    #[test]
    fn what_walk_yields_is_unified() {
        for (statement, wanted) in [
            ("walk(input.a, [p, v])", "[p, v] = walk(input.a)[_]"),
            ("walk(input, x); x[1] == 1", "x = walk(input)[_]; x[1] == 1"),
            ("x := walk(input)", "x := walk(input)[_]"),
            (
                "walk(input, [[\"a\", i], _])",
                "[[\"a\", i], _] = walk(input)[_]",
            ),
            (
                "crypto.md5(\"a\", x); count(x, y)",
                "x = crypto.md5(\"a\"); count(x, y)",
            ),
            (
                "x := [v | walk(input, [_, y]); walk(y, [_, v])]",
                "x := [v | [_, y] = walk(input)[_]; [_, v] = walk(y)[_]]",
            ),
            (
                "walk([v | walk(input, [_, v])], [_, w])",
                "[_, w] = walk([v | [_, v] = walk(input)[_]])[_]",
            ),
        ] {
            assert_eq!(body(statement), Ok(wanted.to_owned()));
        }
        let own = "package a\nwalk(x, y) { x == y }\np { walk(1, 2) }\n";
        assert_eq!(rewrite(own.into(), false), Ok(own.into()));
    }

    #[test]
    fn patterns_see_only_values_of_their_shape() {
        for (statement, wanted) in [
            (
                "{\"k\": x} = input.a",
                "{\"k\": x} = shaped(input.a, {\"k\": null})",
            ),
            (
                "input.a = {\"k\": x}",
                "shaped(input.a, {\"k\": null}) = {\"k\": x}",
            ),
            (
                "[{\"k\": [x, 1]}, y] = f(1)",
                "[{\"k\": [x, 1]}, y] = shaped(f(1), [{\"k\": [null, null]}, null])",
            ),
            (
                "some {\"k\": x} in input.a",
                "some {\"k\": x} in shaped_items(input.a, {\"k\": null})",
            ),
            (
                "o := input.a; {\"k\": x} = o",
                "o := input.a; {\"k\": x} = shaped(o, {\"k\": null})",
            ),
            (
                "{\"k\": x} := input.a",
                "{\"k\": x} := shaped(input.a, {\"k\": null})",
            ),
            // These are made, or compared.
            (
                "x := input.b; y := {\"k\": x}",
                "x := input.b; y := {\"k\": x}",
            ),
            ("x = input.b; y = {\"k\": x}", "x = input.b; y = {\"k\": x}"),
            (
                "x := input.b; input.c[_] = y; y = {\"k\": x}",
                "x := input.b; input.c[_] = y; y = {\"k\": x}",
            ),
            ("input.a == {\"k\": 1}", "input.a == {\"k\": 1}"),
            ("{\"k\": 1} = input.a", "{\"k\": 1} = input.a"),
        ] {
            assert_eq!(body(statement), Ok(wanted.to_owned()));
        }
    }

    #[test]
    fn patterns_that_cannot_be_told_are_refused() {
        for statement in [
            "{\"k\": x} = {\"k\": 1, \"l\": 2}",
            "y = input.a; y = {\"k\": x}",
            "input.a[y]; y = {\"k\": x}",
            "some {\"k\": x}, y in input.a",
        ] {
            assert!(body(statement).is_err(), "{statement}");
        }
        let source = "package a\nf({\"k\": x}) = x { true }\n";
        assert!(rewrite(source.into(), false).is_err());
    }
}
