//! Perl-compatible patterns, as OpenSCAP 1.3.7 compiles them (PCRE with UTF-8), with limits.
//!
//! A pattern is compiled up to twice: for bytes, and for UTF-8. PCRE checks a whole text before
//! each match for UTF-8, which costs the square of its length where a text matches often; on
//! texts of ASCII both give the same, so most texts never meet that check.
//!
//! A search has two stages, for PCRE's limits hold for one start in the text, not for all of
//! them, and its JIT counts only some steps. First the interpreter with a low limit, on short
//! texts: what hits it, and long texts, go window by window, all starts of a window one match
//! and the clock read between windows.

mod leading;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};

/// Longer patterns are refused.
const MAX_PATTERN: usize = 256 << 10;
/// Longer texts are not searched.
const MAX_HAYSTACK: usize = 64 << 20;
/// Texts of the first stage, in classes; longer ones are searched by windows only.
const QUICK: [usize; 4] = [1 << 10, 4 << 10, 16 << 10, 64 << 10];
/// Steps of the first stage from all starts together.
const QUICK_WORK: usize = 1 << 31;
/// PCRE's and thus OpenSCAP's limit of steps, which holds for a window's starts together
/// first, and for each of them where that is not enough.
const MAX_STEPS: usize = 10_000_000;
/// A step can cost the text's length: the most of steps times length.
const MAX_WORK: usize = 1 << 36;
/// The starts of a window; of a long text.
const WINDOW: usize = 1024;
const SMALL_WINDOW: usize = 64;
/// From here on windows are small, or in UTF-8, of which each costs a look at the whole text,
/// grow while they are quick.
const LONG: usize = 4 << 20;
const LONG_UTF: usize = 1 << 20;
const QUICK_WINDOW: Duration = Duration::from_millis(100);
/// How often they may double.
const MAX_GROWTH: u32 = 5;
/// What the matcher may hold.
const LIMITS: &str = "(*LIMIT_DEPTH=1000000)(*LIMIT_HEAP=65536)";
/// `PCRE2_ERROR_MATCHLIMIT`.
const MATCH_LIMIT: i32 = -47;
/// `PCRE2_ERROR_UNKNOWN_ESCAPE`.
const UNKNOWN_ESCAPE: i32 = 103;
/// Unknown escapes that one pattern may have.
const MAX_UNKNOWN_ESCAPES: usize = 64;
/// Groups of all the matches of one search.
const MAX_SPANS: usize = 4 << 20;
/// Bytes that one search may check for UTF-8.
const MAX_CHECKED: usize = 4 << 30;
/// How long one search may go on to its next match.
const MAX_SEARCH: Duration = Duration::from_secs(5);

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
        let compiled = |utf| Compiled {
            settings: settings.into(),
            body: body.into(),
            flags,
            utf,
            last: flags.dotall && leading::rest(body).is_some(),
            quick: Default::default(),
            windows: Mutex::default(),
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
        if self.is_ascii && self.bytes.shortest().is_ok() {
            return Ok(true);
        }
        self.utf.shortest().map(|()| false).map_err(Clone::clone)
    }

    /// Whether it matches anywhere; an error when a limit was hit.
    pub fn is_match(&self, haystack: &[u8]) -> Result<bool, String> {
        let mut search = Search::new(self.form(haystack)?, haystack)?;
        Ok(search.next(0)?.is_some())
    }

    /// The groups of each match from the start on, at most `limit` matches. After a match the
    /// search goes on at its end, one character behind it where nothing else was searched: so
    /// an empty match may follow another match directly, as in OpenSCAP.
    pub fn find_all(&self, haystack: &[u8], limit: usize) -> Result<Vec<Spans>, String> {
        let form = self.form(haystack)?;
        let mut search = Search::new(form, haystack)?;
        let (mut found, mut spans, mut from) = (Vec::new(), 0usize, 0usize);
        while found.len() < limit && from <= haystack.len() {
            let Some(groups) = search.next(from)? else {
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

type Ready<T> = (T, CaptureLocations);

/// A search in one text, from match to match.
struct Search<'a> {
    form: &'a Compiled,
    haystack: &'a [u8],
    begun: Instant,
    /// Bytes that were checked for UTF-8.
    checked: usize,
    quick: Option<Ready<&'a Regex>>,
    /// For each size of windows.
    windows: HashMap<usize, Ready<Arc<Regex>>>,
    /// How often the windows have doubled.
    growth: u32,
    /// Which size is tried next. The last is of one start, which has all the steps.
    tier: usize,
    /// Up to here starts go by the smaller windows, for a larger one was too much.
    hard: usize,
}

impl<'a> Search<'a> {
    fn new(form: &'a Compiled, haystack: &'a [u8]) -> Result<Self, String> {
        let quick = match form.quick(haystack.len()) {
            Some(regex) => {
                let regex = regex.map_err(|error| error.message.clone())?;
                Some((regex, regex.capture_locations()))
            }
            None => None,
        };
        Ok(Self {
            form,
            haystack,
            begun: Instant::now(),
            checked: 0,
            quick,
            windows: HashMap::new(),
            growth: 0,
            tier: 0,
            hard: 0,
        })
    }

    fn spend(&mut self, from: usize) -> Result<(), String> {
        if self.form.utf {
            let rest = self.haystack.len().saturating_sub(from);
            self.checked = self.checked.saturating_add(rest);
        }
        if self.checked > MAX_CHECKED || self.begun.elapsed() > MAX_SEARCH {
            return Err("searching takes too long".into());
        }
        Ok(())
    }

    fn next(&mut self, from: usize) -> Result<Option<Spans>, String> {
        self.spend(from)?;
        if let Some((regex, locations)) = &mut self.quick {
            match regex.captures_read_at(locations, self.haystack, from) {
                Ok(found) => return Ok(found.map(|_| spans(locations))),
                Err(error) if error.code() == MATCH_LIMIT => self.quick = None,
                Err(error) => return Err(error.to_string()),
            }
        }
        if self.form.last {
            self.backwards(from)
        } else {
            self.by_windows(from)
        }
    }

    /// The starts of the next window besides the first.
    fn size(&self) -> usize {
        let length = self.haystack.len();
        match (self.tier, self.form.utf) {
            (0, true) if length >= LONG_UTF => WINDOW << self.growth,
            (0, false) if length >= LONG => SMALL_WINDOW,
            (0, _) => WINDOW,
            (1, true) if length >= LONG_UTF => SMALL_WINDOW,
            _ => 0,
        }
    }

    /// One window; None where it was too much and smaller ones are next.
    fn window(&mut self, from: usize) -> Result<Option<Option<Spans>>, String> {
        self.spend(from)?;
        let size = self.size();
        let (regex, locations) = match self.windows.entry(size) {
            Entry::Occupied(ready) => ready.into_mut(),
            Entry::Vacant(place) => {
                let regex = self.form.windows(self.haystack.len(), size)?;
                let locations = regex.capture_locations();
                place.insert((regex, locations))
            }
        };
        let begun = Instant::now();
        match regex.captures_read_at(locations, self.haystack, from) {
            Ok(found) => {
                let found = found.map(|_| spans(locations));
                self.growth = if begun.elapsed() < QUICK_WINDOW {
                    (self.growth + 1).min(MAX_GROWTH)
                } else {
                    self.growth.saturating_sub(1)
                };
                Ok(Some(found))
            }
            Err(error) if error.code() == MATCH_LIMIT && size > 0 => {
                self.tier += 1;
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn by_windows(&mut self, mut from: usize) -> Result<Option<Spans>, String> {
        while from <= self.haystack.len() {
            if from >= self.hard {
                self.tier = 0;
            }
            let size = self.size();
            let answer = self.window(from)?;
            if let Some(Some(found)) = answer {
                return Ok(Some(found));
            }
            // The window's starts are `from` and those `size` characters behind it.
            let mut behind = from;
            for _ in 0..=size {
                behind = self.form.after(self.haystack, behind);
                if behind > self.haystack.len() {
                    break;
                }
            }
            match answer {
                Some(_) => from = behind,
                None => self.hard = self.hard.max(behind),
            }
        }
        Ok(None)
    }

    /// Window by window from the text's end: in each the last start is found first.
    fn backwards(&mut self, from: usize) -> Result<Option<Spans>, String> {
        let mut end = self.haystack.len();
        let mut hard = usize::MAX;
        while from <= self.haystack.len() {
            if end < hard {
                self.tier = 0;
                hard = usize::MAX;
            }
            let mut start = end.saturating_sub(self.size()).max(from);
            while start > from && !self.form.starts(self.haystack, start) {
                start -= 1;
            }
            match self.window(start)? {
                Some(Some(mut found)) => {
                    if let Some(whole) = found.first_mut() {
                        *whole = whole.map(|(_, end)| (from, end));
                    }
                    return Ok(Some(found));
                }
                Some(None) if start <= from => break,
                Some(None) => end = start - 1,
                None if hard == usize::MAX => hard = start,
                None => {}
            }
        }
        Ok(None)
    }
}

fn spans(locations: &CaptureLocations) -> Spans {
    (0..locations.len())
        .map(|group| locations.get(group))
        .collect()
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
    /// What the pattern begins with and what follows.
    settings: Box<str>,
    body: Box<str>,
    flags: Flags,
    utf: bool,
    /// It begins with a `.*` that takes lines' ends: what follows is found from the end.
    last: bool,
    /// For each class of texts.
    quick: [OnceLock<Result<Regex, CompileError>>; QUICK.len()],
    /// For windows, by their steps and sizes.
    windows: Mutex<HashMap<(usize, usize), Arc<Regex>>>,
}

impl Compiled {
    /// The first stage; none for a long text.
    fn quick(&self, length: usize) -> Option<Result<&Regex, &CompileError>> {
        let (place, most) = self
            .quick
            .iter()
            .zip(QUICK)
            .find(|(_, most)| length <= *most)?;
        let compiled = place.get_or_init(|| self.compile(QUICK_WORK / most, "", &self.body, ""));
        Some(compiled.as_ref())
    }

    /// The first stage's for the shortest texts.
    fn shortest(&self) -> Result<(), &CompileError> {
        self.quick(0).map_or(Ok(()), |compiled| compiled.map(drop))
    }

    /// The second stage, for texts of about that length.
    fn windows(&self, length: usize, size: usize) -> Result<Arc<Regex>, String> {
        // What steers the search itself, or means the whole pattern or the search's start,
        // has another meaning in a window.
        let steers = ["(*", "(?R)", "(?0)", r"\g<0>", r"\g'0'", r"\G"];
        if steers.iter().any(|sign| self.body.contains(sign)) {
            return Err("searching takes too many steps".into());
        }
        let steps = MAX_WORK / length.next_power_of_two().max(1);
        // A start takes a step and mostly few more.
        let steps = steps.max(4 * size).min(MAX_STEPS);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = windows.get(&(steps, size)) {
            return Ok(Arc::clone(known));
        }
        let (before, body) = match leading::rest(&self.body).filter(|_| self.last) {
            Some(rest) => (format!(r"\G(?s:.{{0,{size}}})(?:"), rest),
            None => (format!(r"\G(?s:.{{0,{size}}}?)\K(?:"), &*self.body),
        };
        let regex = self
            .compile(steps, &before, body, ")")
            .map(Arc::new)
            .map_err(|error| error.message)?;
        windows.insert((steps, size), Arc::clone(&regex));
        Ok(regex)
    }

    fn compile(
        &self,
        steps: usize,
        before: &str,
        body: &str,
        after: &str,
    ) -> Result<Regex, CompileError> {
        let settings = &self.settings;
        let begin = format!("{settings}(*LIMIT_MATCH={steps}){LIMITS}{before}");
        let ours = begin.len() - settings.len();
        RegexBuilder::new()
            .utf(self.utf)
            .multi_line(self.flags.multiline)
            .caseless(self.flags.ignore_case)
            .dotall(self.flags.dotall)
            .build(&format!("{begin}{body}{after}"))
            .map_err(|error| {
                let place = error.offset().unwrap_or_default();
                CompileError {
                    message: error.to_string(),
                    code: error.code(),
                    offset: if place >= begin.len() {
                        place - ours
                    } else {
                        place.min(settings.len())
                    },
                }
            })
    }

    /// Whether a character begins there.
    fn starts(&self, haystack: &[u8], place: usize) -> bool {
        !self.utf || haystack.get(place).is_none_or(|byte| byte & 0xc0 != 0x80)
    }

    /// The place of the next character.
    fn after(&self, haystack: &[u8], place: usize) -> usize {
        let mut next = place + 1;
        while !self.starts(haystack, next) {
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
mod tests;
