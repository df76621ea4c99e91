//! JSON Patch (RFC 6902) on a document.

use serde_json::Value;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operation {
    pub op: String,
    pub path: String,
    pub from: String,
    pub value: Option<Value>,
}

/// Why a patch was not applied.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A `test` failed: the document stays as it is, and that is no error.
    Test,
    Malformed(String),
}

fn bad<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Malformed(why.into()))
}

/// The document with all operations applied, or not changed at all.
pub(super) fn apply(document: &Value, operations: &[Operation]) -> Result<Value, Fault> {
    let mut out = document.clone();
    for operation in operations {
        let path = pointer(&operation.path)?;
        let needed = || match &operation.value {
            Some(value) => Ok(value.clone()),
            None => bad(format!("{} without a value", operation.op)),
        };
        match operation.op.as_str() {
            "add" => add(&mut out, &path, needed()?)?,
            "remove" => drop(remove(&mut out, &path)?),
            "replace" => {
                let value = needed()?;
                match find(&mut out, &path) {
                    Some(place) => *place = value,
                    None => return bad(format!("nothing to replace at {:?}", operation.path)),
                }
            }
            "move" => {
                let from = pointer(&operation.from)?;
                if path.len() > from.len() && path.starts_with(&from) {
                    return bad("a value cannot be moved into itself");
                }
                let value = remove(&mut out, &from)?;
                add(&mut out, &path, value)?;
            }
            "copy" => {
                let from = pointer(&operation.from)?;
                let value = match find(&mut out, &from) {
                    Some(place) => place.clone(),
                    None => return bad(format!("nothing to copy at {:?}", operation.from)),
                };
                add(&mut out, &path, value)?;
            }
            "test" => {
                let wanted = operation.value.clone().unwrap_or(Value::Null);
                match find(&mut out, &path) {
                    Some(place) if *place == wanted => {}
                    None if wanted.is_null() => {}
                    _ => return Err(Fault::Test),
                }
            }
            other => return bad(format!("the operation {other:?} is not known")),
        }
    }
    Ok(out)
}

/// The parts of a pointer, their escapes resolved.
fn pointer(text: &str) -> Result<Vec<String>, Fault> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return bad(format!("the path {text:?} does not begin with a slash"));
    };
    let parts = rest.split('/');
    Ok(parts
        .map(|p| p.replace("~1", "/").replace("~0", "~"))
        .collect())
}

/// A place in a list; its end only where something may be added.
fn place(part: &str, length: usize) -> Option<usize> {
    let plain = part == "0" || !part.starts_with(['0', '+']);
    let at: usize = part.parse().ok().filter(|_| plain)?;
    (at < length).then_some(at)
}

fn find<'v>(document: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(document, |value, part| match value {
        Value::Object(map) => map.get_mut(part),
        Value::Array(items) => place(part, items.len()).and_then(|at| items.get_mut(at)),
        _ => None,
    })
}

fn add(document: &mut Value, path: &[String], value: Value) -> Result<(), Fault> {
    let Some((last, before)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match find(document, before) {
        Some(Value::Object(map)) => {
            map.insert(last.clone(), value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let at = match last.as_str() {
                "-" => items.len(),
                part => match place(part, items.len() + 1) {
                    Some(at) => at,
                    None => return bad(format!("no place {part:?} in a list")),
                },
            };
            items.insert(at, value);
            Ok(())
        }
        _ => bad(format!("nothing to add to at {:?}", before.join("/"))),
    }
}

fn remove(document: &mut Value, path: &[String]) -> Result<Value, Fault> {
    let gone = || Fault::Malformed(format!("nothing to remove at {:?}", path.join("/")));
    let Some((last, before)) = path.split_last() else {
        return bad("a whole document cannot be removed");
    };
    match find(document, before) {
        Some(Value::Object(map)) => map.remove(last).ok_or_else(gone),
        Some(Value::Array(items)) => {
            let at = place(last, items.len()).ok_or_else(gone)?;
            Ok(items.remove(at))
        }
        _ => Err(gone()),
    }
}
