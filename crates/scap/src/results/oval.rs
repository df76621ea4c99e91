//! OVAL results: definitions as they were given, results, and what was collected.

use super::fragment::Fragment;
use super::testresult::{Context, address, moment};
use super::words::{
    check_word, existence_word, family, flag_word, item_kind, operator_word, status_word,
};
use super::xml::Xml;
use crate::oval::evaluate::Evaluator;
use crate::oval::item::{Flag, Item, Status, Value};
use crate::oval::model::{Criteria, Datatype, Definition, Document, Object, ObjectBody, Test};
use crate::oval::outcome::{Truth, operate};
use crate::xml::{Piece, Stream, XmlError};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;

const COMMON: &str = "http://oval.mitre.org/XMLSchema/oval-common-5";
const RESULTS: &str = "http://oval.mitre.org/XMLSchema/oval-results-5";
const SYSTEM: &str = "http://oval.mitre.org/XMLSchema/oval-system-characteristics-5";
/// The version of OVAL that results are written in: the first with all entities of items.
const SCHEMA: &str = "5.11.3";

/// A test that was evaluated.
#[derive(Debug, Clone)]
pub struct TestView<'a> {
    /// The test.
    pub test: &'a Test,
    /// Its result.
    pub truth: Truth,
    /// Why it could not be evaluated.
    pub message: Option<&'a str>,
    /// The items that were compared, by number, and their results.
    pub tested: Vec<(u32, Truth)>,
}

/// An object that was collected.
#[derive(Debug, Clone)]
pub struct ObjectView<'a> {
    /// The object.
    pub object: &'a Object,
    /// How complete it is.
    pub flag: Flag,
    /// Why it is not complete.
    pub message: Option<&'a str>,
    /// Its items, by number.
    pub items: Vec<u32>,
}

/// What an evaluator knows when it is done.
pub trait Evaluated {
    /// The document.
    fn document(&self) -> &Document;
    /// The definitions that were evaluated.
    fn definitions(&self) -> Vec<(&Definition, Truth)>;
    /// The tests that were evaluated.
    fn tests(&self) -> Vec<TestView<'_>>;
    /// The objects that were collected.
    fn objects(&self) -> Vec<ObjectView<'_>>;
    /// An item by its number.
    fn item(&self, id: u32) -> Option<&Item>;
}

impl Evaluated for Evaluator<'_> {
    fn document(&self) -> &Document {
        Evaluator::document(self)
    }

    fn definitions(&self) -> Vec<(&Definition, Truth)> {
        Evaluator::definitions(self).collect()
    }

    fn tests(&self) -> Vec<TestView<'_>> {
        Evaluator::tests(self)
            .map(|(test, outcome)| TestView {
                test,
                truth: outcome.truth,
                message: outcome.message.as_deref(),
                tested: outcome.tested.clone(),
            })
            .collect()
    }

    fn objects(&self) -> Vec<ObjectView<'_>> {
        Evaluator::objects(self)
            .map(|(object, outcome)| ObjectView {
                object,
                flag: outcome.flag,
                message: outcome.message.as_deref(),
                items: outcome.items.clone(),
            })
            .collect()
    }

    fn item(&self, id: u32) -> Option<&Item> {
        Evaluator::item(self, id)
    }
}

/// The evaluators of a run, as results need them.
pub fn views<'e>(
    evaluators: &'e [(Arc<str>, Evaluator<'e>)],
) -> Vec<(Arc<str>, &'e dyn Evaluated)> {
    let views = evaluators.iter();
    views
        .map(|(href, evaluator)| (Arc::clone(href), evaluator as &dyn Evaluated))
        .collect()
}

/// The `version` attributes of definitions, tests and objects, which results repeat and the
/// model does not keep.
pub fn versions(definitions: &[u8]) -> Result<HashMap<Box<str>, Box<str>>, XmlError> {
    let mut stream = Stream::new(definitions)?;
    let mut versions = HashMap::new();
    let mut depth = 0;
    loop {
        match stream.next()? {
            // The root and its sections are entered, what is in them is passed over.
            Piece::Start(_) if depth < 2 => depth += 1,
            Piece::Start(element) => {
                if let (Some(id), Some(version)) =
                    (element.attribute("id"), element.attribute("version"))
                    && !version.is_empty()
                    && version.bytes().all(|byte| byte.is_ascii_digit())
                {
                    versions.insert(id.into(), version.into());
                }
                stream.skip()?;
            }
            Piece::End => depth -= 1,
            Piece::Done => return Ok(versions),
        }
    }
}

