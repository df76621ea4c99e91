//! Kubernetes objects as they were read: identity, place in the source, container lines.

use crate::input::Document;
use bartizan_model::Location;
use serde_json::Value;

/// One Kubernetes object of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The API group; empty for the core group.
    pub group: String,
    /// The API version within the group.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The namespace as written; empty where none is.
    pub namespace: String,
    /// The name, or `generateName` where there is only that.
    pub name: String,
    /// Where it begins.
    pub location: Location,
    /// The object itself, unredacted. Never leaves the crate's results.
    pub value: Value,
    /// Lines of its containers by path such as `spec.template.spec.containers[0]`.
    pub(crate) lines: Vec<(String, u32)>,
    /// What Helm says that it was rendered from.
    pub(crate) helm: Option<String>,
}

/// What a document turned out to hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// An object.
    Object(Box<Object>),
    /// Not for us: no Kubernetes object, or one that is only tooling.
    Other { line: u32, why: String },
    /// Meant to be an object, but it has no identity.
    Broken { line: u32, why: String },
}

impl Object {
    /// An annotation.
    pub(crate) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.value
            .get("metadata")
            .and_then(|m| m.get("annotations"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
    }

    /// The location of a path within the object: its own line where known, else the object's.
    pub(crate) fn locate(&self, path: &str) -> Location {
        let line = self.lines.iter().find(|(p, _)| p == path).map(|(_, l)| *l);
        Location {
            file: self.location.file.clone(),
            line: line.unwrap_or(self.location.line),
            column: None,
        }
    }
}

/// The objects of a document; lists are flattened.
pub(crate) fn objects(file: &str, document: Document) -> Vec<Found> {
    read(file, document, true)
}

/// The objects of a document, those without a name too: `gator` takes them.
pub(crate) fn loose_objects(file: &str, document: Document) -> Vec<Found> {
    read(file, document, false)
}

fn read(file: &str, document: Document, named: bool) -> Vec<Found> {
    let Document {
        value,
        line,
        lines,
        helm,
        ..
    } = document;
    let mut found = Vec::new();
    // A JSON file may hold an array of objects; kubectl takes only lists, scanners often both.
    if let Value::Array(items) = value {
        for (i, item) in items.into_iter().enumerate() {
            let place = Place {
                file,
                line: line_at(&lines, &format!("[{i}]")).unwrap_or(line),
                lines: below(&lines, &format!("[{i}].")),
                helm: helm.clone(),
                named,
            };
            one(item, None, place, 0, &mut found);
        }
        return found;
    }
    let place = Place {
        file,
        line,
        lines,
        helm,
        named,
    };
    one(value, None, place, 0, &mut found);
    found
}

struct Place<'f> {
    file: &'f str,
    line: u32,
    lines: Vec<(String, u32)>,
    helm: Option<String>,
    /// Whether an object must have a name.
    named: bool,
}

fn line_at(lines: &[(String, u32)], path: &str) -> Option<u32> {
    lines.iter().find(|(p, _)| p == path).map(|(_, l)| *l)
}

fn below(lines: &[(String, u32)], prefix: &str) -> Vec<(String, u32)> {
    lines
        .iter()
        .filter_map(|(p, l)| Some((p.strip_prefix(prefix)?.to_owned(), *l)))
        .collect()
}

