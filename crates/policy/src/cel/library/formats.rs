//! Named formats of text.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::time;
use super::super::value::{Outcome, Value};
use super::{encoding, text, url};

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("format.named", (1, 1), named),
    member("validate", (2, 2), validate),
    global("format.dns1123Label", (0, 0), |_, _| {
        Ok(Value::Format("dns1123Label"))
    }),
    global("format.dns1123Subdomain", (0, 0), |_, _| {
        Ok(Value::Format("dns1123Subdomain"))
    }),
    global("format.dns1035Label", (0, 0), |_, _| {
        Ok(Value::Format("dns1035Label"))
    }),
    global("format.qualifiedName", (0, 0), |_, _| {
        Ok(Value::Format("qualifiedName"))
    }),
    global("format.dns1123LabelPrefix", (0, 0), |_, _| {
        Ok(Value::Format("dns1123LabelPrefix"))
    }),
    global("format.dns1123SubdomainPrefix", (0, 0), |_, _| {
        Ok(Value::Format("dns1123SubdomainPrefix"))
    }),
    global("format.dns1035LabelPrefix", (0, 0), |_, _| {
        Ok(Value::Format("dns1035LabelPrefix"))
    }),
    global("format.labelValue", (0, 0), |_, _| {
        Ok(Value::Format("labelValue"))
    }),
    global("format.uri", (0, 0), |_, _| Ok(Value::Format("uri"))),
    global("format.uuid", (0, 0), |_, _| Ok(Value::Format("uuid"))),
    global("format.byte", (0, 0), |_, _| Ok(Value::Format("byte"))),
    global("format.date", (0, 0), |_, _| Ok(Value::Format("date"))),
    global("format.datetime", (0, 0), |_, _| {
        Ok(Value::Format("datetime"))
    }),
];

const NAMES: [&str; 13] = [
    "byte",
    "date",
    "datetime",
    "dns1035Label",
    "dns1035LabelPrefix",
    "dns1123Label",
    "dns1123LabelPrefix",
    "dns1123Subdomain",
    "dns1123SubdomainPrefix",
    "labelValue",
    "qualifiedName",
    "uri",
    "uuid",
];

fn named<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let wanted: &str = text(args.first().ok_or_else(Error::overload)?)?;
    let found = NAMES.iter().find(|name| **name == wanted);
    Ok(found.map_or(Value::Optional(None), |name| {
        Value::some(Value::Format(name))
    }))
}

fn validate<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Format(name), value] = args else {
        return Err(Error::overload());
    };
    let value: &str = text(value)?;
    meter.grow(value.len())?;
    let faults = faults(name, value);
    if faults.is_empty() {
        return Ok(Value::Optional(None));
    }
    let faults = faults.into_iter().map(Value::text).collect();
    Ok(Value::some(Value::list(faults)))
}

/// What is wrong with a text, in a format.
fn faults(name: &str, value: &str) -> Vec<String> {
    let prefix = masked(value);
    match name {
        "dns1123Label" => label(value),
        "dns1123LabelPrefix" => label(&prefix),
        "dns1123Subdomain" => subdomain(value),
        "dns1123SubdomainPrefix" => subdomain(&prefix),
        "dns1035Label" => old_label(value),
        "dns1035LabelPrefix" => old_label(&prefix),
        "qualifiedName" => qualified(value),
        "labelValue" => bounded(
            value,
            63,
            value.is_empty() || is_name(value),
            "a label's value",
        ),
        "uri" => url::is_request_uri(value).err().into_iter().collect(),
        "uuid" => bounded(value, 36, is_uuid(value), "a UUID"),
        "byte" => {
            let fits = !value.is_empty() && encoding::is_base64(value);
            bounded(value, usize::MAX, fits, "base64")
        }
        "date" => {
            let fits = time::parse_timestamp(&format!("{value}T00:00:00Z")).is_some();
            bounded(value, 10, fits, "a date")
        }
        _ => {
            let fits = time::parse_timestamp(value).is_some();
            bounded(value, usize::MAX, fits, "a date and time")
        }
    }
}

fn bounded(value: &str, most: usize, fits: bool, what: &str) -> Vec<String> {
    let mut all = Vec::new();
    if value.len() > most {
        all.push(format!("must be no more than {most} characters"));
    }
    if !fits {
        all.push(format!("must be {what}"));
    }
    all
}

/// A prefix may end in a dash, since something follows it.
fn masked(value: &str) -> String {
    match value.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let mut all: Vec<char> = rest.chars().collect();
            all.pop();
            all.push('a');
            all.into_iter().collect()
        }
        _ => value.to_owned(),
    }
}

fn is_label(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !value.is_empty()
        && value.bytes().all(|b| inner(b) || b == b'-')
        && !value.starts_with('-')
        && !value.ends_with('-')
}

fn label(value: &str) -> Vec<String> {
    bounded(value, 63, is_label(value), "a label of DNS in lower case")
}

fn old_label(value: &str) -> Vec<String> {
    let letter = value.starts_with(|c: char| c.is_ascii_lowercase());
    let what = "a label of DNS in lower case that begins with a letter";
    bounded(value, 63, letter && is_label(value), what)
}

fn subdomain(value: &str) -> Vec<String> {
    let fits = value.split('.').all(is_label);
    bounded(
        value,
        253,
        fits,
        "labels of DNS in lower case, with dots between them",
    )
}

fn is_name(value: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    value
        .chars()
        .all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
        && value.starts_with(edge)
        && value.ends_with(edge)
}

fn qualified(value: &str) -> Vec<String> {
    let (prefix, name) = match value.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, value),
    };
    let mut all = Vec::new();
    if let Some(prefix) = prefix {
        let found = subdomain(prefix);
        all.extend(
            found
                .into_iter()
                .map(|f| format!("the part before the slash {f}")),
        );
    }
    let what = "letters, digits, '-', '_' and '.', with a letter or digit at both ends";
    all.extend(bounded(name, 63, is_name(name), what));
    all
}

fn is_uuid(value: &str) -> bool {
    let mut rest = value;
    for (i, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if i > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some((part, tail)) = rest.split_at_checked(length) else {
            return false;
        };
        if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}
