//! CPE names, dictionaries (`cpe-list`) and platform specifications (`cpe-lang`).

use crate::xml::Element;
use std::collections::HashMap;
use std::sync::Arc;

/// Fields of a name: part, vendor, product, version, update, edition, language, and the four
/// that version 2.3 adds.
const FIELDS: usize = 11;
const URI_FIELDS: usize = 7;

/// A CPE name; a field that means "any" is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    fields: Vec<Option<String>>,
}

impl Name {
    /// From a URI (`cpe:/o:debian:debian_linux:12`) or a formatted string (`cpe:2.3:o:…`).
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = match text.strip_prefix("cpe:2.3:") {
            Some(rest) => formatted(rest)?,
            None => uri(text)?,
        };
        while fields.last().is_some_and(Option::is_none) {
            fields.pop();
        }
        // A name that says nothing would match everything.
        (!fields.is_empty()).then_some(Self { fields })
    }

    /// Whether every field that is given here is the same there.
    pub fn covers(&self, other: &Self) -> bool {
        self.fields.iter().enumerate().all(|(at, mine)| {
            mine.as_ref().is_none_or(|mine| {
                other
                    .fields
                    .get(at)
                    .and_then(Option::as_ref)
                    .is_some_and(|theirs| mine.eq_ignore_ascii_case(theirs))
            })
        })
    }
}

fn uri(text: &str) -> Option<Vec<Option<String>>> {
    let (scheme, rest) = text.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case("cpe:/") {
        return None;
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~%".contains(&byte);
    let parts: Vec<&str> = rest.split(':').collect();
    if parts.len() > URI_FIELDS || !parts.iter().all(|part| part.bytes().all(allowed)) {
        return None;
    }
    if !matches!(
        parts.first().copied(),
        Some("" | "a" | "A" | "h" | "H" | "o" | "O")
    ) {
        return None;
    }
    let mut fields = Vec::with_capacity(FIELDS);
    let mut extended = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        // The edition may hold the fields of 2.3: `~edition~sw~target_sw~target_hw~other`.
        match part.strip_prefix('~') {
            Some(packed) if at == 5 && !packed.is_empty() => {
                let mut packed = packed.split('~');
                fields.push(decoded(packed.next().unwrap_or_default())?);
                for more in packed.take(4) {
                    extended.push(decoded(more)?);
                }
            }
            _ => fields.push(decoded(part)?),
        }
    }
    if !extended.is_empty() {
        fields.resize(URI_FIELDS, None);
        fields.append(&mut extended);
    }
    Some(fields)
}

/// Percent escapes resolved; empty means any.
fn decoded(part: &str) -> Option<Option<String>> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    Some((!text.is_empty()).then_some(text))
}

fn formatted(rest: &str) -> Option<Vec<Option<String>>> {
    let mut fields = vec![String::new()];
    let mut escaped = false;
    for character in rest.chars() {
        match character {
            '\\' if !escaped => escaped = true,
            ':' if !escaped => fields.push(String::new()),
            _ => {
                escaped = false;
                fields.last_mut()?.push(character);
            }
        }
    }
    let known = matches!(
        fields.first().map(String::as_str),
        Some("a" | "h" | "o" | "*" | "-")
    );
    if !known || fields.len() != FIELDS || fields.iter().any(String::is_empty) {
        return None;
    }
    Some(
        fields
            .into_iter()
            .map(|field| (field != "*").then_some(field))
            .collect(),
    )
}

/// A reference to a definition of another document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRef {
    /// The check system's URI.
    pub system: Arc<str>,
    /// The document.
    pub href: Arc<str>,
    /// The definition's id.
    pub id: Arc<str>,
}

/// A `cpe-list`: names with the checks that tell whether they apply.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    /// The items, in order.
    pub items: Vec<(Name, Vec<CheckRef>)>,
}

