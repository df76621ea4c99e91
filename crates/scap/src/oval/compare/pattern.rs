//! Perl-compatible patterns, as OpenSCAP 1.3.7 compiles them (PCRE with UTF-8), with limits.
//!
//! A pattern is compiled up to twice: for bytes, and for UTF-8. PCRE checks a whole text before
//! each match for UTF-8, which costs the square of its length where a text matches often; on
//! texts of ASCII both give the same, so most texts never meet that check.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};

/// Longer patterns are refused.
const MAX_PATTERN: usize = 256 << 10;
/// Longer texts are not searched.
const MAX_HAYSTACK: usize = 256 << 20;
/// PCRE's and thus OpenSCAP's limit of backtracking within one match, and bounds of what the
/// matcher may hold where there is no JIT.
const LIMITS: &str = "(*LIMIT_MATCH=10000000)(*LIMIT_DEPTH=1000000)(*LIMIT_HEAP=65536)";
/// What the JIT may hold of a match that does not fit its default stack of 32 KiB.
const LARGE_STACK: usize = 8 << 20;
/// `PCRE2_ERROR_JIT_STACKLIMIT`.
const JIT_STACK_LIMIT: i32 = -46;
/// `PCRE2_ERROR_UNKNOWN_ESCAPE`.
const UNKNOWN_ESCAPE: i32 = 103;
/// Unknown escapes that one pattern may have.
const MAX_UNKNOWN_ESCAPES: usize = 64;
/// Groups of all the matches of one search.
const MAX_SPANS: usize = 4 << 20;
/// Bytes that one search may check for UTF-8.
const MAX_CHECKED: usize = 4 << 30;
/// How long one search may go on to its next match.
const MAX_SEARCH: Duration = Duration::from_secs(20);

/// How a pattern is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `^` and `$` match at lines' starts and ends too.
    pub multiline: bool,
    /// Case does not matter.
    pub ignore_case: bool,
    /// `.` matches a line's end too.
    pub dotall: bool,
}

/// Where the groups of a match are; group 0 is the match itself.
pub type Spans = Vec<Option<(usize, usize)>>;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    /// Without UTF-8.
    bytes: Compiled,
    /// With UTF-8.
    utf: Compiled,
    /// On texts of ASCII, `bytes` gives what `utf` gives.
    is_ascii: bool,
}

impl Pattern {
    /// Compiles.
    pub fn new(text: &str) -> Result<Self, String> {
        Self::with_flags(text, Flags::default())
    }

