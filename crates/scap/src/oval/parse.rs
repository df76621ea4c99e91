//! `oval_definitions` read into the model.
//!
//! Ids that are referred to need not be there: what refers to nothing is an error when it is
//! evaluated. Words of an enumeration that are not known are the content's fault, for a test
//! must not mean something else than it says.

mod variable;

use super::model::{
    Check, Criteria, Datatype, Definition, Document, Entity, Existence, Filter, Object, ObjectBody,
    Operation, Operator, Set, SetOperand, SetOperator, State, Test,
};
use crate::xml::Element;
use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;

/// What is wrong with the content.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ContentError(pub String);

/// Reads a document.
pub fn document(root: &Element) -> Result<Document, ContentError> {
    let mut reader = Reader::default();
    let mut document = Document::default();
    for (section, element) in children(root) {
        match section {
            "definitions" => {
                let definition = reader.definition(element)?;
                let id = Arc::clone(&definition.id);
                if add(&mut document.definitions, &id, definition) {
                    document.order.push(id);
                }
            }
            "tests" => {
                let test = reader.test(element)?;
                add(&mut document.tests, &Arc::clone(&test.id), test);
            }
            "objects" => {
                let object = reader.object(element)?;
                add(&mut document.objects, &Arc::clone(&object.id), object);
            }
            "states" => {
                let state = reader.state(element)?;
                add(&mut document.states, &Arc::clone(&state.id), state);
            }
            "variables" => {
                let variable = reader.variable(element)?;
                let id = Arc::clone(&variable.id);
                add(&mut document.variables, &id, variable);
            }
            _ => {}
        }
    }
    Ok(document)
}

/// The elements of all sections, each with its section's name.
fn children(root: &Element) -> impl Iterator<Item = (&str, &Element)> {
    root.elements()
        .flat_map(|section| section.elements().map(move |child| (&*section.name, child)))
        .filter(|(_, child)| child.attribute("id").is_some())
}

/// The first of an id counts. Whether it is the first.
fn add<T>(to: &mut HashMap<Arc<str>, T>, id: &Arc<str>, what: T) -> bool {
    match to.entry(Arc::clone(id)) {
        Entry::Vacant(place) => {
            place.insert(what);
            true
        }
        Entry::Occupied(_) => false,
    }
}

/// Reads elements; a text that occurs often is kept once.
#[derive(Default)]
struct Reader {
    names: HashSet<Arc<str>>,
    /// The element with an id that is being read, for errors.
    place: String,
}

