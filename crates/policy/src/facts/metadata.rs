//! What a check says of itself: OPA's annotations, or a rule `metadata`.

use super::touched::Path;
use crate::input::Limits;
use crate::yaml;
use bartizan_model::{Check, CheckUid, Severity};
use serde_json::{Map, Value};

const MAX_TEXT: usize = 16_000;
const MAX_LIST: usize = 100;

/// What is said; what is not said is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct About {
    title: String,
    description: String,
    severity: Option<Severity>,
    remediation: String,
    references: Vec<String>,
    pub requires: Vec<Path>,
}

impl About {
    /// Reads the object of a rule `metadata`, or of an annotation with `custom` taken in.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        let Value::Object(map) = value else {
            return Err("metadata is no object".to_owned());
        };
        let text = |name: &str| match map.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) if text.len() <= MAX_TEXT => Ok(text.trim().to_owned()),
            Some(_) => Err(format!("metadata: {name} is no text, or too long")),
        };
        let list = |name: &str| match map.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= MAX_LIST => items
                .iter()
                .map(|item| {
                    // OPA's related_resources are texts or objects with a `ref`.
                    let text = item.as_str().or_else(|| item.get("ref")?.as_str());
                    let text = text.filter(|text| !text.is_empty() && text.len() <= 1024);
                    text.map(str::to_owned)
                        .ok_or_else(|| format!("metadata: {name} holds what is no text"))
                })
                .collect(),
            Some(_) => Err(format!("metadata: {name} is no list, or too long")),
        };
        let severity = match text("severity")?.as_str() {
            "" => None,
            word => Some(
                Severity::parse(word)
                    .ok_or_else(|| format!("metadata: severity {word:?} is none"))?,
            ),
        };
        let mut references = controls(map.get("controls"))?;
        references.extend(list("references")?);
        references.extend(list("related_resources")?);
        let requires = list("requires")?.iter().map(|place| path(place)).collect();
        Ok(Self {
            title: text("title")?,
            description: text("description")?,
            severity,
            remediation: text("remediation")?,
            references,
            requires,
        })
    }

    /// With what another says where this says nothing; what is required by either.
    pub(super) fn under(mut self, other: Self) -> Self {
        let or = |own: String, other: String| if own.is_empty() { other } else { own };
        self.title = or(self.title, other.title);
        self.description = or(self.description, other.description);
        self.remediation = or(self.remediation, other.remediation);
        self.severity = self.severity.or(other.severity);
        if self.references.is_empty() {
            self.references = other.references;
        }
        self.requires.extend(other.requires);
        self
    }

    /// As a check; without a title, the package's name is one.
    pub(super) fn check(self, uid: CheckUid, name: &str) -> Check {
        Check {
            uid,
            title: match self.title.lines().next() {
                Some(title) => title.to_owned(),
                None => name.to_owned(),
            },
            description: self.description,
            severity: self.severity.unwrap_or_default(),
            remediation: self.remediation,
            references: self.references,
        }
    }
}

/// `part`, or `part/entry`; an entry may hold slashes.
fn path(place: &str) -> Path {
    place.splitn(2, '/').map(str::to_owned).collect()
}

/// Ids by catalogue, or a plain list, as references.
fn controls(value: Option<&Value>) -> Result<Vec<String>, String> {
    let bad = || "metadata: controls is no map of catalogues to lists of ids".to_owned();
    let ids = |value: &Value| match value {
        Value::Array(items) if items.len() <= MAX_LIST => items
            .iter()
            .map(|id| match id {
                Value::String(id) if id.len() <= 256 => Ok(id.clone()),
                // 5.1 and the like, not quoted.
                Value::Number(id) => Ok(id.to_string()),
                _ => Err(bad()),
            })
            .collect::<Result<Vec<_>, _>>(),
        _ => Err(bad()),
    };
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list @ Value::Array(_)) => ids(list),
        Some(Value::Object(map)) if map.len() <= MAX_LIST => {
            let mut all = Vec::new();
            for (catalogue, list) in map {
                let named = ids(list)?.into_iter();
                all.extend(named.map(|id| format!("{catalogue} {id}")));
            }
            Ok(all)
        }
        Some(_) => Err(bad()),
    }
}

/// The annotation above `package`, else the first one of the file: comment lines of YAML
/// after `# METADATA`.
pub(super) fn of_comments(source: &str) -> Result<About, String> {
    let mut lines = source
        .lines()
        .skip_while(|line| line.trim() != "# METADATA");
    if lines.next().is_none() {
        return Ok(About::default());
    }
    let mut text = String::new();
    for line in lines {
        let Some(line) = line.trim_start().strip_prefix('#') else {
            break;
        };
        text.push_str(line.strip_prefix(' ').unwrap_or(line));
        text.push('\n');
    }
    let parsed = yaml::parse(&text, &Limits::default())
        .map_err(|fault| format!("METADATA: line {}: {}", fault.line, fault.why))?;
    let Some(Value::Object(mut map)) = parsed.map(|parsed| parsed.value) else {
        return Err("METADATA is no map".to_owned());
    };
    if let Some(custom) = map.remove("custom") {
        let Value::Object(custom) = custom else {
            return Err("METADATA: custom is no map".to_owned());
        };
        for (key, value) in custom {
            map.insert(key, value);
        }
    }
    About::of(&Value::Object(known(map)))
}

/// OPA's other annotations are of no use here.
fn known(mut map: Map<String, Value>) -> Map<String, Value> {
    for other in ["scope", "entrypoint", "organizations", "authors", "schemas"] {
        map.remove(other);
    }
    map
}