/// A `platform-specification`: logical tests by platform id.
#[derive(Debug, Clone, Default)]
pub struct Specification {
    /// By id, without `#`.
    pub platforms: HashMap<Arc<str>, Test>,
}

/// A term of a platform's logic.
#[derive(Debug, Clone)]
pub enum Test {
    /// `logical-test`.
    Logical {
        /// All parts, or at least one.
        all: bool,
        /// The result is inverted.
        negate: bool,
        /// The parts.
        parts: Vec<Test>,
    },
    /// `fact-ref`: a name; None where it is not a valid one.
    Name(Option<Name>),
    /// `check-fact-ref`.
    Check(CheckRef),
    /// Something that is not understood: never true.
    Unknown,
}

/// Reads a `cpe-list`.
pub fn dictionary(root: &Element) -> Dictionary {
    let items = root
        .named("cpe-item")
        .filter_map(|item| {
            let name = Name::parse(item.attribute("name")?)?;
            let checks = item.named("check").map(|check| CheckRef {
                system: check.attribute("system").unwrap_or_default().into(),
                href: check.attribute("href").unwrap_or_default().into(),
                id: check.text().trim().into(),
            });
            Some((name, checks.collect()))
        })
        .collect();
    Dictionary { items }
}

/// Reads a `platform-specification`.
pub fn specification(root: &Element) -> Specification {
    let mut platforms = HashMap::new();
    for platform in root.named("platform") {
        let tests = platform.named("logical-test");
        if let (Some(id), Some(element)) = (platform.attribute("id"), tests.last()) {
            platforms
                .entry(Arc::from(id))
                .or_insert_with(|| test(element));
        }
    }
    Specification { platforms }
}

/// Recursion is bounded by the depth of the XML.
fn test(element: &Element) -> Test {
    match &*element.name {
        "logical-test" => {
            let operator = element.attribute("operator").unwrap_or_default();
            let all = operator.eq_ignore_ascii_case("AND");
            if !all && !operator.eq_ignore_ascii_case("OR") {
                return Test::Unknown;
            }
            Test::Logical {
                all,
                negate: element
                    .attribute("negate")
                    .is_some_and(|negate| negate.eq_ignore_ascii_case("true") || negate == "1"),
                parts: element.elements().map(test).collect(),
            }
        }
        "fact-ref" => Test::Name(element.attribute("name").and_then(Name::parse)),
        "check-fact-ref" => Test::Check(CheckRef {
            system: element.attribute("system").unwrap_or_default().into(),
            href: element.attribute("href").unwrap_or_default().into(),
            id: element.attribute("id-ref").unwrap_or_default().into(),
        }),
        _ => Test::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_what_is_more_exact() {
        let name = |text| Name::parse(text).unwrap();
        for (wide, narrow, covers) in [
            (
                "cpe:/o:debian:debian_linux",
                "cpe:/o:debian:debian_linux:12",
                true,
            ),
            (
                "cpe:/o:debian:debian_linux:12",
                "cpe:/o:debian:debian_linux",
                false,
            ),
            (
                "cpe:/o:Debian:debian_linux:12",
                "cpe:/o:debian:debian_linux:12",
                true,
            ),
            (
                "cpe:/o:debian:debian_linux:11",
                "cpe:/o:debian:debian_linux:12",
                false,
            ),
            ("cpe:/o:debian::12", "cpe:/o:debian:debian_linux:12", true),
            ("cpe:/a:debian", "cpe:/o:debian", false),
            (
                "cpe:2.3:o:debian:debian_linux:12:*:*:*:*:*:*:*",
                "cpe:/o:debian:debian_linux:12",
                true,
            ),
        ] {
            assert_eq!(name(wide).covers(&name(narrow)), covers, "{wide} {narrow}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in [
            "",
            "cpe:/",
            "#machine",
            "cpe:/x:debian",
            "cpe:/o:de bian",
            "cpe:2.3:o:a",
            "wfn:[part=\"o\"]",
            "cpe:/o:%4",
        ] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
    }
}
