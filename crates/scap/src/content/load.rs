//! Reading files of SCAP content.

use super::{Bundle, Component, ComponentRef, DataStream, Kind, LoadError, Target, cpe, unpacked};
use crate::oval;
use crate::xccdf;
use crate::xml::{Element, Piece, Stream, XmlError};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The id of the only component of a plain document.
pub(super) const PLAIN: &str = "document";

/// How the namespace of scripts in data streams begins.
const SCE_NAMESPACE: &str = "http://open-scap.org/page/SCE";

/// Reads a file.
pub(super) fn bundle(bytes: &[u8]) -> Result<Bundle, LoadError> {
    let digest = hex::encode(Sha256::digest(bytes));
    let plain = unpacked(bytes)?;
    let mut stream = Stream::new(&plain)?;
    let root = first(&mut stream)?;
    let mut bundle = Bundle {
        kind: Kind::DataStream,
        digest,
        streams: Vec::new(),
        extended: Vec::new(),
        components: HashMap::new(),
        beside: HashMap::new(),
    };
    if &*root.name == "data-stream-collection" {
        collection(&mut stream, &mut bundle)?;
        return Ok(bundle);
    }
    let name = root.name.to_string();
    let component = component(&mut stream, root)?;
    bundle.kind = match &component {
        Component::Benchmark(_) => Kind::Benchmark,
        Component::Oval(_) => Kind::Oval,
        Component::Broken(what) => {
            return Err(LoadError::Wrong {
                place: format!("<{name}>"),
                what: what.clone(),
            });
        }
        _ => return Err(LoadError::Unknown(name)),
    };
    let reference = ComponentRef {
        id: PLAIN.into(),
        target: Target::Local(PLAIN.into()),
        catalog: Vec::new(),
    };
    let mut only = DataStream::default();
    match bundle.kind {
        Kind::Benchmark => only.checklists.push(reference),
        _ => only.checks.push(reference),
    }
    bundle.streams.push(only);
    bundle.components.insert(PLAIN.into(), component);
    Ok(bundle)
}

/// Reads one plain document of any kind that is understood.
pub(crate) fn document(bytes: &[u8]) -> Result<Component, LoadError> {
    let plain = unpacked(bytes)?;
    let mut stream = Stream::new(&plain)?;
    let root = first(&mut stream)?;
    let name = root.name.to_string();
    match component(&mut stream, root)? {
        Component::Broken(what) => Err(LoadError::Wrong {
            place: format!("<{name}>"),
            what,
        }),
        Component::Skipped(name) => Err(LoadError::Unknown(name.to_string())),
        component => Ok(component),
    }
}

fn first(stream: &mut Stream<'_>) -> Result<Element, XmlError> {
    match stream.next()? {
        Piece::Start(root) => Ok(root),
        Piece::End | Piece::Done => Err(stream.error("the document has no element")),
    }
}

fn collection(stream: &mut Stream<'_>, bundle: &mut Bundle) -> Result<(), LoadError> {
    let mut wanted: HashSet<Arc<str>> = HashSet::new();
    while let Piece::Start(element) = stream.next()? {
        match &*element.name {
            "data-stream" => {
                let tree = stream.tree(element)?;
                let read = data_stream(&tree);
                let references = [
                    &read.checklists,
                    &read.checks,
                    &read.dictionaries,
                    &read.extended,
                ];
                for reference in references.into_iter().flatten() {
                    if let Target::Local(id) = &reference.target {
                        wanted.insert(Arc::clone(id));
                    }
                }
                bundle.streams.push(read);
            }
            "component" => {
                let id: Arc<str> = element.attribute("id").unwrap_or_default().into();
                // Streams come before components; a file that does otherwise is read whole.
                let needed = bundle.streams.is_empty() || wanted.contains(&id);
                if !needed || bundle.components.contains_key(&id) {
                    stream.skip()?;
                    continue;
                }
                let inner = inside(stream)?;
                bundle.components.insert(id, inner);
            }
            "extended-component" => {
                let id: Arc<str> = element.attribute("id").unwrap_or_default().into();
                let inner = inside(stream)?;
                bundle.components.entry(Arc::clone(&id)).or_insert(inner);
                bundle.extended.push(id);
            }
            // Signatures are the caller's.
            _ => stream.skip()?,
        }
    }
    Ok(())
}

