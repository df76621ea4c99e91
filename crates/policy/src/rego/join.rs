//! Policies that compare an object with all others of the inventory look those up that may be equal.
//!
//! ```text
//! other := data.inventory.namespace[ns][v].Ingress[name]      every Ingress, for every review
//! lower(other.spec.host) == host
//! ```
//!
//! costs as many steps as there are Ingresses, and an audit of them all the square of it: to
//! Gatekeeper's users the known price of `uniqueingresshost` and its like. Where one side of the
//! equation speaks of `other` alone, it is the same for every review: it is computed once for each
//! object of the inventory, and the statement becomes a look-up.
//!
//! ```text
//! bartizan_found_0 := object.get(data.bartizan_join["0"], [host], {})
//! other := bartizan_found_0.namespace[ns][v].Ingress[name]
//! lower(other.spec.host) == host
//! ```
//!
//! **Why it is the same.** The statements of a body all hold or the body does not: leaving out
//! objects for which the equation cannot hold leaves nothing out. The equation stays, so an object
//! that was looked up too many does no harm, and each is looked up once. It is done only for `==`
//! (which binds nothing), where the other side names only variables that do not come from the
//! object, and ranges over nothing.

use super::syntax::{Text, apply, variant, visit};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Built-ins that are no function of their arguments alone.
const NOT_PURE: [&str; 4] = ["external_data", "print", "trace", "opa.runtime"];

/// The look-ups of a module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Joins {
    /// The module with look-ups.
    pub source: String,
    /// The module with rules that say which keys the objects have.
    pub keys: String,
    /// For each such rule its name and the path to the objects: a fixed step, or one of the rule's
    /// values.
    pub rules: Vec<(String, Vec<Option<String>>)>,
}

/// The name of the rule that has the keys of a look-up.
fn rule(n: usize) -> String {
    format!("bartizan_keys_{n}")
}

/// Finds what can be looked up; none where nothing can.
pub(crate) fn find(source: &str, tree: &Value, v1: bool) -> Option<Joins> {
    let text = Text::new(source).ok()?;
    // Another inventory for one expression, or rules of other modules: left as it is.
    let mocks = |w: &[super::lexer::Token]| matches!(w, [a, b] if a.text(source) == "with" && b.text(source) == "data");
    let tokens = super::lexer::tokens(source).ok()?;
    if tokens.windows(2).any(mocks) || imports_data(tree, &text) {
        return None;
    }
    let pure = Pure::of(tree, &text);
    let mut edits = Vec::new();
    let mut joins = Joins::default();
    let mut rules = String::new();
    queries(tree, &mut |statements| {
        let Some(found) = join(statements, &text, &pure) else {
            return;
        };
        let n = joins.rules.len();
        let (start, end) = found.at;
        // Bodies within bodies: one look-up at a place is enough.
        if edits
            .iter()
            .any(|(s, e, _): &(usize, usize, String)| start < *e && *s < end)
        {
            return;
        }
        edits.push((
            start,
            end,
            format!(
                "bartizan_found_{n} := object.get(data.bartizan_join[\"{n}\"], [{}], {{}}); \
                 {} := bartizan_found_{n}{}",
                found.key, found.name, found.rest
            ),
        ));
        let places: Vec<String> = (0..found.path.iter().filter(|p| p.is_none()).count())
            .map(|i| format!("bartizan_place_{i}"))
            .collect();
        let mut reference = "data.inventory".to_owned();
        let mut place = places.iter();
        for step in &found.path {
            match (step, place.as_slice().first()) {
                (Some(fixed), _) => {
                    reference.push_str(&format!("[{}]", Value::from(fixed.as_str())))
                }
                (None, Some(name)) => {
                    reference.push_str(&format!("[{name}]"));
                    place.next();
                }
                (None, None) => {}
            }
        }
        let value = format!("[bartizan_value, [{}]]", places.join(", "));
        let body = format!(
            "{{ {} := {reference}; bartizan_value := {} }}",
            found.name, found.expression
        );
        let head = rule(n);
        rules.push_str(&match v1 {
            true => format!("\n{head} contains {value} if {body}\n"),
            false => format!("\n{head}[{value}] {body}\n"),
        });
        joins.rules.push((head, found.path));
    });
    if joins.rules.is_empty() {
        return None;
    }
    joins.source = apply(source, edits);
    joins.keys = format!("{source}\n{rules}");
    Some(joins)
}

