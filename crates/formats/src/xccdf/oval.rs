//! OVAL results in an ARF: what decided a definition, in words.
//!
//! They stand after the result that names them, and in them the definitions before the tests
//! and the tests before the items. So what a failed rule needs is known when it comes, and
//! only that is kept. Where a file has another order, the rule goes without evidence.

mod words;

use super::XccdfError;
use super::text::MAX_VALUE;
use super::xml::{Element, Piece, Space, Stream};
use bartizan_model::Evidence;
use bartizan_model::text::plain;
use std::collections::{HashMap, HashSet};
use std::io::Read;

/// The most tests of a definition that are followed, and the most items of a test.
const MAX_TESTS: usize = 16;
const MAX_ITEMS: usize = 8;
/// How deep criteria and definitions are followed.
const MAX_DEPTH: usize = 100;
/// Of all definitions of a document.
const MAX_STEPS: usize = 2_000_000;

/// What a test asks, by the definitions.
#[derive(Debug, Default)]
struct Asked {
    comment: String,
    existence: String,
    object: String,
    states: Vec<String>,
}

/// A value that a state wants.
#[derive(Debug)]
struct Wanted {
    name: String,
    operation: String,
    value: String,
    variable: Option<String>,
    var_check: String,
    mask: bool,
}

/// What a test found.
#[derive(Debug, Default)]
struct Found {
    result: String,
    /// Items and their results.
    items: Vec<(String, String)>,
    /// Values of variables that took part.
    variables: Vec<(String, String)>,
}

/// An item: its kind, its status, and its values with their status.
#[derive(Debug, Default)]
struct Item {
    kind: String,
    status: String,
    message: Option<String>,
    values: Vec<Value>,
}

#[derive(Debug)]
struct Value {
    name: String,
    text: String,
    status: String,
    mask: bool,
}

/// Criteria with their results.
#[derive(Debug)]
enum Node {
    Group {
        operator: String,
        /// Before it is turned round.
        result: Truth,
        parts: Vec<(Truth, Node)>,
    },
    Test(String),
    Extend(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Other,
}

impl Truth {
    fn of(element: &Element) -> Self {
        match element.attribute("result") {
            Some("true") => Self::True,
            Some("false") => Self::False,
            _ => Self::Other,
        }
    }

