//! The values of expressions. JSON is borrowed, never copied: what an expression does not look
//! at costs nothing.

use super::error::Error;
use super::library::net::Prefix;
use super::library::quantity::Quantity;
use super::library::semver::Version;
use super::library::url::Url;
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

/// The result of evaluating a node.
pub(super) type Outcome<'a> = Result<Value<'a>, Error>;

#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Text<'a>),
    Bytes(Rc<[u8]>),
    List(List<'a>),
    Map(Map<'a>),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970.
    Timestamp(i128),
    Type(&'static str),
    Optional(Option<Rc<Value<'a>>>),
    Quantity(Rc<Quantity>),
    Ip(IpAddr),
    Cidr(Prefix),
    Url(Rc<Url>),
    Semver(Rc<Version>),
    /// A named format, by its name.
    Format(&'static str),
    /// `Object{...}` or `JSONPatch{...}`, by the name of the type.
    Struct(Rc<str>, Map<'a>),
}

/// Text that is borrowed from a document or the expression, or made by it.
#[derive(Debug, Clone)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum List<'a> {
    Json(&'a [Json]),
    Owned(Rc<Vec<Value<'a>>>),
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Owned(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::json),
            Self::Owned(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Map<'a> {
    Json(&'a serde_json::Map<String, Json>),
    Owned(Rc<Entries<'a>>),
}

/// Entries by their keys; a key is kept as it was given too.
pub(super) type Entries<'a> = BTreeMap<Key, (Value<'a>, Value<'a>)>;

/// A key of a map; numbers are equal across their types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Bool(bool),
    Number(i128),
    Text(Rc<str>),
}

impl Key {
    /// The key that a value is, if it can be one; a double only looks keys up.
    pub(super) fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Bool(b) => Some(Self::Bool(*b)),
            Value::Int(i) => Some(Self::Number((*i).into())),
            Value::Uint(u) => Some(Self::Number((*u).into())),
            Value::Double(d) if d.fract() == 0.0 && d.abs() < 1e19 => {
                Some(Self::Number(*d as i128))
            }
            Value::Text(text) => Some(Self::Text(Rc::from(&**text))),
            _ => None,
        }
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(map) => map.len(),
            Self::Owned(map) => map.len(),
        }
    }

    /// The value of a field.
    pub(super) fn field(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(map) => map.get(name).map(Value::json),
            Self::Owned(map) => {
                let key = Key::Text(Rc::from(name));
                map.get(&key).map(|(_, value)| value.clone())
            }
        }
    }

    pub(super) fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match (self, key) {
            (_, Value::Text(name)) => self.field(name),
            (Self::Json(_), _) => None,
            (Self::Owned(map), key) => map.get(&Key::of(key)?).map(|(_, value)| value.clone()),
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (Value<'a>, Value<'a>)> + '_> {
        match self {
            Self::Json(map) => {
                let map: &'a serde_json::Map<String, Json> = map;
                let entry = |(k, v): (&'a String, &'a Json)| (Value::borrowed(k), Value::json(v));
                Box::new(map.iter().map(entry))
            }
            Self::Owned(map) => Box::new(map.values().cloned()),
        }
    }
}

impl<'a> Value<'a> {
    /// A value of JSON as the API server's decoder types it: whole numbers that fit are int,
    /// others double.
    pub(crate) fn json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(*b),
            Json::Number(n) => match n.as_i64() {
                Some(i) => Self::Int(i),
                None => Self::Double(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::borrowed(text),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(map) => Self::Map(Map::Json(map)),
        }
    }

    pub(super) fn borrowed(text: &'a str) -> Self {
        Self::Text(Text::Borrowed(text))
    }

    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Shared(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List::Owned(Rc::new(items)))
    }

    pub(super) fn map(entries: Entries<'a>) -> Self {
        Self::Map(Map::Owned(Rc::new(entries)))
    }

    /// A map with text for keys.
    pub(super) fn object(fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let entry = |(k, v): (&'a str, Self)| (Key::Text(Rc::from(k)), (Self::borrowed(k), v));
        Self::map(fields.into_iter().map(entry).collect())
    }

    pub(super) fn some(value: Self) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    /// The name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Url(_) => "kubernetes.URL",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Struct(name, _) if **name == *"JSONPatch" => "JSONPatch",
            Self::Struct(..) => "Object",
        }
    }

    /// Whether two values are equal; values of different kinds are not, and that is no error.
    pub(super) fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Int(_) | Self::Uint(_) | Self::Double(_), _) => {
                compare_numbers(self, other) == Some(Ordering::Equal)
            }
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Text(a), Value::Text(b)) => **a == **b,
            (Self::Bytes(a), Value::Bytes(b)) => a == b,
            (Self::Duration(a), Value::Duration(b)) => a == b,
            (Self::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Self::Type(a), Value::Type(b)) => a == b,
            (Self::Optional(a), Value::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.equals(b),
                (a, b) => a.is_none() && b.is_none(),
            },
            (Self::Quantity(a), Value::Quantity(b)) => a.cmp(b) == Ordering::Equal,
            (Self::Ip(a), Value::Ip(b)) => a == b,
            (Self::Cidr(a), Value::Cidr(b)) => a == b,
            (Self::Url(a), Value::Url(b)) => a.text() == b.text(),
            (Self::Semver(a), Value::Semver(b)) => a.cmp(b) == Ordering::Equal,
            (Self::Format(a), Value::Format(b)) => a == b,
            (Self::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(&b))
            }
            (Self::Map(a), Value::Map(b)) => same_entries(a, b),
            (Self::Struct(a, x), Value::Struct(b, y)) => a == b && same_entries(x, y),
            _ => false,
        }
    }

    /// The order of two values that have one. None where one is not a number.
    pub(super) fn compare(&self, other: &Self) -> Result<Option<Ordering>, Error> {
        Ok(Some(match (self, other) {
            (Self::Int(_) | Self::Uint(_) | Self::Double(_), Self::Int(_))
            | (Self::Int(_) | Self::Uint(_) | Self::Double(_), Self::Uint(_) | Self::Double(_)) => {
                return Ok(compare_numbers(self, other));
            }
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            _ => return Err(Error::overload()),
        }))
    }

    /// About how many steps it costs to walk it once, and no more than `most`.
    pub(super) fn weight(&self, most: u64) -> u64 {
        let mut total = 1;
        match self {
            Self::Text(text) => total += text.len() as u64 / 16,
            Self::Bytes(bytes) => total += bytes.len() as u64 / 16,
            Self::List(list) => {
                for item in list.iter() {
                    if total >= most {
                        break;
                    }
                    total += item.weight(most - total);
                }
            }
            Self::Map(map) | Self::Struct(_, map) => {
                for (_, item) in map.iter() {
                    if total >= most {
                        break;
                    }
                    total += 1 + item.weight(most - total);
                }
            }
            Self::Optional(Some(inner)) => total += inner.weight(most),
            _ => {}
        }
        total
    }

    /// The value as JSON, where it has such a form.
    pub(super) fn to_json(&self) -> Result<Json, Error> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(b) => (*b).into(),
            Self::Int(i) => (*i).into(),
            Self::Uint(u) => (*u).into(),
            Self::Double(d) => serde_json::Number::from_f64(*d)
                .map(Json::Number)
                .ok_or_else(|| Error::new("a number that JSON cannot write"))?,
            Self::Text(text) => (**text).into(),
            Self::Bytes(bytes) => super::library::encoding::base64(bytes).into(),
            Self::List(List::Json(items)) => Json::Array(items.to_vec()),
            Self::Map(Map::Json(map)) => Json::Object((*map).clone()),
            Self::List(list) => {
                Json::Array(list.iter().map(|v| v.to_json()).collect::<Result<_, _>>()?)
            }
            Self::Map(map) | Self::Struct(_, map) => {
                let mut out = serde_json::Map::new();
                for (key, value) in map.iter() {
                    let Value::Text(key) = key else {
                        return Err(Error::new("a map whose keys are no text is no JSON"));
                    };
                    out.insert(key.to_string(), value.to_json()?);
                }
                Json::Object(out)
            }
            Self::Duration(d) => super::time::duration_text(*d).into(),
            Self::Timestamp(t) => super::time::timestamp_text(*t).into(),
            other => return Err(Error::new(format!("a {} is no JSON", other.type_name()))),
        })
    }
}