impl Reader {
    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(text);
        self.names.insert(Arc::clone(&name));
        name
    }

    fn id(&mut self, element: &Element) -> Arc<str> {
        let id = element.attribute("id").unwrap_or_default();
        self.place = format!("<{} {id}>", element.name);
        self.name(id)
    }

    /// A required reference; what is missing refers to nothing.
    fn reference(&mut self, element: &Element, attribute: &str) -> Arc<str> {
        self.name(element.attribute(attribute).unwrap_or_default().trim())
    }

    fn reference_text(&mut self, element: &Element) -> Arc<str> {
        let text = element.text();
        self.name(text.trim())
    }

    /// The attribute read by `parse`, whose None is an unknown word.
    fn word<T>(
        &self,
        element: &Element,
        attribute: &str,
        parse: impl Fn(Option<&str>) -> Option<T>,
    ) -> Result<T, ContentError> {
        let text = element.attribute(attribute).map(str::trim);
        parse(text).ok_or_else(|| {
            let place = &self.place;
            let (name, text) = (&element.name, text.unwrap_or_default());
            ContentError(format!(
                "{place}: {name}/@{attribute} has the unknown value {text:?}"
            ))
        })
    }

    fn flag(&self, element: &Element, attribute: &str) -> Result<bool, ContentError> {
        self.word(element, attribute, |text| match text {
            None | Some("false" | "0") => Some(false),
            Some("true" | "1") => Some(true),
            Some(_) => None,
        })
    }

    fn check(&self, element: &Element, attribute: &str) -> Result<Check, ContentError> {
        self.word(element, attribute, |text| {
            text.map_or(Some(Check::All), Check::parse)
        })
    }

    fn existence(&self, element: &Element) -> Result<Existence, ContentError> {
        self.word(element, "check_existence", |text| match text {
            None | Some("at_least_one_exists") => Some(Existence::AtLeastOne),
            Some("all_exist") => Some(Existence::All),
            Some("any_exist") => Some(Existence::Any),
            Some("none_exist") => Some(Existence::None),
            Some("only_one_exists") => Some(Existence::OnlyOne),
            Some(_) => None,
        })
    }

    /// What a test, object or state is about. The names of platforms that have no probes here
    /// overlap with those that do, so theirs have the platform before them.
    fn kind(&mut self, element: &Element, suffix: &str) -> Arc<str> {
        let name = &*element.name;
        let name = name.strip_suffix(suffix).unwrap_or(name);
        match element.namespace.rsplit_once('#') {
            None | Some((_, "independent" | "unix" | "linux")) => self.name(name),
            Some((_, platform)) => {
                let name = format!("{platform}/{name}");
                self.name(&name)
            }
        }
    }

    fn definition(&mut self, element: &Element) -> Result<Definition, ContentError> {
        let id = self.id(element);
        let title = element
            .child("metadata")
            .and_then(|metadata| metadata.child("title"))
            .map(|title| one_line(&title.text()))
            .unwrap_or_default();
        let criteria = match element.child("criteria") {
            Some(criteria) => Some(self.criteria(criteria)?),
            None => None,
        };
        Ok(Definition {
            id,
            class: element.attribute("class").unwrap_or_default().into(),
            title,
            criteria,
        })
    }

    /// Recursion is bounded by the depth of the XML.
    fn criteria(&mut self, element: &Element) -> Result<Criteria, ContentError> {
        let mut parts = Vec::new();
        for part in element.elements() {
            match &*part.name {
                "criteria" => parts.push(self.criteria(part)?),
                "criterion" => parts.push(Criteria::Test {
                    test: self.reference(part, "test_ref"),
                    negate: self.flag(part, "negate")?,
                }),
                "extend_definition" => parts.push(Criteria::Extend {
                    definition: self.reference(part, "definition_ref"),
                    negate: self.flag(part, "negate")?,
                }),
                _ => {}
            }
        }
        Ok(Criteria::Group {
            operator: self.word(element, "operator", Operator::parse)?,
            negate: self.flag(element, "negate")?,
            parts,
        })
    }

    fn test(&mut self, element: &Element) -> Result<Test, ContentError> {
        let id = self.id(element);
        let object = element.child("object");
        // Deprecated: means both that none exists and that none satisfies.
        let existence = match element.attribute("check").map(str::trim) {
            Some("none exist") => Existence::None,
            _ => self.existence(element)?,
        };
        let states = element.named("state");
        Ok(Test {
            id,
            kind: self.kind(element, "_test"),
            comment: one_line(element.attribute("comment").unwrap_or_default()),
            existence,
            check: self.check(element, "check")?,
            state_operator: self.word(element, "state_operator", Operator::parse)?,
            object: object.map(|object| self.reference(object, "object_ref")),
            states: states
                .map(|state| self.reference(state, "state_ref"))
                .collect(),
        })
    }

    fn object(&mut self, element: &Element) -> Result<Object, ContentError> {
        let id = self.id(element);
        let kind = self.kind(element, "_object");
        if let Some(set) = element.child("set") {
            let body = ObjectBody::Set(self.set(set)?);
            return Ok(Object { id, kind, body });
        }
        let mut behaviors = Vec::new();
        let mut entities = Vec::new();
        let mut filters = Vec::new();
        for child in element.elements() {
            match &*child.name {
                "notes" | "Signature" => {}
                "behaviors" => {
                    let given = child.attributes.iter();
                    behaviors.extend(given.map(|(name, value)| (Arc::clone(name), value.clone())));
                }
                "filter" => filters.push(self.filter(child)?),
                _ => entities.push(self.entity(child)?),
            }
        }
        Ok(Object {
            id,
            kind,
            body: ObjectBody::Plain {
                behaviors,
                entities,
                filters,
            },
        })
    }

    /// Recursion is bounded by the depth of the XML.
    fn set(&mut self, element: &Element) -> Result<Set, ContentError> {
        let mut operands = Vec::new();
        let mut filters = Vec::new();
        for child in element.elements() {
            match &*child.name {
                "set" => operands.push(SetOperand::Set(self.set(child)?)),
                "object_reference" => {
                    operands.push(SetOperand::Object(self.reference_text(child)));
                }
                "filter" => filters.push(self.filter(child)?),
                _ => {}
            }
        }
        let operator = self.word(element, "set_operator", |text| match text {
            None | Some("UNION") => Some(SetOperator::Union),
            Some("COMPLEMENT") => Some(SetOperator::Complement),
            Some("INTERSECTION") => Some(SetOperator::Intersection),
            Some(_) => None,
        })?;
        Ok(Set {
            operator,
            operands,
            filters,
        })
    }

    fn filter(&mut self, element: &Element) -> Result<Filter, ContentError> {
        let include = self.word(element, "action", |text| match text {
            None | Some("exclude") => Some(false),
            Some("include") => Some(true),
            Some(_) => None,
        })?;
        Ok(Filter {
            include,
            state: self.reference_text(element),
        })
    }

    fn state(&mut self, element: &Element) -> Result<State, ContentError> {
        let id = self.id(element);
        let kind = self.kind(element, "_state");
        let mut entities = Vec::new();
        for child in element.elements() {
            if !matches!(&*child.name, "notes" | "Signature") {
                entities.push(self.entity(child)?);
            }
        }
        Ok(State {
            id,
            kind,
            operator: self.word(element, "operator", Operator::parse)?,
            entities,
        })
    }

    /// An entity of an object or state, or a field of a record, which cannot have fields.
    fn entity(&mut self, element: &Element) -> Result<Entity, ContentError> {
        let datatype = self.word(element, "datatype", Datatype::parse)?;
        let mut fields = Vec::new();
        if datatype == Datatype::Record {
            for field in element.named("field") {
                let mut entity = self.entity(field)?;
                entity.name = self.name(field.attribute("name").unwrap_or_default());
                fields.push(entity);
            }
        }
        let variable = element.attribute("var_ref").map(str::trim);
        let value = if datatype == Datatype::Record || variable.is_some() {
            Box::default()
        } else {
            element.text().into_boxed_str()
        };
        Ok(Entity {
            name: Arc::clone(&element.name),
            datatype,
            operation: self.word(element, "operation", Operation::parse)?,
            mask: self.flag(element, "mask")?,
            variable: variable.map(|variable| self.name(variable)),
            var_check: self.check(element, "var_check")?,
            entity_check: self.check(element, "entity_check")?,
            existence: self.existence(element)?,
            nil: element.is_nil(),
            value,
            fields,
        })
    }
}

/// Without breaks and indentation.
fn one_line(text: &str) -> Box<str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").into_boxed_str()
}

#[cfg(test)]
mod tests;
