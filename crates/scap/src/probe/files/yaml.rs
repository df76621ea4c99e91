//! YAML documents and the part of YAML path that content uses: keys, indices, slices `[:]`
//! and sets of keys. Scalars become fields of records.

use crate::oval::item::{Status, Value};
use crate::oval::model::Datatype;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The most steps.
const MAX_STEPS: usize = 64;

/// A step of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Keys(Vec<String>),
    Index(usize),
    All,
}

/// A node of a document.
#[derive(Debug, Clone)]
enum Yaml {
    Scalar(Datatype, String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Yaml;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML node")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Datatype::Boolean, value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Datatype::Int, value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Datatype::Int, value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Datatype::Float, value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Datatype::String, value.to_owned()))
    }
    // OpenSCAP's word for it.
    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Datatype::String, "(null)".into()))
    }
    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Datatype::String, "(null)".into()))
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element()? {
            list.push(node);
        }
        Ok(Yaml::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some((key, node)) = access.next_entry::<Yaml, Yaml>()? {
            let Yaml::Scalar(_, key) = key else {
                return Err(serde::de::Error::custom("a key is not a scalar"));
            };
            map.push((key, node));
        }
        Ok(Yaml::Map(map))
    }
}

/// A path.
pub(super) fn parse_path(path: &str) -> Result<Vec<Step>, String> {
    parse_steps(path).ok_or_else(|| "this YAML path is not supported".to_owned())
}

fn parse_steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    if rest.is_empty() {
        return None;
    }
    if rest == "." {
        return Some(steps);
    }
    let mut first = true;
    while !rest.is_empty() {
        if steps.len() >= MAX_STEPS {
            return None;
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = bracket(inner)?;
            steps.push(step);
            rest = after;
        } else {
            let name = match rest.strip_prefix('.') {
                Some(name) => name,
                None if first => rest,
                None => return None,
            };
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (key, after) = name.split_at_checked(end)?;
            rest = after;
            if key.is_empty() {
                // `.['key']`
                if rest.starts_with('[') {
                    first = false;
                    continue;
                }
                return None;
            }
            if key.contains(['{', '}', '*', '&', '\'', '"', ']', ' ']) {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
        }
        first = false;
    }
    Some(steps)
}

fn bracket(inner: &str) -> Option<(Step, &str)> {
    if inner.starts_with(['\'', '"']) {
        let mut keys = Vec::new();
        let mut rest = inner;
        loop {
            let quote = rest
                .chars()
                .next()
                .filter(|quote| matches!(quote, '\'' | '"'))?;
            let (key, after) = rest.strip_prefix(quote)?.split_once(quote)?;
            keys.push(key.to_owned());
            let after = after.trim_start();
            match after.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None => {
                    let after = after.strip_prefix(']')?;
                    let step = if keys.len() == 1 {
                        Step::Key(keys.pop()?)
                    } else {
                        Step::Keys(keys)
                    };
                    return Some((step, after));
                }
            }
        }
    }
    let (index, after) = inner.split_once(']')?;
    let step = match index.trim() {
        ":" | "*" | "" => Step::All,
        number => Step::Index(number.parse().ok()?),
    };
    Some((step, after))
}

/// The records that a path selects in a document.
pub(super) fn records(steps: &[Step], bytes: &[u8]) -> Result<Vec<Vec<Value>>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    // YAML 1.2: `yes` and `no` are strings.
    let options = serde_saphyr::options! { strict_booleans: true };
    let root: Yaml =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    let mut nodes = vec![root];
    for step in steps {
        nodes = nodes
            .into_iter()
            .flat_map(|node| apply(step, node))
            .collect();
    }
    let many = steps.contains(&Step::All);
    let mut records = Vec::new();
    let mut loose = Vec::new();
    for node in nodes {
        match node {
            Yaml::Scalar(datatype, text) => loose.push(field("#", datatype, text)),
            Yaml::Map(map) => records.push(record(map)?),
            Yaml::List(list) if many => records.push(flat("#", list)?),
            Yaml::List(list) => {
                for node in list {
                    match node {
                        Yaml::Scalar(datatype, text) => loose.push(field("#", datatype, text)),
                        Yaml::Map(map) => records.push(record(map)?),
                        Yaml::List(list) => records.push(flat("#", list)?),
                    }
                }
            }
        }
    }
    records.push(loose);
    records.retain(|record| !record.is_empty());
    Ok(records)
}

