//! Where a pattern of paths can match: the directory to begin at and the directories not to
//! enter.
//!
//! OpenSCAP begins at the literal beginning of the pattern and leaves what PCRE cannot match
//! even partially. Here the pattern's alternatives are cut into path components as long as
//! no part of them can match a slash; what cannot be cut prunes nothing.

use crate::oval::compare::Pattern;

/// The most alternatives that groups expand to.
const MAX_ALTERNATIVES: usize = 64;

/// What a pattern of paths says about directories.
pub(super) struct Prefix {
    /// Where the walk begins.
    pub start: String,
    alternatives: Option<Vec<Alternative>>,
}

struct Alternative {
    /// One for each depth, from 1: a directory of that depth must match.
    closed: Vec<Test>,
    /// What deeper directories begin with; None: there are none.
    open: Option<Test>,
}

enum Test {
    /// This text, as a whole or at the beginning.
    Text(String),
    Pattern(Pattern),
}

impl Prefix {
    /// Of a pattern.
    pub fn new(pattern: &str) -> Self {
        let expanded = expand(pattern);
        let cut: Option<Vec<Cut>> =
            expanded.map(|all| all.iter().map(|text| Cut::new(text)).collect());
        let start = whole_literal(pattern).unwrap_or_else(|| {
            cut.as_ref()
                .and_then(|all| common(all))
                .unwrap_or_else(|| "/".into())
        });
        Self {
            start,
            alternatives: cut.and_then(|all| all.iter().map(Cut::compile).collect()),
        }
    }

    /// Whether something in the directory, or itself, can match.
    pub fn allows(&self, directory: &[u8]) -> bool {
        let Some(alternatives) = &self.alternatives else {
            return true;
        };
        let depth = match directory {
            b"/" => 0,
            _ => directory.iter().filter(|byte| **byte == b'/').count(),
        };
        if depth == 0 || directory.ends_with(b"/") || directory.contains(&b'\n') {
            return true;
        }
        alternatives
            .iter()
            .any(|alternative| match alternative.closed.get(depth - 1) {
                Some(Test::Text(text)) => text.as_bytes() == directory,
                Some(Test::Pattern(pattern)) => pattern.is_match(directory).unwrap_or(true),
                None => match &alternative.open {
                    Some(Test::Text(text)) => directory.starts_with(text.as_bytes()),
                    Some(Test::Pattern(pattern)) => pattern.is_match(directory).unwrap_or(true),
                    None => false,
                },
            })
    }
}

/// An alternative in components.
struct Cut {
    closed: Vec<String>,
    /// None: the pattern ends. Else the beginning of the component that is not closed.
    open: Option<String>,
}

impl Cut {
    fn new(text: &str) -> Self {
        let text = text.strip_prefix('^').unwrap_or(text);
        let mut closed: Vec<String> = Vec::new();
        let mut component: Option<String> = None;
        let mut rest = text;
        loop {
            let Some((token, after)) = token(rest) else {
                // What follows is not closed, or nothing follows.
                return Self {
                    closed,
                    open: Some(component.unwrap_or_default()),
                };
            };
            match (&mut component, token) {
                (_, "/" | "\\/") => closed.extend(component.replace(String::new())),
                (Some(done), "$") if after.is_empty() => {
                    closed.push(std::mem::take(done));
                    return Self { closed, open: None };
                }
                (Some(part), token) if token != "$" => part.push_str(token),
                // It does not begin with a slash, or ends before its end.
                _ => {
                    return Self {
                        closed,
                        open: Some(component.unwrap_or_default()),
                    };
                }
            }
            rest = after;
        }
    }

    fn compile(&self) -> Option<Alternative> {
        let mut closed = Vec::new();
        let mut text = String::from("^");
        // The same as plain text, as long as it is.
        let mut plain = Some(String::new());
        for component in &self.closed {
            text.push('/');
            text.push_str(component);
            plain = plain
                .zip(literal(component))
                .map(|(plain, component)| format!("{plain}/{component}"));
            closed.push(match &plain {
                Some(plain) => Test::Text(plain.clone()),
                None => Test::Pattern(Pattern::new(&format!("{text}\\z")).ok()?),
            });
        }
        let open = match &self.open {
            None => None,
            Some(begin) => {
                let begin_literal = if begin.is_empty() {
                    Some(String::new())
                } else {
                    literal(begin)
                };
                Some(match plain.zip(begin_literal) {
                    Some((plain, begin)) => Test::Text(format!("{plain}/{begin}")),
                    None => Test::Pattern(Pattern::new(&format!("{text}/{begin}")).ok()?),
                })
            }
        };
        Some(Alternative { closed, open })
    }

