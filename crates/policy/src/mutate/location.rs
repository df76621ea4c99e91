//! Where a mutator changes an object: `spec.containers[name: *].securityContext`.
//!
//! ```text
//! location = entry { "." entry }
//! entry    = field [ "[" key ":" ( "*" | text | whole number ) "]" ]
//! ```
//!
//! A field, key or text is letters, digits, `_` and `-` that begin with no digit, or anything
//! between single or double quotes, where a backslash takes the next character as it is. White
//! space counts only between quotes.

use super::MutatorFault;
use std::fmt;

/// One step into an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A field of a mapping.
    Field(String),
    /// Elements of a list of mappings: those whose field `key` is so; all where none is told.
    Item { key: String, is: Option<KeyValue> },
}

/// What a list's element is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyValue {
    Text(String),
    Whole(i64),
}

impl KeyValue {
    pub(crate) fn is(&self, value: &serde_json::Value) -> bool {
        match self {
            Self::Text(text) => value.as_str() == Some(text),
            Self::Whole(number) => value.as_i64() == Some(*number) && !value.is_f64(),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Whole(number) => (*number).into(),
        }
    }
}

/// A whole path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Location {
    pub steps: Vec<Step>,
}

/// Locations are written by people; a longer one is a mistake or an attack.
const MAX_BYTES: usize = 4096;

impl Location {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("the location is longer than {MAX_BYTES} bytes"));
        }
        let tokens = tokens(text)?;
        let mut rest = tokens.as_slice();
        let mut steps = Vec::new();
        while let [Token::Name(field), after @ ..] = rest {
            steps.push(Step::Field(field.clone()));
            rest = after;
            if let [Token::Open, after @ ..] = rest {
                let (item, after) = item(after)?;
                steps.push(item);
                rest = after;
            }
            match rest {
                [] => {}
                [Token::Dot] => return Err("it ends with a dot".into()),
                [Token::Dot, after @ ..] => rest = after,
                [other, ..] => return Err(format!("expected `.` or the end, got {other}")),
            }
        }
        match rest {
            [] => Ok(Self { steps }),
            [other, ..] => Err(format!("expected the name of a field, got {other}")),
        }
    }

    /// Whether it begins below `metadata`.
    pub(crate) fn in_metadata(&self) -> bool {
        matches!(self.steps.first(), Some(Step::Field(field)) if field == "metadata")
    }

    /// Whether it ends at elements of a list.
    pub(crate) fn ends_in_list(&self) -> bool {
        matches!(self.steps.last(), Some(Step::Item { .. }))
    }

    /// The key by which elements of a list are known must not be what is changed.
    pub(crate) fn keeps_keys(&self) -> Result<(), String> {
        match self.steps.as_slice() {
            [] => Err("the location is empty".into()),
            [.., Step::Item { key, .. }, Step::Field(field)] if field == key => Err(format!(
                "the location would change {key:?}, by which elements of the list are known"
            )),
            _ => Ok(()),
        }
    }
}

fn item(rest: &[Token]) -> Result<(Step, &[Token]), String> {
    let (key, rest) = match rest {
        [Token::Name(key), rest @ ..] => (key.clone(), rest),
        other => return Err(format!("expected a key after `[`, got {}", first(other))),
    };
    let rest = match rest {
        [Token::Colon, rest @ ..] => rest,
        other => return Err(format!("expected `:` after {key:?}, got {}", first(other))),
    };
    let (is, rest) = match rest {
        [Token::Star, rest @ ..] => (None, rest),
        [Token::Name(text), rest @ ..] => (Some(KeyValue::Text(text.clone())), rest),
        [Token::Whole(digits), rest @ ..] => {
            let number = digits.parse();
            let number = number.map_err(|_| format!("{digits} is too large a number"))?;
            (Some(KeyValue::Whole(number)), rest)
        }
        other => {
            return Err(format!(
                "expected a value or `*` after `:`, got {}",
                first(other)
            ));
        }
    };
    match rest {
        [Token::Close, rest @ ..] => Ok((Step::Item { key, is }, rest)),
        other => Err(format!("expected `]`, got {}", first(other))),
    }
}

