//! A bounded XML tree: what SCAP content needs of XML and nothing that can hurt.
//!
//! No document type is accepted (so no entity expands and nothing external is read), depth,
//! elements and text are limited, and prefixes are resolved to namespaces. The reader walks
//! the top of a document element by element, so that a data stream of 30 MB is never held as
//! one tree: see [`Stream`].

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use std::collections::HashSet;
use std::sync::Arc;

/// The most bytes of one document.
pub const MAX_BYTES: usize = 256 << 20;
const MAX_DEPTH: usize = 200;
const MAX_ELEMENTS: usize = 8_000_000;
/// Of one element: each is compared with all others.
const MAX_ATTRIBUTES: usize = 1_000;
/// Namespaces declared at one place: each name is compared with all of them.
const MAX_NAMESPACES: usize = 1_000;

/// Why a document cannot be read, and where: the content's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct XmlError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// An element with its namespace resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The local name.
    pub name: Arc<str>,
    /// The namespace, empty for none.
    pub namespace: Arc<str>,
    /// Attributes by local name (`xsi:nil` is `nil`, `xlink:href` is `href`), in order.
    pub attributes: Box<[(Arc<str>, Box<str>)]>,
    /// Elements and text, in order.
    pub children: Box<[Node]>,
}

/// A child of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, entities resolved.
    Text(Box<str>),
}

impl Element {
    /// The value of an attribute, by local name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| &**value)
    }

    /// The child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The child elements of that local name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements()
            .filter(move |element| &*element.name == name)
    }

    /// The first child element of that local name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| &*element.name == name)
    }

    /// All text below, in document order.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.gather(&mut text);
        text
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

    /// Whether `xsi:nil` says so.
    pub fn is_nil(&self) -> bool {
        matches!(self.attribute("nil"), Some("true" | "1"))
    }
}

/// What [`Stream::next`] met.
#[derive(Debug)]
pub enum Piece {
    /// An element begins; its children follow until the [`Piece::End`].
    Start(Element),
    /// The element that was entered last ends.
    End,
    /// The document ends.
    Done,
}

/// A document read element by element: [`Stream::next`] enters elements, [`Stream::tree`]
/// reads the one just entered as a whole, [`Stream::skip`] passes over it.
pub struct Stream<'a> {
    reader: NsReader<&'a [u8]>,
    bytes: &'a [u8],
    names: HashSet<Arc<str>>,
    elements: usize,
    depth: usize,
    /// A self-closing element was entered: its end comes next.
    pending_end: bool,
    /// How many namespaces the open elements declare, each with those above it.
    declared: Vec<usize>,
    /// A document type is passed over, not refused.
    any_type: bool,
}

