//! The part of XPath 1.0 that content uses: child and descendant steps by local name,
//! attributes, text and simple predicates. Namespaces are passed over, as in OpenSCAP.

use crate::xml::{Element, Node};

/// The most nodes that a step may select.
const MAX_NODES: usize = 100_000;
/// The most steps.
const MAX_STEPS: usize = 64;

/// A step of a path.
#[derive(Debug)]
pub(super) struct Step {
    /// After `//`.
    deep: bool,
    test: Test,
    predicates: Vec<Predicate>,
}

#[derive(Debug)]
enum Test {
    /// None: any element.
    Element(Option<String>),
    /// None: any attribute.
    Attribute(Option<String>),
    Text,
}

#[derive(Debug)]
enum Predicate {
    Position(usize),
    Attribute(String, Option<String>),
    Child(String, Option<String>),
    Text(String),
    LocalName(String),
}

fn name(text: &str) -> Option<String> {
    let text = text.rsplit_once(':').map_or(text, |(_, local)| local);
    let plain = text
        .chars()
        .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | '.'));
    let begins = text
        .chars()
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_');
    (plain && begins).then(|| text.to_owned())
}

/// A path.
pub(super) fn parse(expression: &str) -> Result<Vec<Step>, String> {
    parse_steps(expression.trim()).ok_or_else(|| "this XPath is not supported".to_owned())
}

fn parse_steps(expression: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = expression;
    loop {
        let deep = rest.starts_with("//");
        if deep {
            rest = rest.get(2..)?;
        } else if let Some(after) = rest.strip_prefix('/') {
            rest = after;
        } else if !steps.is_empty() {
            return None;
        }
        let end = rest.find(['/', '[']).unwrap_or(rest.len());
        let (test, after) = rest.split_at_checked(end)?;
        rest = after;
        let test = test.trim();
        let test = match test.strip_prefix('@') {
            Some("*") => Test::Attribute(None),
            Some(attribute) => Test::Attribute(Some(name(attribute)?)),
            None if test == "text()" => Test::Text,
            None if test == "*" => Test::Element(None),
            None => Test::Element(Some(name(test.strip_prefix("child::").unwrap_or(test))?)),
        };
        let mut predicates = Vec::new();
        while let Some(inner) = rest.strip_prefix('[') {
            let close = closing(inner)?;
            predicates.push(predicate(inner.get(..close)?.trim())?);
            rest = inner.get(close + 1..)?;
        }
        let last = matches!(test, Test::Attribute(_) | Test::Text);
        if last && !(rest.is_empty() && predicates.is_empty()) {
            return None;
        }
        steps.push(Step {
            deep,
            test,
            predicates,
        });
        if rest.is_empty() {
            return Some(steps);
        }
        if steps.len() > MAX_STEPS {
            return None;
        }
    }
}

/// Where the predicate ends, quotes regarded.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, ']') => return Some(at),
            (None, '[') => return None,
            (None, _) => {}
        }
    }
    None
}

fn predicate(text: &str) -> Option<Predicate> {
    if let Ok(position) = text.parse::<usize>() {
        return Some(Predicate::Position(position));
    }
    let (left, value) = match text.split_once('=') {
        Some((left, right)) => {
            let right = right.trim();
            let quote = right
                .chars()
                .next()
                .filter(|quote| matches!(quote, '\'' | '"'))?;
            let value = right.strip_prefix(quote)?.strip_suffix(quote)?;
            if value.contains(quote) {
                return None;
            }
            (left.trim(), Some(value.to_owned()))
        }
        None => (text, None),
    };
    match (left, value) {
        ("text()" | ".", Some(value)) => Some(Predicate::Text(value)),
        ("local-name()" | "name()", Some(value)) => Some(Predicate::LocalName(value)),
        (left, value) => match left.strip_prefix('@') {
            Some(attribute) => Some(Predicate::Attribute(name(attribute)?, value)),
            None => Some(Predicate::Child(name(left)?, value)),
        },
    }
}

impl Predicate {
    fn holds(&self, element: &Element, position: usize) -> bool {
        let same = |actual: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| wanted == actual)
        };
        match self {
            Self::Position(wanted) => *wanted == position,
            Self::Attribute(name, value) => element
                .attribute(name)
                .is_some_and(|actual| same(actual, value)),
            Self::Child(name, value) => element.named(name).any(|child| same(&child.text(), value)),
            Self::Text(value) => element
                .children
                .iter()
                .any(|node| matches!(node, Node::Text(text) if **text == **value)),
            Self::LocalName(value) => *element.name == **value,
        }
    }
}