    /// Results are written with the negation done.
    fn before_negation(element: &Element) -> Self {
        match (Self::of(element), element.attribute("negate")) {
            (Self::True, Some("true" | "1")) => Self::False,
            (Self::False, Some("true" | "1")) => Self::True,
            (truth, _) => truth,
        }
    }
}

/// A document that is being read.
#[derive(Debug, Default)]
struct Document {
    asked: HashMap<String, Asked>,
    /// What an object looks for, in words.
    objects: HashMap<String, String>,
    states: HashMap<String, Vec<Wanted>>,
    criteria: HashMap<String, Node>,
    found: HashMap<String, Found>,
    /// By object: its flag.
    flags: HashMap<String, String>,
    items: HashMap<String, Item>,
}

/// Reads the OVAL results that were just entered; tells of each of these definitions what
/// decided it.
pub(super) fn read<R: Read>(
    definitions: &HashSet<String>,
    stream: &mut Stream<R>,
) -> Result<HashMap<String, Vec<Evidence>>, XccdfError> {
    let depth = stream.depth();
    let mut document = Document::default();
    // By definition: the tests that decided it, in order.
    let mut deciding: HashMap<&str, Vec<String>> = HashMap::new();
    let mut tests: HashSet<String> = HashSet::new();
    let mut items: HashSet<String> = HashSet::new();
    let mut objects: HashSet<String> = HashSet::new();
    loop {
        let start = match stream.next()? {
            Piece::Start(start) => start,
            Piece::End if stream.depth() < depth => break,
            Piece::End => continue,
            Piece::Done => return Err(stream.error("the document ends inside OVAL results")),
        };
        match (start.space, start.name.as_str()) {
            (Space::Definitions, "oval_definitions")
            | (Space::Results, "results" | "system")
            | (Space::Characteristics, "oval_system_characteristics") => {}
            (Space::Definitions, "tests") => each(stream, &mut |test, stream| {
                let asked = Asked::of(test);
                let states: usize = asked.states.iter().map(|one| one.len() + 24).sum();
                let size = asked.comment.len() + asked.object.len() + states + 256;
                stream.charge(size)?;
                document.asked.insert(id(test, "id"), asked);
                Ok(())
            })?,
            (Space::Definitions, "objects") => each(stream, &mut |object, stream| {
                if let Some(sought) = words::sought(object) {
                    stream.charge(256 + sought.len())?;
                    document.objects.insert(id(object, "id"), sought);
                }
                Ok(())
            })?,
            (Space::Definitions, "states") => each(stream, &mut |state, stream| {
                let wanted: Vec<Wanted> =
                    state.elements().filter_map(Wanted::of).take(40).collect();
                let texts: usize = wanted.iter().map(|one| one.value.len() + 200).sum();
                stream.charge(256 + texts)?;
                document.states.insert(id(state, "id"), wanted);
                Ok(())
            })?,
            (Space::Results, "definitions") => {
                each(stream, &mut |definition, stream| {
                    if let Some(criteria) = definition.child("criteria") {
                        let (node, size) = node(criteria, 0);
                        stream.charge(size + 256)?;
                        document
                            .criteria
                            .insert(id(definition, "definition_id"), node);
                    }
                    Ok(())
                })?;
                let mut steps = 0;
                for definition in definitions {
                    let found = document.deciding(definition, &mut steps);
                    tests.extend(found.iter().cloned());
                    deciding.insert(definition, found);
                }
                objects.extend(tests.iter().filter_map(|test| {
                    let asked = document.asked.get(test)?;
                    Some(asked.object.clone())
                }));
            }
            (Space::Results, "tests") => each(stream, &mut |test, stream| {
                let test_id = id(test, "test_id");
                if tests.contains(&test_id) {
                    let found = Found::of(test);
                    stream.charge(512 + 256 * (found.items.len() + found.variables.len()))?;
                    items.extend(found.items.iter().map(|(item, _)| item.clone()));
                    document.found.insert(test_id, found);
                }
                Ok(())
            })?,
            (Space::Characteristics, "collected_objects") => each(stream, &mut |object, _| {
                let object_id = id(object, "id");
                if objects.contains(&object_id) {
                    let flag = object.attribute("flag").unwrap_or_default();
                    document.flags.insert(object_id, plain(flag, 40));
                }
                Ok(())
            })?,
            (Space::Characteristics, "system_data") => each(stream, &mut |item, stream| {
                let item_id = id(item, "id");
                if items.contains(&item_id) {
                    let item = Item::of(item);
                    let texts: usize = item.values.iter().map(|one| one.text.len() + 128).sum();
                    stream.charge(256 + texts)?;
                    document.items.insert(item_id, item);
                }
                Ok(())
            })?,
            _ => stream.skip()?,
        }
    }
    Ok(deciding
        .into_iter()
        .map(|(definition, tests)| (definition.to_owned(), document.evidence(&tests)))
        .collect())
}

/// An id, bounded: it is a key and nothing else.
fn id(element: &Element, name: &str) -> String {
    let id = element.attribute(name).unwrap_or_default();
    id.chars().take(MAX_VALUE).collect()
}

/// What takes an element that was read whole.
type Take<'t, R> = dyn FnMut(&Element, &mut Stream<R>) -> Result<(), XccdfError> + 't;

/// Reads the children of the element that was just entered, one by one.
fn each<R: Read>(stream: &mut Stream<R>, take: &mut Take<'_, R>) -> Result<(), XccdfError> {
    loop {
        match stream.next()? {
            Piece::Start(start) => {
                let tree = stream.tree(start)?;
                take(&tree, stream)?;
            }
            Piece::End => return Ok(()),
            Piece::Done => return Err(stream.error("the document ends inside OVAL results")),
        }
    }
}

impl Asked {
    fn of(test: &Element) -> Self {
        let reference = |child: &Element, name: &str| id(child, name);
        Self {
            comment: plain(test.attribute("comment").unwrap_or_default(), MAX_VALUE),
            existence: id(test, "check_existence"),
            object: test
                .child("object")
                .map(|object| reference(object, "object_ref"))
                .unwrap_or_default(),
            states: test
                .named("state")
                .map(|state| reference(state, "state_ref"))
                .take(8)
                .collect(),
        }
    }
}

impl Wanted {
    fn of(entity: &Element) -> Option<Self> {
        // A note is an element of a state too, but asks nothing.
        let has_word = |name: &str| entity.attribute(name).is_some();
        let is_empty = entity.children.is_empty() && !has_word("var_ref");
        if is_empty && !has_word("operation") && !has_word("datatype") {
            return None;
        }
        let word = |name: &str| plain(entity.attribute(name).unwrap_or_default(), 80);
        Some(Self {
            name: plain(&entity.name, 80),
            operation: word("operation"),
            value: plain(&entity.text(), words::MAX_TEXT),
            variable: entity.attribute("var_ref").map(str::to_owned),
            var_check: word("var_check"),
            mask: matches!(entity.attribute("mask"), Some("true" | "1")),
        })
    }
}

impl Found {
    fn of(test: &Element) -> Self {
        let result = id(test, "result");
        let all: Vec<(String, String)> = test
            .named("tested_item")
            .map(|item| (id(item, "item_id"), id(item, "result")))
            .collect();
        // Those that have the result that decides; where all are true and that is wrong, all.
        let has_failed = all.iter().any(|(_, item)| item != "true");
        let concerns = |item: &str| match result.as_str() {
            "true" => item == "true",
            _ => item != "true" || !has_failed,
        };
        let is_judged = all.iter().any(|(_, item)| item != "not evaluated");
        let items = all
            .into_iter()
            .filter(|(_, item)| !is_judged || concerns(item))
            .take(MAX_ITEMS)
            .collect();
        let variables = test
            .named("tested_variable")
            .map(|one| {
                let text = plain(&one.text(), words::MAX_TEXT);
                (id(one, "variable_id"), text)
            })
            .take(20)
            .collect();
        Self {
            result,
            items,
            variables,
        }
    }
}

impl Item {
    fn of(item: &Element) -> Self {
        let word = |element: &Element| plain(element.attribute("status").unwrap_or("exists"), 40);
        let kind = item.name.strip_suffix("_item").unwrap_or(&item.name);
        let values = item.elements().filter(|value| value.name != "message");
        Self {
            kind: plain(kind, 80),
            status: word(item),
            message: item
                .child("message")
                .map(|message| plain(&message.text(), words::MAX_TEXT)),
            values: values
                .take(64)
                .map(|value| Value {
                    name: plain(&value.name, 80),
                    text: plain(&value.text(), words::MAX_TEXT),
                    status: word(value),
                    mask: matches!(value.attribute("mask"), Some("true" | "1")),
                })
                .collect(),
        }
    }
}

/// Criteria, and how much memory they take. Recursion is bounded by the depth of the XML.
fn node(criteria: &Element, depth: usize) -> (Node, usize) {
    let mut size = size_of::<Node>() + 64;
    let mut parts = Vec::new();
    for part in criteria.elements() {
        let (inner, inside) = match part.name.as_str() {
            "criteria" if depth < MAX_DEPTH => node(part, depth + 1),
            "criterion" => (Node::Test(id(part, "test_ref")), 256),
            "extend_definition" => (Node::Extend(id(part, "definition_ref")), 256),
            _ => continue,
        };
        size += inside + size_of::<(Truth, Node)>();
        parts.push((Truth::of(part), inner));
    }
    let group = Node::Group {
        operator: plain(criteria.attribute("operator").unwrap_or("AND"), 8),
        result: Truth::before_negation(criteria),
        parts,
    };
    (group, size)
}

impl Document {
    /// The tests that decided a definition.
    fn deciding(&self, definition: &str, steps: &mut usize) -> Vec<String> {
        let mut walk = Walk {
            document: self,
            seen: HashSet::new(),
            tests: Vec::new(),
            steps,
        };
        walk.definition(definition, 0);
        walk.tests
    }
}

struct Walk<'a> {
    document: &'a Document,
    seen: HashSet<&'a str>,
    tests: Vec<String>,
    steps: &'a mut usize,
}

impl<'a> Walk<'a> {
    fn definition(&mut self, id: &str, depth: usize) {
        if let Some((id, node)) = self.document.criteria.get_key_value(id)
            && self.seen.insert(id)
        {
            self.node(node, depth + 1);
        }
    }

    fn node(&mut self, node: &'a Node, depth: usize) {
        *self.steps += 1;
        if depth > MAX_DEPTH || self.tests.len() >= MAX_TESTS || *self.steps > MAX_STEPS {
            return;
        }
        match node {
            Node::Group {
                operator,
                result,
                parts,
            } => {
                // The parts that alone decide, where some do; else all have a share.
                let is_decided = match operator.as_str() {
                    "AND" => *result != Truth::True,
                    "OR" => *result != Truth::False,
                    _ => *result == Truth::Other,
                };
                for (truth, part) in parts {
                    if !is_decided || truth == result {
                        self.node(part, depth + 1);
                    }
                }
            }
            Node::Test(test) => {
                if self.seen.insert(test) {
                    self.tests.push(test.clone());
                }
            }
            Node::Extend(definition) => self.definition(definition, depth),
        }
    }
}
