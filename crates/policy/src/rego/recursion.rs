//! Rules that need themselves. OPA refuses them when it compiles; the engine finds rules that do
//! so while it runs, but follows functions until the stack is used up, which ends the process.
//! A chain of very many rules that is not closed does the same, so its length is bounded.

use super::Module;
use super::syntax::{Text, variant, visit};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Rules and functions that one may need through each other.
const LONGEST: usize = 128;

/// That a rule or function names another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    /// Full path of the one.
    from: String,
    /// Full path of the other, as far as it is written.
    to: String,
    /// Whether it is called; else it is read, or only has the name of what is read.
    called: bool,
}

/// The links of a module; calls by imported names are written in full already.
pub(crate) fn links(tree: &Value, text: &Text<'_>, package: &str) -> Vec<Link> {
    let full = |name: &str| match name.strip_prefix("data.") {
        Some(_) => name.to_owned(),
        None => format!("data.{package}.{name}"),
    };
    let mut all = BTreeSet::new();
    let rules = tree.get("rules").and_then(Value::as_array);
    for rule in rules.into_iter().flatten().filter_map(variant) {
        let (_, rule) = rule;
        let head = rule.get("head").and_then(variant).map(|(_, head)| head);
        let refr = head.unwrap_or(rule).get("refr").and_then(variant);
        let Some(name) = refr.and_then(|(_, r)| text.of(r)) else {
            continue;
        };
        // What stands in brackets of a rule's head is its key; a function has none.
        let from = full(path(name).split(['[', '(']).next().unwrap_or_default());
        visit(rule, &mut |kind, node| {
            let (node, called) = match kind {
                "Call" => (node.get("fcn").and_then(variant).map(|(_, f)| f), true),
                "Var" | "RefDot" | "RefBrack" => (Some(node), false),
                _ => return,
            };
            if let Some(to) = node.and_then(|node| text.of(node)) {
                all.insert(Link {
                    from: from.clone(),
                    to: full(&path(to)),
                    called,
                });
            }
        });
    }
    all.into_iter()
        .filter(|link| link.called || link.from != link.to)
        .collect()
}