fn one(
    mut value: Value,
    inherited: Option<(&str, &str)>,
    place: Place<'_>,
    depth: u8,
    found: &mut Vec<Found>,
) {
    let line = place.line;
    let other = |why: &str| Found::Other {
        line,
        why: why.to_owned(),
    };
    let broken = |why: String| Found::Broken { line, why };
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let (api, kind) = match (text("apiVersion"), text("kind"), inherited) {
        (Some(api), Some(kind), _) => (api, kind),
        (None, None, Some((api, kind))) => (api.to_owned(), kind.to_owned()),
        (None, None, None) => {
            found.push(other("no Kubernetes object: neither apiVersion nor kind"));
            return;
        }
        (Some(_), None, _) => {
            found.push(other("no Kubernetes object: no kind"));
            return;
        }
        (None, Some(_), _) => {
            found.push(broken("an object without apiVersion".into()));
            return;
        }
    };
    let items = match value.get_mut("items") {
        Some(Value::Array(items)) if kind.ends_with("List") => Some(std::mem::take(items)),
        _ => None,
    };
    if let Some(items) = items {
        if depth > 2 {
            found.push(broken("lists nested deeper than 2".into()));
            return;
        }
        let item_kind = kind.strip_suffix("List").unwrap_or_default();
        let inherited = (!item_kind.is_empty()).then_some((api.as_str(), item_kind));
        for (i, item) in items.into_iter().enumerate() {
            let at = format!("items[{i}]");
            let place = Place {
                file: place.file,
                line: line_at(&place.lines, &at).unwrap_or(line),
                lines: below(&place.lines, &format!("{at}.")),
                helm: place.helm.clone(),
                named: place.named,
            };
            one(item, inherited, place, depth + 1, found);
        }
        return;
    }
    if let Value::Object(map) = &mut value {
        map.entry("apiVersion")
            .or_insert_with(|| api.clone().into());
        map.entry("kind").or_insert_with(|| kind.clone().into());
    }
    let (group, version) = match api.split_once('/') {
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), api),
    };
    if group.ends_with("kustomize.config.k8s.io") {
        found.push(other(
            "a Kustomize file: scan what `kustomize build` renders",
        ));
        return;
    }
    let meta = |field: &str| match value.get("metadata").and_then(|m| m.get(field)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) if s.len() <= 253 => Ok(Some(s.clone()).filter(|s| !s.is_empty())),
        Some(_) => Err(format!(
            "metadata.{field} is no text of at most 253 characters"
        )),
    };
    let (name, generate, namespace) = match (meta("name"), meta("generateName"), meta("namespace"))
    {
        (Ok(a), Ok(b), Ok(c)) => (a, b, c),
        (Err(why), ..) | (_, Err(why), _) | (.., Err(why)) => {
            found.push(broken(format!("{kind}: {why}")));
            return;
        }
    };
    let name = match name.or(generate) {
        Some(name) => name,
        None if place.named => {
            found.push(broken(format!("{kind} without metadata.name")));
            return;
        }
        None => String::new(),
    };
    let location = Location {
        file: place.file.to_owned(),
        line,
        column: None,
    };
    found.push(Found::Object(Box::new(Object {
        group,
        version,
        kind,
        namespace: namespace.unwrap_or_default(),
        name,
        location,
        value,
        lines: place.lines,
        helm: place.helm,
    })));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{self, Limits, Piece, Source};

    pub(crate) fn all(text: &str) -> Vec<Found> {
        let mut found = Vec::new();
        input::read(
            Source::new("f.yaml", text.as_bytes()),
            &Limits::default(),
            &mut |piece| {
                if let Piece::Document(d) = piece {
                    found.extend(objects("f.yaml", d));
                }
            },
        );
        found
    }

    fn brief(text: &str) -> Vec<String> {
        all(text)
            .into_iter()
            .map(|f| match f {
                Found::Object(o) => format!(
                    "{} {}/{}/{} {}/{} {:?}",
                    o.location.line, o.group, o.version, o.kind, o.namespace, o.name, o.lines
                ),
                Found::Other { line, why } => format!("{line} other: {why}"),
                Found::Broken { line, why } => format!("{line} broken: {why}"),
            })
            .collect()
    }

    #[test]
    fn lists_are_flattened_with_their_lines() {
        assert_eq!(
            brief(
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  \
                 metadata: {name: a, namespace: ns}\n  spec:\n    template:\n      spec:\n        \
                 containers:\n        - name: c\n- apiVersion: v1\n  kind: PodList\n  items:\n  - \
                 metadata: {generateName: b-}\n"
            ),
            [
                "4 apps/v1/Deployment ns/a [(\"spec.template.spec.containers[0]\", 11)]",
                "15 /v1/Pod /b- []"
            ]
        );
    }

    #[test]
    fn what_is_no_object() {
        assert_eq!(
            brief(
                "replicas: 3\n---\nkind: Pod\n---\napiVersion: v1\nkind: Pod\n---\n\
                 apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n---\n\
                 apiVersion: v1\nkind: Pod\nmetadata: {name: 1}\n"
            ),
            [
                "1 other: no Kubernetes object: neither apiVersion nor kind",
                "3 broken: an object without apiVersion",
                "5 broken: Pod without metadata.name",
                "8 other: a Kustomize file: scan what `kustomize build` renders",
                "11 broken: Pod: metadata.name is no text of at most 253 characters"
            ]
        );
    }
}