    /// Compiles with flags.
    pub fn with_flags(text: &str, flags: Flags) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err("pattern is too long".into());
        }
        let mut text = text.to_owned();
        for _ in 0..MAX_UNKNOWN_ESCAPES {
            let pattern = Self::prepared(&text, flags);
            let error = match pattern.first() {
                Ok(is_ascii) => {
                    return Ok(Self {
                        is_ascii,
                        ..pattern
                    });
                }
                Err(error) => error,
            };
            match error.without_escape(&text) {
                Some(simpler) => text = simpler,
                None => return Err(error.message),
            }
        }
        Err("pattern has too many unknown escapes".into())
    }

    fn prepared(text: &str, flags: Flags) -> Self {
        let place = text.len() - after_settings(text).len();
        let (settings, body) = text.split_at_checked(place).unwrap_or(("", text));
        let text: Box<str> = format!("{settings}{LIMITS}{body}").into();
        let compiled = |utf| Compiled {
            text: text.clone(),
            flags,
            utf,
            limits: place..place + LIMITS.len(),
            small: OnceLock::new(),
            large: OnceLock::new(),
        };
        Self {
            bytes: compiled(false),
            utf: compiled(true),
            is_ascii: text.is_ascii(),
        }
    }

    /// Compiles the form that will most likely be used; says whether that is the one for bytes.
    fn first(&self) -> Result<bool, CompileError> {
        // What only UTF-8 has a meaning for, such as \x{100}, does not compile for bytes.
        if self.is_ascii && self.bytes.small().is_ok() {
            return Ok(true);
        }
        self.utf.small().map(|_| false).map_err(Clone::clone)
    }

    /// Whether it matches anywhere; an error when a limit was hit.
    pub fn is_match(&self, haystack: &[u8]) -> Result<bool, String> {
        let form = self.form(haystack)?;
        match form.small_or()?.is_match(haystack) {
            Err(error) if error.code() == JIT_STACK_LIMIT => form
                .large()?
                .is_match(haystack)
                .map_err(|error| error.to_string()),
            result => result.map_err(|error| error.to_string()),
        }
    }

    /// The groups of each match from the start on, at most `limit` matches. After a match the
    /// search goes on at its end, one character behind it where nothing else was searched: so
    /// an empty match may follow another match directly, as in OpenSCAP.
    pub fn find_all(&self, haystack: &[u8], limit: usize) -> Result<Vec<Spans>, String> {
        let form = self.form(haystack)?;
        let mut search = Search {
            regex: form.small_or()?,
            locations: None,
            form,
            is_large: false,
        };
        let begun = Instant::now();
        let (mut found, mut spans, mut checked, mut from) = (Vec::new(), 0usize, 0usize, 0usize);
        while found.len() < limit && from <= haystack.len() {
            if form.utf {
                checked = checked.saturating_add(haystack.len() - from);
            }
            if checked > MAX_CHECKED || begun.elapsed() > MAX_SEARCH {
                return Err("text matches too often".into());
            }
            let Some(groups) = search.next(haystack, from)? else {
                break;
            };
            let Some((start, end)) = groups.first().copied().flatten() else {
                break;
            };
            // \K in a lookahead can put the start behind the end.
            if start > end || end < from || end > haystack.len() {
                return Err("pattern moves its match".into());
            }
            spans = spans.saturating_add(groups.len());
            if spans > MAX_SPANS {
                return Err("text matches too often".into());
            }
            from = if end == from {
                form.after(haystack, end)
            } else {
                end
            };
            found.push(groups);
        }
        Ok(found)
    }

    /// The first match's groups.
    pub(crate) fn find(&self, haystack: &[u8]) -> Result<Option<Spans>, String> {
        Ok(self.find_all(haystack, 1)?.pop())
    }

    /// The form for a text.
    fn form(&self, haystack: &[u8]) -> Result<&Compiled, String> {
        if haystack.len() > MAX_HAYSTACK {
            return Err("text is too long".into());
        }
        Ok(if haystack.is_ascii() {
            if self.is_ascii {
                &self.bytes
            } else {
                &self.utf
            }
        } else if std::str::from_utf8(haystack).is_ok() {
            &self.utf
        } else {
            &self.bytes
        })
    }
}

/// A search that changes to the large stack once it needs it.
struct Search<'a> {
    form: &'a Compiled,
    regex: &'a Regex,
    locations: Option<CaptureLocations>,
    is_large: bool,
}