    /// The leading components that are literal, without the last one of a pattern that ends.
    fn literal(&self) -> Vec<String> {
        let last = self.closed.len() - usize::from(self.open.is_none() && !self.closed.is_empty());
        self.closed
            .iter()
            .take(last)
            .map_while(|component| literal(component))
            .collect()
    }
}

/// The next token with its quantifier: one that cannot match a slash, or a slash itself.
fn token(text: &str) -> Option<(&str, &str)> {
    let mut characters = text.char_indices();
    let (_, first) = characters.next()?;
    let mut end = match first {
        '\\' => {
            let (at, escaped) = characters.next()?;
            // Classes and references may match anything; \d and \w match no slash.
            if escaped.is_ascii_alphanumeric() && !matches!(escaped, 'd' | 'w' | 's' | 'h') {
                return None;
            }
            at + escaped.len_utf8()
        }
        '[' => class(text)?,
        '.' | '(' | ')' | '|' | '*' | '+' | '?' | '{' | '^' => return None,
        _ => first.len_utf8(),
    };
    let atom = end;
    let rest = text.get(end..)?;
    if let Some(quantifier) = rest.chars().next() {
        match quantifier {
            '*' | '+' | '?' => end += 1,
            '{' => end += rest.find('}')? + 1,
            _ => {}
        }
        if end > atom {
            let after = text.get(end..)?;
            if after.starts_with(['?', '+']) {
                end += 1;
            }
        }
    }
    let token = text.get(..end)?;
    // A slash that may be absent cuts nothing.
    if end > atom && matches!(text.get(..atom), Some("/" | "\\/" | "$")) {
        return None;
    }
    Some((token, text.get(end..)?))
}

/// The length of a class that matches no slash.
fn class(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let (negated, inner) = match inner.strip_prefix('^') {
        Some(inner) => (true, inner),
        None => (false, inner),
    };
    if inner.starts_with(']') || inner.contains("[:") {
        return None;
    }
    let close = inner.find(']')?;
    let members = inner.get(..close)?;
    let closed = if negated {
        members.contains('/') && !members.contains(['-', '\\'])
    } else {
        // A range could pass over the slash; letters and digits do not.
        let bytes = members.as_bytes();
        let ranges = bytes.windows(3).all(|window| match window {
            [from, b'-', to] => *from > b'/' || *to < b'/',
            _ => true,
        });
        ranges && !members.contains(['/', '\\'])
    };
    closed.then_some(text.len() - inner.len() + close + 1)
}

/// A component as text, where it is nothing but text.
fn literal(component: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = component.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next()?;
                if escaped.is_ascii_alphanumeric() {
                    return None;
                }
                text.push(escaped);
            }
            '[' | '*' | '+' | '?' | '{' | '$' | '.' => return None,
            other => text.push(other),
        }
    }
    (!text.is_empty()).then_some(text)
}

/// A pattern without anything special is a path to begin at, and nothing beside it: so does
/// OpenSCAP.
fn whole_literal(pattern: &str) -> Option<String> {
    let text = pattern.strip_prefix('^').unwrap_or(pattern);
    let plain = text.len() > 1
        && text.starts_with('/')
        && !text.contains(['^', '*', '?', '$', '.', '(', '[', '|', '+', '{', '\\', ')']);
    plain.then(|| text.to_owned())
}

/// The directory above everything that the alternatives can match.
fn common(all: &[Cut]) -> Option<String> {
    let mut shared: Option<Vec<String>> = None;
    for cut in all {
        let literal = cut.literal();
        shared = Some(match shared {
            None => literal,
            Some(before) => before
                .into_iter()
                .zip(literal)
                .take_while(|(one, other)| one == other)
                .map(|(one, _)| one)
                .collect(),
        });
    }
    shared
        .filter(|components| !components.is_empty())
        .map(|components| format!("/{}", components.join("/")))
}

/// The alternatives, with groups of alternatives written out; None where there are too many.
fn expand(pattern: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut pending = split(pattern)?;
    while let Some(text) = pending.pop() {
        if done.len() + pending.len() > MAX_ALTERNATIVES {
            return None;
        }
        match group(&text) {
            Some((before, inner, after)) => {
                let (optional, after) = match after.strip_prefix('?') {
                    Some(after) => (true, after),
                    None => (false, after),
                };
                if after.starts_with(['?', '*', '+', '{']) {
                    done.push(text);
                    continue;
                }
                let mut options = split(inner)?;
                if optional {
                    options.push(String::new());
                }
                pending.extend(
                    options
                        .iter()
                        .map(|option| format!("{before}{option}{after}")),
                );
            }
            None => done.push(text),
        }
    }
    Some(done)
}

