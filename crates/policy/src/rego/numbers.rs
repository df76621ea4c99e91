//! Whole numbers that are written with a fraction or an exponent, such as `1e2` or `1.0`.
//!
//! OPA keeps how a number is written and prints it so; the engine keeps its value. Such numbers
//! become calls of a built-in whose result can be told apart, so that printing one is Unknown.

use super::builtins::OPERATORS;
use super::syntax::{Text, apply, parse, variant, visit};
use serde_json::Value;

/// Built-ins that print numbers.
const PRINTING: [&str; 4] = [
    "sprintf(",
    "json.marshal",
    "yaml.marshal",
    "bartizan_op.text(",
];

/// Built-ins that take no such number for a whole one in OPA, where the engine does.
const STRICT: [&str; 2] = ["regex.find_n", "regex.find_all_string_submatch_n"];

/// Rewrites them; those in a default value are refused where something is printed.
pub(crate) fn rewrite(source: String, v1: bool) -> Result<String, String> {
    let strict = STRICT.iter().any(|name| source.contains(name));
    let printing = PRINTING.iter().any(|name| source.contains(name));
    if !printing && !strict {
        return Ok(source);
    }
    let tree = parse(&source, v1)?;
    let text = Text::new(&source)?;
    let mut counted = false;
    visit(&tree, &mut |kind, node| {
        let called = node.get("fcn").and_then(variant);
        let called = called.and_then(|(_, f)| text.of(f)).unwrap_or_default();
        let params = node.get("params").and_then(Value::as_array);
        let numbers = params.into_iter().flatten().filter_map(variant);
        counted |= kind == "Call"
            && STRICT.contains(&called)
            && numbers
                .filter(|(kind, _)| *kind == "Number")
                .any(|(_, n)| text.of(n).is_some_and(is_spelt_otherwise));
    });
    if counted {
        return Err(
            "a whole number is written with a fraction or an exponent where something is counted"
                .into(),
        );
    }
    if !printing {
        return Ok(source);
    }
    let mut found = Found {
        text: &text,
        edits: Vec::new(),
        fixed: false,
    };
    found.visit(&tree);
    let refused = || {
        String::from(
            "a whole number is written with a fraction or an exponent, and may be printed so",
        )
    };
    if found.fixed {
        return Err(refused());
    }
    if found.edits.is_empty() {
        return Ok(source);
    }
    let rewritten = apply(&source, found.edits);
    parse(&rewritten, v1).map_err(|_| refused())?;
    Ok(rewritten)
}

struct Found<'a, 's> {
    text: &'a Text<'s>,
    edits: Vec<(usize, usize, String)>,
    /// One is in a default value, which takes no calls.
    fixed: bool,
}

impl Found<'_, '_> {
    fn visit(&mut self, node: &Value) {
        let Value::Object(map) = node else {
            if let Value::Array(items) = node {
                items.iter().for_each(|item| self.visit(item));
            }
            return;
        };
        let (kind, inner) = variant(node).unwrap_or(("", node));
        let skipped: &[&str] = match kind {
            "Number" => return self.number(inner),
            "Default" => {
                let before = self.edits.len();
                map.values().for_each(|value| self.visit(value));
                self.fixed |= self.edits.len() > before;
                return;
            }
            // What is only compared is not printed, and a pattern takes no calls.
            "Func" => &["args", "refr"],
            "SomeIn" => &["key", "value"],
            "Compr" | "Set" if inner.get("refr").is_some() => &["refr"],
            // A sum is written anew by OPA too.
            "ArithExpr" | "UnaryExpr" => {
                for side in ["lhs", "rhs", "expr"]
                    .iter()
                    .filter_map(|name| inner.get(name))
                {
                    if !matches!(variant(side), Some(("Number", _))) {
                        self.visit(side);
                    }
                }
                return;
            }
            "AssignExpr" => {
                let declares = inner.get("op").and_then(Value::as_str) == Some("ColEq");
                for side in ["lhs", "rhs"] {
                    let Some(expr) = inner.get(side) else {
                        continue;
                    };
                    let pattern = matches!(variant(expr), Some(("Array" | "Object", _)))
                        && (side == "lhs" || !declares)
                        && holds_variable(expr);
                    if !pattern {
                        self.visit(expr);
                    }
                }
                return;
            }
            _ => &[],
        };
        let Value::Object(fields) = inner else {
            return self.visit(inner);
        };
        for (name, value) in fields {
            if !skipped.contains(&name.as_str()) {
                self.visit(value);
            }
        }
    }

    fn number(&mut self, node: &Value) {
        let (Some((start, end)), Some(text)) = (self.text.range(node), self.text.of(node)) else {
            return;
        };
        if is_spelt_otherwise(text) {
            self.edits
                .push((start, end, format!("{OPERATORS}.written({text})")));
        }
    }
}

/// Whether it is a whole number that is not written as one.
fn is_spelt_otherwise(text: &str) -> bool {
    let whole = text.parse::<f64>().is_ok_and(|n| n.fract() == 0.0);
    whole && text.contains(['.', 'e', 'E'])
}

fn holds_variable(expr: &Value) -> bool {
    match expr {
        Value::Array(items) => items.iter().any(holds_variable),
        Value::Object(map) => {
            variant(expr).is_some_and(|(kind, _)| kind == "Var") || map.values().any(holds_variable)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn numbers_that_are_written_otherwise_can_be_told() {
        let source = "package a\np = x { x := sprintf(\"%v\", [1e2, 1.5, {\"k\": 1.0}]); [y, 2.0] = input.a; y > 3e0 + 1.0 }\n";
        let wanted = "package a\np = x { x := sprintf(\"%v\", [w(1e2), 1.5, {\"k\": w(1.0)}]); [y, 2.0] = input.a; y > 3e0 + 1.0 }\n";
        let got = rewrite(source.into(), false).unwrap();
        assert_eq!(got.replace("bartizan_op.written", "w"), wanted);
        // Nothing is printed, or nothing is written otherwise.
        for source in [
            "package a\np { input.a > 1e2 }\n",
            "package a\np = x { x := sprintf(\"%v\", [100]) }\n",
        ] {
            assert_eq!(rewrite(source.into(), false), Ok(source.into()));
        }
        let fixed = "package a\ndefault r = 1.0\np = x { x := sprintf(\"%v\", [r]) }\n";
        assert!(rewrite(fixed.into(), false).is_err());
    }

    #[test]
    fn what_counts_takes_only_whole_numbers() {
        let found = |n: &str| {
            let source = format!("package a\nx := regex.find_n(\"a\", \"aa\", {n})\n");
            rewrite(source, false)
        };
        assert!(found("1e2").is_err() && found("1.0").is_err());
        assert!(found("2").is_ok() && found("-1").is_ok());
    }
}