/// A place in the document: the document itself or an element.
#[derive(Clone, Copy)]
enum Place<'e> {
    Document(&'e Element),
    Element(&'e Element),
}

impl<'e> Place<'e> {
    fn children(self) -> Vec<&'e Element> {
        match self {
            Self::Document(root) => vec![root],
            Self::Element(element) => element.elements().collect(),
        }
    }

    /// Itself and everything below, in document order.
    fn deep(self, all: &mut Vec<Self>) {
        // The document's depth is bounded.
        all.push(self);
        for child in self.children() {
            Place::Element(child).deep(all);
        }
    }
}

/// The values of the attributes and texts that a path selects; None: it selects nothing.
pub(super) fn select(steps: &[Step], root: &Element) -> Result<Option<Vec<String>>, String> {
    let mut places = vec![Place::Document(root)];
    for step in steps {
        let mut from = Vec::new();
        if step.deep {
            for place in places {
                place.deep(&mut from);
                if from.len() > 10 * MAX_NODES {
                    return Err("it selects too many nodes".into());
                }
            }
        } else {
            from = places;
        }
        let mut values = Vec::new();
        let mut next: Vec<&Element> = Vec::new();
        for place in from {
            match (&step.test, place) {
                (Test::Element(wanted), _) => {
                    let mut found = place.children();
                    if let Some(wanted) = wanted {
                        found.retain(|element| *element.name == **wanted);
                    }
                    for predicate in &step.predicates {
                        let mut position = 0;
                        found.retain(|element| {
                            position += 1;
                            predicate.holds(element, position)
                        });
                    }
                    next.extend(found);
                }
                (_, Place::Document(_)) => {}
                (Test::Attribute(wanted), Place::Element(element)) => {
                    let found = element.attributes.iter().filter(|(name, _)| {
                        wanted.as_ref().is_none_or(|wanted| **name == **wanted)
                    });
                    values.extend(found.map(|(_, value)| value.to_string()));
                }
                (Test::Text, Place::Element(element)) => {
                    values.extend(element.children.iter().filter_map(|node| match node {
                        Node::Text(text) => Some(text.to_string()),
                        Node::Element(_) => None,
                    }));
                }
            }
            if next.len().max(values.len()) > MAX_NODES {
                return Err("it selects too many nodes".into());
            }
        }
        if !matches!(step.test, Test::Element(_)) {
            return Ok((!values.is_empty()).then_some(values));
        }
        let mut seen = std::collections::HashSet::new();
        next.retain(|element| seen.insert(std::ptr::from_ref(*element)));
        places = next.into_iter().map(Place::Element).collect();
    }
    // Elements have no value of their own there.
    Ok((!places.is_empty()).then(Vec::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_select() {
        let root = crate::xml::parse(
            b"<z:zone xmlns:z='urn:z'><service name='ssh'>one</service><service name='dns'>two\
              <port port='53'/></service><x><port port='22'/></x></z:zone>",
        )
        .unwrap();
        for (expression, expected) in [
            ("/zone/service[@name='ssh']", Some("")),
            ("/zone/service[@name='ftp']", None),
            ("/zone/service/@name", Some("ssh,dns")),
            ("zone/service[2]/text()", Some("two")),
            ("//port/@port", Some("53,22")),
            ("//port[1]/@*", Some("53,22")),
            (
                "/*[local-name()='zone']/*/port[@port=\"22\"]/@port",
                Some("22"),
            ),
            ("//service[text()='one']/@name", Some("ssh")),
            ("//*[port]/@name", Some("dns")),
            ("//zone//port/@port", Some("53,22")),
            ("/service/@name", None),
        ] {
            let steps = parse(expression).unwrap();
            let found = select(&steps, &root).unwrap().map(|all| all.join(","));
            assert_eq!(found.as_deref(), expected, "{expression}");
        }
        for bad in [
            "",
            "/a/../b",
            "count(//a)",
            "/a[",
            "/a[b or c]",
            "/a|/b",
            "/@a/b",
            "/a[last()]",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
