//! `oval_system_characteristics`: what was collected on another machine, or at another time,
//! read back to be judged; and `oval_variables`, the values of external variables.
//!
//! What the document does not say was not collected: a test of it is unknown.

use super::item::{Flag, Item, Status, Value};
use super::model::Datatype;
use crate::xml::{Element, XmlError, parse};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

const COMMON: &str = "http://oval.mitre.org/XMLSchema/oval-system-characteristics-5";

/// Why a document cannot be read: its fault.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not well-formed or too large.
    #[error("the document is not readable XML: {0}")]
    Xml(#[from] XmlError),
    /// It is something else.
    #[error("a document <{0}> is not <{1}>")]
    Other(String, &'static str),
    /// A word or a reference is not known.
    #[error("{0}")]
    Wrong(String),
}

/// What was collected of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// How complete it is.
    pub flag: Flag,
    /// Why it is not complete.
    pub message: Option<String>,
    /// The ids of its items, in order.
    pub items: Vec<Arc<str>>,
}

/// A machine as it was seen.
#[derive(Debug, Default)]
pub struct Characteristics {
    /// `system_info`, by the element's name: such as `os_name`.
    pub system: HashMap<Arc<str>, String>,
    /// `interface`: name, address, hardware address.
    pub interfaces: Vec<[String; 3]>,
    objects: HashMap<Arc<str>, Gathered>,
    items: HashMap<Arc<str>, Item>,
}

impl Characteristics {
    /// Reads a document.
    pub fn load(bytes: &[u8]) -> Result<Self, ReadError> {
        let root = parse(bytes)?;
        if &*root.name != "oval_system_characteristics" {
            let name = root.name.to_string();
            return Err(ReadError::Other(name, "oval_system_characteristics"));
        }
        let mut read = Self::default();
        for element in root.named("system_info").flat_map(Element::elements) {
            if &*element.name == "interfaces" {
                let interfaces = element.named("interface");
                read.interfaces.extend(interfaces.map(interface));
            } else {
                let text = element.text().trim().to_owned();
                read.system.insert(Arc::clone(&element.name), text);
            }
        }
        for element in root.named("system_data").flat_map(Element::elements) {
            let id = element.attribute("id").unwrap_or_default();
            if let Entry::Vacant(place) = read.items.entry(Arc::from(id)) {
                place.insert(item(element)?);
            }
        }
        let objects = root.named("collected_objects").flat_map(Element::elements);
        for element in objects {
            let id = element.attribute("id").unwrap_or_default();
            let gathered = read.gathered(id, element)?;
            // Of many instances the first counts.
            read.objects.entry(Arc::from(id)).or_insert(gathered);
        }
        Ok(read)
    }

    /// What was collected of an object.
    pub fn object(&self, id: &str) -> Option<&Gathered> {
        self.objects.get(id)
    }

    /// An item.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.get(id)
    }

    fn gathered(&self, id: &str, element: &Element) -> Result<Gathered, ReadError> {
        let mut items = Vec::new();
        for reference in element.named("reference") {
            let item = reference.attribute("item_ref").unwrap_or_default();
            match self.items.get_key_value(item) {
                Some((item, _)) => items.push(Arc::clone(item)),
                None => {
                    let what = format!("object {id} refers to item {item:?}, which is not there");
                    return Err(ReadError::Wrong(what));
                }
            }
        }
        let flag = match element.attribute("flag") {
            Some("complete") => Flag::Complete,
            Some("does not exist") => Flag::DoesNotExist,
            Some("error") => Flag::Error,
            Some("incomplete") => Flag::Incomplete,
            Some("not applicable") => Flag::NotApplicable,
            Some("not collected") => Flag::NotCollected,
            other => {
                let other = other.unwrap_or_default();
                let what = format!("object {id} has the unknown flag {other:?}");
                return Err(ReadError::Wrong(what));
            }
        };
        let message = element.child("message").map(Element::text);
        Ok(Gathered {
            flag,
            message,
            items,
        })
    }
}

