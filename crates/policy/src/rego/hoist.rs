//! Arguments are evaluated before a `not`, as OPA's compiler has it.
//!
//! OPA rewrites `not f(x.y, g(z))` to `__a = x.y; __b = g(z); not f(__a, __b)`: an undefined
//! reference makes the whole body fail. `regorus` evaluates arguments inside the `not`, where
//! undefined makes the `not` succeed, which is a violation that OPA does not report. This does
//! OPA's rewriting on the source, for the same places:
//!
//! - arguments of a negated call and operands of a negated operator other than `==` and `=`:
//!   references, calls and composites that hold such;
//! - operands of a negated `==` or `=`: calls, composites, and what stands in brackets of
//!   references, but not the references themselves;
//! - what stands in brackets of a negated reference.
//!
//! Comprehensions are never undefined and stay where they are.

use super::calls::rule_names;
use super::syntax::{Text, apply, parse, variant, visit};
use serde_json::Value;
use std::collections::BTreeSet;

/// Hoists until nothing is left to hoist.
pub(crate) fn rewrite(mut source: String, v1: bool) -> Result<String, String> {
    let mut next = 0;
    // Each turn rewrites statements that do not hold each other, the outer ones first.
    for _ in 0..200 {
        let tree = parse(&source, v1)?;
        let text = Text::new(&source)?;
        let rules = rule_names(&tree, &text);
        let mut edits: Vec<Edit> = Vec::new();
        let mut fault = None;
        statements(&tree, &mut |statement| {
            let mut hoister = Hoister {
                text: &text,
                rules: &rules,
                next,
                edits: Vec::new(),
                lets: String::new(),
                fault: None,
            };
            hoister.statement(statement);
            let begin = hoister.edits.iter().map(|(start, ..)| *start).min();
            let end = hoister.edits.iter().map(|(_, end, _)| *end).max();
            let (Some(begin), Some(end)) = (begin, end) else {
                fault = fault.take().or(hoister.fault);
                return;
            };
            if edits.iter().all(|(b, e, _)| *e < begin || *b > end) {
                fault = fault.take().or(hoister.fault);
                next = hoister.next;
                edits.append(&mut hoister.edits);
            }
        });
        if let Some(why) = fault {
            return Err(why);
        }
        if edits.is_empty() {
            return Ok(source);
        }
        source = apply(&source, edits);
    }
    Err("too many negations".into())
}

type Edit = (usize, usize, String);

/// Visits the statements of every query whose literal is negated.
fn statements<'t>(node: &'t Value, see: &mut dyn FnMut(&'t Value)) {
    match node {
        Value::Array(items) => items.iter().for_each(|v| statements(v, see)),
        Value::Object(map) => {
            let negated = map.get("literal").and_then(variant);
            if negated.is_some_and(|(kind, _)| kind == "NotExpr") {
                see(node);
            }
            map.values().for_each(|v| statements(v, see));
        }
        _ => {}
    }
}

struct Hoister<'a, 's> {
    text: &'a Text<'s>,
    rules: &'a BTreeSet<&'s str>,
    next: usize,
    edits: Vec<Edit>,
    lets: String,
    fault: Option<String>,
}

