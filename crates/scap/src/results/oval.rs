//! OVAL results: definitions as they were given, results, and what was collected.

use super::fragment::Fragment;
use super::testresult::{Context, moment};
use super::variables::{Variables, of_states};
use super::words::{check_word, existence_word, operator_word};
use super::xml::Xml;
use crate::oval::evaluate::Evaluator;
use crate::oval::item::{Flag, Item};
use crate::oval::model::{Criteria, Definition, Document, Object, Test};
use crate::oval::outcome::{Truth, operate};
use crate::xml::{Piece, Stream, XmlError};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

pub(super) const COMMON: &str = "http://oval.mitre.org/XMLSchema/oval-common-5";
const RESULTS: &str = "http://oval.mitre.org/XMLSchema/oval-results-5";
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
    /// The variables that were computed, with their values.
    fn variables(&self) -> Vec<(&str, &[Arc<str>])>;
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

    fn variables(&self) -> Vec<(&str, &[Arc<str>])> {
        Evaluator::variables(self)
            .map(|(variable, outcome)| (&*variable.id, outcome.values.as_slice()))
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
        variables: Variables::of(evaluated),
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

pub(super) fn generator<W: Write>(xml: &mut Xml<W>, context: &Context) -> io::Result<()> {
    xml.open("generator", &[])?;
    xml.leaf("oval:product_name", &[], "cpe:/a:bartizan:bartizan")?;
    xml.leaf("oval:product_version", &[], &context.version)?;
    xml.leaf("oval:schema_version", &[], SCHEMA)?;
    xml.leaf("oval:timestamp", &[], &moment(context.finished, ""))?;
    xml.close("generator")
}

pub(super) struct Results<'e> {
    pub(super) evaluated: &'e dyn Evaluated,
    versions: HashMap<Box<str>, Box<str>>,
    truths: HashMap<&'e str, Truth>,
    /// By id, so that results are written in the same order each time.
    tests: BTreeMap<&'e str, TestView<'e>>,
    pub(super) variables: Variables<'e>,
}

impl Results<'_> {
    pub(super) fn version(&self, id: &str) -> &str {
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
            let document = self.evaluated.document();
            let variables = self.variables.named(of_states(document, &test.states));
            if view.tested.is_empty() && view.message.is_none() && variables.is_empty() {
                xml.empty("test", &attributes)?;
                continue;
            }
            xml.open("test", &attributes)?;
            if let Some(message) = view.message {
                xml.leaf("message", &[("level", "info")], message)?;
            }
            for remark in self.variables.remarks(&variables) {
                xml.leaf("message", &[("level", "info")], &remark)?;
            }
            for (item, truth) in &view.tested {
                let item = item.to_string();
                let attributes = [("item_id", item.as_str()), ("result", truth.word())];
                xml.empty("tested_item", &attributes)?;
            }
            self.variables.write(xml, "tested_variable", &variables)?;
            xml.close("test")?;
        }
        xml.close("tests")
    }
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
