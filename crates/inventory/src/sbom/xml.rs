//! CycloneDX as XML, 1.2 to 1.7: the same entries as in its JSON.
//!
//! Read as a stream, one component of the first level after the other. Bounded in depth, elements and
//! attributes; a document type is refused, so nothing expands and nothing else is read.

use super::SbomError;
use super::cyclonedx::{self, Evidence, Licence, Named, Occurrence, Piece, Property};
use super::draft::Draft;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

const SPACE: &str = "http://cyclonedx.org/schema/bom/";
/// Elements within each other.
const DEPTH: usize = 128;
/// Elements of one component with those in it, and of the metadata.
const ELEMENTS: usize = 1_000_000;
/// Of one element: each is compared with all others.
const ATTRIBUTES: usize = 100;
/// What is looked into; whatever else a list has is passed over, with all below.
const WANTED: [&str; 17] = [
    "additionalContext",
    "component",
    "components",
    "evidence",
    "expression",
    "id",
    "license",
    "licenses",
    "location",
    "metadata",
    "name",
    "occurrence",
    "occurrences",
    "properties",
    "property",
    "purl",
    "version",
];

/// An element with what is wanted of it.
#[derive(Default)]
struct Node {
    name: String,
    /// `type` of a component, `name` of a property.
    label: Option<String>,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn take(&mut self, name: &str) -> Option<Node> {
        let child = self.children.iter_mut().find(|child| child.name == name)?;
        Some(std::mem::take(child))
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|child| child.text.trim().to_owned())
    }

    /// The children of a child, which is a list.
    fn list(&mut self, name: &str) -> Vec<Node> {
        self.take(name)
            .map(|list| list.children)
            .unwrap_or_default()
    }
}

