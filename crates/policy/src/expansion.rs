//! Gatekeeper's ExpansionTemplates: the objects that a controller will make of another.
//!
//! An object that a template applies to is expanded into what its template source describes;
//! mutators of generated objects are applied to that, and it may be expanded again. What
//! policies say of it is said of the object that it came from, after `[Implied by NAME]`.
//! Templates that feed each other in a circle expand nothing and are reported. The expansion of
//! the workloads that come with Kubernetes, which scans use, is another: see `expand`.

use crate::mutate::{About, ApplyTo, Mutators, apply_to};
use crate::object::Object;
use crate::providers::Providers;
use crate::world::World;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Objects that are expanded from each other: no more than this, one after the other.
const MAX_DEPTH: usize = 30;
/// Objects that one object is expanded into.
const MAX_OBJECTS: usize = 1000;

/// An object that another one implies.
#[derive(Debug, Clone, PartialEq)]
pub struct Resultant {
    /// The object.
    pub object: Value,
    /// The ExpansionTemplate that it came by.
    pub template: String,
    /// What a violation of it leads to, instead of what the constraint says; empty for that.
    pub action: String,
}

impl Resultant {
    /// A policy's message about the object, as it is said of the object that implies it.
    pub fn message(&self, message: &str) -> String {
        format!("[Implied by {}] {message}", self.template)
    }
}

/// All ExpansionTemplates.
#[derive(Debug, Clone, Default)]
pub struct Expansions {
    all: BTreeMap<String, Template>,
    circles: BTreeSet<String>,
    faults: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Template {
    apply_to: Vec<ApplyTo>,
    source: Vec<String>,
    group: String,
    version: String,
    kind: String,
    action: String,
}

impl Expansions {
    /// From the ExpansionTemplates among some objects; of two of one name the later counts.
    pub fn from_objects<'o>(objects: impl IntoIterator<Item = &'o Object>) -> Self {
        let mut this = Self::default();
        for object in objects {
            if object.group != "expansion.gatekeeper.sh" || object.kind != "ExpansionTemplate" {
                continue;
            }
            match read(object) {
                Ok(template) => drop(this.all.insert(object.name.clone(), template)),
                Err(why) => this.faults.push((object.name.clone(), why)),
            }
        }
        this.circles = circles(&this.all);
        this
    }

    /// The names of those that cannot be used, and why.
    pub fn faults(&self) -> &[(String, String)] {
        &self.faults
    }

    /// The templates that feed each other in a circle.
    pub fn circles(&self) -> impl Iterator<Item = &str> {
        self.circles.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What an object implies, what that implies first. The error says why it cannot be told.
    pub fn expand(
        &self,
        object: &Value,
        about: &About<'_>,
        mutators: &Mutators,
        world: &World,
        providers: &dyn Providers,
    ) -> Result<Vec<Resultant>, String> {
        let mut out = Vec::new();
        let with = With {
            about: About {
                operation: None,
                generated: true,
                ..*about
            },
            mutators,
            world,
            providers,
        };
        self.into(object, &with, 0, &mut out)?;
        Ok(out)
    }

    fn into(
        &self,
        object: &Value,
        with: &With<'_>,
        depth: usize,
        out: &mut Vec<Resultant>,
    ) -> Result<(), String> {
        if depth >= MAX_DEPTH {
            return Err(format!("it is expanded more than {MAX_DEPTH} times"));
        }
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or("");
        let api = text("apiVersion");
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        let kind = text("kind");
        let mut here = Vec::new();
        for (name, template) in &self.all {
            let fits = |a: &ApplyTo| a.fits(group, version, kind);
            if self.circles.contains(name) || !template.apply_to.iter().any(fits) {
                continue;
            }
            let made = template.make(object, &with.about);
            let made = made.map_err(|why| format!("ExpansionTemplate {name}: {why}"))?;
            let mutated = with
                .mutators
                .mutate(&made, &with.about, with.world, with.providers)
                .map_err(|e| format!("ExpansionTemplate {name}: {e}"))?;
            here.push(Resultant {
                object: mutated.object,
                template: name.clone(),
                action: template.action.clone(),
            });
        }
        for resultant in &here {
            self.into(&resultant.object, with, depth + 1, out)?;
        }
        if out.len() + here.len() > MAX_OBJECTS {
            return Err(format!(
                "it is expanded into more than {MAX_OBJECTS} objects"
            ));
        }
        out.append(&mut here);
        Ok(())
    }
}

struct With<'a> {
    about: About<'a>,
    mutators: &'a Mutators,
    world: &'a World,
    providers: &'a dyn Providers,
}

