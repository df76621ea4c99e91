//! XML element by element, bounded: no document type, so that nothing expands and nothing
//! else is read; limited in depth, elements and attributes. What is kept is charged against
//! a budget of memory.

use super::XccdfError;
use super::input::{Fault, Guard};
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use std::io::Read;

const MAX_DEPTH: usize = 200;
const MAX_ELEMENTS: usize = 20_000_000;
/// Of one element: each is compared with all others.
const MAX_ATTRIBUTES: usize = 1_000;
/// Namespaces declared at one place: each name is compared with all of them.
const MAX_NAMESPACES: usize = 1_000;
/// Of one rule, result, test or item.
const MAX_TREE_ELEMENTS: usize = 100_000;
const MAX_TREE_BYTES: usize = 16 << 20;

/// The vocabularies that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// XCCDF 1.1 and 1.2.
    Xccdf,
    /// The asset reporting format.
    Arf,
    /// OVAL results.
    Results,
    /// OVAL definitions, with those of all platforms.
    Definitions,
    /// OVAL system characteristics, with those of all platforms.
    Characteristics,
    /// Anything else.
    Other,
}

impl Space {
    fn of(namespace: &[u8]) -> Self {
        const SPACES: [(&[u8], Space); 5] = [
            (b"http://checklists.nist.gov/xccdf/1.", Space::Xccdf),
            (
                b"http://scap.nist.gov/schema/asset-reporting-format/1.",
                Space::Arf,
            ),
            (
                b"http://oval.mitre.org/XMLSchema/oval-results-5",
                Space::Results,
            ),
            (
                b"http://oval.mitre.org/XMLSchema/oval-definitions-5",
                Space::Definitions,
            ),
            (
                b"http://oval.mitre.org/XMLSchema/oval-system-characteristics-5",
                Space::Characteristics,
            ),
        ];
        SPACES
            .iter()
            .find(|(begin, _)| namespace.starts_with(begin))
            .map_or(Self::Other, |(_, space)| *space)
    }
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    /// The local name.
    pub(super) name: String,
    /// Its vocabulary.
    pub(super) space: Space,
    /// By local name.
    attributes: Vec<(String, String)>,
    /// Elements and text, in order.
    pub(super) children: Vec<Node>,
}

/// A child of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// Whether it is this one.
    pub(super) fn is(&self, space: Space, name: &str) -> bool {
        self.space == space && self.name == name
    }

    /// The value of an attribute, by local name.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The child elements.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The child elements of that local name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.name == name)
    }

    /// The first child element of that local name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// All text below, in document order, without space around it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.gather(&mut text);
        text.trim().to_owned()
    }

    fn gather(&self, text: &mut String) {
        // Depth is bounded when the tree is built.
        for node in &self.children {
            match node {
                Node::Text(part) => text.push_str(part),
                Node::Element(element) => element.gather(text),
            }
        }
    }
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Piece {
    /// An element begins; its children follow until the [`Piece::End`].
    Start(Element),
    /// The element that was entered last ends.
    End,
    /// The document ends.
    Done,
}

enum Step {
    Start(Element),
    Empty(Element),
    End,
    Text(String),
    Other,
    Done,
}

/// A document read element by element: [`Stream::next`] enters elements, [`Stream::tree`]
/// reads the one just entered as a whole, [`Stream::skip`] passes over it.
pub(super) struct Stream<R: Read> {
    reader: NsReader<Guard<R>>,
    buffer: Vec<u8>,
    elements: usize,
    depth: usize,
    /// A self-closing element was entered: its end comes next.
    pending_end: bool,
    /// How many namespaces the open elements declare, each with those above it.
    declared: Vec<usize>,
    /// Memory that may still be kept.
    left: usize,
    most: u64,
}

impl<R: Read> Stream<R> {
    /// Reads at most so many bytes, of which so much may be kept.
    pub(super) fn new(input: R, most: u64, memory: usize) -> Self {
        let mut reader = NsReader::from_reader(Guard::new(input, most));
        reader.config_mut().check_end_names = true;
        Self {
            reader,
            buffer: Vec::new(),
            elements: 0,
            depth: 0,
            pending_end: false,
            declared: Vec::new(),
            left: memory,
            most,
        }
    }

