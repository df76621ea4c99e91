//! Package URLs (ECMA-427, package-url/purl-spec): parsed once, held and written canonically.
//!
//! Our own, because the published crates keep qualifiers in hash maps: no order, no hash, and the
//! same package written two ways would be two packages.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// The longest purl that is read.
const MAX: usize = 4096;

/// Why a text is not a purl. Whose fault: whoever wrote the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("purl {value:?} is not valid: {why}")]
pub struct PurlError {
    /// The text, cut to 120 characters.
    pub value: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A package URL. Equal packages are equal values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Purl {
    kind: String,
    namespace: Option<String>,
    name: String,
    version: Option<String>,
    qualifiers: BTreeMap<String, String>,
    subpath: Option<String>,
}

impl Purl {
    /// A purl of its parts, normalised the way its type wants it.
    pub fn new(
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        version: Option<&str>,
    ) -> Result<Self, PurlError> {
        let fail = |why| PurlError {
            value: name.chars().take(120).collect(),
            why,
        };
        if !is_kind(kind) {
            return Err(fail(
                "its type is not made of letters, digits, '.', '+' and '-'",
            ));
        }
        let kind = kind.to_ascii_lowercase();
        let namespace = namespace
            .map(|n| {
                n.split('/')
                    .filter(|s| !s.is_empty())
                    .collect::<Vec<_>>()
                    .join("/")
            })
            .filter(|n| !n.is_empty());
        let name = name.trim_matches('/');
        if name.is_empty() {
            return Err(fail("it has no name"));
        }
        let (namespace, name) = normal(&kind, namespace, name.to_owned());
        let version = version
            .filter(|v| !v.is_empty())
            .map(|v| match kind.as_str() {
                // Spec: a hash of models, in lower case.
                "huggingface" => v.to_lowercase(),
                _ => v.to_owned(),
            });
        let purl = Self {
            kind,
            namespace,
            name,
            version,
            qualifiers: BTreeMap::new(),
            subpath: None,
        };
        let texts = [
            purl.namespace.as_deref(),
            Some(purl.name.as_str()),
            purl.version.as_deref(),
        ];
        if texts
            .iter()
            .flatten()
            .any(|t| t.chars().any(char::is_control))
        {
            return Err(fail("it contains a control character"));
        }
        if texts.iter().flatten().map(|t| t.len()).sum::<usize>() > MAX {
            return Err(fail("it is too long"));
        }
        Ok(purl)
    }

    /// With a qualifier; an empty value means none, an impossible key is refused.
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, PurlError> {
        if !is_key(key) {
            return Err(PurlError {
                value: key.chars().take(120).collect(),
                why: "a qualifier's name is not made of letters, digits, '.', '-' and '_'",
            });
        }
        if value.is_empty() {
            self.qualifiers.remove(&key.to_ascii_lowercase());
        } else {
            self.qualifiers
                .insert(key.to_ascii_lowercase(), value.to_owned());
        }
        Ok(self)
    }

    /// The type, such as `deb`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The namespace, such as `debian`, `@scope`, or `org.apache`.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, where one is given.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// One qualifier, such as `arch` or `distro`.
    pub fn qualifier(&self, key: &str) -> Option<&str> {
        self.qualifiers.get(key).map(String::as_str)
    }

    /// All qualifiers, by name.
    pub fn qualifiers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.qualifiers
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The path within the package.
    pub fn subpath(&self) -> Option<&str> {
        self.subpath.as_deref()
    }

    /// Type, namespace and name alone: the package in all its versions.
    pub fn package(&self) -> Self {
        Self {
            version: None,
            qualifiers: BTreeMap::new(),
            subpath: None,
            ..self.clone()
        }
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX {
            return Err("it is too long");
        }
        let (rest, subpath) = match text.rsplit_once('#') {
            Some((rest, subpath)) => (rest, segments(subpath, true)?),
            None => (text, None),
        };
        let (rest, query) = rest.rsplit_once('?').unwrap_or((rest, ""));
        let (scheme, rest) = rest.split_once(':').ok_or("it does not begin with pkg:")?;
        if !scheme.eq_ignore_ascii_case("pkg") {
            return Err("it does not begin with pkg:");
        }
        let rest = rest.trim_start_matches('/').trim_end_matches('/');
        let (kind, rest) = rest.split_once('/').ok_or("it has no name")?;
        // An unescaped scope (`/@babel/core`) is no version.
        let (path, version) = match rest.rsplit_once('@') {
            Some((path, version)) if !path.is_empty() && !path.ends_with('/') => {
                (path, Some(decode(version)?))
            }
            _ => (rest, None),
        };
        let path = path.trim_matches('/');
        let (namespace, name) = match path.rsplit_once('/') {
            Some((namespace, name)) => (segments(namespace, false)?, name),
            None => (None, path),
        };
        let name = decode(name)?;
        let mut purl =
            Self::new(kind, namespace.as_deref(), &name, version.as_deref()).map_err(|e| e.why)?;
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or("a qualifier has no '='")?;
            purl = purl.with(key, &decode(value)?).map_err(|e| e.why)?;
        }
        purl.subpath = subpath;
        Ok(purl)
    }
}