fn first(tokens: &[Token]) -> String {
    let first = tokens.first();
    first.map_or_else(|| "the end".to_owned(), Token::to_string)
}

enum Token {
    Name(String),
    Whole(String),
    Dot,
    Open,
    Close,
    Colon,
    Star,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) => write!(f, "{text:?}"),
            Self::Whole(digits) => write!(f, "the number {digits}"),
            Self::Dot => f.write_str("`.`"),
            Self::Open => f.write_str("`[`"),
            Self::Close => f.write_str("`]`"),
            Self::Colon => f.write_str("`:`"),
            Self::Star => f.write_str("`*`"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut all = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        all.push(match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            '.' => Token::Dot,
            '[' => Token::Open,
            ']' => Token::Close,
            ':' => Token::Colon,
            '*' => Token::Star,
            '"' | '\'' => {
                let mut out = String::new();
                loop {
                    match chars.next() {
                        Some((_, end)) if end == c => break,
                        Some((_, '\\')) => out.extend(chars.next().map(|(_, c)| c)),
                        Some((_, other)) => out.push(other),
                        None => return Err(format!("the quote at byte {at} has no end")),
                    }
                }
                Token::Name(out)
            }
            c if c.is_ascii_digit() => {
                let mut out = String::from(c);
                while let Some((_, c)) = chars.next_if(|(_, c)| c.is_ascii_digit()) {
                    out.push(c);
                }
                Token::Whole(out)
            }
            c if plain(c) => {
                let mut out = String::from(c);
                while let Some((_, c)) = chars.next_if(|(_, c)| plain(*c)) {
                    out.push(c);
                }
                Token::Name(out)
            }
            other => return Err(format!("{other:?} at byte {at} has no meaning")),
        });
    }
    Ok(all)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Field(field) if i > 0 => write!(f, ".{}", Quoted(field))?,
                Step::Field(field) => write!(f, "{}", Quoted(field))?,
                Step::Item { key, is: None } => write!(f, "[{}: *]", Quoted(key))?,
                Step::Item { key, is: Some(is) } => match is {
                    KeyValue::Text(text) => write!(f, "[{}: {}]", Quoted(key), Quoted(text))?,
                    KeyValue::Whole(number) => write!(f, "[{}: {number}]", Quoted(key))?,
                },
            }
        }
        Ok(())
    }
}

struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let text = self.0;
        if text.chars().all(plain) && text.starts_with(|c: char| !c.is_ascii_digit()) {
            return f.write_str(text);
        }
        write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// What must be there, or must not, for a mutation to take place: by depth in the location.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PathTests {
    tests: Vec<(usize, bool)>,
}

impl PathTests {
    /// From `(subPath, mustExist)`, each subPath a beginning of the location.
    pub(crate) fn new(location: &Location, tests: &[(Location, bool)]) -> Result<Self, String> {
        let mut this = Self::default();
        let (mut first_must_not, mut last_must) = (usize::MAX, 0);
        for (at, (path, must)) in tests.iter().enumerate() {
            if !location.steps.starts_with(&path.steps) {
                return Err(format!(
                    "pathTests: {path} is no beginning of the location {location}"
                ));
            }
            if !must && at < first_must_not {
                first_must_not = at;
            } else if *must && at > last_must {
                last_must = at;
            }
            let depth = path.steps.len();
            if this.tests.iter().any(|(d, m)| *d == depth && m != must) {
                return Err(format!(
                    "pathTests: {path} must exist and must not exist at once"
                ));
            }
            this.tests.push((depth, *must));
        }
        // By their order in the list, as Gatekeeper has it, not by their depth.
        if last_must > first_must_not {
            return Err(
                "pathTests: something must exist although what comes before it must not".into(),
            );
        }
        Ok(this)
    }

    /// The one of AssignMetadata: nothing is there yet.
    pub(crate) fn must_not_exist(location: &Location) -> Self {
        Self {
            tests: vec![(location.steps.len(), false)],
        }
    }

