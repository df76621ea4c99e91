//! Repairs that need no syntax tree, because without them there is none.

use super::lexer::{Kind, Token, tokens};

/// Puts `;` before a `(` that begins a new line, and repeats the heads of chained bodies.
pub(crate) fn repair(source: &str) -> Result<String, String> {
    let all = tokens(source)?;
    bounded(&all, source)?;
    let mut inserts = told_apart(&all, source);
    let mut depth = 0_usize;
    // Where the rule at hand begins, its head's end, and whether its last body just closed.
    let mut rule: Option<usize> = None;
    let mut head: Option<(usize, usize)> = None;
    let mut body_depth: Option<usize> = None;
    let mut closed = false;
    let mut before: Option<&Token> = None;
    for token in &all {
        let text = token.text(source);
        let after_value = before.is_some_and(|b| ends_value(b, source));
        if let Some(before) = before.filter(|_| text == "(" && token.fresh && after_value) {
            inserts.push((before.end, ";".into()));
        }
        if depth == 0 && body_depth.is_none() {
            if text == "{" && closed {
                // Another body of the rule that just ended.
                if let Some((start, end)) = head {
                    let head = source.get(start..end).unwrap_or_default().trim_end();
                    inserts.push((token.start, format!("\n{head} ")));
                }
                body_depth = Some(0);
            } else if text == "{" && rule.is_some() && opens_body(before, source) {
                head = rule.map(|start| (start, token.start));
                body_depth = Some(0);
            } else if closed && text != "else" {
                rule = None;
                head = None;
            }
            if text == "else" {
                // Bodies after `else` cannot be told from chained ones: leave them alone.
                head = None;
                rule = Some(token.start);
            }
            if rule.is_none() || (token.fresh && !closed && starts_rule(before, source)) {
                rule = Some(token.start);
            }
            closed = false;
        }
        match text {
            "{" | "[" | "(" if token.kind == Kind::Sign => depth += 1,
            "}" | "]" | ")" if token.kind == Kind::Sign => {
                depth = depth.saturating_sub(1);
                if depth == 0 && text == "}" && body_depth.take().is_some() {
                    closed = head.is_some();
                    if !closed {
                        rule = None;
                    }
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    inserts.sort_by_key(|(at, _)| *at);
    let mut out = String::with_capacity(source.len() + 64);
    let mut done = 0;
    for (at, text) in inserts {
        out.push_str(source.get(done..at).unwrap_or_default());
        out.push_str(&text);
        done = at;
    }
    out.push_str(source.get(done..).unwrap_or_default());
    Ok(out)
}

/// Refuses what would exhaust the stack of a recursive parser: deep brackets, and expressions
/// of very many operators, which make a tree as deep.
fn bounded(all: &[Token], source: &str) -> Result<(), String> {
    const DEPTH: usize = 64;
    const CHAIN: usize = 256;
    let (mut depth, mut chain) = (0_usize, 0_usize);
    let mut before: Option<&Token> = None;
    for token in all {
        let text = token.text(source);
        match text {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return Err(format!("brackets deeper than {DEPTH}"));
        }
        let ends = before.is_some_and(|b| ends_value(b, source));
        let new_rule_or_statement =
            matches!(text, ";" | "," | "{" | "}") || (token.fresh && ends && text != ".");
        let joins = token.kind == Kind::Sign || matches!(text, "not" | "in" | "with" | "else");
        if new_rule_or_statement && text != "else" {
            chain = 0;
        } else if joins {
            chain += 1;
        }
        if chain > CHAIN {
            return Err(format!("an expression of more than {CHAIN} operators"));
        }
        before = Some(token);
    }
    Ok(())
}

/// Puts `if { a | b }` into another pair of brackets: to OPA it is a comprehension, to the engine
/// it would be a body with a union.
fn told_apart(all: &[Token], source: &str) -> Vec<(usize, String)> {
    // What cannot stand in the single term that is before the bar.
    const MORE: [&str; 21] = [
        ":=", "=", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&", ",", ";", "in",
        "not", "some", "every", "with",
    ];
    let mut inserts = Vec::new();
    for (at, pair) in all.windows(2).enumerate() {
        let [word, open] = pair else { continue };
        // After `else` there is always a body.
        if word.text(source) != "if" || open.text(source) != "{" || otherwise(all, at, source) {
            continue;
        }
        let inner = all.get(at + 2..).unwrap_or_default();
        let mut depth = 0_usize;
        let mut bar = false;
        for (n, token) in inner.iter().enumerate() {
            let text = token.text(source);
            match text {
                "}" if depth == 0 => {
                    if bar {
                        inserts.push((open.end, " {".into()));
                        inserts.push((token.end, " }".into()));
                    }
                    break;
                }
                // Another statement on a line of its own.
                _ if depth == 0
                    && !bar
                    && token.fresh
                    && !matches!(text, "|" | "." | ":")
                    && n.checked_sub(1)
                        .and_then(|n| inner.get(n))
                        .is_some_and(|before| ends_value(before, source)) =>
                {
                    break;
                }
                "{" | "[" | "(" => depth += 1,
                "}" | "]" | ")" => depth = depth.saturating_sub(1),
                _ if bar || depth > 0 => {}
                "|" => bar = n > 0,
                // A sign before a number is part of it.
                "-" if n == 0 => {}
                _ if MORE.contains(&text) => break,
                _ => {}
            }
        }
    }
    inserts
}

/// Whether the `if` there belongs to an `else`, which may have a value between.
fn otherwise(all: &[Token], at: usize, source: &str) -> bool {
    let mut depth = 0_usize;
    for token in all.get(..at).unwrap_or_default().iter().rev() {
        match token.text(source) {
            "else" if depth == 0 => return true,
            "}" | "]" | ")" => depth += 1,
            "{" | "[" | "(" => depth = depth.saturating_sub(1),
            _ if depth == 0 && token.fresh => return false,
            _ => {}
        }
    }
    false
}

/// Whether an expression may end with this token.
fn ends_value(token: &Token, source: &str) -> bool {
    const OPEN_WORDS: [&str; 9] = [
        "not", "some", "in", "with", "as", "if", "else", "contains", "import",
    ];
    match token.kind {
        Kind::Number | Kind::Text => true,
        Kind::Word => !OPEN_WORDS.contains(&token.text(source)),
        Kind::Sign => matches!(token.text(source), ")" | "]" | "}"),
    }
}

/// Whether a `{` after this token opens a rule's body and not a value.
fn opens_body(before: Option<&Token>, source: &str) -> bool {
    before.is_some_and(|b| ends_value(b, source) || matches!(b.text(source), "if" | "else"))
}

/// Whether a token on a fresh line after this one begins a rule.
fn starts_rule(before: Option<&Token>, source: &str) -> bool {
    before.is_none_or(|b| ends_value(b, source))
}

#[cfg(test)]
mod tests {
    use super::repair;

    #[test]
    fn chained_bodies_repeat_their_head() {
        assert_eq!(
            repair(
                "package a\n\nv[{\"m\": m}] {\n  m := {1}\n} {\n  m := 2\n}\nx = {1} { true }\n"
            )
            .unwrap(),
            "package a\n\nv[{\"m\": m}] {\n  m := {1}\n} \nv[{\"m\": m}] {\n  m := 2\n}\nx = {1} { true }\n"
        );
    }

    #[test]
    fn a_parenthesis_on_a_new_line_is_no_call() {
        assert_eq!(
            repair("p {\n  a := input.x\n  (a - 1) >= b\n  f(\n   (1))\n  c := 1 +\n (2)\n}")
                .unwrap(),
            "p {\n  a := input.x;\n  (a - 1) >= b\n  f(\n   (1))\n  c := 1 +\n (2)\n}"
        );
    }

    #[test]
    fn bodies_that_are_comprehensions_to_opa_are_so_here() {
        for (body, inside) in [
            ("{ {1} | input.a == 1 }", "{ { {1} | input.a == 1 } }"),
            ("{\n{1, x}\n| input.a }", "{ {\n{1, x}\n| input.a } }"),
            ("{ -1 | true }", "{ { -1 | true } }"),
            ("{ \"k\": f(x) | true }", "{ { \"k\": f(x) | true } }"),
            // An operator before the bar, or a statement: a body.
            ("{ x := {1} | input.a }", ""),
            ("{ input.a == {1} | input.b }", ""),
            ("{ input.a\n{1} | input.b }", ""),
            ("{ [x | x := 1]\n y := a | b }", ""),
            ("{ f(a | b); y := a | b }", ""),
        ] {
            let source = format!("package a\np if {body}\nq if {{ r }}\n");
            let wanted = if inside.is_empty() { body } else { inside };
            let wanted = format!("package a\np if {wanted}\nq if {{ r }}\n");
            assert_eq!(repair(&source), Ok(wanted));
        }
        for source in [
            "package a\np if { x } else if { {1} | input.a }\n",
            "package a\np := 1 if { x } else := [y |\ny := 1\n] if { {1} | input.a }\n",
        ] {
            assert_eq!(repair(source), Ok(source.into()));
        }
    }

    #[test]
    fn what_would_exhaust_the_stack_is_refused() {
        for source in [
            format!("package a\np {{ x := {} }}", "(".repeat(100_000)),
            format!("package a\np {{ x := 1{} }}", " + 1".repeat(100_000)),
            format!("package a\np {{ x := 1{} }}", " +\n 1".repeat(100_000)),
            format!("package a\np {{ x := input{} }}", ".a".repeat(100_000)),
            format!("package a\np {{ x := {}1 }}", "- ".repeat(100_000)),
            format!("package a\np {{ {} x }}", "not ".repeat(100_000)),
        ] {
            assert!(
                repair(&source).is_err(),
                "{}",
                source.get(..40).unwrap_or_default()
            );
        }
    }

    #[test]
    fn ordinary_sources_stay_as_they_are() {
        for source in [
            "package a\nimport future.keywords.in\nx := {1, 2}\ny := {\"a\": 1}\nf(a) = b { b := a } else = c { c := 1 }\n",
            "package a\np if { true }\nq contains x if { some x in [1] }\ndefault r = {}\ns { t }\n",
            "package a\nallowed := {x | x := input.a[_]}\nv[x] { x := 1 }\nv[x] { x := 2 }",
        ] {
            assert_eq!(repair(source).unwrap(), source);
        }
    }
}
