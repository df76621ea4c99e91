//! What may be undefined in a head is moved to the end of the body.
//!
//! Where a head is undefined for one of several values, OPA passes over that value; the engine
//! drops the rule's other results or fails. And it does not always plan the statements of a
//! comprehension there. A head is evaluated after its body, so `v[x.m] { x := a[_] }` says the
//! same as `v[h] { x := a[_]; h := x.m }`.

use super::syntax::{Text, apply, parse, variant, visit};
use serde_json::Value;
use std::collections::BTreeSet;

/// Moves them; a module where that fails stays as it is. Heads that the engine gets wrong are
/// refused.
pub(crate) fn rewrite(mut source: String, v1: bool) -> Result<String, String> {
    source = empties(source, v1)?;
    let mut next = 0;
    // Each turn goes one comprehension deeper; deeper than that they stay where they are.
    for _ in 0..8 {
        let tree = parse(&source, v1)?;
        let text = Text::new(&source)?;
        let mut edits = Vec::new();
        for (expr, query, opened) in places(&tree)? {
            if let Some(moved) = moved(expr, query, opened, &text, next) {
                edits.extend(moved);
                next += 1;
            }
        }
        if edits.is_empty() {
            break;
        }
        let rewritten = apply(&source, edits);
        if parse(&rewritten, v1).is_err() {
            break;
        }
        source = rewritten;
    }
    Ok(source)
}

/// What may be moved, the body that takes it, and what that body opens with.
type Place<'t> = (&'t Value, &'t Value, char);

fn places(tree: &Value) -> Result<Vec<Place<'_>>, String> {
    let mut all = Vec::new();
    let rules = tree.get("rules").and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        let Some(("Spec", rule)) = variant(rule) else {
            continue;
        };
        let head = rule.get("head").and_then(variant);
        let head = head.map(|(_, head)| head);
        if head.is_some_and(inner_variable) {
            return Err("a rule's head has a variable within its reference".into());
        }
        let bodies = rule.get("bodies").and_then(Value::as_array);
        for (i, body) in bodies.into_iter().flatten().enumerate() {
            // The head is that of the first body; those after `else` have values of their own.
            let from = if i == 0 { head } else { Some(body) };
            let (Some(from), Some(query)) = (from, body.get("query")) else {
                continue;
            };
            let value = from.get("assign").and_then(|a| a.get("value"));
            let key = from.get("key").filter(|k| !k.is_null());
            let index = from
                .get("refr")
                .and_then(variant)
                .and_then(|(_, r)| r.get("index"));
            let parts = [value, key, index].into_iter().flatten();
            all.extend(parts.map(|part| (part, query, '{')));
        }
    }
    visit(tree, &mut |kind, node| {
        if let (true, Some(query)) = (kind.ends_with("Compr"), node.get("query")) {
            // Only what holds comprehensions: the rest is read as OPA reads it.
            let parts = ["term", "key", "value"]
                .iter()
                .filter_map(|name| node.get(name));
            all.extend(
                parts
                    .filter(|part| holds_comprehension(part))
                    .map(|p| (p, query, '|')),
            );
        }
    });
    Ok(all)
}

fn holds_comprehension(expr: &Value) -> bool {
    let mut holds = false;
    visit(expr, &mut |kind, _| holds |= kind.ends_with("Compr"));
    holds
}

/// `p.q.r := 1`: where no rule says anything, `p` is `{"q": {}}` to OPA and undefined to the engine,
/// save where a rule for `p.q[x]` is there too, which never need hold.
fn empties(source: String, v1: bool) -> Result<String, String> {
    let tree = parse(&source, v1)?;
    let text = Text::new(&source)?;
    let mut paths = BTreeSet::new();
    let rules = tree.get("rules").and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        let Some(("Spec", rule)) = variant(rule) else {
            continue;
        };
        let Some(("Compr", head)) = rule.get("head").and_then(variant) else {
            continue;
        };
        let whole = head.get("refr").and_then(variant);
        let part = whole.and_then(|(_, r)| r.get("refr")).and_then(variant);
        if let Some(("RefDot" | "RefBrack", part)) = part {
            paths.extend(text.of(part));
        }
    }
    let rules: Vec<String> = paths
        .iter()
        .map(|path| match v1 {
            true => format!("\n{path}[bartizan_none] := 1 if {{ bartizan_none := [][_] }}\n"),
            false => format!("\n{path}[bartizan_none] = 1 {{ bartizan_none := [][_] }}\n"),
        })
        .collect();
    Ok(source.clone() + &rules.concat())
}

