//! Values as text that tells them and their types apart: for comparing engines.

use super::value::{List, Map, Value};

/// One line, the same for the same value. Text and bytes are in hexadecimal digits, entries of
/// maps in the order of their text.
pub(super) fn describe(value: &Value<'_>) -> String {
    let list = |list: &List<'_>| {
        let all: Vec<_> = list.iter().map(|v| describe(&v)).collect();
        format!("[{}]", all.join(", "))
    };
    let map = |map: &Map<'_>| {
        let entry = |(k, v): (Value<'_>, Value<'_>)| format!("{}: {}", describe(&k), describe(&v));
        let mut all: Vec<_> = map.iter().map(entry).collect();
        all.sort();
        format!("{{{}}}", all.join(", "))
    };
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Uint(u) => format!("{u}u"),
        Value::Double(d) if d.is_nan() => "d:nan".into(),
        Value::Double(d) => format!("d:{:x}", d.to_bits()),
        Value::Text(text) => format!("s:{}", hex(text.as_bytes())),
        Value::Bytes(bytes) => format!("b:{}", hex(bytes)),
        Value::List(items) => list(items),
        Value::Map(entries) => map(entries),
        Value::Duration(nanos) => format!("dur:{nanos}"),
        Value::Timestamp(nanos) => {
            let second = 1_000_000_000;
            format!(
                "ts:{}.{}",
                nanos.div_euclid(second),
                nanos.rem_euclid(second)
            )
        }
        Value::Type(name) => format!("type:{name}"),
        Value::Optional(None) => "opt:none".into(),
        Value::Optional(Some(inner)) => format!("opt({})", describe(inner)),
        Value::Quantity(quantity) => format!("q:{}", quantity.nanos()),
        Value::Ip(ip) => format!("ip:{ip}"),
        Value::Cidr(prefix) => format!("cidr:{prefix}"),
        Value::Url(_) => "url".into(),
        Value::Semver(version) => format!("semver:{version}"),
        Value::Format(name) => format!("fmt:{}", name.to_lowercase()),
        Value::Struct(name, fields) => format!("{name}{}", map(fields)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
