//! SCAP content: a source data stream, a plain XCCDF benchmark or plain OVAL definitions.
//!
//! A data stream is walked component by component; each becomes its model and its tree is
//! dropped before the next is read. Nothing is fetched: what a reference names outside the
//! file is [`Target::Remote`] and its checks are not checked.

pub mod cpe;
mod load;
mod packed;
mod resources;
mod validate;

pub(crate) use load::document;
pub use packed::unpacked;
pub use resources::{Found, Resources};
pub use validate::Problem;

use crate::oval;
use crate::xccdf::model::{Benchmark, Tailoring};
use crate::xml::XmlError;
use std::collections::HashMap;
use std::sync::Arc;

/// Why content cannot be loaded: the content's fault.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is not well-formed or too large.
    #[error("the content is not readable XML: {0}")]
    Xml(#[from] XmlError),
    /// It does not unpack, or unpacks to too much.
    #[error("the content does not unpack: {0}")]
    Packed(String),
    /// It is XML but none of the documents that are understood.
    #[error("a document <{0}> is neither a data stream, an XCCDF benchmark nor OVAL definitions")]
    Unknown(String),
    /// A benchmark, or another document that was asked for, is wrong.
    #[error("{place}: {what}")]
    Wrong {
        /// The component.
        place: String,
        /// What is wrong.
        what: String,
    },
}

/// What a file was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `data-stream-collection`.
    DataStream,
    /// `Benchmark`.
    Benchmark,
    /// `oval_definitions`.
    Oval,
}

/// A component as its model.
#[derive(Debug)]
pub enum Component {
    /// An XCCDF benchmark.
    Benchmark(Box<Benchmark>),
    /// An XCCDF tailoring.
    Tailoring(Box<Tailoring>),
    /// OVAL definitions.
    Oval(Arc<oval::model::Document>),
    /// A CPE dictionary.
    Dictionary(cpe::Dictionary),
    /// CPE platforms.
    Specification(cpe::Specification),
    /// A script of the script check engine.
    Script(Arc<[u8]>),
    /// It should be one of these and is wrong; why. Its checks are errors.
    Broken(String),
    /// Passed over: OCIL and anything else. The name of its element.
    Skipped(Arc<str>),
}

/// Where a component reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A component of this file, by id.
    Local(Arc<str>),
    /// Somewhere else; never fetched.
    Remote(Box<str>),
}

/// A `component-ref` of a data stream.
#[derive(Debug, Clone)]
pub struct ComponentRef {
    /// Its id.
    pub id: Arc<str>,
    /// Where it leads.
    pub target: Target,
    /// Names used inside the component, and the component references they mean.
    pub catalog: Vec<(Arc<str>, Arc<str>)>,
}

/// A `data-stream`.
#[derive(Debug, Clone, Default)]
pub struct DataStream {
    /// Its id.
    pub id: Arc<str>,
    /// `scap-version`, such as `1.3`.
    pub scap_version: String,
    /// `timestamp`.
    pub timestamp: String,
    /// Benchmarks and tailorings.
    pub checklists: Vec<ComponentRef>,
    /// OVAL, OCIL and the like.
    pub checks: Vec<ComponentRef>,
    /// CPE dictionaries.
    pub dictionaries: Vec<ComponentRef>,
    /// Scripts and other extended components.
    pub extended: Vec<ComponentRef>,
}

impl DataStream {
    /// The component reference of that id.
    pub fn reference(&self, id: &str) -> Option<&ComponentRef> {
        [
            &self.checklists,
            &self.checks,
            &self.dictionaries,
            &self.extended,
        ]
        .into_iter()
        .flatten()
        .find(|reference| &*reference.id == id)
    }
}