fn same_entries(a: &Map<'_>, b: &Map<'_>) -> bool {
    a.len() == b.len()
        && a.iter()
            .all(|(key, value)| b.get(&key).is_some_and(|other| value.equals(&other)))
}

fn compare_numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    enum Number {
        Whole(i128),
        Real(f64),
    }
    let number = |value: &Value<'_>| match value {
        Value::Int(i) => Some(Number::Whole((*i).into())),
        Value::Uint(u) => Some(Number::Whole((*u).into())),
        Value::Double(d) => Some(Number::Real(*d)),
        _ => None,
    };
    match (number(a)?, number(b)?) {
        (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
        (Number::Real(a), Number::Real(b)) => a.partial_cmp(&b),
        (Number::Whole(a), Number::Real(b)) => whole_and_real(a, b),
        (Number::Real(a), Number::Whole(b)) => whole_and_real(b, a).map(Ordering::reverse),
    }
}

/// Exact also where the whole number has no double of its own.
fn whole_and_real(whole: i128, real: f64) -> Option<Ordering> {
    if real.is_nan() {
        return None;
    }
    if real >= 2e19 {
        return Some(Ordering::Less);
    }
    if real <= -2e19 {
        return Some(Ordering::Greater);
    }
    let floor = real.floor() as i128;
    Some(match whole.cmp(&floor) {
        Ordering::Equal if real.fract() != 0.0 => Ordering::Less,
        other => other,
    })
}
