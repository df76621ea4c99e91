//! What a benchmark in the file says of its rules: everything that a result does not repeat.

use super::XccdfError;
use super::text::Text;
use super::xml::{Element, Piece, Space, Stream};
use std::collections::HashMap;
use std::io::Read;

/// A rule's own words.
#[derive(Debug, Default)]
pub(super) struct Rule {
    pub(super) title: Text,
    pub(super) description: Text,
    pub(super) rationale: Text,
    pub(super) severity: String,
    /// Identifiers such as CCE, then addresses of references.
    pub(super) references: Vec<String>,
    /// A template that others extend has no result of its own.
    pub(super) is_abstract: bool,
}

/// A value's title, and its text where no profile says another.
#[derive(Debug, Default)]
struct Value {
    title: Text,
    text: Option<String>,
}

/// A benchmark.
#[derive(Debug, Default)]
pub(super) struct Benchmark {
    pub(super) id: String,
    pub(super) title: Text,
    pub(super) version: String,
    pub(super) rules: HashMap<String, Rule>,
    /// Titles of profiles.
    pub(super) profiles: HashMap<String, Text>,
    values: HashMap<String, Value>,
    plain_texts: HashMap<String, String>,
}

impl Benchmark {
    /// Reads one child of the benchmark or of a group in it; false where it is none that is
    /// known, so that what is in it comes next. `is_top` tells that it is the benchmark's.
    pub(super) fn child<R: Read>(
        &mut self,
        start: &Element,
        is_top: bool,
        stream: &mut Stream<R>,
    ) -> Result<bool, XccdfError> {
        let is_known = match start.name.as_str() {
            "Rule" | "Value" => true,
            "Profile" | "title" | "version" | "plain-text" => is_top,
            _ => false,
        };
        if !is_known {
            return Ok(false);
        }
        let tree = stream.tree(start.clone())?;
        let id = tree.attribute("id").unwrap_or_default().to_owned();
        let text = |name: &str| {
            let child = tree.child(name);
            child.map(|child| Text::of(child, true)).unwrap_or_default()
        };
        match tree.name.as_str() {
            "Rule" => {
                let rule = Rule {
                    title: text("title"),
                    description: text("description"),
                    rationale: text("rationale"),
                    severity: tree.attribute("severity").unwrap_or_default().to_owned(),
                    references: references(&tree),
                    is_abstract: matches!(tree.attribute("abstract"), Some("true" | "1")),
                };
                let texts = rule.title.size() + rule.description.size() + rule.rationale.size();
                let references = rule.references.iter().map(|one| one.len() + 24);
                stream.charge(
                    size_of::<Rule>() + 64 + 2 * id.len() + texts + references.sum::<usize>(),
                )?;
                self.rules.insert(id, rule);
            }
            "Value" => {
                // The one without selector; where all have one, the first.
                let own = tree.named("value").find(|one| {
                    let selector = one.attribute("selector");
                    selector.is_none_or(str::is_empty)
                });
                let value = Value {
                    title: text("title"),
                    text: own.or(tree.child("value")).map(Element::text),
                };
                let size = value.title.size() + value.text.as_ref().map_or(0, String::len);
                stream.charge(size_of::<Value>() + 64 + id.len() + size)?;
                self.values.insert(id, value);
            }
            "Profile" => {
                let title = text("title");
                stream.charge(64 + id.len() + title.size())?;
                self.profiles.insert(id, title);
            }
            "title" => {
                let title = Text::of(&tree, true);
                stream.charge(title.size())?;
                self.title = title;
            }
            "version" => self.version = tree.text().chars().take(80).collect(),
            _ => {
                let text = tree.text();
                stream.charge(64 + id.len() + text.len())?;
                self.plain_texts.insert(id, text);
            }
        }
        Ok(true)
    }

    /// The text, its places filled with the values that a result was made with, else with
    /// those that hold where no profile says another.
    pub(super) fn render(&self, text: &Text, set: &HashMap<String, String>) -> String {
        text.render(&|id, title| match self.values.get(id) {
            // A title has no places of its own that could be filled.
            Some(value) if title => Some(value.title.render(&|_, _| None)),
            known => set
                .get(id)
                .or(known.and_then(|value| value.text.as_ref()))
                .or_else(|| self.plain_texts.get(id))
                .cloned(),
        })
    }

    /// How many rules have no result among these.
    pub(super) fn missing(&self, has: &dyn Fn(&str) -> bool) -> usize {
        let rules = self.rules.iter();
        rules
            .filter(|(id, rule)| !rule.is_abstract && !has(id))
            .count()
    }
}

/// Identifiers such as CCE by their text, then addresses; each once.
fn references(rule: &Element) -> Vec<String> {
    let idents = rule.named("ident").map(Element::text);
    let addresses = rule.named("reference").filter_map(|reference| {
        let href = reference.attribute("href")?;
        let is_address = href.starts_with("https://") || href.starts_with("http://");
        is_address.then(|| href.to_owned())
    });
    let mut all: Vec<String> = Vec::new();
    for one in idents.chain(addresses).take(200) {
        let one = bartizan_model::text::plain(&one, super::text::MAX_VALUE);
        if !one.is_empty() && !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// What takes a result that was just entered, and the benchmark's id.
type Take<'t, R> = dyn FnMut(Element, &str, &mut Stream<R>) -> Result<(), XccdfError> + 't;

/// Reads a benchmark that was just entered, and hands each result in it to `result`.
pub(super) fn read<R: Read>(
    start: &Element,
    stream: &mut Stream<R>,
    result: &mut Take<'_, R>,
) -> Result<Benchmark, XccdfError> {
    let mut benchmark = Benchmark {
        id: start.attribute("id").unwrap_or_default().to_owned(),
        ..Benchmark::default()
    };
    let depth = stream.depth();
    loop {
        match stream.next()? {
            Piece::Start(child) if child.is(Space::Xccdf, "TestResult") => {
                result(child, &benchmark.id, stream)?;
            }
            Piece::Start(child) if child.is(Space::Xccdf, "Group") => {}
            Piece::Start(child) if child.space == Space::Xccdf => {
                let is_top = stream.depth() == depth + 1;
                if !benchmark.child(&child, is_top, stream)? {
                    stream.skip()?;
                }
            }
            Piece::Start(_) => stream.skip()?,
            Piece::End if stream.depth() < depth => return Ok(benchmark),
            Piece::End => {}
            Piece::Done => return Err(stream.error("the document ends inside a benchmark")),
        }
    }
}