/// One statement that can become a look-up.
struct Found {
    /// Where `v := data.inventory…` stands.
    at: (usize, usize),
    /// The variable.
    name: String,
    /// What follows `data.inventory`, as written.
    rest: String,
    /// The steps of it.
    path: Vec<Option<String>>,
    /// What is computed of the variable.
    expression: String,
    /// What it is equal to.
    key: String,
}

fn join(statements: &[Value], text: &Text<'_>, pure: &Pure<'_>) -> Option<Found> {
    if statements.iter().any(|s| {
        s.get("with_mods")
            .is_some_and(|w| w.as_array().is_some_and(|w| !w.is_empty()))
    }) {
        return None;
    }
    for (at, statement) in statements.iter().enumerate() {
        let after = statements.get(at + 1..).unwrap_or_default();
        let Some((name, value)) = assigned(statement, text) else {
            continue;
        };
        let Some(path) = steps(value, text) else {
            continue;
        };
        if statements
            .iter()
            .filter(|s| assigned(s, text).is_some_and(|(n, _)| n == name))
            .count()
            > 1
        {
            continue;
        }
        let late = late(statements, statement, text);
        for equation in statements {
            let Some((lhs, rhs)) = equation_of(equation) else {
                continue;
            };
            for (side, other) in [(lhs, rhs), (rhs, lhs)] {
                let Some(expression) = alone(side, name, statements, text, pure) else {
                    continue;
                };
                let Some(key) = early(other, &late, after, text) else {
                    continue;
                };
                let (_, node) = variant(value)?;
                let whole = text.of(node)?;
                let (_, literal) = statement.get("literal").and_then(variant)?;
                return Some(Found {
                    at: text.range(literal)?,
                    name: name.to_owned(),
                    rest: whole.strip_prefix("data.inventory")?.to_owned(),
                    path,
                    expression,
                    key,
                });
            }
        }
    }
    None
}

/// `name := value`, where the statement is that.
fn assigned<'t, 's>(statement: &'t Value, text: &Text<'s>) -> Option<(&'s str, &'t Value)> {
    let (kind, literal) = statement.get("literal").and_then(variant)?;
    let (assign, node) = literal.get("expr").and_then(variant)?;
    let wanted = kind == "Expr" && assign == "AssignExpr";
    if !wanted || node.get("op").and_then(Value::as_str) != Some("ColEq") {
        return None;
    }
    let (var, lhs) = node.get("lhs").and_then(variant)?;
    let name = text.of(lhs).filter(|n| var == "Var" && *n != "_")?;
    Some((name, node.get("rhs")?))
}

/// The sides of `a == b`, where the statement is that.
fn equation_of(statement: &Value) -> Option<(&Value, &Value)> {
    let (kind, literal) = statement.get("literal").and_then(variant)?;
    let (boolean, node) = literal.get("expr").and_then(variant)?;
    let equal = node.get("op").and_then(Value::as_str) == Some("Eq");
    (kind == "Expr" && boolean == "BoolExpr" && equal)
        .then(|| Some((node.get("lhs")?, node.get("rhs")?)))?
}

/// The steps of a reference below `data.inventory`; a variable one is none.
fn steps(reference: &Value, text: &Text<'_>) -> Option<Vec<Option<String>>> {
    let (kind, node) = variant(reference)?;
    let mut steps = match kind {
        "Var" => return (text.of(node)? == "data").then(Vec::new),
        "RefDot" | "RefBrack" => {
            let below = node.get("refr")?;
            let (below_kind, below_node) = variant(below)?;
            if below_kind != "Var" && text.of(below_node)? == "data.inventory" {
                Vec::new()
            } else {
                steps(below, text).filter(|s| !s.is_empty())?
            }
        }
        _ => return None,
    };
    let whole = text.of(node)?;
    if kind == "RefDot" {
        let name = whole.rsplit('.').next()?.trim();
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        steps.push(Some(plain.then(|| name.to_owned())?));
        return Some(steps);
    }
    let (index, of) = node.get("index").and_then(variant)?;
    let written = text.of(of)?;
    steps.push(match index {
        "Var" => None,
        "String" => Some(serde_json::from_str(written).ok()?),
        _ => return None,
    });
    Some(steps)
}