    /// How deep the element is that was entered last.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// An error at the place that was read last.
    pub(super) fn error(&mut self, what: impl Into<String>) -> XccdfError {
        XccdfError::Xml {
            line: self.reader.get_mut().line(),
            what: what.into(),
        }
    }

    /// Takes memory for something that is kept.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), XccdfError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(XccdfError::TooComplex),
        }
    }

    /// The next start or end of an element; text between them is passed over. The element
    /// of a start has no children yet.
    pub(super) fn next(&mut self) -> Result<Piece, XccdfError> {
        if std::mem::take(&mut self.pending_end) {
            self.depth = self.depth.saturating_sub(1);
            return Ok(Piece::End);
        }
        loop {
            match self.step(true)? {
                Step::Start(element) => return Ok(Piece::Start(element)),
                Step::Empty(element) => {
                    self.pending_end = true;
                    return Ok(Piece::Start(element));
                }
                Step::End => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Piece::End);
                }
                Step::Done if self.depth > 0 => {
                    return Err(self.error("the document ends inside an element"));
                }
                Step::Done => return Ok(Piece::Done),
                Step::Text(_) | Step::Other => {}
            }
        }
    }

    /// The whole of the element that [`Stream::next`] just entered.
    pub(super) fn tree(&mut self, start: Element) -> Result<Element, XccdfError> {
        let name = start.name.clone();
        let (mut elements, mut bytes) = (0, 0);
        let mut open = vec![start];
        loop {
            let is_ended = if std::mem::take(&mut self.pending_end) {
                true
            } else {
                match self.step(true)? {
                    Step::Start(element) => {
                        elements += 1;
                        bytes += size(&element);
                        open.push(element);
                        false
                    }
                    Step::Empty(element) => {
                        elements += 1;
                        bytes += size(&element);
                        open.push(element);
                        true
                    }
                    Step::Text(text) => {
                        bytes += text.len() + size_of::<Node>();
                        if let Some(inner) = open.last_mut() {
                            match inner.children.last_mut() {
                                Some(Node::Text(before)) => before.push_str(&text),
                                _ => inner.children.push(Node::Text(text)),
                            }
                        }
                        false
                    }
                    Step::End => true,
                    Step::Other => false,
                    Step::Done => return Err(self.error("the document ends inside an element")),
                }
            };
            if elements > MAX_TREE_ELEMENTS || bytes > MAX_TREE_BYTES {
                return Err(self.error(format!("the element {name} is too large")));
            }
            if is_ended {
                self.depth = self.depth.saturating_sub(1);
                let Some(ended) = open.pop() else {
                    return Err(self.error("an element ends that did not begin"));
                };
                match open.last_mut() {
                    Some(above) => above.children.push(Node::Element(ended)),
                    None => return Ok(ended),
                }
            }
        }
    }

    /// Passes over the element that [`Stream::next`] just entered.
    pub(super) fn skip(&mut self) -> Result<(), XccdfError> {
        if std::mem::take(&mut self.pending_end) {
            self.depth = self.depth.saturating_sub(1);
            return Ok(());
        }
        let inside = self.depth;
        while self.depth >= inside {
            match self.step(false)? {
                Step::Empty(_) | Step::End => self.depth = self.depth.saturating_sub(1),
                Step::Done => return Err(self.error("the document ends inside an element")),
                Step::Start(_) | Step::Text(_) | Step::Other => {}
            }
        }
        Ok(())
    }

    /// One event. Where nothing is wanted of it, only its bounds are looked at.
    fn step(&mut self, wanted: bool) -> Result<Step, XccdfError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let step = self.event(&mut buffer, wanted);
        // One long text must not be paid for until the end.
        if buffer.capacity() <= 1 << 20 {
            buffer.clear();
            self.buffer = buffer;
        }
        self.reader.get_mut().rest();
        step
    }

    fn event(&mut self, buffer: &mut Vec<u8>, wanted: bool) -> Result<Step, XccdfError> {
        let event = match self.reader.read_event_into(buffer) {
            Ok(event) => event,
            Err(error) => return Err(self.failed(&error.to_string())),
        };
        Ok(match event {
            Event::Start(start) => Step::Start(self.open(&start, wanted)?),
            Event::Empty(start) => Step::Empty(self.open(&start, wanted)?),
            Event::End(_) => Step::End,
            Event::Text(text) if wanted => match text.decode() {
                Ok(text) => Step::Text(text.into_owned()),
                Err(error) => return Err(self.error(error.to_string())),
            },
            Event::CData(data) if wanted => match data.decode() {
                Ok(text) => Step::Text(text.into_owned()),
                Err(error) => return Err(self.error(error.to_string())),
            },
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => Step::Text(character.to_string()),
                Ok(None) => {
                    let name = match reference.decode() {
                        Ok(name) => name,
                        Err(error) => return Err(self.error(error.to_string())),
                    };
                    match resolve_predefined_entity(&name) {
                        Some(text) => Step::Text(text.to_owned()),
                        None => {
                            let name: String = name.chars().take(40).collect();
                            return Err(self.error(format!("entity &{name}; is not predefined")));
                        }
                    }
                }
                Err(error) => return Err(self.error(error.to_string())),
            },
            Event::DocType(_) => {
                return Err(self.error(
                    "a document type is not accepted: entities could expand or read files",
                ));
            }
            Event::Eof => Step::Done,
            Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_) => Step::Other,
        })
    }

    /// What a reader's error was: a limit, the input, or the XML.
    fn failed(&mut self, what: &str) -> XccdfError {
        match self.reader.get_mut().fault() {
            Some(Fault::TooLarge) => XccdfError::TooLarge(self.most),
            Some(Fault::TooLong) => self.error("a tag or a text is too long"),
            Some(Fault::Io(error)) if super::input::is_damage(&error) => {
                self.error(format!("it cannot be unpacked: {error}"))
            }
            Some(Fault::Io(error)) => XccdfError::Io(error),
            None => {
                let what: String = what.chars().take(200).collect();
                self.error(what)
            }
        }
    }

    fn open(&mut self, start: &BytesStart<'_>, wanted: bool) -> Result<Element, XccdfError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("elements nest deeper than {MAX_DEPTH}")));
        }
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(self.error(format!("more than {MAX_ELEMENTS} elements")));
        }
        let mut attributes = Vec::new();
        let (mut seen, mut declared) = (0, 0);
        for attribute in start.attributes() {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(error) => return Err(self.error(error.to_string())),
            };
            seen += 1;
            if seen > MAX_ATTRIBUTES {
                return Err(self.error(format!("more than {MAX_ATTRIBUTES} attributes")));
            }
            if attribute.key.as_namespace_binding().is_some() {
                declared += 1;
                continue;
            }
            if !wanted {
                continue;
            }
            let key = std::str::from_utf8(attribute.key.local_name().into_inner());
            let raw = std::str::from_utf8(&attribute.value);
            let (Ok(key), Ok(raw)) = (key, raw) else {
                return Err(self.error("an attribute is not UTF-8"));
            };
            let value = match quick_xml::escape::unescape(raw) {
                Ok(value) => value.replace(['\n', '\t', '\r'], " "),
                Err(error) => return Err(self.error(error.to_string())),
            };
            attributes.push((key.to_owned(), value));
        }
        self.declared.truncate(self.depth - 1);
        let declared = declared + self.declared.last().unwrap_or(&0);
        if declared > MAX_NAMESPACES {
            return Err(self.error(format!("more than {MAX_NAMESPACES} namespaces")));
        }
        self.declared.push(declared);
        let mut element = Element {
            name: String::new(),
            space: Space::Other,
            attributes,
            children: Vec::new(),
        };
        if !wanted {
            return Ok(element);
        }
        let (namespace, local) = self.reader.resolver().resolve_element(start.name());
        element.space = match namespace {
            ResolveResult::Bound(namespace) => Space::of(namespace.into_inner()),
            ResolveResult::Unbound => Space::Other,
            ResolveResult::Unknown(prefix) => {
                let prefix = String::from_utf8_lossy(&prefix).into_owned();
                return Err(self.error(format!("prefix {prefix:?} is not declared")));
            }
        };
        element.name = match std::str::from_utf8(local.into_inner()) {
            Ok(name) => name.to_owned(),
            Err(_) => return Err(self.error("a name is not UTF-8")),
        };
        Ok(element)
    }
}

fn size(element: &Element) -> usize {
    let attributes = element.attributes.iter();
    size_of::<Node>()
        + element.name.len()
        + attributes
            .map(|(key, value)| key.len() + value.len() + size_of::<(String, String)>())
            .sum::<usize>()
}
