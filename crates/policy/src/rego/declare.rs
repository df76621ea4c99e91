//! Variables are declared at the beginning of their body.
//!
//! The engine runs `some x` once for each turn of a loop before it, and fails the second time. It
//! declares, and does nothing else, so it may as well stand first.

use super::lexer::{Kind, tokens};
use super::syntax::{Text, apply, parse, variant};
use serde_json::Value;

/// Moves declarations; one whose name is used before stays where it is.
pub(crate) fn rewrite(source: String, v1: bool) -> Result<String, String> {
    let tree = parse(&source, v1)?;
    let text = Text::new(&source)?;
    let mut edits = Vec::new();
    queries(&tree, &mut |statements| {
        edits.extend(moved(statements, &text))
    });
    if edits.is_empty() {
        return Ok(source);
    }
    let rewritten = apply(&source, edits);
    match parse(&rewritten, v1) {
        Ok(_) => Ok(rewritten),
        Err(_) => Ok(source),
    }
}

/// Visits the statements of every body.
fn queries<'t>(node: &'t Value, see: &mut dyn FnMut(&'t [Value])) {
    match node {
        Value::Array(items) => items.iter().for_each(|v| queries(v, see)),
        Value::Object(map) => {
            if let Some(Value::Array(statements)) = map.get("stmts") {
                see(statements);
            }
            map.values().for_each(|v| queries(v, see));
        }
        _ => {}
    }
}

type Edit = (usize, usize, String);

fn moved(statements: &[Value], text: &Text<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let start = |statement: &Value| {
        let (_, literal) = statement.get("literal").and_then(variant)?;
        text.range(literal).map(|(start, _)| start)
    };
    let Some(first) = statements.first().and_then(start) else {
        return edits;
    };
    for statement in statements.iter().skip(1) {
        let Some(("SomeVars", declared)) = statement.get("literal").and_then(variant) else {
            continue;
        };
        let spans = declared.get("vars").and_then(Value::as_array);
        let ranges: Option<Vec<(usize, usize)>> = spans
            .into_iter()
            .flatten()
            .map(|span| text.range(&serde_json::json!({ "span": span })))
            .collect();
        let (Some(at), Some(ranges)) = (start(statement), ranges) else {
            continue;
        };
        let Some(&(_, end)) = ranges.last() else {
            continue;
        };
        let names: Vec<&str> = ranges
            .iter()
            .filter_map(|(start, end)| text.source.get(*start..*end))
            .collect();
        let before = text.source.get(first..at).unwrap_or_default();
        let used = tokens(before).map_or(true, |all| {
            all.iter()
                .any(|t| t.kind == Kind::Word && names.contains(&t.text(before)))
        });
        if !used {
            edits.push((first, first, format!("some {}; ", names.join(", "))));
            edits.push((at, end, "true".to_owned()));
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn declarations_come_first() {
        for (source, wanted) in [
            (
                "package a\np { x := input.a[_]; some i, j; x[i][j] == 1 }\n",
                "package a\np { some i, j; x := input.a[_]; true; x[i][j] == 1 }\n",
            ),
            (
                "package a\np { q; y := [x | x := input.a[_]\n some i\n x[i] == 1]; some k; y[k] }\n",
                "package a\np { some k; q; y := [x | some i; x := input.a[_]\n true\n x[i] == 1]; true; y[k] }\n",
            ),
            (
                "package a\np { some i; input.a[i]; some j; input.b[j] == i }\n",
                "package a\np { some j; some i; input.a[i]; true; input.b[j] == i }\n",
            ),
        ] {
            assert_eq!(rewrite(source.into(), false), Ok(wanted.to_owned()));
        }
        for source in [
            "package a\np { some i; input.a[i] }\n",
            "package a\np { x := [i | i := input.a[_]]; some i; x[i] == 1 }\n",
        ] {
            assert_eq!(rewrite(source.into(), false), Ok(source.to_owned()));
        }
    }
}