/// Variables that come from what is assigned here, as far as can be seen: all that stand in a
/// statement with one of them, unless it can bind nothing.
fn late<'s>(statements: &[Value], from: &Value, text: &Text<'s>) -> BTreeSet<&'s str> {
    let mut late = variables(from, text);
    late.remove("data");
    loop {
        let before = late.len();
        for statement in statements {
            if equation_of(statement).is_some_and(|(l, r)| !ranges(l, text) && !ranges(r, text)) {
                continue;
            }
            let here = variables(statement, text);
            match assigned(statement, text) {
                // What is assigned comes from what stands there, and not the other way round,
                // unless that ranges over something.
                Some((name, value)) if !ranges(value, text) => {
                    let comes = variables(value, text).iter().any(|v| late.contains(v));
                    late.extend(comes.then_some(name));
                }
                _ if here.iter().any(|v| *v != "data" && late.contains(v)) => {
                    late.extend(here.into_iter().filter(|v| *v != "data" && *v != "input"));
                }
                _ => {}
            }
        }
        if late.len() == before {
            return late;
        }
    }
}

/// Whether a reference in it may bind a variable by ranging over it.
fn ranges(node: &Value, text: &Text<'_>) -> bool {
    let mut found = false;
    visit(node, &mut |kind, inner| {
        let binds = match inner.get("index").and_then(variant) {
            Some(("String" | "RawString" | "Number", _)) => false,
            Some(("Var", index)) => text.of(index) != Some("_"),
            _ => true,
        };
        found |= kind == "RefBrack" && binds;
    });
    found
}

/// All names that stand in it as variables.
fn variables<'s>(node: &Value, text: &Text<'s>) -> BTreeSet<&'s str> {
    let mut all = BTreeSet::new();
    visit(node, &mut |kind, inner| {
        if kind == "Var" {
            all.extend(text.of(inner));
        }
    });
    all
}

/// The expression, if it says something of `name` alone, the same for every review.
fn alone(
    side: &Value,
    name: &str,
    statements: &[Value],
    text: &Text<'_>,
    pure: &Pure<'_>,
) -> Option<String> {
    let (kind, node) = variant(side)?;
    let written = text.of(node)?;
    if kind == "Var" && written != name {
        // By way of another variable.
        let mut of = statements.iter().filter_map(|s| assigned(s, text));
        let (_, value) = of.find(|(n, _)| *n == written)?;
        return (of.all(|(n, _)| n != written)).then(|| direct(value, name, text, pure))?;
    }
    direct(side, name, text, pure)
}

fn direct(node: &Value, name: &str, text: &Text<'_>, pure: &Pure<'_>) -> Option<String> {
    let (_, inner) = variant(node)?;
    let names = pure.arguments(node)?;
    let only = names.iter().all(|n| *n == name || *n == "_");
    (only && names.contains(name)).then(|| text.of(inner).map(str::to_owned))?
}

/// The expression, if it is known before the object is. What is assigned only after the object is
/// written out: the engine wants an assignment before its use.
fn early(node: &Value, late: &BTreeSet<&str>, after: &[Value], text: &Text<'_>) -> Option<String> {
    let (kind, inner) = variant(node)?;
    let written = text.of(inner)?;
    let mut assigned_after = after.iter().filter_map(|s| assigned(s, text));
    if kind == "Var"
        && let Some((_, value)) = assigned_after.clone().find(|(name, _)| *name == written)
    {
        // It may itself stand on what comes after the object, but not on itself.
        let rest: Vec<Value> = after
            .iter()
            .filter(|s| assigned(s, text).is_none_or(|(name, _)| name != written))
            .cloned()
            .collect();
        return early(value, late, &rest, text);
    }
    let mut compound = false;
    visit(node, &mut |kind, inner| {
        compound |= kind.ends_with("Compr");
        compound |= kind == "Var" && text.of(inner) == Some("data");
    });
    let names = variables(node, text);
    let known = names.iter().all(|n| !late.contains(n) && *n != "_");
    let ordered = !assigned_after.any(|(name, _)| names.contains(name));
    // A variable in brackets could range.
    (known && ordered && !compound && !ranges(node, text)).then(|| written.to_owned())
}

