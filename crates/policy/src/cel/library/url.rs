//! URLs, read as Go's `net/url` reads a request's.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::value::{Entries, Key, Outcome, Value};
use super::text;
use std::rc::Rc;

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("url", (1, 1), |m, a| {
        let text = argument(a)?;
        m.grow(text.len())?;
        parse(text)
            .map(|url| Value::Url(Rc::new(url)))
            .map_err(Error::new)
    }),
    global("isURL", (1, 1), |m, a| {
        let text = argument(a)?;
        m.grow(text.len())?;
        Ok(Value::Bool(is_request_uri(text).is_ok()))
    }),
    member("getScheme", (1, 1), |_, a| {
        Ok(Value::text(one(a)?.scheme.as_str()))
    }),
    member("getHost", (1, 1), |_, a| {
        Ok(Value::text(one(a)?.host.as_str()))
    }),
    member("getHostname", (1, 1), |_, a| {
        Ok(Value::text(host_and_port(one(a)?).0))
    }),
    member("getPort", (1, 1), |_, a| {
        Ok(Value::text(host_and_port(one(a)?).1))
    }),
    member("getEscapedPath", (1, 1), |_, a| {
        Ok(Value::text(one(a)?.path.as_str()))
    }),
    member("getQuery", (1, 1), query),
];

/// A URL in parts.
#[derive(Debug)]
pub(crate) struct Url {
    text: String,
    scheme: String,
    host: String,
    /// As it is written, or escaped where that is not allowed.
    path: String,
    query: String,
}

impl Url {
    pub(in super::super) fn text(&self) -> &str {
        &self.text
    }
}

fn argument<'v>(args: &'v [Value<'_>]) -> Result<&'v str, Error> {
    match args {
        [only] => Ok(text(only)?),
        _ => Err(Error::overload()),
    }
}

fn one<'v>(args: &'v [Value<'_>]) -> Result<&'v Url, Error> {
    match args {
        [Value::Url(url)] => Ok(url),
        _ => Err(Error::overload()),
    }
}

/// A URL, which must be one of a request: absolute, or an absolute path.
fn parse(text: &str) -> Result<Url, String> {
    is_request_uri(text)?;
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    unescape(fragment)?;
    read(rest, false)
}

/// Whether text is what `url()` takes.
pub(super) fn is_request_uri(text: &str) -> Result<(), String> {
    read(text, true).map(drop)
}

fn read(text: &str, request: bool) -> Result<Url, String> {
    let bad = |why: &str| Err(format!("the URL {text:?} cannot be read: {why}"));
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return bad("it has control characters");
    }
    if text.is_empty() && request {
        return bad("it is empty");
    }
    let mut url = Url {
        text: text.to_owned(),
        scheme: String::new(),
        host: String::new(),
        path: String::new(),
        query: String::new(),
    };
    if text == "*" {
        url.path = "*".into();
        return Ok(url);
    }
    let (scheme, rest) = split_scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    url.query = query.to_owned();
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            // What has no slash behind its scheme is opaque: no host, no path.
            return Ok(url);
        }
        if request {
            return bad("it is neither absolute nor an absolute path");
        }
        let segment = rest.split('/').next().unwrap_or_default();
        if segment.contains(':') {
            return bad("its first segment has a colon");
        }
    }
    let with_host = !scheme.is_empty() || (!request && !rest.starts_with("///"));
    let path = match rest.strip_prefix("//") {
        Some(after) if with_host => {
            let end = after.find('/').unwrap_or(after.len());
            let (authority, path) = after.split_at_checked(end).unwrap_or((after, ""));
            url.host = host(authority)?;
            path
        }
        _ => rest,
    };
    let plain = unescape(path)?;
    url.path = if path
        .bytes()
        .all(|b| b == b'%' || in_path(b) || b"!'()*[]".contains(&b))
    {
        path.to_owned()
    } else {
        escape(&plain)
    };
    Ok(url)
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (i, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if i > 0 => {}
            ':' if i == 0 => return Err("a URL whose scheme is missing".into()),
            ':' => return Ok(text.split_once(':').unwrap_or(("", text))),
            _ => break,
        }
    }
    Ok(("", text))
}

/// The host of an authority, with its port.
fn host(authority: &str) -> Result<String, String> {
    let bad = || format!("the URL's authority {authority:?} cannot be read");
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", authority),
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    if !user.bytes().all(allowed) {
        return Err(bad());
    }
    unescape(user)?;
    let port = if host.starts_with('[') {
        let end = host.rfind(']').ok_or_else(bad)?;
        host.get(end + 1..).unwrap_or_default()
    } else {
        host.rfind(':')
            .and_then(|i| host.get(i..))
            .unwrap_or_default()
    };
    if !is_port(port) {
        return Err(bad());
    }
    let allowed =
        |b: u8| b >= 0x80 || b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&b);
    if !host.bytes().all(allowed) {
        return Err(bad());
    }
    // Of ASCII, only a percent sign may be written as an escape here.
    for (i, _) in host.match_indices('%') {
        let digits = host.get(i + 1..i + 3).unwrap_or_default();
        let value = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        if value < 0x80 && digits != "25" {
            return Err(bad());
        }
    }
    unescape(host)
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()))
}

fn host_and_port(url: &Url) -> (&str, &str) {
    let host = url.host.as_str();
    let (host, port) = match host.rfind(':').and_then(|i| host.split_at_checked(i)) {
        Some((name, port)) if is_port(port) => (name, port.get(1..).unwrap_or_default()),
        _ => (host, ""),
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

/// Text with its escapes resolved; bytes that are no text then are replaced.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = tail
            .get(..2)
            .filter(|d| d.iter().all(u8::is_ascii_hexdigit))
            .and_then(|d| std::str::from_utf8(d).ok());
        let value = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
        out.push(value.ok_or("a URL has an escape that is none")?);
        rest = tail.get(2..).unwrap_or_default();
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if in_path(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn query<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let mut all: Vec<(String, Vec<Value<'a>>)> = Vec::new();
    for part in one(args)?.query.split('&') {
        if part.is_empty() || part.contains(';') {
            continue;
        }
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (Ok(key), Ok(value)) = (
            unescape(&key.replace('+', " ")),
            unescape(&value.replace('+', " ")),
        ) else {
            continue;
        };
        meter.grow(part.len() + size_of::<Value<'_>>())?;
        meter.spend(all.len() as u64)?;
        let value = Value::text(value);
        match all.iter_mut().find(|(k, _)| *k == key) {
            Some((_, values)) => values.push(value),
            None => all.push((key, vec![value])),
        }
    }
    let mut map = Entries::new();
    for (key, values) in all {
        let name = Value::text(key.as_str());
        map.insert(Key::Text(Rc::from(key)), (name, Value::list(values)));
    }
    Ok(Value::map(map))
}
