//! XCCDF documents read from XML.

use super::inherit;
use super::model::{
    Benchmark, Body, Check, Fix, Instance, Item, Profile, RefineRule, Role, Rule, Severity,
    SimpleCheck, Tailoring, Text, TextPart, Value, Written,
};
use crate::content::cpe;
use crate::xml::{Element, Node};
use std::sync::Arc;

/// The namespaces that are read.
const NAMESPACES: [&str; 3] = [
    "http://checklists.nist.gov/xccdf/1.2",
    "http://checklists.nist.gov/xccdf/1.1",
    // OpenSCAP's own, for tailoring of 1.1 benchmarks.
    "http://open-scap.org/page/Xccdf-1.1-tailoring",
];
const MAX_PLATFORMS: usize = 1000;

/// Why a document is not XCCDF: the content's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ParseError {
    /// The element, with its id where it has one.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

fn error(place: &Element, what: impl Into<String>) -> ParseError {
    let id = place.attribute("id").unwrap_or_default();
    ParseError {
        place: format!("<{} {id}>", place.name),
        what: what.into(),
    }
}

/// Reads a `Benchmark`.
pub fn benchmark(root: &Element) -> Result<Benchmark, ParseError> {
    known_namespace(root)?;
    let mut benchmark = Benchmark {
        id: id(root)?,
        namespace: Arc::clone(&root.namespace),
        version: version(root).unwrap_or_default(),
        title: first_text(root, "title"),
        description: first_text(root, "description"),
        platforms: platforms(root),
        ..Benchmark::default()
    };
    for element in root.elements() {
        match &*element.name {
            "platform-specification" => {
                benchmark.specification = Some(cpe::specification(element));
            }
            "cpe-list" => benchmark.dictionary = Some(cpe::dictionary(element)),
            _ if element.namespace != root.namespace => {}
            "plain-text" => {
                if let Some(id) = element.attribute("id") {
                    benchmark.plain_texts.insert(id.into(), element.text());
                }
            }
            "model" => {
                let system = element.attribute("system").unwrap_or_default();
                benchmark.models.push(system.into());
            }
            "Profile" => benchmark.profiles.push(profile(element)?),
            "Group" | "Rule" => item(&mut benchmark, element, None)?,
            "Value" => value(&mut benchmark, element)?,
            _ => {}
        }
    }
    inherit::resolve(&mut benchmark);
    Ok(benchmark)
}

/// Reads a `Tailoring`.
pub fn tailoring(root: &Element) -> Result<Tailoring, ParseError> {
    known_namespace(root)?;
    let profiles = root.named("Profile").map(profile);
    Ok(Tailoring {
        id: root.attribute("id").unwrap_or_default().into(),
        version: version(root).unwrap_or_default(),
        benchmark: root
            .child("benchmark")
            .or_else(|| root.child("benchmark-ref"))
            .and_then(|of| of.attribute("href"))
            .map(Into::into),
        profiles: profiles.collect::<Result<_, _>>()?,
    })
}

fn known_namespace(root: &Element) -> Result<(), ParseError> {
    if NAMESPACES.contains(&&*root.namespace) {
        return Ok(());
    }
    Err(error(
        root,
        format!("the namespace {:?} is not XCCDF 1.1 or 1.2", root.namespace),
    ))
}

fn id(element: &Element) -> Result<Arc<str>, ParseError> {
    match element.attribute("id") {
        Some(id) if !id.is_empty() => Ok(id.into()),
        _ => Err(error(element, "an id is missing")),
    }
}

/// Booleans as OpenSCAP reads them.
fn truth(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "1")
}

fn flag(element: &Element, name: &str) -> Option<bool> {
    element.attribute(name).map(truth)
}

fn version(element: &Element) -> Option<String> {
    element
        .child("version")
        .map(Element::text)
        .filter(|version| !version.is_empty())
}

/// A weight; scores need it finite and not negative.
fn weight(element: &Element) -> Option<f64> {
    let weight: f64 = element.attribute("weight")?.trim().parse().ok()?;
    (weight.is_finite() && weight >= 0.0).then_some(weight)
}