fn read(object: &Object) -> Result<Template, String> {
    if !matches!(object.version.as_str(), "v1beta1" | "v1alpha1") {
        return Err(format!("there is no version {:?} of it", object.version));
    }
    if object.name.len() >= 64 {
        return Err("its name is longer than 63 characters".into());
    }
    let spec = object.value.get("spec").unwrap_or(&Value::Null);
    let text = |value: Option<&Value>, field: &str| match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("spec.{field} is no text")),
    };
    let source = text(spec.get("templateSource"), "templateSource")?;
    if source.is_empty() {
        return Err("spec.templateSource is missing".into());
    }
    let kind = spec.get("generatedGVK");
    let part = |field: &str| text(kind.and_then(|k| k.get(field)), "generatedGVK");
    let template = Template {
        apply_to: apply_to(spec.get("applyTo"))?,
        source: source.split('.').map(str::to_owned).collect(),
        group: part("group")?,
        version: part("version")?,
        kind: part("kind")?,
        action: text(spec.get("enforcementAction"), "enforcementAction")?,
    };
    let (group, version, kind) = template.makes();
    if group.is_empty() && version.is_empty() && kind.is_empty() {
        return Err("spec.generatedGVK is missing".into());
    }
    if template
        .apply_to
        .iter()
        .any(|a| a.fits(group, version, kind))
    {
        return Err("it applies to what it generates".into());
    }
    Ok(template)
}

impl Template {
    fn makes(&self) -> (&str, &str, &str) {
        (&self.group, &self.version, &self.kind)
    }

    fn make(&self, parent: &Value, about: &About<'_>) -> Result<Value, String> {
        let mut at = parent;
        for field in &self.source {
            at = at
                .get(field)
                .ok_or_else(|| format!("the object has no {:?}", self.source.join(".")))?;
        }
        let Value::Object(mut made) = at.clone() else {
            return Err(format!("{:?} is no mapping", self.source.join(".")));
        };
        let own = |field: &str| {
            let metadata = parent.get("metadata").and_then(|m| m.get(field));
            metadata.and_then(Value::as_str).unwrap_or("")
        };
        let api = match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        };
        made.insert("apiVersion".into(), api.into());
        made.insert("kind".into(), self.kind.clone().into());
        let metadata = made.entry("metadata").or_insert(Value::Null);
        if metadata.is_null() {
            *metadata = Value::Object(Map::new());
        }
        let Value::Object(metadata) = metadata else {
            return Err("metadata of the template source is no mapping".into());
        };
        let namespace = match about.namespace {
            "" => own("namespace"),
            told => told,
        };
        match namespace {
            "" => drop(metadata.remove("namespace")),
            namespace => drop(metadata.insert("namespace".into(), namespace.into())),
        }
        let dash = if self.kind.is_empty() { "" } else { "-" };
        let name = format!("{}{dash}{}", own("name"), self.kind).to_lowercase();
        metadata.insert("name".into(), name.into());
        owned_by(metadata, parent, own("name"));
        Ok(Value::Object(made))
    }
}