fn interface(element: &Element) -> [String; 3] {
    ["interface_name", "ip_address", "mac_address"].map(|name| {
        let text = element.child(name).map(Element::text);
        text.unwrap_or_default().trim().to_owned()
    })
}

fn item(element: &Element) -> Result<Item, ReadError> {
    let mut item = Item {
        status: status(element)?,
        ..Item::default()
    };
    for child in element.elements() {
        // Entities are of the platform's namespace, messages of the common one.
        if &*child.name == "message" && &*child.namespace == COMMON {
            item.message.get_or_insert_with(|| child.text().into());
        } else {
            let name = Arc::clone(&child.name);
            item.values.push(value(child, name)?);
        }
    }
    Ok(item)
}

/// An entity of an item, or a field of a record, which cannot have fields.
fn value(element: &Element, name: Arc<str>) -> Result<Value, ReadError> {
    let text = element.attribute("datatype");
    let Some(datatype) = Datatype::parse(text) else {
        let text = text.unwrap_or_default();
        let what = format!("{name} has the unknown datatype {text:?}");
        return Err(ReadError::Wrong(what));
    };
    let mut fields = Vec::new();
    if datatype == Datatype::Record {
        for field in element.named("field") {
            let name = field.attribute("name").unwrap_or_default();
            fields.push(value(field, Arc::from(name))?);
        }
    }
    let status = status(element)?;
    let text = match (status, datatype) {
        (Status::Exists, Datatype::Record) => Arc::from(""),
        (Status::Exists, _) => Arc::from(element.text()),
        _ => Arc::from(""),
    };
    Ok(Value {
        name,
        datatype,
        status,
        text,
        fields,
    })
}

fn status(element: &Element) -> Result<Status, ReadError> {
    match element.attribute("status") {
        None | Some("exists") => Ok(Status::Exists),
        Some("does not exist") => Ok(Status::DoesNotExist),
        Some("error") => Ok(Status::Error),
        Some("not collected") => Ok(Status::NotCollected),
        Some(other) => {
            let what = format!("{} has the unknown status {other:?}", element.name);
            Err(ReadError::Wrong(what))
        }
    }
}

