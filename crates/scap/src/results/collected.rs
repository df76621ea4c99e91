//! What was collected: OVAL System Characteristics within results.

use super::oval::{COMMON, ObjectView, Results, generator};
use super::secret::hides;
use super::testresult::{Context, address};
use super::variables::of_object;
use super::words::{family, flag_word, item_kind, status_word};
use super::xml::Xml;
use crate::oval::item::{Flag, Item, Status, Value};
use crate::oval::model::{Datatype, ObjectBody};
use bartizan_model::secret::has_hash;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

const SYSTEM: &str = "http://oval.mitre.org/XMLSchema/oval-system-characteristics-5";

impl Results<'_> {
    /// Writes `oval_system_characteristics`.
    pub(super) fn characteristics<W: Write>(
        &self,
        xml: &mut Xml<W>,
        context: &Context,
    ) -> io::Result<()> {
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
        let used = of_object(self.evaluated.document(), view.object);
        let variables = self.variables.named(used.into_iter());
        if view.items.is_empty() && view.message.is_none() && variables.is_empty() {
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
        for remark in self.variables.remarks(&variables) {
            xml.leaf("message", &[("level", "info")], &remark)?;
        }
        self.variables.write(xml, "variable_value", &variables)?;
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
        let hidden = masked.contains(&*value.name) || hides(kind, item, value);
        write_value(xml, &name, value, &[], hidden)?;
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
            let hidden = has_hash(&field.text);
            write_value(xml, "field", field, &[("name", &field.name)], hidden)?;
        }
    }
    xml.close(name)
}