/// What the types' own rules want; the others are left as they are.
fn normal(kind: &str, namespace: Option<String>, name: String) -> (Option<String>, String) {
    let lower = |n: Option<String>| n.map(|n| n.to_lowercase());
    match kind {
        "alpm" | "apk" | "bitbucket" | "composer" | "deb" | "github" | "golang" | "hex"
        | "luarocks" => (lower(namespace), name.to_lowercase()),
        "rpm" | "qpkg" => (lower(namespace), name),
        "pypi" => (namespace, name.to_lowercase().replace('_', "-")),
        "bitnami" | "oci" | "pub" | "otp" => (namespace, name.to_lowercase()),
        _ => (namespace, name),
    }
}

fn is_kind(kind: &str) -> bool {
    kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-'))
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn segments(text: &str, path: bool) -> Result<Option<String>, &'static str> {
    let mut kept = Vec::new();
    for segment in text.split('/') {
        let segment = decode(segment)?;
        if segment.is_empty() || (path && matches!(segment.as_str(), "." | "..")) {
            continue;
        }
        if path && segment.contains('/') {
            return Err("a part of its subpath contains an escaped '/'");
        }
        kept.push(segment);
    }
    Ok(Some(kept.join("/")).filter(|t| !t.is_empty()))
}

fn decode(text: &str) -> Result<String, &'static str> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err("'%' is not followed by two hex digits"),
        }
    }
    String::from_utf8(bytes).map_err(|_| "what it escapes is not UTF-8")
}

/// The spec's set of characters that stay: letters, digits, `.-_~`, and `:`.
fn encode(f: &mut fmt::Formatter<'_>, text: &str, slash: bool) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                f.write_char(char::from(byte))?;
            }
            b'/' if slash => f.write_char('/')?,
            _ => write!(f, "%{byte:02X}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}/", self.kind)?;
        if let Some(namespace) = &self.namespace {
            encode(f, namespace, true)?;
            f.write_char('/')?;
        }
        encode(f, &self.name, false)?;
        if let Some(version) = &self.version {
            f.write_char('@')?;
            encode(f, version, false)?;
        }
        for (i, (key, value)) in self.qualifiers.iter().enumerate() {
            f.write_char(if i == 0 { '?' } else { '&' })?;
            f.write_str(key)?;
            f.write_char('=')?;
            encode(f, value, true)?;
        }
        if let Some(subpath) = &self.subpath {
            f.write_char('#')?;
            encode(f, subpath, true)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Purl {
    type Err = PurlError;
    fn from_str(text: &str) -> Result<Self, PurlError> {
        Self::read(text).map_err(|why| PurlError {
            value: text.chars().take(120).collect(),
            why,
        })
    }
}

impl TryFrom<String> for Purl {
    type Error = PurlError;
    fn try_from(text: String) -> Result<Self, PurlError> {
        text.parse()
    }
}

impl From<Purl> for String {
    fn from(purl: Purl) -> Self {
        purl.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_many_ways_is_one_package() {
        for (text, canonical) in [
            ("pkg:npm/@babel/core@7.0.0", "pkg:npm/%40babel/core@7.0.0"),
            ("pkg:npm/@babel/core#/a/./b/", "pkg:npm/%40babel/core#a/b"),
            (
                "PKG://PyPI/Typing_Extensions@4.1.1",
                "pkg:pypi/typing-extensions@4.1.1",
            ),
            (
                "pkg:deb/Debian/curl@7.50.3-1?distro=debian-8&arch=i386",
                "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=debian-8",
            ),
            (
                "pkg:deb/debian/a@1%3A2%2B3?arch=",
                "pkg:deb/debian/a@1:2%2B3",
            ),
            (
                "pkg:maven/org.a/b@1?type=zip",
                "pkg:maven/org.a/b@1?type=zip",
            ),
            (
                "pkg:golang/github.com/A/b@v1.2.3#x",
                "pkg:golang/github.com/a/b@v1.2.3#x",
            ),
            ("pkg:generic/a?k=https://x/y", "pkg:generic/a?k=https://x/y"),
        ] {
            let purl: Purl = text.parse().unwrap();
            assert_eq!(purl.to_string(), canonical);
            assert_eq!(purl.to_string().parse::<Purl>().unwrap(), purl);
        }
    }

    #[test]
    fn what_is_broken_says_why() {
        for text in [
            "",
            "pkg:",
            "pkg:npm",
            "pkg:npm/",
            "http://a/b",
            "pkg:n m/a",
            "pkg:a/b%2",
            "pkg:a/b?x",
            "pkg:a/%FF",
        ] {
            assert!(text.parse::<Purl>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics_and_what_reads_round_trips(text in "(pkg:)?[ -~]{0,40}") {
            if let Ok(purl) = text.parse::<Purl>() {
                prop_assert_eq!(purl.to_string().parse::<Purl>(), Ok(purl));
            }
        }

        #[test]
        fn parts_round_trip(kind in "[a-z][a-z0-9]{0,5}", namespace in "[^/\\p{Cc}]{0,9}", name in "[^/\\p{Cc}]{1,9}", version in "[^\\p{Cc}]{0,9}") {
            let purl = Purl::new(&kind, Some(&namespace), &name, Some(&version)).unwrap();
            prop_assert_eq!(purl.to_string().parse::<Purl>(), Ok(purl));
        }
    }
}