/// Steps through a pattern, telling depth of groups: calls with position, character, depth.
fn scan(text: &str, mut each: impl FnMut(usize, char, usize) -> bool) -> Option<()> {
    let mut depth = 0_usize;
    let mut in_class = false;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                if characters.next().is_some_and(|(_, next)| next == 'Q') {
                    return None;
                }
            }
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '[' => {
                in_class = true;
                characters.next_if(|(_, next)| *next == '^');
                characters.next_if(|(_, next)| *next == ']');
            }
            _ => {
                if character == ')' {
                    depth = depth.checked_sub(1)?;
                }
                if !each(at, character, depth) {
                    return Some(());
                }
                if character == '(' {
                    depth += 1;
                }
            }
        }
    }
    (depth == 0 && !in_class).then_some(())
}

fn split(text: &str) -> Option<Vec<String>> {
    let mut cuts = Vec::new();
    scan(text, |at, character, depth| {
        if character == '|' && depth == 0 {
            cuts.push(at);
        }
        true
    })?;
    let mut parts = Vec::new();
    let mut begin = 0;
    for cut in cuts {
        parts.push(text.get(begin..cut)?.to_owned());
        begin = cut + 1;
    }
    parts.push(text.get(begin..)?.to_owned());
    Some(parts)
}

/// The first group, if it is a plain one: what is before, in and after it.
fn group(text: &str) -> Option<(&str, &str, &str)> {
    let (mut open, mut close) = (None, None);
    scan(text, |at, character, depth| {
        match (character, depth) {
            ('(', 0) if open.is_none() => open = Some(at),
            (')', 0) => close = Some(at),
            _ => {}
        }
        close.is_none()
    })?;
    let (open, close) = (open?, close?);
    let inner = text.get(open + 1..close)?;
    let inner = match inner.strip_prefix("?:") {
        Some(inner) => inner,
        None if inner.starts_with(['?', '*']) => return None,
        None => inner,
    };
    Some((text.get(..open)?, inner, text.get(close + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_begin_at_what_is_literal() {
        for (pattern, start) in [
            (r"^/etc/audit/rules\.d/.*\.rules$", "/etc/audit/rules.d"),
            ("^/boot/config-.*$", "/boot"),
            (r"^/etc/sudoers(\.d/.*)?$", "/etc"),
            (r"^/etc/(a|b)/x$", "/etc"),
            (r"^\/(|s)bin|^\/usr\/(|local\/)(|s)bin|^\/usr\/libexec", "/"),
            (r"^/etc/bashrc$|^/etc/profile\.d/.*$", "/etc"),
            ("/etc/pam.d/a|/etc/pam.d/b|/etc/security/c.conf", "/etc"),
            ("^/etc/kernel/cmdline", "/etc/kernel/cmdline"),
            ("^/etc/a+/b$", "/etc"),
            (r"^/home/\w+/x$", "/home"),
            ("^/etc/issue$", "/etc"),
            (".*", "/"),
            ("etc/x", "/"),
            ("^/usr/?share/x", "/"),
            ("^/a/(b", "/"),
            (r"^/a/\Qx.y\E/z", "/"),
        ] {
            assert_eq!(Prefix::new(pattern).start, start, "{pattern}");
        }
    }

    #[test]
    fn directories_that_cannot_match_are_not_entered() {
        for (pattern, directory, allowed) in [
            ("^/home/[^/]+/x$", "/home/me", true),
            ("^/home/[^/]+/x$", "/home/me/x", true),
            ("^/home/[^/]+/x$", "/home/me/y", false),
            ("^/home/[^/]+/x$", "/home/me/x/y", false),
            ("^/(bin|sbin|usr)/.+$", "/bin", true),
            ("^/(bin|sbin|usr)/.+$", "/usr/a/b", true),
            ("^/(bin|sbin|usr)/.+$", "/home", false),
            (r"^\/s?bin|^\/usr\/s?bin", "/sbin.d", true),
            (r"^\/s?bin|^\/usr\/s?bin", "/usr/bin/x", true),
            (r"^\/s?bin|^\/usr\/s?bin", "/usr/lib", false),
            ("^/etc/pam.d/x$", "/etc/pam", true),
            ("^/etc/pam.d/x$", "/etc/apt", false),
            (r"^/etc/cron\.d$", "/etc/cron.d", true),
            (r"^/etc/cron\.d$", "/etc/cron.d/x", false),
            ("^/a[b-z/]c/d$", "/a/c", true),
            ("^/a[.-0]c/d$", "/a/c", true),
            (".*/x", "/any/thing", true),
        ] {
            assert_eq!(
                Prefix::new(pattern).allows(directory.as_bytes()),
                allowed,
                "{pattern} {directory}"
            );
        }
    }
}
