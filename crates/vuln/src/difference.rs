//! What changed between two versions of a record, field by field.
//!
//! Lists are compared as people read them: an entry is known by what identifies it (a reference
//! by its address, a product by its names), wherever it stands.

use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// The most changes that are told; a record that was rewritten has thousands.
const MAX_CHANGES: usize = 1_000;

/// What identifies an entry of a list, the first set that it has.
const IDENTITIES: &[&[&str]] = &[
    &["url"],
    &["by", "vendor", "product", "package"],
    &["ecosystem", "package"],
    &["by", "vector"],
    &["version", "kind"],
    &["vector"],
];

/// One field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where, such as `references[https://example.com].kind`.
    pub field: String,
    /// What stood there; none when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What stands there; none when it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The changes from one version to another.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// In the order of the fields.
    pub changes: Vec<FieldChange>,
    /// There are more than are told.
    pub more: bool,
}

impl Difference {
    fn tell(&mut self, field: &str, before: Option<&Value>, after: Option<&Value>) {
        if self.changes.len() >= MAX_CHANGES {
            self.more = true;
            return;
        }
        self.changes.push(FieldChange {
            field: field.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        });
    }
}

/// Compares two versions, as JSON.
pub fn between(before: &Value, after: &Value) -> Difference {
    let mut difference = Difference::default();
    value(&mut difference, "", before, after);
    difference
}

fn join(field: &str, name: &str) -> String {
    if field.is_empty() {
        name.to_owned()
    } else {
        format!("{field}.{name}")
    }
}

fn value(out: &mut Difference, field: &str, before: &Value, after: &Value) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(before), Value::Object(after)) => object(out, field, before, after),
        (Value::Array(before), Value::Array(after)) => list(out, field, before, after),
        _ => out.tell(field, Some(before), Some(after)),
    }
}

fn object(
    out: &mut Difference,
    field: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) {
    for (name, old) in before {
        let field = join(field, name);
        match after.get(name) {
            Some(new) => value(out, &field, old, new),
            None => out.tell(&field, Some(old), None),
        }
    }
    for (name, new) in after {
        if !before.contains_key(name) {
            out.tell(&join(field, name), None, Some(new));
        }
    }
}

/// By what an entry is known; none when by itself alone.
fn identity(entry: &Value) -> Option<String> {
    let entry = entry.as_object()?;
    let has = |name: &&str| entry.get(*name).is_some();
    let names = IDENTITIES.iter().find(|names| match names {
        // A product need not have all of its names.
        ["by", "vendor", ..] => ["vendor", "product"].iter().any(has),
        names => names.iter().any(has) && has(&names.last().copied().unwrap_or_default()),
    })?;
    let parts: Vec<String> = names
        .iter()
        .filter_map(|name| match entry.get(*name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
        .filter(|text| !text.is_empty())
        .collect();
    Some(parts.join(" "))
}

/// The entries that another list lacks, in order; one that stands there once is lacked the second time.
/// What stands in both is no change, wherever it stands.
fn beyond<'v>(all: &'v [Value], other: &[Value]) -> Vec<&'v Value> {
    let mut same: HashMap<String, usize> = HashMap::new();
    for entry in other {
        *same.entry(entry.to_string()).or_default() += 1;
    }
    let is_new = |entry: &&Value| match same.get_mut(&entry.to_string()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    all.iter().filter(is_new).collect()
}

fn list(out: &mut Difference, field: &str, before: &[Value], after: &[Value]) {
    let mut fresh: BTreeMap<Option<String>, VecDeque<&Value>> = BTreeMap::new();
    for entry in beyond(after, before) {
        fresh.entry(identity(entry)).or_default().push_back(entry);
    }
    let place = |identity: &Option<String>| match identity {
        Some(identity) => format!("{field}[{identity}]"),
        None => format!("{field}[]"),
    };
    for old in beyond(before, after) {
        let identity = identity(old);
        let partner = match &identity {
            Some(_) => fresh.get_mut(&identity).and_then(VecDeque::pop_front),
            None => None,
        };
        match partner {
            Some(new) => value(out, &place(&identity), old, new),
            None => out.tell(&place(&identity), Some(old), None),
        }
    }
    for (identity, entries) in fresh {
        for new in entries {
            out.tell(&place(&identity), None, Some(new));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(before: Value, after: Value) -> Vec<String> {
        between(&before, &after)
            .changes
            .into_iter()
            .map(|c| {
                let side = |v: Option<Value>| v.map_or("-".to_owned(), |v| v.to_string());
                format!("{}: {} > {}", c.field, side(c.before), side(c.after))
            })
            .collect()
    }

    #[test]
    fn fields_and_lists() {
        let before = json!({"cve": {"state": "PUBLISHED", "title": "a", "cwes": ["CWE-1", "CWE-2"],
            "references": [{"url": "u1", "kind": "patch"}, {"url": "u2"}],
            "products": [{"by": "x", "vendor": "v", "product": "p", "versions": [
                {"version": "1", "status": "affected"}]}]}});
        let after = json!({"cve": {"state": "REJECTED", "cwes": ["CWE-2", "CWE-3"],
            "references": [{"url": "u2"}, {"url": "u1", "kind": "exploit"}, {"url": "u3"}],
            "products": [{"by": "x", "vendor": "v", "product": "p", "versions": [
                {"version": "1", "status": "affected", "less_than": "2"}]}], "kev": {"added": "d"}}});
        assert_eq!(
            told(before, after),
            [
                r#"cve.cwes[]: "CWE-1" > -"#,
                r#"cve.cwes[]: - > "CWE-3""#,
                r#"cve.products[x v p].versions[]: {"status":"affected","version":"1"} > -"#,
                r#"cve.products[x v p].versions[]: - > {"less_than":"2","status":"affected","version":"1"}"#,
                r#"cve.references[u1].kind: "patch" > "exploit""#,
                r#"cve.references[u3]: - > {"url":"u3"}"#,
                r#"cve.state: "PUBLISHED" > "REJECTED""#,
                r#"cve.title: "a" > -"#,
                r#"cve.kev: - > {"added":"d"}"#,
            ]
        );
    }

    #[test]
    fn a_flood_is_cut_and_said() {
        let many: Vec<u32> = (0..5_000).collect();
        let difference = between(&json!([]), &json!(many));
        assert_eq!(
            (difference.changes.len(), difference.more),
            (MAX_CHANGES, true)
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            (0..3).prop_map(|n| json!(n)),
            "[ab]".prop_map(|s| json!(s))
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("url|by|vector|x", inner, 0..4)
                    .prop_map(|m| Value::from(m.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    /// Lists sorted, because their order is not compared.
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(sorted).collect();
                items.sort_by_key(Value::to_string);
                items.into()
            }
            Value::Object(map) => {
                let map: Map<_, _> = map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
                map.into()
            }
            other => other.clone(),
        }
    }

    proptest! {
        /// Nothing is told of what is the same, and something of what is not.
        #[test]
        fn told_exactly_when_something_changed(a in any_json(), b in any_json()) {
            prop_assert!(between(&a, &a).changes.is_empty());
            let (a, b) = (sorted(&a), sorted(&b));
            prop_assert_eq!(between(&a, &b).changes.is_empty(), a == b);
            prop_assert_eq!(between(&b, &a).changes.len(), between(&a, &b).changes.len());
        }
    }
}
