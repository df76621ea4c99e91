//! Operators and iterations whose operands have wrong types.
//!
//! OPA has no result there, so the expression is undefined. The engine fails the whole evaluation,
//! whatever else the policy says. So operators become calls of [`super::builtins`], and what
//! `some … in` goes over passes through one that lets only collections through.

use super::builtins::OPERATORS;
use super::syntax::{Text, apply, parse, variant, visit};
use serde_json::Value;

/// Rewrites a module; one that cannot be rewritten stays as it is, for then errors are Unknown.
pub(crate) fn rewrite(source: String, v1: bool) -> Result<String, String> {
    let tree = parse(&source, v1)?;
    let text = Text::new(&source)?;
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    let mut whole = true;
    visit(&tree, &mut |kind, node| {
        let made = match kind {
            "ArithExpr" | "BinExpr" => operator(node, &text),
            "BoolExpr" => comparison(node, &text),
            "Membership" => membership(node, &text),
            "SomeIn" => iteration(node, &text),
            _ => return,
        };
        match made {
            Some(mut made) => edits.append(&mut made),
            None => whole = false,
        }
    });
    if edits.is_empty() || !whole {
        return Ok(source);
    }
    let rewritten = apply(&source, edits);
    // Where brackets were not where they were looked for, the result is no module or another one.
    match parse(&rewritten, v1) {
        Ok(_) => Ok(rewritten),
        Err(_) => Ok(source),
    }
}

type Edits = Vec<(usize, usize, String)>;

/// `a + b` becomes `plus(a, b)`, by insertions only, so that operands may be rewritten too.
fn operator(node: &Value, text: &Text<'_>) -> Option<Edits> {
    let (name, sign) = match node.get("op")?.as_str()? {
        "Add" => ("plus", "+"),
        "Sub" => ("minus", "-"),
        "Mul" => ("mul", "*"),
        "Div" => ("div", "/"),
        "Mod" => ("rem", "%"),
        "Intersection" => ("and", "&"),
        "Union" => ("or", "|"),
        _ => return None,
    };
    called(name, sign, node, ("lhs", "rhs"), text)
}

/// Comparisons of what may be sets and objects, which the engine orders otherwise than OPA.
fn comparison(node: &Value, text: &Text<'_>) -> Option<Edits> {
    let (name, sign) = match node.get("op")?.as_str()? {
        "Lt" => ("lt", "<"),
        "Le" => ("le", "<="),
        "Gt" => ("gt", ">"),
        "Ge" => ("ge", ">="),
        _ => return Some(Vec::new()),
    };
    let plain = |side: &str| {
        let kind = node.get(side).and_then(variant).map(|(kind, _)| kind);
        matches!(
            kind,
            Some("Number" | "String" | "RawString" | "Bool" | "True" | "False" | "Null")
        )
    };
    if plain("lhs") || plain("rhs") {
        return Some(Vec::new());
    }
    called(name, sign, node, ("lhs", "rhs"), text)
}

/// `a in b`, which is undefined where an operand is; the engine says false.
fn membership(node: &Value, text: &Text<'_>) -> Option<Edits> {
    let keyed = node.get("key").is_some_and(|k| !k.is_null());
    let name = if keyed { "member_at" } else { "member" };
    called(name, "in", node, ("value", "collection"), text)
}

fn called(
    name: &str,
    sign: &str,
    node: &Value,
    (left, right): (&str, &str),
    text: &Text<'_>,
) -> Option<Edits> {
    let side = |name: &str| node.get(name).and_then(variant).map(|(_, n)| n);
    let (left, right) = (side(left)?, side(right)?);
    let ((start, end), (_, left_end), (right_start, right_end)) =
        (text.range(node)?, text.range(left)?, text.range(right)?);
    let at = left_end + text.source.get(left_end..right_start)?.find(sign)?;
    let closing = text.source.get(right_end..end)?;
    if !closing.chars().all(|c| c == ')' || c.is_whitespace()) {
        return None;
    }
    Some(vec![
        (start, start, format!("{OPERATORS}.{name}(")),
        (at, at + sign.len(), ",".into()),
        (end, end, ")".into()),
    ])
}

fn iteration(node: &Value, text: &Text<'_>) -> Option<Edits> {
    let (kind, collection) = node.get("collection").and_then(variant)?;
    if matches!(
        kind,
        "Array" | "Set" | "ArrayCompr" | "SetCompr" | "ObjectCompr"
    ) {
        return Some(Vec::new());
    }
    let (start, end) = text.range(collection)?;
    Some(vec![
        (start, start, format!("{OPERATORS}.items(")),
        (end, end, ")".into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(statement: &str) -> String {
        let source = format!("package a\nimport future.keywords.in\np {{ {statement} }}\n");
        let out = rewrite(source, false).unwrap();
        let body = out.split("p { ").nth(1).unwrap();
        body.trim_end()
            .trim_end_matches(" }")
            .replace("bartizan_op.", "")
    }

    #[test]
    fn operators_become_calls() {
        for (statement, wanted) in [
            ("x := input.a + 1", "x := plus(input.a , 1)"),
            (
                "x := (input.a - 1) * 2",
                "x := mul((minus(input.a , 1)) , 2)",
            ),
            (
                "x := 2 * (input.a - 1)",
                "x := mul(2 , (minus(input.a , 1)))",
            ),
            ("x := input.a - 1 - 2", "x := minus(minus(input.a , 1) , 2)"),
            ("x := {1} | input.s", "x := or({1} , input.s)"),
            ("x := {1} & input.s", "x := and({1} , input.s)"),
            ("x := \"a - b\"", "x := \"a - b\""),
            ("input.a > input.b", "gt(input.a , input.b)"),
            ("input.a >= 5", "input.a >= 5"),
            ("x := input.a in input.b", "x := member(input.a , input.b)"),
            (
                "(1, input.a in input.b)",
                "(member_at(1, input.a , input.b))",
            ),
            ("not input.a in input.b", "not member(input.a , input.b)"),
            ("some x in input.a", "some x in items(input.a)"),
            ("some k, v in input.a[0]", "some k, v in items(input.a[0])"),
            ("some x in [1]", "some x in [1]"),
        ] {
            assert_eq!(body(statement), wanted, "{statement}");
        }
    }
}