/// `p[x].q`: only the last part of a head's reference may vary.
fn inner_variable(head: &Value) -> bool {
    let mut at = head
        .get("refr")
        .and_then(variant)
        .and_then(|(_, r)| r.get("refr"));
    while let Some((kind, node)) = at.and_then(variant) {
        let index = node.get("index").and_then(variant).map(|(kind, _)| kind);
        if kind == "RefBrack" && !matches!(index, Some("String" | "RawString")) {
            return true;
        }
        at = node.get("refr");
    }
    false
}

fn moved(
    expr: &Value,
    query: &Value,
    opened: char,
    text: &Text<'_>,
    next: usize,
) -> Option<[(usize, usize, String); 2]> {
    let mut holds = false;
    visit(expr, &mut |kind, _| {
        let plain = [
            "Var",
            "String",
            "RawString",
            "Number",
            "Bool",
            "Null",
            "Object",
            "Array",
            "Set",
        ];
        holds |= !plain.contains(&kind);
    });
    if !holds {
        return None;
    }
    let (_, node) = variant(expr)?;
    let (start, end) = text.range(node)?;
    let statements = query.get("stmts")?.as_array()?;
    let (first, _) = text.range(statements.first()?)?;
    // Only a body in braces can take another statement.
    if !text.source.get(..first)?.trim_end().ends_with(opened) {
        return None;
    }
    let last = statements.last()?;
    let (_, mut at) = text.range(last)?;
    for modifier in last
        .get("with_mods")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        at = at.max(text.range(modifier)?.1);
    }
    let name = format!("bartizan_head_{next}");
    let expression = text.source.get(start..end)?;
    Some([
        (start, end, name.clone()),
        (at, at, format!("; {name} := {expression}")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_undefined_goes_into_the_body() {
        for (source, wanted) in [
            (
                "package a\nr = [x | x := input.a[_]] { input.b with input as {\"b\": 1} }\n",
                "package a\nr = h0 { input.b with input as {\"b\": 1}; h0 := [x | x := input.a[_]] }\n",
            ),
            (
                "package a\ns[{x | x := 1}] {\n\ttrue # why\n}\n",
                "package a\ns[h0] {\n\ttrue; h0 := {x | x := 1} # why\n}\n",
            ),
            (
                "package a\nr { input.a } else = count([x | x := 1]) { input.b }\n",
                "package a\nr { input.a } else = h0 { input.b; h0 := count([x | x := 1]) }\n",
            ),
            (
                "package a\nr = [x | x := 1]\n",
                "package a\nr = [x | x := 1]\n",
            ),
        ] {
            let got = rewrite(source.into(), false).unwrap();
            assert_eq!(got.replace("bartizan_head_", "h"), wanted);
        }
    }

    #[test]
    fn empty_parts_have_a_rule() {
        let source = "package a\np.q.r := 1 if { input.a }\np.q.s := 2\nt.u := 1\n";
        let got = rewrite(source.into(), true).unwrap();
        let more = "\np.q[bartizan_none] := 1 if { bartizan_none := [][_] }\n";
        assert_eq!(got, format!("{source}{more}"));
    }

    #[test]
    fn references_that_the_engine_gets_wrong_are_refused() {
        let source = "package a\np[x].r contains y if { x := \"a\"; y := 1 }\n";
        assert!(rewrite(source.into(), true).is_err());
        for (head, taken) in [
            ("p[x] := 1", true),
            ("p.q := x", true),
            ("p.f(x) := x", true),
            ("p.q[x] := 1", true),
            ("p.q contains x", true),
            ("p[x].q := 1", false),
        ] {
            let source =
                format!("package a\n{head} if {{ x := \"a\" }}\n").replace("p.f(x)", "p.f(y)");
            assert_eq!(rewrite(source, true).is_ok(), taken, "{head}");
        }
    }
}