/// Writes a document of OVAL results; `definitions` are the bytes of the definitions.
pub fn write<W: Write>(
    out: W,
    evaluated: &dyn Evaluated,
    definitions: Option<&Fragment<'_>>,
    context: &Context,
) -> io::Result<W> {
    let mut xml = Xml::new(out);
    xml.declaration()?;
    element(&mut xml, evaluated, definitions, context)?;
    xml.finish()
}

/// Writes the `oval_results` element.
pub(super) fn element<W: Write>(
    xml: &mut Xml<W>,
    evaluated: &dyn Evaluated,
    definitions: Option<&Fragment<'_>>,
    context: &Context,
) -> io::Result<()> {
    let attributes = [
        ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
        ("xmlns:oval", COMMON),
        ("xmlns", RESULTS),
    ];
    xml.open("oval_results", &attributes)?;
    generator(xml, context)?;
    xml.open("directives", &[])?;
    for kind in [
        "true",
        "false",
        "unknown",
        "error",
        "not_evaluated",
        "not_applicable",
    ] {
        let name = format!("definition_{kind}");
        xml.empty(&name, &[("reported", "true"), ("content", "full")])?;
    }
    xml.close("directives")?;
    let mut known = HashMap::new();
    if let Some(fragment) = definitions {
        fragment.write(xml.raw()?)?;
        known = versions(&fragment.bytes()).map_err(io::Error::other)?;
    }
    let writer = Results {
        evaluated,
        versions: known,
        truths: evaluated
            .definitions()
            .into_iter()
            .map(|(definition, truth)| (&*definition.id, truth))
            .collect(),
        tests: evaluated
            .tests()
            .into_iter()
            .map(|view| (&*view.test.id, view))
            .collect(),
    };
    xml.open("results", &[])?;
    xml.open("system", &[])?;
    writer.definitions(xml)?;
    writer.tests(xml)?;
    writer.characteristics(xml, context)?;
    xml.close("system")?;
    xml.close("results")?;
    xml.close("oval_results")
}

fn generator<W: Write>(xml: &mut Xml<W>, context: &Context) -> io::Result<()> {
    xml.open("generator", &[])?;
    xml.leaf("oval:product_name", &[], "cpe:/a:bartizan:bartizan")?;
    xml.leaf("oval:product_version", &[], &context.version)?;
    xml.leaf("oval:schema_version", &[], SCHEMA)?;
    xml.leaf("oval:timestamp", &[], &moment(context.finished, ""))?;
    xml.close("generator")
}

struct Results<'e> {
    evaluated: &'e dyn Evaluated,
    versions: HashMap<Box<str>, Box<str>>,
    truths: HashMap<&'e str, Truth>,
    /// By id, so that results are written in the same order each time.
    tests: BTreeMap<&'e str, TestView<'e>>,
}