fn platforms(element: &Element) -> Vec<Arc<str>> {
    let idrefs = element.named("platform");
    let mut platforms = Vec::new();
    for idref in idrefs.filter_map(|platform| platform.attribute("idref")) {
        platforms.push(Arc::from(idref));
        if platforms.len() >= MAX_PLATFORMS {
            break;
        }
    }
    platforms
}

/// Reads a group or a rule with what is in it. Recursion is bounded by the depth of the XML.
fn item(
    benchmark: &mut Benchmark,
    element: &Element,
    parent: Option<usize>,
) -> Result<(), ParseError> {
    let is_rule = &*element.name == "Rule";
    let own = benchmark.items.len();
    let mut written = Written {
        selected: element.attribute("selected").is_some(),
        weight: weight(element).is_some(),
        ..Written::default()
    };
    let body = if is_rule {
        written.role = element.attribute("role").is_some();
        written.severity = element.attribute("severity").is_some();
        Body::Rule(Box::new(rule(element)))
    } else {
        Body::Group
    };
    let words = |text: &str| text.split_ascii_whitespace().map(Arc::from).collect();
    benchmark.items.push(Item {
        id: id(element)?,
        cluster: element.attribute("cluster-id").map(Arc::from),
        parent,
        end: own + 1,
        selected: flag(element, "selected").unwrap_or(true),
        weight: weight(element).unwrap_or(1.0),
        version: version(element),
        title: first_text(element, "title"),
        description: first_text(element, "description"),
        rationale: first_text(element, "rationale"),
        platforms: platforms(element),
        requires: element
            .named("requires")
            .filter_map(|requires| requires.attribute("idref").map(words))
            .collect(),
        conflicts: element
            .named("conflicts")
            .filter_map(|conflicts| conflicts.attribute("idref").map(Arc::from))
            .collect(),
        extends: element.attribute("extends").map(Arc::from),
        is_abstract: flag(element, "abstract").unwrap_or(false),
        written,
        body,
    });
    if !is_rule {
        for inner in element.elements() {
            match &*inner.name {
                _ if inner.namespace != element.namespace => {}
                "Group" | "Rule" => item(benchmark, inner, Some(own))?,
                "Value" => value(benchmark, inner)?,
                _ => {}
            }
        }
        let end = benchmark.items.len();
        if let Some(group) = benchmark.items.get_mut(own) {
            group.end = end;
        }
    }
    Ok(())
}

fn rule(element: &Element) -> Rule {
    let pair = |name: &'static str, key: &'static str| {
        element
            .named(name)
            .map(|child| {
                let key = child.attribute(key).unwrap_or_default();
                (key.into(), child.text().trim().into())
            })
            .collect()
    };
    Rule {
        role: element.attribute("role").map_or(Role::Full, Role::parse),
        severity: element
            .attribute("severity")
            .and_then(Severity::parse)
            .unwrap_or_default(),
        checks: element.elements().filter_map(check).collect(),
        idents: pair("ident", "system"),
        references: pair("reference", "href"),
        fixes: element
            .named("fix")
            .map(|fix| Fix {
                id: fix.attribute("id").map(Arc::from),
                system: fix.attribute("system").unwrap_or_default().into(),
                text: text(fix, false),
            })
            .collect(),
    }
}

/// Recursion is bounded by the depth of the XML.
fn check(element: &Element) -> Option<Check> {
    let negate = flag(element, "negate").unwrap_or(false);
    match &*element.name {
        "complex-check" => Some(Check::Complex {
            // What is neither is `OR`'s stricter sibling: a pass then needs all.
            all: !matches!(element.attribute("operator"), Some("OR" | "or")),
            negate,
            parts: element.elements().filter_map(check).collect(),
        }),
        "check" => Some(Check::Simple(SimpleCheck {
            system: element.attribute("system").unwrap_or_default().into(),
            selector: element.attribute("selector").unwrap_or_default().into(),
            negate,
            multi: flag(element, "multi-check").unwrap_or(false),
            imports: element
                .named("check-import")
                .filter_map(|import| import.attribute("import-name").map(Arc::from))
                .collect(),
            exports: element
                .named("check-export")
                .filter_map(|export| {
                    let variable = export.attribute("export-name")?;
                    let value = export.attribute("value-id").unwrap_or_default();
                    Some((Arc::from(variable), Arc::from(value)))
                })
                .collect(),
            refs: element
                .named("check-content-ref")
                .filter_map(|content| {
                    let href = content.attribute("href")?;
                    Some((Arc::from(href), content.attribute("name").map(Arc::from)))
                })
                .collect(),
        })),
        _ => None,
    }
}