impl<'a> Stream<'a> {
    /// Reads from bytes, UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, XmlError> {
        if bytes.len() > MAX_BYTES {
            return Err(XmlError {
                line: 1,
                what: format!("larger than {} MiB", MAX_BYTES >> 20),
            });
        }
        let mut reader = NsReader::from_reader(bytes);
        reader.config_mut().check_end_names = true;
        Ok(Self {
            reader,
            bytes,
            names: HashSet::new(),
            elements: 0,
            depth: 0,
            pending_end: false,
            declared: Vec::new(),
            any_type: false,
        })
    }

    /// An error at the place that was read last.
    pub fn error(&self, what: impl Into<String>) -> XmlError {
        let position = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        let read = self.bytes.get(..position).unwrap_or(self.bytes);
        XmlError {
            line: 1 + read.iter().filter(|byte| **byte == b'\n').count(),
            what: what.into(),
        }
    }

    /// The next start or end of an element; text between them is passed over. The element
    /// of a start has no children yet.
    #[allow(clippy::should_implement_trait)] // Not an iterator: it fails and it is steered.
    pub fn next(&mut self) -> Result<Piece, XmlError> {
        if std::mem::take(&mut self.pending_end) {
            self.depth = self.depth.saturating_sub(1);
            return Ok(Piece::End);
        }
        loop {
            let event = self.reader.read_event();
            match event {
                Ok(Event::Start(start)) => {
                    let element = self.open(&start)?;
                    return Ok(Piece::Start(element));
                }
                Ok(Event::Empty(start)) => {
                    let element = self.open(&start)?;
                    self.pending_end = true;
                    return Ok(Piece::Start(element));
                }
                Ok(Event::End(_)) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Piece::End);
                }
                Ok(Event::DocType(_)) if !self.any_type => return Err(self.doctype()),
                Ok(Event::Eof) => {
                    if self.depth > 0 {
                        return Err(self.error("the document ends inside an element"));
                    }
                    return Ok(Piece::Done);
                }
                Ok(_) => {}
                Err(error) => return Err(self.error(error.to_string())),
            }
        }
    }

    /// The whole of the element that [`Stream::next`] just entered.
    pub fn tree(&mut self, start: Element) -> Result<Element, XmlError> {
        let mut open = vec![Open::new(start)];
        loop {
            let ended = if std::mem::take(&mut self.pending_end) {
                true
            } else {
                match self.reader.read_event() {
                    Ok(Event::Start(tag)) => {
                        let element = self.open(&tag)?;
                        begin(&mut open, element);
                        false
                    }
                    Ok(Event::Empty(tag)) => {
                        let element = self.open(&tag)?;
                        begin(&mut open, element);
                        true
                    }
                    Ok(Event::End(_)) => true,
                    Ok(Event::Text(text)) => {
                        let decoded = text
                            .decode()
                            .map_err(|error| self.error(error.to_string()))?;
                        push_text(&mut open, &decoded);
                        false
                    }
                    Ok(Event::CData(data)) => {
                        let decoded = data
                            .decode()
                            .map_err(|error| self.error(error.to_string()))?;
                        push_text(&mut open, &decoded);
                        false
                    }
                    Ok(Event::GeneralRef(reference)) => {
                        let resolved = match reference.resolve_char_ref() {
                            Ok(Some(character)) => character.to_string(),
                            Ok(None) => {
                                let name = reference
                                    .decode()
                                    .map_err(|error| self.error(error.to_string()))?;
                                resolve_predefined_entity(&name)
                                    .ok_or_else(|| {
                                        self.error(format!("entity &{name}; is not predefined"))
                                    })?
                                    .to_owned()
                            }
                            Err(error) => return Err(self.error(error.to_string())),
                        };
                        push_text(&mut open, &resolved);
                        false
                    }
                    Ok(Event::DocType(_)) if !self.any_type => return Err(self.doctype()),
                    Ok(Event::Eof) => {
                        return Err(self.error("the document ends inside an element"));
                    }
                    Ok(_) => false,
                    Err(error) => return Err(self.error(error.to_string())),
                }
            };
            if ended {
                self.depth = self.depth.saturating_sub(1);
                let Some(mut ended) = open.pop() else {
                    return Err(self.error("an element ends that did not begin"));
                };
                ended.flush();
                ended.element.children = ended.children.into_boxed_slice();
                match open.last_mut() {
                    Some(above) => above.children.push(Node::Element(ended.element)),
                    None => return Ok(ended.element),
                }
            }
        }
    }

    /// Passes over the element that [`Stream::next`] just entered.
    pub fn skip(&mut self) -> Result<(), XmlError> {
        let inside = self.depth;
        while self.depth >= inside {
            if matches!(self.next()?, Piece::Done) {
                return Err(self.error("the document ends inside an element"));
            }
        }
        Ok(())
    }

    fn doctype(&self) -> XmlError {
        self.error("a document type is not accepted: entities could expand or read files")
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<Element, XmlError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("elements nest deeper than {MAX_DEPTH}")));
        }
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(self.error(format!("more than {MAX_ELEMENTS} elements")));
        }
        let (namespace, local) = self.reader.resolver().resolve_element(start.name());
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => utf8(namespace.as_ref()),
            ResolveResult::Unbound => Some(String::new()),
            ResolveResult::Unknown(prefix) => {
                let prefix = String::from_utf8_lossy(&prefix).into_owned();
                return Err(self.error(format!("prefix {prefix:?} is not declared")));
            }
        };
        let name = utf8(local.as_ref());
        let (Some(namespace), Some(name)) = (namespace, name) else {
            return Err(self.error("a name is not UTF-8"));
        };
        let name = intern(&mut self.names, &name);
        let namespace = intern(&mut self.names, &namespace);
        let mut attributes = Vec::new();
        let (mut seen, mut declared) = (0, 0);
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| self.error(error.to_string()))?;
            seen += 1;
            if seen > MAX_ATTRIBUTES {
                return Err(self.error(format!("more than {MAX_ATTRIBUTES} attributes")));
            }
            if attribute.key.as_namespace_binding().is_some() {
                declared += 1;
                continue;
            }
            let key = utf8(attribute.key.local_name().as_ref())
                .ok_or_else(|| self.error("a name is not UTF-8"))?;
            let raw = std::str::from_utf8(&attribute.value)
                .map_err(|_| self.error("an attribute is not UTF-8"))?;
            // Not well-formed, which the reader does not see.
            if raw.contains('<') {
                return Err(self.error("an attribute has a <"));
            }
            let value = quick_xml::escape::unescape(raw)
                .map_err(|error| self.error(error.to_string()))?
                .replace(['\n', '\t', '\r'], " ");
            attributes.push((intern(&mut self.names, &key), value.into_boxed_str()));
        }
        self.declared.truncate(self.depth - 1);
        let declared = declared + self.declared.last().unwrap_or(&0);
        if declared > MAX_NAMESPACES {
            return Err(self.error(format!("more than {MAX_NAMESPACES} namespaces")));
        }
        self.declared.push(declared);
        Ok(Element {
            name,
            namespace,
            attributes: attributes.into_boxed_slice(),
            children: Box::default(),
        })
    }
}