/// A file of SCAP content.
#[derive(Debug)]
pub struct Bundle {
    /// What the file was.
    pub kind: Kind,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub digest: String,
    /// The streams; one without an id where the file was a plain document.
    pub streams: Vec<DataStream>,
    /// Extended components (scripts of the script check engine).
    pub extended: Vec<Arc<str>>,
    components: HashMap<Arc<str>, Component>,
    /// Files given beside a plain benchmark, by the name it uses: component ids.
    beside: HashMap<Arc<str>, Arc<str>>,
}

/// A benchmark that was chosen, with where it was found.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// The stream.
    pub stream: &'a DataStream,
    /// The component reference.
    pub reference: &'a ComponentRef,
    /// The benchmark.
    pub benchmark: &'a Benchmark,
    /// The tailoring, where the reference named one.
    pub tailoring: Option<&'a Tailoring>,
}

impl Bundle {
    /// Reads content: a data stream collection, a benchmark or OVAL definitions, each plain
    /// or packed (see [`unpacked`]).
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        load::bundle(bytes)
    }

    /// Adds a file that a plain benchmark refers to by `name`.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), LoadError> {
        let component = load::document(bytes)?;
        let id: Arc<str> = format!("file:{name}").into();
        self.beside.insert(Arc::from(name), Arc::clone(&id));
        self.components.insert(id, component);
        Ok(())
    }

    /// Adds a script that a plain benchmark refers to by `name`.
    pub fn add_script(&mut self, name: &str, bytes: &[u8]) {
        let id: Arc<str> = format!("file:{name}").into();
        self.beside.insert(Arc::from(name), Arc::clone(&id));
        self.components.insert(id, Component::Script(bytes.into()));
    }

    /// The component of that id.
    pub fn component(&self, id: &str) -> Option<&Component> {
        self.components.get(id)
    }

    /// The components, in no order.
    pub fn components(&self) -> impl Iterator<Item = (&Arc<str>, &Component)> {
        self.components.iter()
    }

    /// The first benchmark that fits. `xccdf_id` is the id of a component reference, or of a
    /// component or benchmark where no reference has it.
    pub fn benchmark(
        &self,
        datastream_id: Option<&str>,
        xccdf_id: Option<&str>,
    ) -> Option<Chosen<'_>> {
        // Each with the reference that led to it: of a tailoring not the benchmark's.
        let candidates = || {
            self.streams
                .iter()
                .filter(move |stream| datastream_id.is_none_or(|id| &*stream.id == id))
                .flat_map(|stream| {
                    stream.checklists.iter().filter_map(move |reference| {
                        let chosen = self.chosen(stream, reference)?;
                        Some((reference, chosen))
                    })
                })
        };
        let Some(wanted) = xccdf_id else {
            // A tailoring is taken only when it is asked for.
            return candidates()
                .map(|(_, chosen)| chosen)
                .find(|chosen| chosen.tailoring.is_none());
        };
        let by_reference = candidates().find(|(reference, _)| &*reference.id == wanted);
        let by_content = || {
            candidates().find(|(reference, chosen)| {
                matches!(&reference.target, Target::Local(id) if &**id == wanted)
                    || (chosen.tailoring.is_none() && &*chosen.benchmark.id == wanted)
            })
        };
        by_reference.or_else(by_content).map(|(_, chosen)| chosen)
    }

    fn chosen<'a>(
        &'a self,
        stream: &'a DataStream,
        reference: &'a ComponentRef,
    ) -> Option<Chosen<'a>> {
        match self.target(reference)? {
            Component::Benchmark(benchmark) => Some(Chosen {
                stream,
                reference,
                benchmark,
                tailoring: None,
            }),
            Component::Tailoring(tailoring) => {
                let (stream, reference) = match tailoring.benchmark.as_deref() {
                    Some(of) => self.tailored(stream, of.strip_prefix('#')?)?,
                    // One that names no benchmark is of the stream's first.
                    None => {
                        let mut checklists = stream.checklists.iter();
                        let first = checklists.find(|reference| {
                            matches!(self.target(reference), Some(Component::Benchmark(_)))
                        })?;
                        (stream, first)
                    }
                };
                match self.target(reference)? {
                    Component::Benchmark(benchmark) => Some(Chosen {
                        stream,
                        reference,
                        benchmark,
                        tailoring: Some(tailoring),
                    }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What a tailoring's reference to its benchmark means: one of its own stream, else one of
    /// another stream, and then the own stream's to the same component, if it has one.
    fn tailored<'a>(
        &'a self,
        own: &'a DataStream,
        id: &str,
    ) -> Option<(&'a DataStream, &'a ComponentRef)> {
        if let Some(reference) = own.reference(id) {
            return Some((own, reference));
        }
        let mut others = self.streams.iter();
        let (other, reference) = others.find_map(|other| Some((other, other.reference(id)?)))?;
        let mut checklists = own.checklists.iter();
        match checklists.find(|one| one.target == reference.target) {
            Some(same) => Some((own, same)),
            None => Some((other, reference)),
        }
    }

    /// The component that a reference leads to, where it is in this file.
    pub fn target(&self, reference: &ComponentRef) -> Option<&Component> {
        match &reference.target {
            Target::Local(id) => self.components.get(id),
            Target::Remote(_) => None,
        }
    }

    /// The OVAL definitions of a plain OVAL file.
    pub fn oval(&self) -> Option<&oval::model::Document> {
        match self.components.get(load::PLAIN) {
            Some(Component::Oval(document)) => Some(document),
            _ => None,
        }
    }

    /// References that lead nowhere and documents that are wrong: what would make rules go
    /// unchecked. Bounded.
    pub fn validate(&self) -> Vec<Problem> {
        validate::bundle(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tailoring_may_be_of_another_streams_benchmark() {
        for (own, stream, reference) in [
            ("", "one", "b"),
            ("<component-ref id='b2' href='#bc'/>", "two", "b2"),
            ("<component-ref id='b2' href='#tc'/>", "one", "b"),
        ] {
            let text = format!(
                "<data-stream-collection xmlns='urn:ds'>
                 <data-stream id='one'><checklists><component-ref id='b' href='#bc'/></checklists></data-stream>
                 <data-stream id='two'><checklists>
                 <component-ref id='t' href='#tc'/>{own}</checklists></data-stream>
                 <component id='bc'><Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='bench'/></component>
                 <component id='tc'><Tailoring xmlns='http://checklists.nist.gov/xccdf/1.2' id='tail'><benchmark href='#b'/></Tailoring></component>
                 </data-stream-collection>"
            );
            let bundle = Bundle::load(text.as_bytes()).unwrap();
            let chosen = bundle.benchmark(Some("two"), Some("t")).unwrap();
            assert_eq!(&*chosen.tailoring.unwrap().id, "tail");
            assert_eq!(
                (&*chosen.stream.id, &*chosen.reference.id),
                (stream, reference)
            );
        }
    }

    #[test]
    fn a_tailoring_is_chosen_by_its_own_reference() {
        for of in ["", "<benchmark href='#b'/>"] {
            let text = format!(
                "<data-stream-collection xmlns='urn:ds'><data-stream id='s'><checklists>
                 <component-ref id='b' href='#bc'/><component-ref id='t' href='#tc'/></checklists></data-stream>
                 <component id='bc'><Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='bench'/></component>
                 <component id='tc'><Tailoring xmlns='http://checklists.nist.gov/xccdf/1.2' id='tail'>{of}</Tailoring></component>
                 </data-stream-collection>"
            );
            let bundle = Bundle::load(text.as_bytes()).unwrap();
            let chosen = |id| bundle.benchmark(None, id).unwrap();
            assert!(chosen(None).tailoring.is_none());
            assert!(chosen(Some("b")).tailoring.is_none());
            let tailored = chosen(Some("t"));
            assert_eq!(&*tailored.tailoring.unwrap().id, "tail");
            assert_eq!(&*tailored.benchmark.id, "bench");
            assert_eq!(&*tailored.reference.id, "b");
        }
    }
}