fn value(benchmark: &mut Benchmark, element: &Element) -> Result<(), ParseError> {
    let id = id(element)?;
    let mut value = Value {
        id: Arc::clone(&id),
        title: first_text(element, "title"),
        description: first_text(element, "description"),
        kind: element.attribute("type").unwrap_or("string").into(),
        instances: Vec::new(),
        extends: element.attribute("extends").map(Arc::from),
        is_abstract: flag(element, "abstract").unwrap_or(false),
    };
    for choice in element.elements() {
        let texts = match &*choice.name {
            "value" => Some(vec![choice.text().into_boxed_str()]),
            "complex-value" => Some(items(choice)),
            "default" | "complex-default" | "match" | "lower-bound" | "upper-bound" | "choices" => {
                None
            }
            _ => continue,
        };
        let selector = choice.attribute("selector").unwrap_or_default();
        let known = value
            .instances
            .iter_mut()
            .find(|instance| &*instance.selector == selector);
        match known {
            Some(instance) => instance.texts = texts.or(instance.texts.take()),
            None => value.instances.push(Instance {
                selector: selector.into(),
                texts,
            }),
        }
    }
    if benchmark.values.insert(Arc::clone(&id), value).is_none() {
        benchmark.value_order.push(id);
    }
    Ok(())
}

fn items(element: &Element) -> Vec<Box<str>> {
    let items = element.named("item");
    items.map(|item| item.text().into_boxed_str()).collect()
}

fn profile(element: &Element) -> Result<Profile, ParseError> {
    let mut profile = Profile {
        id: id(element)?,
        title: first_text(element, "title"),
        description: first_text(element, "description"),
        extends: element.attribute("extends").map(Arc::from),
        ..Profile::default()
    };
    for change in element.elements() {
        let Some(idref) = change.attribute("idref") else {
            continue;
        };
        let idref: Arc<str> = idref.into();
        let selector = || change.attribute("selector").map(Into::into);
        match &*change.name {
            "select" => {
                let selected = flag(change, "selected").unwrap_or(false);
                profile.selects.push((idref, selected));
            }
            "set-value" => {
                let text = change.text().into_boxed_str();
                profile.set_values.push((idref, vec![text]));
            }
            "set-complex-value" => profile.set_values.push((idref, items(change))),
            "refine-value" => profile.refine_values.push((idref, selector())),
            "refine-rule" => profile.refine_rules.push(RefineRule {
                id: idref,
                selector: selector(),
                role: change.attribute("role").map_or(Role::Full, Role::parse),
                severity: change.attribute("severity").and_then(Severity::parse),
                weight: weight(change),
            }),
            _ => {}
        }
    }
    Ok(profile)
}

/// The text of the first child of that name.
fn first_text(element: &Element, name: &str) -> Text {
    element
        .child(name)
        .map(|child| text(child, true))
        .unwrap_or_default()
}

/// A text; markup becomes line breaks where `prose`.
fn text(element: &Element, prose: bool) -> Text {
    let mut text = Text::default();
    gather(element, prose, &mut text);
    text
}