impl Results<'_> {
    fn version(&self, id: &str) -> &str {
        self.versions.get(id).map_or("1", |version| version)
    }

    fn definitions<W: Write>(&self, xml: &mut Xml<W>) -> io::Result<()> {
        let definitions = self.evaluated.definitions();
        // The schemas allow none of the lists to be empty.
        if definitions.is_empty() {
            return Ok(());
        }
        xml.open("definitions", &[])?;
        for (definition, truth) in definitions {
            let attributes = [
                ("definition_id", &*definition.id),
                ("result", truth.word()),
                ("version", self.version(&definition.id)),
            ];
            match &definition.criteria {
                None => xml.empty("definition", &attributes)?,
                Some(criteria) => {
                    xml.open("definition", &attributes)?;
                    self.criteria(xml, criteria)?;
                    xml.close("definition")?;
                }
            }
        }
        xml.close("definitions")
    }

    /// Recursion is bounded by the depth of the XML.
    fn truth(&self, criteria: &Criteria) -> Truth {
        match criteria {
            Criteria::Group {
                operator,
                negate,
                parts,
            } => operate(*operator, parts.iter().map(|part| self.truth(part))).negated(*negate),
            Criteria::Test { test, negate } => self
                .tests
                .get(&**test)
                .map_or(Truth::NotEvaluated, |view| view.truth)
                .negated(*negate),
            Criteria::Extend { definition, negate } => self
                .truths
                .get(&**definition)
                .map_or(Truth::NotEvaluated, |truth| *truth)
                .negated(*negate),
        }
    }

    /// Recursion is bounded by the depth of the XML.
    fn criteria<W: Write>(&self, xml: &mut Xml<W>, criteria: &Criteria) -> io::Result<()> {
        let result = self.truth(criteria).word();
        let negation = |negate: bool| negate.then_some(("negate", "true"));
        match criteria {
            Criteria::Group {
                operator,
                negate,
                parts,
            } => {
                let mut attributes = vec![("operator", operator_word(*operator))];
                attributes.push(("result", result));
                attributes.extend(negation(*negate));
                xml.open("criteria", &attributes)?;
                for part in parts {
                    self.criteria(xml, part)?;
                }
                xml.close("criteria")
            }
            Criteria::Test { test, negate } => {
                let mut attributes = vec![("test_ref", &**test), ("version", self.version(test))];
                attributes.push(("result", result));
                attributes.extend(negation(*negate));
                xml.empty("criterion", &attributes)
            }
            Criteria::Extend { definition, negate } => {
                let version = self.version(definition);
                let mut attributes = vec![("definition_ref", &**definition), ("version", version)];
                attributes.push(("result", result));
                attributes.extend(negation(*negate));
                xml.empty("extend_definition", &attributes)
            }
        }
    }

    fn tests<W: Write>(&self, xml: &mut Xml<W>) -> io::Result<()> {
        if self.tests.is_empty() {
            return Ok(());
        }
        xml.open("tests", &[])?;
        for (id, view) in &self.tests {
            let test = view.test;
            let attributes = [
                ("test_id", *id),
                ("version", self.version(id)),
                ("check_existence", existence_word(test.existence)),
                ("check", check_word(test.check)),
                ("state_operator", operator_word(test.state_operator)),
                ("result", view.truth.word()),
            ];
            if view.tested.is_empty() && view.message.is_none() {
                xml.empty("test", &attributes)?;
                continue;
            }
            xml.open("test", &attributes)?;
            if let Some(message) = view.message {
                xml.leaf("message", &[("level", "info")], message)?;
            }
            for (item, truth) in &view.tested {
                let item = item.to_string();
                let attributes = [("item_id", item.as_str()), ("result", truth.word())];
                xml.empty("tested_item", &attributes)?;
            }
            xml.close("test")?;
        }
        xml.close("tests")
    }

    fn characteristics<W: Write>(&self, xml: &mut Xml<W>, context: &Context) -> io::Result<()> {
        let (ind, unix, linux) = (
            format!("{SYSTEM}#independent"),
            format!("{SYSTEM}#unix"),
            format!("{SYSTEM}#linux"),
        );
        let attributes = [
            ("xmlns:oval", COMMON),
            ("xmlns:unix-sys", &unix),
            ("xmlns:ind-sys", &ind),
            ("xmlns:lin-sys", &linux),
            ("xmlns", SYSTEM),
        ];
        xml.open("oval_system_characteristics", &attributes)?;
        generator(xml, context)?;
        system_info(xml, context)?;
        let mut objects = self.evaluated.objects();
        objects.sort_by(|one, other| one.object.id.cmp(&other.object.id));
        if !objects.is_empty() {
            xml.open("collected_objects", &[])?;
            for view in &objects {
                self.object(xml, view)?;
            }
            xml.close("collected_objects")?;
        }
        let masks = self.masks();
        // An item belongs to many objects, all of one kind; what one of them masks is masked.
        let mut items: BTreeMap<u32, (&str, HashSet<&str>)> = BTreeMap::new();
        for view in &objects {
            for id in &view.items {
                let known = items
                    .entry(*id)
                    .or_insert_with(|| (&view.object.kind, HashSet::new()));
                if let Some(masked) = masks.get(&*view.object.id) {
                    known.1.extend(masked);
                }
            }
        }
        if !items.is_empty() {
            xml.open("system_data", &[])?;
            for (id, (kind, masked)) in &items {
                if let Some(item) = self.evaluated.item(*id) {
                    write_item(xml, *id, kind, item, masked)?;
                }
            }
            xml.close("system_data")?;
        }
        xml.close("oval_system_characteristics")
    }

    /// The entities that must not be shown, by object: its own and those of the states that
    /// its items were compared with.
    fn masks(&self) -> HashMap<&str, HashSet<&str>> {
        let document = self.evaluated.document();
        let mut masks: HashMap<&str, HashSet<&str>> = HashMap::new();
        for object in document.objects.values() {
            if let ObjectBody::Plain { entities, .. } = &object.body {
                for entity in entities.iter().filter(|entity| entity.mask) {
                    masks.entry(&object.id).or_default().insert(&entity.name);
                }
            }
        }
        for test in document.tests.values() {
            let Some(object) = &test.object else {
                continue;
            };
            let states = test.states.iter();
            for state in states.filter_map(|id| document.states.get(id)) {
                for entity in state.entities.iter().filter(|entity| entity.mask) {
                    masks.entry(object).or_default().insert(&entity.name);
                }
            }
        }
        masks
    }

    fn object<W: Write>(&self, xml: &mut Xml<W>, view: &ObjectView<'_>) -> io::Result<()> {
        let attributes = [
            ("id", &*view.object.id),
            ("version", self.version(&view.object.id)),
            ("flag", flag_word(view.flag)),
        ];
        if view.items.is_empty() && view.message.is_none() {
            return xml.empty("object", &attributes);
        }
        xml.open("object", &attributes)?;
        if let Some(message) = view.message {
            let level = match view.flag {
                Flag::Error => "error",
                Flag::Incomplete => "warning",
                _ => "info",
            };
            xml.leaf("message", &[("level", level)], message)?;
        }
        for item in &view.items {
            xml.empty("reference", &[("item_ref", &item.to_string())])?;
        }
        xml.close("object")
    }
}