impl Hoister<'_, '_> {
    fn statement(&mut self, statement: &Value) {
        let Some(literal) = statement.get("literal").and_then(variant).map(|(_, l)| l) else {
            return;
        };
        let Some((start, _)) = self.text.range(literal) else {
            return;
        };
        let with: String = statement
            .get("with_mods")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|m| self.text.of(m))
            .map(|m| format!(" {m}"))
            .collect();
        if let Some(expr) = literal.get("expr") {
            self.negated(expr, &with);
        }
        if !self.lets.is_empty() {
            let lets = std::mem::take(&mut self.lets);
            self.edits.push((start, start, lets));
        }
    }

    /// The expression right under `not`.
    fn negated(&mut self, expr: &Value, with: &str) {
        let Some((kind, node)) = variant(expr) else {
            return;
        };
        match kind {
            "Call" => {
                for argument in items(node, "params") {
                    self.argument(argument, with);
                }
            }
            "BoolExpr" if node.get("op").and_then(Value::as_str) == Some("Eq") => {
                self.operand(node.get("lhs"), with);
                self.operand(node.get("rhs"), with);
            }
            "AssignExpr" => {
                self.operand(node.get("lhs"), with);
                self.operand(node.get("rhs"), with);
            }
            "BoolExpr" | "ArithExpr" | "BinExpr" => {
                for side in ["lhs", "rhs"] {
                    if let Some(side) = node.get(side) {
                        self.argument(side, with);
                    }
                }
            }
            "Membership" => {
                for part in ["key", "value", "collection"] {
                    if let Some(part) = node.get(part).filter(|p| !p.is_null()) {
                        self.argument(part, with);
                    }
                }
            }
            "RefDot" | "RefBrack" => self.reference(node, with),
            _ => {}
        }
    }

    /// An operand of `==`: references stay, what they and composites hold does not.
    fn operand(&mut self, expr: Option<&Value>, with: &str) {
        let Some(expr) = expr else { return };
        match variant(expr) {
            Some(("RefDot" | "RefBrack", node)) => self.reference(node, with),
            Some(("Var", _)) | None => {}
            Some(_) => self.argument(expr, with),
        }
    }

    /// What stands in the brackets of a reference, and a call at its root.
    fn reference(&mut self, node: &Value, with: &str) {
        if let Some(index) = node.get("index") {
            self.argument(index, with);
        }
        match node.get("refr").and_then(variant) {
            Some(("RefDot" | "RefBrack", inner)) => self.reference(inner, with),
            Some(("Call", _)) => {
                if let Some(call) = node.get("refr") {
                    self.argument(call, with);
                }
            }
            _ => {}
        }
    }

    /// Hoists an argument where it can be undefined.
    fn argument(&mut self, expr: &Value, with: &str) {
        let Some((kind, node)) = variant(expr) else {
            return;
        };
        let hoist = match kind {
            "Var" => {
                let name = self.text.of(node).unwrap_or_default();
                self.rules.contains(name)
            }
            "RefDot" | "RefBrack" => {
                let mut wild = false;
                visit(expr, &mut |kind, node| {
                    wild |= kind == "Var" && self.text.of(node) == Some("_");
                });
                if wild {
                    self.fault.get_or_insert(
                        "an argument under `not` ranges over `_`, which OPA refuses as unsafe"
                            .into(),
                    );
                }
                true
            }
            "Call" | "BoolExpr" | "ArithExpr" | "BinExpr" | "Membership" | "UnaryExpr" => true,
            "Array" | "Set" | "Object" => self.may_be_undefined(expr),
            _ => false,
        };
        if !hoist {
            return;
        }
        let (Some((start, end)), Some(text)) = (self.text.range(node), self.text.of(node)) else {
            return;
        };
        let name = format!("bartizan_hoisted_{}", self.next);
        self.next += 1;
        self.lets.push_str(&format!("{name} := {text}{with}; "));
        self.edits.push((start, end, name));
    }

    fn may_be_undefined(&self, expr: &Value) -> bool {
        let mut found = false;
        visit(expr, &mut |kind, node| {
            found |= match kind {
                "Var" => self.text.of(node).is_some_and(|n| self.rules.contains(n)),
                "RefDot" | "RefBrack" | "Call" | "ArithExpr" | "BinExpr" | "BoolExpr" => true,
                _ => false,
            };
        });
        found
    }
}

fn items<'t>(node: &'t Value, field: &str) -> impl Iterator<Item = &'t Value> {
    node.get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    fn body(statement: &str) -> String {
        let source = format!("package a\np {{ c := input.c; {statement} }}\nr = 1 {{ input.r }}\n");
        let out = rewrite(source, false).unwrap();
        let body = out.split("c := input.c; ").nth(1).unwrap();
        body.split(" }\nr = 1")
            .next()
            .unwrap()
            .replace("bartizan_hoisted_", "h")
    }

    #[test]
    fn arguments_are_hoisted_as_opa_does() {
        for (statement, wanted) in [
            ("not f(\"x\", c.a)", "h0 := c.a; not f(\"x\", h0)"),
            ("not startswith(c, \"x\")", "not startswith(c, \"x\")"),
            ("not f(g(c.a), r)", "h0 := g(c.a); h1 := r; not f(h0, h1)"),
            ("not c.a > 5", "h0 := c.a; not h0 > 5"),
            ("not c.a != \"\"", "h0 := c.a; not h0 != \"\""),
            ("not c.a == 5", "not c.a == 5"),
            ("not c.a == count(c.b)", "h0 := count(c.b); not c.a == h0"),
            ("not c[c.a].b[_]", "h0 := c.a; not c[h0].b[_]"),
            ("not c.a", "not c.a"),
            ("not r", "not r"),
            (
                "not f([1, c.a], {\"k\": \"v\"})",
                "h0 := [1, c.a]; not f(h0, {\"k\": \"v\"})",
            ),
            (
                "not f(c.a) with input as {\"a\": \"b\"}",
                "h0 := c.a with input as {\"a\": \"b\"}; not f(h0) with input as {\"a\": \"b\"}",
            ),
            (
                "x := [y | y := c[_]; not f(y.z)]",
                "x := [y | y := c[_]; h0 := y.z; not f(y.z)]",
            ),
            (
                "not all([v | v := c.x[_]; not g(v.k)])",
                "not all([v | v := c.x[_]; h0 := v.k; not g(h0)])",
            ),
        ] {
            let wanted = wanted.replace("not f(y.z)", "not f(h0)");
            assert_eq!(body(statement), wanted);
        }
    }

    #[test]
    fn what_opa_calls_unsafe_is_refused() {
        let source = "package a\np { not f(input.a[_]) }\nf(x) { x }\n";
        assert!(
            rewrite(source.into(), false)
                .unwrap_err()
                .contains("unsafe")
        );
    }
}