fn apply(step: &Step, node: Yaml) -> Vec<Yaml> {
    match (step, node) {
        (Step::Key(key), Yaml::Map(map)) => map
            .into_iter()
            .filter_map(|(known, node)| (known == *key).then_some(node))
            .collect(),
        (Step::Keys(keys), Yaml::Map(mut map)) => {
            map.retain(|(known, _)| keys.contains(known));
            vec![Yaml::Map(map)]
        }
        (Step::Index(index), Yaml::List(list)) => {
            list.into_iter().nth(*index).into_iter().collect()
        }
        (Step::All, Yaml::List(list)) => list,
        _ => Vec::new(),
    }
}

fn record(map: Vec<(String, Yaml)>) -> Result<Vec<Value>, String> {
    let mut fields = Vec::new();
    for (key, node) in map {
        let key = escape(&key);
        match node {
            Yaml::Scalar(datatype, text) => fields.push(field(&key, datatype, text)),
            Yaml::List(list) => fields.extend(flat(&key, list)?),
            Yaml::Map(_) => return Err("it selects a map in a map".into()),
        }
    }
    Ok(fields)
}

fn flat(key: &str, list: Vec<Yaml>) -> Result<Vec<Value>, String> {
    list.into_iter()
        .map(|node| match node {
            Yaml::Scalar(datatype, text) => Ok(field(key, datatype, text)),
            _ => Err("it selects more than two dimensions".to_owned()),
        })
        .collect()
}

fn field(name: &str, datatype: Datatype, text: String) -> Value {
    Value {
        name: name.into(),
        datatype,
        status: Status::Exists,
        text: text.into(),
        fields: Vec::new(),
    }
}

/// Field names have no capital letters: each becomes `^` and its small letter.
fn escape(key: &str) -> String {
    let mut escaped = String::with_capacity(key.len());
    for character in key.chars() {
        if character.is_ascii_uppercase() || character == '^' {
            escaped.push('^');
        }
        escaped.push(character.to_ascii_lowercase());
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "a: {b: [x, 'yes', 3], c: true}\nitems:\n  - name: n1\n    maxAge: 5\n    tags: [t, u]\n  - name: n2\nd.e: 1.5\nnone: ~\n";

    fn found(path: &str) -> String {
        let steps = parse_path(path).unwrap();
        let records = records(&steps, DOCUMENT.as_bytes());
        let shown = records.map(|records| {
            let records = records.iter().map(|record| {
                let fields = record.iter().map(|field| {
                    format!("{}={}:{}", field.name, field.datatype.word(), field.text)
                });
                fields.collect::<Vec<_>>().join(" ")
            });
            records.collect::<Vec<_>>().join(" | ")
        });
        shown.unwrap_or_else(|error| error)
    }

    #[test]
    fn paths_select_records() {
        for (path, expected) in [
            (".a.b[:]", "#=string:x #=string:yes #=int:3"),
            (".a.b", "#=string:x #=string:yes #=int:3"),
            (".a[\"b\"][0]", "#=string:x"),
            ("a.c", "#=boolean:true"),
            (".items[:].name", "#=string:n1 #=string:n2"),
            (
                ".items[:]",
                "name=string:n1 max^age=int:5 tags=string:t tags=string:u | name=string:n2",
            ),
            (
                ".items[:]['name','none']",
                "name=string:n1 | name=string:n2",
            ),
            ("['d.e']", "#=float:1.5"),
            (".none", "#=string:(null)"),
            (".absent", ""),
            (
                ".items",
                "name=string:n1 max^age=int:5 tags=string:t tags=string:u | name=string:n2",
            ),
        ] {
            assert_eq!(found(path), expected, "{path}");
        }
        for bad in ["", ".a..b", ".a{b}", ".a[", ".a[x]", "&anchor"] {
            assert!(parse_path(bad).is_err(), "{bad}");
        }
        assert!(records(&[], b"a: [").is_err());
    }
}