    fn told(&self, step: usize) -> Option<bool> {
        let told = self.tests.iter().find(|(depth, _)| *depth == step + 1);
        told.map(|(_, must)| *must)
    }

    /// Whether the step of this index may be there.
    pub(crate) fn may_exist(&self, step: usize) -> bool {
        self.told(step) != Some(false)
    }

    /// Whether the step of this index may be missing.
    pub(crate) fn may_miss(&self, step: usize) -> bool {
        self.told(step) != Some(true)
    }
}

/// For fuzzing: what is printed must be read as the same.
pub(crate) fn reads_what_it_prints(text: &str) -> Result<(), MutatorFault> {
    let Ok(location) = Location::parse(text) else {
        return Ok(());
    };
    match Location::parse(&location.to_string()) {
        Ok(again) if again == location => Ok(()),
        other => Err(MutatorFault {
            id: super::Id::default(),
            why: format!("{location} was read as {other:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        Location::parse(text).map_or_else(|e| format!("error: {e}"), |l| l.to_string())
    }

    #[test]
    fn locations_are_read() {
        for (text, wanted) in [
            (
                "spec.containers[name: *].image",
                "spec.containers[name: *].image",
            ),
            (
                "\n we\t\r\n.\nsupport\t    \n[newlines\t\n:\n*]\n",
                "we.support[newlines: *]",
            ),
            (
                "a['b c': \"d\\\"e\"].\"x.y\"",
                "a[\"b c\": \"d\\\"e\"].\"x.y\"",
            ),
            ("ports[containerPort: 080].x", "ports[containerPort: 80].x"),
            ("a[b: \"80\"]", "a[b: \"80\"]"),
            ("metadata.labels.\"\"", "metadata.labels.\"\""),
            ("-1.b", "-1.b"),
            ("", ""),
        ] {
            assert_eq!(told(text), wanted, "{text}");
            reads_what_it_prints(text).unwrap();
        }
    }

    #[test]
    fn what_is_no_location() {
        insta::assert_snapshot!(
            [
                "a.", ".a", "a..b", "a b", "\"one\"two", "0x1", "a.3", "a[b]", "a[b:]", "a[b: c",
                "a[1: c]", "a[b: *][c: *]", "a[b: 99999999999999999999]", "a+b", "a.\"b",
            ]
            .map(told)
            .join("\n"),
            @r#"
        error: it ends with a dot
        error: expected the name of a field, got `.`
        error: expected the name of a field, got `.`
        error: expected `.` or the end, got "b"
        error: expected `.` or the end, got "two"
        error: expected the name of a field, got the number 0
        error: expected the name of a field, got the number 3
        error: expected `:` after "b", got `]`
        error: expected a value or `*` after `:`, got `]`
        error: expected `]`, got the end
        error: expected a key after `[`, got the number 1
        error: expected `.` or the end, got `[`
        error: 99999999999999999999 is too large a number
        error: '+' at byte 1 has no meaning
        error: the quote at byte 2 has no end
        "#
        );
    }

    #[test]
    fn path_tests_are_beginnings_and_do_not_contradict() {
        let at = |t: &str| Location::parse(t).unwrap();
        let whole = at("spec.containers[name: *].image");
        let new = |tests: &[(&str, bool)]| {
            let tests: Vec<_> = tests.iter().map(|(t, m)| (at(t), *m)).collect();
            PathTests::new(&whole, &tests)
        };
        let tests = new(&[
            ("spec.containers[name: *]", true),
            ("spec.containers[name: *].image", false),
        ])
        .unwrap();
        assert!(!tests.may_miss(2) && tests.may_exist(2));
        assert!(tests.may_miss(3) && !tests.may_exist(3));
        assert!(tests.may_miss(0) && tests.may_exist(0));
        assert!(new(&[("spec.initContainers", true)]).is_err());
        assert!(new(&[("spec.containers[name: x]", true)]).is_err());
        assert!(new(&[("spec", true), ("spec", false)]).is_err());
        assert!(new(&[("spec", false), ("spec.containers", true)]).is_err());
    }
}