fn utf8(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn intern(names: &mut HashSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    let name: Arc<str> = Arc::from(name);
    names.insert(Arc::clone(&name));
    name
}

/// An element that is being read.
struct Open {
    element: Element,
    children: Vec<Node>,
    /// Text that is not a child yet: more may follow.
    text: String,
}

impl Open {
    fn new(element: Element) -> Self {
        Self {
            element,
            children: Vec::new(),
            text: String::new(),
        }
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.children.push(Node::Text(self.text.as_str().into()));
            self.text.clear();
        }
    }
}

fn begin(open: &mut Vec<Open>, element: Element) {
    if let Some(above) = open.last_mut() {
        above.flush();
    }
    open.push(Open::new(element));
}

/// Adds to the innermost open element; neighbouring texts become one.
fn push_text(open: &mut [Open], text: &str) {
    if let Some(inner) = open.last_mut() {
        inner.text.push_str(text);
    }
}

/// A whole document as one tree.
pub fn parse(bytes: &[u8]) -> Result<Element, XmlError> {
    whole(Stream::new(bytes)?)
}

/// A file of the system that is judged, as one tree: it may have a document type, which is
/// passed over. What it declares is not known, so using such an entity is an error.
pub fn parse_any(bytes: &[u8]) -> Result<Element, XmlError> {
    let mut stream = Stream::new(bytes)?;
    stream.any_type = true;
    whole(stream)
}

fn whole(mut stream: Stream<'_>) -> Result<Element, XmlError> {
    match stream.next()? {
        Piece::Start(start) => stream.tree(start),
        Piece::End | Piece::Done => Err(stream.error("the document has no element")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_namespaces_attributes_and_text() {
        let root = parse(
            b"<?xml version=\"1.0\"?><a:r xmlns:a='urn:a' xmlns:xsi='urn:xsi' id='1 &amp; 2'>x &lt;<b xsi:nil='true'/><![CDATA[<y>]]>&#65;</a:r>",
        )
        .unwrap();
        assert_eq!((&*root.name, &*root.namespace), ("r", "urn:a"));
        assert_eq!(root.attribute("id"), Some("1 & 2"));
        assert_eq!(root.text(), "x <<y>A");
        assert!(root.child("b").unwrap().is_nil());
    }

    #[test]
    fn a_files_document_type_is_passed_over() {
        let text = b"<!DOCTYPE a SYSTEM 'x.dtd' [<!ENTITY x SYSTEM 'file:///etc/passwd'> <!ATTLIST a b CDATA 'c'>]><a>1</a>";
        let root = parse_any(text).unwrap();
        assert_eq!((root.text().as_str(), root.attribute("b")), ("1", None));
        let used = b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>";
        assert!(parse_any(used).unwrap_err().what.contains("predefined"));
    }

    #[test]
    fn hostile_documents_are_refused_with_their_line() {
        let deep = format!("{}{}", "<a>".repeat(300), "</a>".repeat(300));
        for (bad, what) in [
            (
                "<!DOCTYPE a [<!ENTITY x 'y'>]>\n<a>&x;</a>",
                "document type",
            ),
            ("<a>&x;</a>", "not predefined"),
            ("<a>\n<b></a>", "expected"),
            ("<a>", "ends inside"),
            ("", "no element"),
            (deep.as_str(), "deeper"),
            ("<p:a/>", "not declared"),
            ("<a b='<c>'/>", "attribute"),
        ] {
            let error = parse(bad.as_bytes()).unwrap_err();
            assert!(error.what.contains(what), "{bad:.40}: {error}");
        }
        assert_eq!(parse(b"<a>\n<b></a>").unwrap_err().line, 2);
    }
}