/// A reference in one spelling: `data["a"].b [c]` is `data.a.b[c]`.
fn path(text: &str) -> String {
    let compact: String = text.split_whitespace().collect();
    let mut out = String::new();
    let mut rest = compact.as_str();
    while let Some((before, after)) = rest.split_once("[\"") {
        let Some((key, tail)) = after.split_once("\"]") else {
            break;
        };
        out.push_str(before);
        out.push('.');
        out.push_str(key);
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Refuses modules whose functions need themselves, or whose rules need very many others.
pub(crate) fn check(modules: &[Module]) -> Result<(), String> {
    let links = || modules.iter().flat_map(|module| &module.links);
    let known: BTreeSet<&str> = links().map(|link| link.from.as_str()).collect();
    let mut calls: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for link in links() {
        // The longest part of the path that is a rule's.
        let mut to = link.to.as_str();
        while !known.contains(to) {
            match to.rfind(['.', '[']) {
                Some(at) => to = to.get(..at).unwrap_or_default(),
                None => break,
            }
        }
        if known.contains(to) {
            if link.called {
                calls.entry(&link.from).or_default().push(to);
            }
            needs.entry(&link.from).or_default().push(to);
        }
    }
    if let Walked::Circle(circle) = walk(&calls) {
        let first = circle.first().copied().unwrap_or_default();
        return Err(format!(
            "rule {first} is recursive: {}",
            circle.join(" -> ")
        ));
    }
    match walk(&needs) {
        Walked::Deep(name) => Err(format!(
            "rule {name} needs more than {LONGEST} others through each other"
        )),
        // A variable may have the name of a rule; rules that read themselves are found by the
        // engine as it runs.
        Walked::Circle(_) | Walked::Ended => Ok(()),
    }
}

enum Walked<'g> {
    Ended,
    /// The first is the last too.
    Circle(Vec<&'g str>),
    Deep(&'g str),
}

/// Follows all ways, without recursion of its own. A circle that is met is passed over to look
/// for long ways, and told when there are none.
fn walk<'g>(graph: &BTreeMap<&'g str, Vec<&'g str>>) -> Walked<'g> {
    // How long the longest way from here is, once known.
    let mut length: BTreeMap<&str, usize> = BTreeMap::new();
    let mut circle = None;
    for &start in graph.keys() {
        let mut way: Vec<(&str, usize, usize)> = vec![(start, 0, 0)];
        let mut on_way = BTreeSet::from([start]);
        while let Some(&(at, next, longest)) = way.last() {
            let to = graph.get(at).and_then(|all| all.get(next)).copied();
            let Some(to) = to.filter(|_| !length.contains_key(at)) else {
                let mine = length.get(at).copied().unwrap_or(longest);
                if mine + way.len() > LONGEST {
                    return Walked::Deep(start);
                }
                length.insert(at, mine);
                on_way.remove(at);
                way.pop();
                if let Some(before) = way.last_mut() {
                    before.2 = before.2.max(mine + 1);
                }
                continue;
            };
            if let Some(last) = way.last_mut() {
                last.1 += 1;
            }
            if on_way.insert(to) {
                way.push((to, 0, 0));
                if way.len() > LONGEST {
                    return Walked::Deep(start);
                }
            } else if circle.is_none() {
                let from = way.iter().position(|(name, ..)| *name == to);
                let names = way.iter().skip(from.unwrap_or(0)).map(|(name, ..)| *name);
                circle = Some(names.chain([to]).collect());
            }
        }
    }
    circle.map_or(Walked::Ended, Walked::Circle)
}

#[cfg(test)]
mod tests {
    use super::super::prepare;
    use super::*;

    fn told(sources: &[&str]) -> Result<(), String> {
        let modules: Vec<Module> = sources.iter().map(|s| prepare(s, false).unwrap()).collect();
        check(&modules)
    }

    #[test]
    fn functions_that_need_themselves_are_refused() {
        for (sources, circle) in [
            (
                vec!["package h\nf(x) = y { y := f(x + 1) }\nv { f(1) > 0 }"],
                "data.h.f -> data.h.f",
            ),
            (
                vec!["package h\nf(x) = y { y := g(x) }\ng(x) = y { z := [f(x)]; y := z[0] }"],
                "data.h.f -> data.h.g -> data.h.f",
            ),
            (
                vec!["package h\nf(x) = y { y := data[\"h\"].f(x) }"],
                "data.h.f -> data.h.f",
            ),
            (
                vec!["package h\nf(x) = y { y := data.h[\"f\"](x) }"],
                "data.h.f -> data.h.f",
            ),
            (
                vec![
                    "package h\nimport data.lib.b\nf(x) = y { y := b.g(x) }",
                    "package lib.b\nimport data.h\ng(x) = y { y := h.f(x) }",
                ],
                "data.h.f -> data.lib.b.g -> data.h.f",
            ),
            (
                vec!["package h\nf(x) = 1 { x == 1 } else = y { y := f(x - 1) }"],
                "data.h.f -> data.h.f",
            ),
        ] {
            let why = told(&sources).unwrap_err();
            assert!(why.ends_with(circle), "{why}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_taken() {
        for source in [
            "package h\nf(x) = y { y := x }\ng(f) = y { y := f }\nv[x] { x := f(g(1)) }",
            "package h\nname(x) = name { name := x.name }\nv[m] { m := name(input) }",
            "package h\ncount_of(x) = n { n := count(x) }\nv { count_of([1]) == 1 }",
            "package h\nf(x) { x == 1 }\nf(x) { x == 2 }\nv { f(1) }",
            "package h\nvalues[v] { values := input.a; v := values[_] }",
        ] {
            assert_eq!(told(&[source]), Ok(()), "{source}");
        }
    }

    #[test]
    fn long_chains_are_refused() {
        let chain = |count: usize, call: &str| -> String {
            let rules = (0..count).map(|n| {
                let next = n + 1;
                match call {
                    "f" => format!("f{n}(x) {{ f{next}(x) }}\n"),
                    _ => format!("f{n} {{ f{next} }}\n"),
                }
            });
            format!("package h\n{}", rules.collect::<String>())
        };
        for call in ["f", "r"] {
            assert_eq!(told(&[&chain(60, call)]), Ok(()));
            let why = told(&[&chain(3_000, call)]).unwrap_err();
            assert!(why.contains("more than 128"), "{why}");
        }
    }
}