/// Reads `oval_variables`: the values of external variables. Of many of an id the first counts.
pub fn variables(bytes: &[u8]) -> Result<HashMap<Arc<str>, Vec<Arc<str>>>, ReadError> {
    let root = parse(bytes)?;
    if &*root.name != "oval_variables" {
        return Err(ReadError::Other(root.name.to_string(), "oval_variables"));
    }
    let mut variables = HashMap::new();
    for variable in root.named("variables").flat_map(Element::elements) {
        let id = variable.attribute("id").unwrap_or_default();
        let values = variable.named("value");
        let values = values.map(|value| Arc::from(value.text())).collect();
        variables.entry(Arc::from(id)).or_insert(values);
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oval::evaluate::Evaluator;
    use crate::oval::outcome::Truth;
    use crate::probe::Context;
    use crate::system::Rooted;

    const DATA: &str = "
        <system_info><os_name>Linux</os_name><interfaces><interface>
          <interface_name>lo</interface_name><ip_address>127.0.0.1</ip_address>
          <mac_address>00:00</mac_address></interface></interfaces></system_info>
        <collected_objects>
          <object id='o' version='1' flag='complete'><reference item_ref='1'/></object>
          <object id='o' version='1' flag='error'/>
          <object id='p' version='1' flag='not applicable'><message>elsewhere</message></object>
        </collected_objects>
        <system_data><s:sql57_item id='1' xmlns:s='urn:s#independent'><message>m</message>
          <s:message datatype='int'>7</s:message><s:gone status='does not exist'/>
          <s:result datatype='record'><s:field name='k'>v</s:field></s:result></s:sql57_item>
        </system_data>";

    fn load(inner: &str) -> Result<Characteristics, ReadError> {
        let text = format!(
            "<oval_system_characteristics xmlns='{COMMON}'>{inner}</oval_system_characteristics>"
        );
        Characteristics::load(text.as_bytes())
    }

    #[test]
    fn items_have_entities_statuses_and_records() {
        let read = load(DATA).unwrap();
        assert_eq!(read.system["os_name"], "Linux");
        assert_eq!(read.interfaces[0][1], "127.0.0.1");
        let item = read.item("1").unwrap();
        assert_eq!(item.message.as_deref(), Some("m"));
        assert_eq!(item.text("message"), Some("7"));
        assert_eq!(item.values[0].datatype, Datatype::Int);
        assert_eq!(item.values[1].status, Status::DoesNotExist);
        assert_eq!(&*item.values[2].fields[0].text, "v");
        assert_eq!(read.object("o").unwrap().flag, Flag::Complete);
        let message = read.object("p").unwrap().message.as_deref();
        assert_eq!(message, Some("elsewhere"));
    }

    #[test]
    fn what_was_recorded_decides_and_the_rest_is_unknown() {
        let test = |id: &str, object: &str| {
            format!(
                "<t:sql57_test id='{id}' check='all'><t:object object_ref='{object}'/>\
                 <t:state state_ref='s'/></t:sql57_test>"
            )
        };
        let definition = |id: &str, test: &str| {
            format!(
                "<definition id='{id}'><criteria><criterion test_ref='{test}'/></criteria></definition>"
            )
        };
        let text = format!(
            "<oval_definitions xmlns='urn:d' xmlns:t='urn:d#independent'><definitions>{}{}{}</definitions>
             <tests>{}{}{}</tests>
             <objects><t:sql57_object id='o'/><t:sql57_object id='p'/><t:sql57_object id='q'/></objects>
             <states><t:sql57_state id='s'><t:message datatype='int' operation='less than'>8</t:message>
             </t:sql57_state></states></oval_definitions>",
            definition("d1", "t1"), definition("d2", "t2"), definition("d3", "t3"),
            test("t1", "o"), test("t2", "p"), test("t3", "q"),
        );
        let document = crate::oval::parse::document(&parse(text.as_bytes()).unwrap()).unwrap();
        let read = load(DATA).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let system = Rooted::new(folder.path().to_path_buf(), false);
        let context = Context::new(&system);
        let externals = HashMap::new();
        let mut evaluator =
            Evaluator::new(&document, &context, &externals).with_characteristics(&read);
        let results: Vec<Truth> = evaluator
            .all()
            .into_iter()
            .map(|(_, truth)| truth)
            .collect();
        assert_eq!(results, [Truth::True, Truth::NotApplicable, Truth::Unknown]);
    }

    #[test]
    fn wrong_documents_are_refused() {
        for (wrong, what) in [
            (
                "<collected_objects><object id='o' flag='done'/></collected_objects>",
                "flag",
            ),
            (
                "<collected_objects><object id='o' flag='complete'><reference item_ref='9'/></object></collected_objects>",
                "not there",
            ),
            (
                "<system_data><a_item id='1' status='maybe'/></system_data>",
                "status",
            ),
            (
                "<system_data><a_item id='1'><b datatype='c'/></a_item></system_data>",
                "datatype",
            ),
        ] {
            let error = load(wrong).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(Characteristics::load(b"<a/>").is_err());
        assert!(variables(b"<a/>").is_err());
    }

    #[test]
    fn external_variables_have_their_values() {
        let text =
            b"<oval_variables><variables><variable id='v'><value>1</value><value/></variable>\
                     <variable id='v'><value>2</value></variable></variables></oval_variables>";
        let read = variables(text).unwrap();
        assert_eq!(read["v"], [Arc::from("1"), Arc::from("")]);
    }
}