impl Search<'_> {
    fn next(&mut self, haystack: &[u8], from: usize) -> Result<Option<Spans>, String> {
        loop {
            let locations = self
                .locations
                .get_or_insert_with(|| self.regex.capture_locations());
            match self.regex.captures_read_at(locations, haystack, from) {
                Ok(None) => return Ok(None),
                Ok(Some(_)) => {
                    let groups = (0..locations.len()).map(|group| locations.get(group));
                    return Ok(Some(groups.collect()));
                }
                Err(error) if error.code() == JIT_STACK_LIMIT && !self.is_large => {
                    self.regex = self.form.large()?;
                    self.locations = None;
                    self.is_large = true;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// Why a pattern does not compile.
#[derive(Debug, Clone)]
struct CompileError {
    message: String,
    code: i32,
    /// In the pattern as it was given.
    offset: usize,
}

impl CompileError {
    /// The pattern without the backslash that is the error: PCRE 1 takes an unknown escape for
    /// the character itself, PCRE 2 refuses it.
    fn without_escape(&self, text: &str) -> Option<String> {
        if self.code != UNKNOWN_ESCAPE {
            return None;
        }
        // PCRE points at the character or behind it.
        let (before, character) = [1, 2].into_iter().find_map(|back| {
            let (before, escape) = text.split_at_checked(self.offset.checked_sub(back)?)?;
            Some((before, escape.strip_prefix('\\')?))
        })?;
        character
            .starts_with(|c: char| c.is_ascii_alphanumeric())
            .then(|| format!("{before}{character}"))
    }
}

/// One form of a pattern, compiled when it is first used.
#[derive(Debug)]
struct Compiled {
    /// With our limits.
    text: Box<str>,
    /// Where our limits are in it.
    limits: Range<usize>,
    flags: Flags,
    utf: bool,
    small: OnceLock<Result<Regex, CompileError>>,
    large: OnceLock<Result<Regex, CompileError>>,
}

impl Compiled {
    /// With JIT where that can be had, on the default stack.
    fn small(&self) -> Result<&Regex, &CompileError> {
        self.small.get_or_init(|| self.compile(None)).as_ref()
    }

    fn small_or(&self) -> Result<&Regex, String> {
        self.small().map_err(|error| error.message.clone())
    }

    /// With a large stack.
    fn large(&self) -> Result<&Regex, String> {
        self.large
            .get_or_init(|| self.compile(Some(LARGE_STACK)))
            .as_ref()
            .map_err(|error| error.message.clone())
    }

    fn compile(&self, stack: Option<usize>) -> Result<Regex, CompileError> {
        RegexBuilder::new()
            .utf(self.utf)
            .multi_line(self.flags.multiline)
            .caseless(self.flags.ignore_case)
            .dotall(self.flags.dotall)
            .jit_if_available(true)
            .max_jit_stack_size(stack)
            .build(&self.text)
            .map_err(|error| {
                let place = error.offset().unwrap_or_default();
                CompileError {
                    message: error.to_string(),
                    code: error.code(),
                    offset: if place >= self.limits.end {
                        place - self.limits.len()
                    } else {
                        place.min(self.limits.start)
                    },
                }
            })
    }

    /// The place of the next character.
    fn after(&self, haystack: &[u8], place: usize) -> usize {
        let mut next = place + 1;
        while self.utf && haystack.get(next).is_some_and(|byte| byte & 0xc0 == 0x80) {
            next += 1;
        }
        next
    }
}

/// What follows the settings that a pattern may begin with. Ours come behind them, for the last
/// of two that contradict each other counts.
fn after_settings(text: &str) -> &str {
    const NAMES: [&str; 26] = [
        "UTF",
        "UTF8",
        "UCP",
        "NOTEMPTY",
        "NOTEMPTY_ATSTART",
        "NO_AUTO_POSSESS",
        "NO_DOTSTAR_ANCHOR",
        "NO_JIT",
        "NO_START_OPT",
        "CASELESS_RESTRICT",
        "TURKISH_CASING",
        "LIMIT_HEAP",
        "LIMIT_MATCH",
        "LIMIT_DEPTH",
        "LIMIT_RECURSION",
        "CR",
        "LF",
        "CRLF",
        "ANY",
        "NUL",
        "ANYCRLF",
        "BSR_ANYCRLF",
        "BSR_UNICODE",
        "NO_START_OPTIMIZE",
        "UTF16",
        "UTF32",
    ];
    let mut rest = text;
    while let Some((setting, behind)) = rest
        .strip_prefix("(*")
        .and_then(|behind| behind.split_once(')'))
    {
        let name = setting.split_once('=').map_or(setting, |(name, _)| name);
        if !NAMES.contains(&name) {
            break;
        }
        rest = behind;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(pattern: &str, text: &[u8]) -> Vec<(usize, usize)> {
        Pattern::new(pattern)
            .unwrap()
            .find_all(text, 1000)
            .unwrap()
            .into_iter()
            .map(|groups| groups[0].unwrap())
            .collect()
    }

    #[test]
    fn every_match_with_its_groups() {
        let pattern = Pattern::new("(a)|(b)").unwrap();
        assert_eq!(
            pattern.find_all(b"xabx", 10).unwrap(),
            [
                vec![Some((1, 2)), Some((1, 2)), None],
                vec![Some((2, 3)), None, Some((2, 3))]
            ]
        );
        assert_eq!(pattern.find_all(b"xabx", 1).unwrap().len(), 1);
        assert_eq!(pattern.find_all(b"xabx", 0).unwrap().len(), 0);
        assert_eq!(pattern.find(b"c").unwrap(), None);
    }

    #[test]
    fn empty_matches_go_on() {
        assert_eq!(spans("a*", b"aab"), [(0, 2), (2, 2), (3, 3)]);
        assert_eq!(spans("a*", "éa".as_bytes()), [(0, 0), (2, 3), (3, 3)]);
        assert_eq!(spans("", b""), [(0, 0)]);
        // OpenSCAP finds the first one twice too.
        assert_eq!(spans("$", b"a\n"), [(1, 1), (1, 1), (2, 2)]);
    }

    #[test]
    fn flags() {
        let flags = Flags {
            multiline: true,
            ignore_case: true,
            dotall: true,
        };
        let pattern = Pattern::with_flags("^B.$", flags).unwrap();
        assert!(pattern.is_match(b"a\nbc\n").unwrap());
        assert!(pattern.is_match(b"b\n").unwrap());
        let plain = Pattern::new("^B.$").unwrap();
        assert!(!plain.is_match(b"a\nBc\n").unwrap());
        assert!(!plain.is_match(b"bc").unwrap());
        assert!(!plain.is_match(b"B\n").unwrap());
        let umlaut = Pattern::with_flags("Ä", flags).unwrap();
        assert!(umlaut.is_match("ä".as_bytes()).unwrap());
        assert!(!umlaut.is_match(b"a").unwrap());
        // U+212A, the sign of Kelvin.
        let kelvin = Pattern::with_flags("\u{212a}", flags).unwrap();
        assert!(kelvin.is_match(b"k").unwrap());
    }

    #[test]
    fn characters_and_bytes() {
        assert_eq!(spans(".", "é\u{1f980}".as_bytes()), [(0, 2), (2, 6)]);
        assert_eq!(spans("é?x", b"x"), [(0, 1)]);
        assert_eq!(spans(r"\x{e9}", "é".as_bytes()), [(0, 2)]);
        assert_eq!(spans(r"\x{1f980}|a", b"ba"), [(1, 2)]);
        // Not UTF-8: bytes.
        assert_eq!(spans("a.b", b"a\xffb"), [(0, 3)]);
        assert_eq!(spans(r"^\xff", b"\xff"), [(0, 1)]);
        assert!(Pattern::new(r"\x{100}").unwrap().is_match(b"\xff").is_err());
        // PCRE's classes are of ASCII.
        assert_eq!(spans(r"\w", "éa".as_bytes()), [(2, 3)]);
    }

    #[test]
    fn what_content_uses() {
        for (pattern, text) in [
            (r"(?<=a)b(?!c)", "abd"),
            (r"^(?:.*\n)*\h*x=(\d+)$", "a\nb\n\t x=5"),
            (r"(['\x22]?)a\1", "'a'"),
            (r"^[^[\s]+$", "ab"),
            (r"^\N+$", "ab"),
            (r"\i\_\y", "i_y"),
            (r"[\i]", "i"),
            (r"(*UTF)(*UCP)^\w$", "é"),
            (r"(?i)ABC", "abc"),
            ("(*ANYCRLF)^a$", "a\r"),
            (r"\Qa.b\E", "a.b"),
            (r"(?P<name>a)(?P=name)", "aa"),
            (r"^(a(?1)?b)$", "aabb"),
        ] {
            assert!(
                Pattern::new(pattern)
                    .and_then(|pattern| pattern.is_match(text.as_bytes()))
                    .unwrap_or_else(|error| panic!("{pattern}: {error}")),
                "{pattern}"
            );
        }
        for pattern in ["(", "[a", "a{2,1}", "*a", r"\", r"(?<=a*)b", "(?z)"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn catastrophes_end() {
        let text = format!("{}!", "a".repeat(64));
        for pattern in [
            "^(a+)+$",
            "^(a|a)*$",
            "(*NO_JIT)^(a+)+$",
            "(*LIMIT_MATCH=4000000000)(*NO_JIT)^(a|aa)+$",
            r"^(\w+\s?)*$",
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            let begun = Instant::now();
            assert!(pattern.is_match(text.as_bytes()).is_err(), "{pattern:?}");
            assert!(
                pattern.find_all(text.as_bytes(), 10).is_err(),
                "{pattern:?}"
            );
            assert!(begun.elapsed() < Duration::from_secs(20), "{pattern:?}");
        }
    }

    #[test]
    fn deep_matches_use_the_large_stack() {
        let text = "ab\n".repeat(20_000);
        let pattern = Pattern::new(r"^((?:a|b|\n)+?)*$").unwrap();
        assert!(pattern.is_match(text.as_bytes()).unwrap());
        let pattern = Pattern::new(r"^(?:([^\n]*)\n|x)*\z").unwrap();
        assert_eq!(
            pattern.find(text.as_bytes()).unwrap().unwrap(),
            [Some((0, 60_000)), Some((59_997, 59_999))]
        );
    }

    #[test]
    fn a_large_text_is_searched_in_time() {
        let text = "key = value\n".repeat(100_000);
        let flags = Flags {
            multiline: true,
            ..Flags::default()
        };
        let begun = Instant::now();
        let pattern = Pattern::with_flags(r"^\s*(\w+)\s*=\s*(.*)$", flags).unwrap();
        assert_eq!(
            pattern.find_all(text.as_bytes(), usize::MAX).unwrap().len(),
            100_000
        );
        assert!(begun.elapsed() < Duration::from_secs(5));
        let text = format!("é\n{text}{text}{text}{text}");
        assert!(pattern.find_all(text.as_bytes(), usize::MAX).is_err());
    }
}