fn imports_data(tree: &Value, text: &Text<'_>) -> bool {
    let imports = tree.get("imports").and_then(Value::as_array);
    let of_data = |import: &Value| {
        let path = import.get("refr").and_then(variant);
        let path = path.and_then(|(_, node)| text.of(node)).unwrap_or("data");
        path == "data" || path.starts_with("data.") || path.starts_with("input")
    };
    imports.into_iter().flatten().any(of_data)
}

/// Visits the statements of all queries, the outer ones first.
fn queries<'t>(node: &'t Value, see: &mut dyn FnMut(&'t [Value])) {
    match node {
        Value::Array(items) => items.iter().for_each(|v| queries(v, see)),
        Value::Object(map) => {
            if let Some(statements) = map.get("stmts").and_then(Value::as_array) {
                see(statements);
            }
            map.values().for_each(|v| queries(v, see));
        }
        _ => {}
    }
}

/// Which rules depend on neither input nor data.
struct Pure<'s> {
    rules: BTreeMap<&'s str, bool>,
    text: &'s Text<'s>,
}

impl<'s> Pure<'s> {
    fn of(tree: &Value, text: &'s Text<'s>) -> Self {
        let mut bodies: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for rule in tree
            .get("rules")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let Some((kind, node)) = variant(rule) else {
                continue;
            };
            let refr = match kind {
                "Default" => node.get("refr"),
                _ => node
                    .get("head")
                    .and_then(variant)
                    .and_then(|(_, h)| h.get("refr")),
            };
            let written = refr.and_then(variant).and_then(|(_, r)| text.of(r));
            let name = written
                .unwrap_or_default()
                .split(['.', '[', '(', ' '])
                .next();
            bodies
                .entry(name.unwrap_or_default())
                .or_default()
                .push(rule);
        }
        // All are held for pure, until nothing more is found that is not.
        let mut this = Self {
            rules: bodies.keys().map(|name| (*name, true)).collect(),
            text,
        };
        loop {
            let spoiled: Vec<&str> = bodies
                .iter()
                .filter(|(name, _)| this.rules.get(*name) == Some(&true))
                .filter(|(_, all)| {
                    let clean = |rule: &&Value| {
                        let names = this.arguments(rule);
                        names.is_some_and(|n| !n.contains("input") && !n.contains("data"))
                    };
                    !all.iter().all(clean)
                })
                .map(|(name, _)| *name)
                .collect();
            if spoiled.is_empty() {
                return this;
            }
            for name in spoiled {
                this.rules.insert(name, false);
            }
        }
    }

    /// The variables of an expression beside what it calls; none where it depends on more than its
    /// variables.
    fn arguments(&self, node: &Value) -> Option<BTreeSet<&'s str>> {
        let mut names = BTreeSet::new();
        self.gather(node, &mut names).then_some(names)
    }

    fn gather(&self, node: &Value, names: &mut BTreeSet<&'s str>) -> bool {
        match node {
            Value::Array(items) => items.iter().all(|v| self.gather(v, names)),
            Value::Object(map) => {
                let inner = variant(node).filter(|(_, n)| n.get("span").is_some());
                match inner {
                    Some(("Var", var)) => {
                        let Some(name) = self.text.of(var) else {
                            return false;
                        };
                        match self.rules.get(name) {
                            Some(pure) => return *pure,
                            None => names.insert(name),
                        };
                        true
                    }
                    Some(("Call", call)) => {
                        let fcn = call.get("fcn").and_then(variant);
                        let Some(called) = fcn.and_then(|(_, f)| self.text.of(f)) else {
                            return false;
                        };
                        let known = match self.rules.get(called) {
                            Some(pure) => *pure,
                            None => !NOT_PURE.contains(&called),
                        };
                        let params = call.get("params");
                        known && params.is_none_or(|p| self.gather(p, names))
                    }
                    _ => map
                        .iter()
                        .filter(|(k, _)| *k != "span")
                        .all(|(_, v)| self.gather(v, names)),
                }
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