fn owned_by(metadata: &mut Map<String, Value>, parent: &Value, name: &str) {
    let text = |value: &Value, field: &str| {
        let text = value.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let (api, kind) = (text(parent, "apiVersion"), text(parent, "kind"));
    if api.is_empty() || kind.is_empty() || name.is_empty() {
        return;
    }
    let owners = metadata
        .entry("ownerReferences")
        .or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(owners) = owners else {
        return;
    };
    let same = |o: &Value| {
        text(o, "apiVersion") == api && text(o, "kind") == kind && text(o, "name") == name
    };
    if !owners.iter().any(same) {
        owners.push(json!({"apiVersion": api, "kind": kind, "name": name, "uid": ""}));
    }
}

/// The templates that can be reached from themselves.
fn circles(all: &BTreeMap<String, Template>) -> BTreeSet<String> {
    let next = |from: &Template| {
        let (group, version, kind) = from.makes();
        let fed = all
            .iter()
            .filter(move |(_, to)| to.apply_to.iter().any(|a| a.fits(group, version, kind)));
        fed.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let edges: BTreeMap<&str, Vec<&str>> = all
        .iter()
        .map(|(name, t)| (name.as_str(), next(t)))
        .collect();
    let mut found = BTreeSet::new();
    for start in edges.keys() {
        let mut seen = BTreeSet::new();
        let mut open = edges.get(start).cloned().unwrap_or_default();
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                open.extend(edges.get(at).into_iter().flatten());
            }
        }
        if seen.contains(start) {
            found.insert((*start).to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::NoProviders;

    fn object(group: &str, version: &str, kind: &str, name: &str, value: Value) -> Object {
        Object {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            namespace: String::new(),
            name: name.into(),
            location: bartizan_model::Location {
                file: "f".into(),
                line: 1,
                column: None,
            },
            value,
            lines: Vec::new(),
            helm: None,
        }
    }

    fn template(name: &str, from: &str, to: &str) -> Object {
        let spec = json!({"spec": {
            "applyTo": [{"groups": ["x.io"], "versions": ["v1"], "kinds": [from]}],
            "templateSource": "spec.template",
            "enforcementAction": "warn",
            "generatedGVK": {"group": "x.io", "version": "v1", "kind": to}
        }});
        object(
            "expansion.gatekeeper.sh",
            "v1beta1",
            "ExpansionTemplate",
            name,
            spec,
        )
    }

    fn expand(all: &[Object], value: &Value) -> Result<Vec<Resultant>, String> {
        let expansions = Expansions::from_objects(all);
        assert!(expansions.faults().is_empty());
        let mutators = Mutators::from_objects(all);
        let about = About::default();
        expansions.expand(value, &about, &mutators, &World::default(), &NoProviders)
    }

    fn parent() -> Value {
        json!({
            "apiVersion": "x.io/v1", "kind": "A", "metadata": {"name": "Top", "namespace": "n"},
            "spec": {"template": {"metadata": {"labels": {"l": "v"}}, "spec": {"template": {"spec": 1}}}}
        })
    }

    #[test]
    fn an_object_implies_others_with_what_mutators_do_to_them() {
        let mutator = object(
            "mutations.gatekeeper.sh",
            "v1",
            "AssignMetadata",
            "m",
            json!({"spec": {
                "match": {"source": "Generated"},
                "location": "metadata.labels.made",
                "parameters": {"assign": {"fromMetadata": {"field": "name"}}}
            }}),
        );
        let all = [
            template("a-b", "A", "B"),
            template("b-c", "B", "C"),
            mutator,
        ];
        let made = expand(&all, &parent()).unwrap();
        let names: Vec<_> = made.iter().map(|r| r.template.as_str()).collect();
        assert_eq!(names, ["b-c", "a-b"]);
        assert_eq!(
            made[1].object,
            json!({
                "apiVersion": "x.io/v1", "kind": "B",
                "metadata": {
                    "name": "top-b", "namespace": "n", "labels": {"l": "v", "made": "top-b"},
                    "ownerReferences": [{"apiVersion": "x.io/v1", "kind": "A", "name": "Top", "uid": ""}]
                },
                "spec": {"template": {"spec": 1}}
            })
        );
        assert_eq!(made[0].object["metadata"]["name"], "top-b-c");
        assert_eq!(made[0].action, "warn");
        assert_eq!(made[0].message("bad"), "[Implied by b-c] bad");
        assert_eq!(
            expand(&all, &json!({"apiVersion": "x.io/v1", "kind": "D"})),
            Ok(vec![])
        );
    }

    #[test]
    fn what_lacks_its_source_is_an_error() {
        let bare = json!({"apiVersion": "x.io/v1", "kind": "A", "metadata": {"name": "a"}});
        let why = expand(&[template("a-b", "A", "B")], &bare).unwrap_err();
        assert_eq!(
            why,
            "ExpansionTemplate a-b: the object has no \"spec.template\""
        );
    }

    #[test]
    fn circles_expand_nothing() {
        let all = [
            template("a-b", "A", "B"),
            template("b-a", "B", "A"),
            template("a-c", "A", "C"),
        ];
        let expansions = Expansions::from_objects(&all);
        assert_eq!(expansions.circles().collect::<Vec<_>>(), ["a-b", "b-a"]);
        let made = expand(&all, &parent()).unwrap();
        assert_eq!(made.len(), 1);
        let own = Expansions::from_objects(&[template("a-a", "A", "A")]);
        let fault = (
            "a-a".to_owned(),
            "it applies to what it generates".to_owned(),
        );
        assert_eq!(own.faults(), [fault]);
    }
}