/// The document inside a component that was just entered, up to the component's end.
fn inside(stream: &mut Stream<'_>) -> Result<Component, XmlError> {
    let mut found = None;
    loop {
        match stream.next()? {
            Piece::Start(root) if found.is_none() => found = Some(component(stream, root)?),
            Piece::Start(_) => stream.skip()?,
            Piece::End => {
                return Ok(found.unwrap_or_else(|| {
                    Component::Broken("the component has no document".to_owned())
                }));
            }
            Piece::Done => return Err(stream.error("the document ends inside a component")),
        }
    }
}

/// The document whose root was just entered, as its model.
fn component(stream: &mut Stream<'_>, root: Element) -> Result<Component, XmlError> {
    match &*root.name {
        "Benchmark" => {
            let tree = stream.tree(root)?;
            Ok(match xccdf::parse::benchmark(&tree) {
                Ok(benchmark) => Component::Benchmark(Box::new(benchmark)),
                Err(error) => Component::Broken(error.to_string()),
            })
        }
        "Tailoring" => {
            let tree = stream.tree(root)?;
            Ok(match xccdf::parse::tailoring(&tree) {
                Ok(tailoring) => Component::Tailoring(Box::new(tailoring)),
                Err(error) => Component::Broken(error.to_string()),
            })
        }
        "oval_definitions" => {
            let tree = stream.tree(root)?;
            Ok(match oval::parse::document(&tree) {
                Ok(document) => Component::Oval(Arc::new(document)),
                Err(error) => Component::Broken(error.to_string()),
            })
        }
        "cpe-list" => Ok(Component::Dictionary(cpe::dictionary(&stream.tree(root)?))),
        "platform-specification" => {
            let tree = stream.tree(root)?;
            Ok(Component::Specification(cpe::specification(&tree)))
        }
        "script" if root.namespace.starts_with(SCE_NAMESPACE) => {
            let text = stream.tree(root)?.text();
            Ok(Component::Script(text.into_bytes().into()))
        }
        _ => {
            let name = Arc::clone(&root.name);
            stream.skip()?;
            Ok(Component::Skipped(name))
        }
    }
}

fn data_stream(tree: &Element) -> DataStream {
    let text = |name| tree.attribute(name).unwrap_or_default();
    let references = |name| {
        tree.child(name)
            .into_iter()
            .flat_map(|container| container.named("component-ref"))
            .map(component_ref)
            .collect()
    };
    DataStream {
        id: text("id").into(),
        scap_version: text("scap-version").to_owned(),
        timestamp: text("timestamp").to_owned(),
        checklists: references("checklists"),
        checks: references("checks"),
        dictionaries: references("dictionaries"),
        extended: references("extended-components"),
    }
}

fn component_ref(element: &Element) -> ComponentRef {
    let href = element.attribute("href").unwrap_or_default();
    let catalog = element
        .named("catalog")
        .flat_map(Element::elements)
        .filter(|uri| &*uri.name == "uri")
        .filter_map(|uri| {
            let name = uri.attribute("name")?;
            let reference = uri.attribute("uri")?.strip_prefix('#')?;
            Some((Arc::from(name), Arc::from(reference)))
        })
        .collect();
    ComponentRef {
        id: element.attribute("id").unwrap_or_default().into(),
        target: match href.strip_prefix('#') {
            Some(id) => Target::Local(id.into()),
            None => Target::Remote(href.into()),
        },
        catalog,
    }
}