/// Reads one.
pub(super) fn read(text: &str) -> Result<Draft, SbomError> {
    let mut reader = Reader::from_str(text);
    let mut list = List::default();
    loop {
        let event = reader.read_event();
        let event = event.map_err(|e| list.broken(format!("{e:.200}")))?;
        match event {
            Event::Start(tag) => list.start(&tag)?,
            Event::Empty(tag) => {
                list.start(&tag)?;
                list.end();
            }
            Event::End(_) => list.end(),
            Event::Text(text) => {
                let text = text.decode();
                list.text(&text.map_err(|e| list.broken(e.to_string()))?);
            }
            Event::CData(text) => {
                let text = text.decode();
                list.text(&text.map_err(|e| list.broken(e.to_string()))?);
            }
            Event::GeneralRef(reference) => {
                let letter = reference.resolve_char_ref();
                match letter.map_err(|e| list.broken(e.to_string()))? {
                    Some(letter) => list.text(letter.encode_utf8(&mut [0; 4])),
                    None => {
                        let name = reference.decode();
                        let name = name.map_err(|e| list.broken(e.to_string()))?;
                        let why = || list.broken(format!("&{name:.40}; is no entity of XML"));
                        let text = resolve_predefined_entity(&name).ok_or_else(why)?;
                        list.text(text);
                    }
                }
            }
            Event::DocType(_) => list.has_type = true,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return list.finish(),
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct List {
    has_type: bool,
    /// The root's name with its prefix, and its namespace; none before it.
    root: Option<(String, String)>,
    /// Open elements that are looked into, the root first.
    open: Vec<Node>,
    /// Open elements that are passed over, below those.
    passed: usize,
    /// Elements that are kept.
    kept: usize,
    draft: Draft,
}

impl List {
    /// What is broken before anything says that it is CycloneDX is something else.
    fn broken(&self, why: impl Into<String>) -> SbomError {
        match self.root {
            Some(_) => SbomError::Broken(why.into()),
            None => SbomError::Unknown,
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), SbomError> {
        if self.open.len() + self.passed >= DEPTH {
            return Err(self.broken(format!("more than {DEPTH} elements within each other")));
        }
        let name = tag.name();
        let name = std::str::from_utf8(name.as_ref());
        let name = name.map_err(|e| self.broken(e.to_string()))?;
        let (prefix, local) = name.rsplit_once(':').unwrap_or(("", name));
        let binding = match prefix {
            "" => "xmlns".to_owned(),
            prefix => format!("xmlns:{prefix}"),
        };
        let (mut space, mut label) = (None, None);
        for (attribute, count) in tag.attributes().zip(1..) {
            let attribute = attribute.map_err(|e| self.broken(e.to_string()))?;
            if count > ATTRIBUTES {
                return Err(
                    self.broken(format!("an element has more than {ATTRIBUTES} attributes"))
                );
            }
            let key = attribute.key.as_ref();
            let place = match local {
                _ if key == binding.as_bytes() => &mut space,
                "component" if key == b"type" => &mut label,
                "property" if key == b"name" => &mut label,
                _ => continue,
            };
            let value = std::str::from_utf8(&attribute.value);
            let value = value.map_err(|e| self.broken(e.to_string()))?;
            let value = quick_xml::escape::unescape(value);
            *place = Some(value.map_err(|e| self.broken(e.to_string()))?.into_owned());
        }
        let Some((root, known)) = &self.root else {
            return self.begin(name, local, space);
        };
        // Those of other vocabularies say something else by the same names.
        let ours = root.rsplit_once(':').map_or("", |(prefix, _)| prefix) == prefix
            && space.is_none_or(|space| space == *known);
        if self.open.is_empty() {
            return Err(self.broken("it goes on after its end"));
        }
        if self.passed > 0 || !ours || !WANTED.contains(&local) {
            self.passed += 1;
            return Ok(());
        }
        self.kept += 1;
        if self.kept > ELEMENTS {
            return Err(self.broken(format!("a component of more than {ELEMENTS} elements")));
        }
        self.open.push(Node {
            name: local.to_owned(),
            label,
            ..Node::default()
        });
        Ok(())
    }

    fn begin(&mut self, name: &str, local: &str, space: Option<String>) -> Result<(), SbomError> {
        let space = space.filter(|space| local == "bom" && space.starts_with(SPACE));
        let space = space.ok_or(SbomError::Unknown)?;
        cyclonedx::known(space.strip_prefix(SPACE).unwrap_or_default())?;
        if self.has_type {
            let why = "a document type is not accepted: entities could expand or read files";
            return Err(SbomError::Broken(why.into()));
        }
        self.root = Some((name.to_owned(), space));
        self.open.push(Node::default());
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(node) = self.open.last_mut().filter(|_| self.passed == 0) {
            node.text.push_str(text);
        }
    }

    fn end(&mut self) {
        if self.passed > 0 {
            self.passed -= 1;
            return;
        }
        let Some(node) = self.open.pop() else { return };
        let depth = self.open.len();
        let Some(above) = self.open.last_mut() else {
            return;
        };
        match (depth, above.name.as_str(), node.name.as_str()) {
            (1, _, "metadata") => metadata(node, &mut self.draft),
            (2, "components", "component") => component(node, &mut self.draft),
            (1, ..) | (2, "components", _) => {}
            _ => return above.children.push(node),
        }
        self.kept = 0;
    }

    fn finish(self) -> Result<Draft, SbomError> {
        match (&self.root, self.open.is_empty()) {
            (None, _) => Err(SbomError::Unknown),
            (_, false) => Err(self.broken("it is cut off")),
            (_, true) => Ok(self.draft),
        }
    }
}

fn metadata(mut node: Node, draft: &mut Draft) {
    cyclonedx::unread(properties(&mut node), draft);
    if let Some(mut root) = node.take("component") {
        let inner = root.list("components");
        cyclonedx::about(piece(root), draft);
        inner.into_iter().for_each(|one| component(one, draft));
    }
}

/// The depth is bounded above.
fn component(mut node: Node, draft: &mut Draft) {
    let inner = node.list("components");
    cyclonedx::one_piece(piece(node), draft);
    inner.into_iter().for_each(|one| component(one, draft));
}

fn properties(node: &mut Node) -> Vec<Property> {
    let all = node.list("properties").into_iter();
    let one = |property: Node| Property {
        name: property.label,
        value: Some(property.text.trim().to_owned()),
    };
    all.map(one).collect()
}

fn piece(mut node: Node) -> Piece {
    let licences = node.list("licenses").into_iter().map(licence);
    let licences = licences.collect();
    let places = node.take("evidence").map(|mut evidence| {
        let all = evidence.list("occurrences").into_iter();
        let one = |mut place: Node| Occurrence {
            location: place.text("location"),
            additional_context: place.text("additionalContext"),
        };
        all.map(one).collect()
    });
    Piece {
        properties: Some(properties(&mut node)),
        name: node.text("name"),
        version: node.text("version"),
        purl: node.text("purl"),
        licenses: Some(licences),
        evidence: Some(Evidence {
            occurrences: places,
        }),
        components: None,
        r#type: node.label,
    }
}

fn licence(mut node: Node) -> Licence {
    match node.name.as_str() {
        "expression" => Licence {
            expression: Some(node.text.trim().to_owned()),
            license: None,
        },
        _ => Licence {
            expression: None,
            license: Some(Named {
                id: node.text("id"),
                name: node.text("name"),
            }),
        },
    }
}