fn system_info<W: Write>(xml: &mut Xml<W>, context: &Context) -> io::Result<()> {
    let host = &context.host;
    xml.open("system_info", &[])?;
    xml.leaf("os_name", &[], &host.os_name)?;
    xml.leaf("os_version", &[], &host.os_version)?;
    xml.leaf("architecture", &[], &host.architecture)?;
    xml.leaf("primary_host_name", &[], &host.name)?;
    xml.open("interfaces", &[])?;
    for interface in &host.interfaces {
        for one in &interface.addresses {
            xml.open("interface", &[])?;
            xml.leaf("interface_name", &[], &interface.name)?;
            xml.leaf("ip_address", &[], &address(*one))?;
            xml.leaf("mac_address", &[], &interface.mac)?;
            xml.close("interface")?;
        }
    }
    xml.close("interfaces")?;
    xml.close("system_info")
}

fn write_item<W: Write>(
    xml: &mut Xml<W>,
    id: u32,
    kind: &str,
    item: &Item,
    masked: &HashSet<&str>,
) -> io::Result<()> {
    let family = family(kind);
    let name = format!("{family}:{}_item", item_kind(kind));
    let id = id.to_string();
    let mut attributes = vec![("id", id.as_str())];
    attributes.push(("status", status_word(item.status)));
    xml.open(&name, &attributes)?;
    if let Some(message) = &item.message {
        xml.leaf("message", &[("level", "error")], message)?;
    }
    for value in &item.values {
        let name = format!("{family}:{}", value.name);
        write_value(xml, &name, value, &[], masked.contains(&*value.name))?;
    }
    xml.close(&name)
}

/// Recursion: a record's fields have no fields.
fn write_value<W: Write>(
    xml: &mut Xml<W>,
    name: &str,
    value: &Value,
    extra: &[(&str, &str)],
    masked: bool,
) -> io::Result<()> {
    let mut attributes = extra.to_vec();
    if value.datatype != Datatype::String {
        attributes.push(("datatype", value.datatype.word()));
    }
    if value.status != Status::Exists {
        attributes.push(("status", status_word(value.status)));
    }
    if masked {
        attributes.push(("mask", "true"));
        return xml.empty(name, &attributes);
    }
    if value.datatype != Datatype::Record {
        return xml.leaf(name, &attributes, &value.text);
    }
    xml.open(name, &attributes)?;
    for field in &value.fields {
        if field.datatype != Datatype::Record {
            write_value(xml, "field", field, &[("name", &field.name)], false)?;
        }
    }
    xml.close(name)
}

/// The definitions' ids and results, in document order: what a table shows.
pub fn summary(evaluated: &dyn Evaluated) -> Vec<(Arc<str>, Truth)> {
    let truths: HashMap<&str, Truth> = evaluated
        .definitions()
        .into_iter()
        .map(|(definition, truth)| (&*definition.id, truth))
        .collect();
    let order = evaluated.document().order.iter();
    order
        .filter_map(|id| Some((Arc::clone(id), *truths.get(&**id)?)))
        .collect()
}

#[cfg(test)]
#[path = "oval_tests.rs"]
pub(super) mod tests;