/// Recursion is bounded by the depth of the XML.
fn gather(element: &Element, prose: bool, text: &mut Text) {
    for node in &element.children {
        let inner = match node {
            Node::Text(plain) => {
                push(text, plain);
                continue;
            }
            Node::Element(inner) => inner,
        };
        match &*inner.name {
            "sub" => {
                if let Some(id) = inner.attribute("idref") {
                    text.parts.push(TextPart::Sub {
                        id: id.into(),
                        title: inner.attribute("use") == Some("title"),
                    });
                }
            }
            "object"
                if inner
                    .attribute("data")
                    .is_some_and(|data| data.starts_with("#xccdf:")) =>
            {
                let data = inner.attribute("data").unwrap_or_default();
                let value = data.strip_prefix("#xccdf:value:");
                let title = data.strip_prefix("#xccdf:title:");
                if let Some(id) = value.or(title) {
                    text.parts.push(TextPart::Sub {
                        id: id.into(),
                        title: title.is_some(),
                    });
                }
            }
            "br" if prose => push(text, "\n"),
            "li" if prose => {
                push(text, "\n- ");
                gather(inner, prose, text);
            }
            "p" | "div" | "pre" | "ul" | "ol" | "table" | "tr" if prose => {
                push(text, "\n");
                gather(inner, prose, text);
                push(text, "\n");
            }
            _ => gather(inner, prose, text),
        }
    }
}

fn push(text: &mut Text, plain: &str) {
    if let Some(TextPart::Plain(last)) = text.parts.last_mut() {
        let mut joined = String::from(std::mem::take(last));
        joined.push_str(plain);
        *last = joined.into_boxed_str();
    } else {
        text.parts.push(TextPart::Plain(plain.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    fn read(inner: &str) -> Result<Benchmark, ParseError> {
        let text = format!(
            "<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' xmlns:h='urn:h' id='b'>{inner}</Benchmark>"
        );
        benchmark(&xml::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn items_know_where_they_are() {
        let benchmark = read(
            "<Group id='g'><Group id='h'><Rule id='r' selected='false'/></Group><Rule id='s' weight='-1'/></Group><Rule id='t' weight='2.5'/>",
        )
        .unwrap();
        let shape: Vec<_> = benchmark
            .items
            .iter()
            .map(|item| (&*item.id, item.parent, item.end, item.selected, item.weight))
            .collect();
        assert_eq!(
            shape,
            [
                ("g", None, 4, true, 1.0),
                ("h", Some(0), 3, true, 1.0),
                ("r", Some(1), 3, false, 1.0),
                ("s", Some(0), 4, true, 1.0),
                ("t", None, 5, true, 2.5),
            ]
        );
        assert_eq!(benchmark.children(None), [0, 4]);
        assert_eq!(benchmark.children(Some(0)), [1, 3]);
        assert!(benchmark.children(Some(4)).is_empty());
    }

    #[test]
    fn texts_keep_places_for_values() {
        let benchmark = read(
            "<Rule id='r'><title>at most <sub idref='v' use='value'/> s</title><description>a<h:p>b<h:br/>c</h:p></description></Rule>",
        )
        .unwrap();
        let rule = benchmark.item("r").unwrap();
        assert_eq!(
            rule.title
                .render(&|id, _| (id == "v").then(|| "5".to_owned())),
            "at most 5 s"
        );
        assert_eq!(rule.title.render(&|_, _| None), "at most [v] s");
        assert_eq!(rule.description.render(&|_, _| None), "a\nb\nc");
    }

    #[test]
    fn a_value_without_a_default_choice_is_its_first() {
        let benchmark = read(
            "<Value id='v'><value selector='a'>1</value><value selector='b'>2</value></Value><Value id='w'><value selector='a'>1</value><value>3</value></Value>",
        )
        .unwrap();
        let chosen = |id: &str, selector| {
            benchmark.values[id]
                .choose(selector)
                .and_then(|instance| instance.texts.as_ref())
                .map(|texts| texts[0].to_string())
        };
        assert_eq!(chosen("v", None).as_deref(), Some("1"));
        assert_eq!(chosen("v", Some("b")).as_deref(), Some("2"));
        assert_eq!(chosen("v", Some("c")), None);
        assert_eq!(chosen("w", None).as_deref(), Some("3"));
    }

    #[test]
    fn other_namespaces_are_refused() {
        let root = xml::parse(b"<Benchmark xmlns='urn:x' id='b'/>").unwrap();
        assert!(benchmark(&root).unwrap_err().what.contains("urn:x"));
    }
}
