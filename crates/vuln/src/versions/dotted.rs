//! Orders of dotted numbers with words between: RubyGems, Composer, NuGet, plain numbers.

use std::cmp::Ordering;

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Number(&'a str),
    Word(&'a str),
}

fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Runs of digits and runs of letters.
fn runs(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for piece in text.split(['.', '-', '_', '+']) {
        let mut rest = piece;
        while let Some(first) = rest.chars().next() {
            let digit = first.is_ascii_digit();
            let end = rest
                .find(|c: char| c.is_ascii_digit() != digit)
                .unwrap_or(rest.len());
            let (run, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
            parts.push(if digit {
                Part::Number(run)
            } else {
                Part::Word(run)
            });
            rest = tail;
        }
    }
    parts
}

fn sane(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
}

/// Numbers alone: `1.2` before `1.2.0`, as Hackage has it.
pub(super) fn numbers(a: &str, b: &str) -> Option<Ordering> {
    let split = |t: &str| -> Option<Vec<String>> {
        t.split(['.', '-'])
            .map(|n| (!n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())).then(|| n.to_owned()))
            .collect()
    };
    let (a, b) = (split(a)?, split(b)?);
    for (x, y) in a.iter().zip(&b) {
        let order = by_value(x, y);
        if order.is_ne() {
            return Some(order);
        }
    }
    Some(a.len().cmp(&b.len()))
}

/// `Gem::Version`: words stand before numbers, trailing zeros do not count (also before a word).
pub(super) fn gem(a: &str, b: &str) -> Option<Ordering> {
    let sane = |t: &str| sane(t) && !t.contains(['_', '+']);
    if !sane(a) || !sane(b) {
        return None;
    }
    // A hyphen is `.pre.` in Gem::Version.
    let (a, b) = (a.replace('-', ".pre."), b.replace('-', ".pre."));
    let canonical = |t: &'_ str| -> Vec<(bool, String)> {
        let mut kept: Vec<(bool, String)> = Vec::new();
        let drop_zeros = |kept: &mut Vec<(bool, String)>| {
            while kept.len() > 1 && kept.last().is_some_and(|(n, t)| *n && t.is_empty()) {
                kept.pop();
            }
        };
        let mut words = false;
        for part in runs(t) {
            match part {
                Part::Number(n) => kept.push((true, n.trim_start_matches('0').to_owned())),
                Part::Word(w) => {
                    if !words {
                        drop_zeros(&mut kept);
                    }
                    words = true;
                    kept.push((false, w.to_owned()));
                }
            }
        }
        drop_zeros(&mut kept);
        kept
    };
    let (a, b) = (canonical(&a), canonical(&b));
    let zero = (true, String::new());
    for i in 0..a.len().max(b.len()) {
        let (x, y) = (a.get(i).unwrap_or(&zero), b.get(i).unwrap_or(&zero));
        let order = match (x.0, y.0) {
            (true, true) => x.1.len().cmp(&y.1.len()).then_with(|| x.1.cmp(&y.1)),
            (false, false) => x.1.cmp(&y.1),
            (number, _) => number.cmp(&!number),
        };
        if order.is_ne() {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}

/// PHP's `version_compare`, which Composer uses on normalised versions.
pub(super) fn composer(a: &str, b: &str) -> Option<Ordering> {
    let strip = |t: &str| -> Option<String> {
        let t = t.strip_prefix(['v', 'V']).unwrap_or(t);
        // A branch has no place in the order.
        if t.starts_with("dev-") || t.ends_with("-dev") && t.contains('x') {
            return None;
        }
        let t = t.split_once('+').map_or(t, |(t, _)| t).to_lowercase();
        sane(&t).then_some(t)
    };
    let (a, b) = (strip(a)?, strip(b)?);
    let padded = |t: &str| -> Vec<(i8, String)> {
        let mut parts: Vec<(i8, String)> = Vec::new();
        let mut numbers = 0;
        let mut words = false;
        for part in runs(t) {
            match part {
                Part::Number(n) => {
                    numbers += usize::from(!words);
                    parts.push((5, n.trim_start_matches('0').to_owned()));
                }
                Part::Word(w) => {
                    // Four numbers before the stability, as Composer normalises.
                    while !words && numbers < 4 {
                        parts.push((5, String::new()));
                        numbers += 1;
                    }
                    words = true;
                    let place = match w {
                        "dev" => 0,
                        "alpha" | "a" => 1,
                        "beta" | "b" => 2,
                        "rc" | "c" => 3,
                        "stable" => 4,
                        "patch" | "pl" | "p" => 6,
                        _ => -1,
                    };
                    parts.push((
                        place,
                        if place < 0 {
                            w.to_owned()
                        } else {
                            String::new()
                        },
                    ));
                }
            }
        }
        while numbers < 4 && !words {
            parts.push((5, String::new()));
            numbers += 1;
        }
        parts
    };
    let (a, b) = (padded(&a), padded(&b));
    let end = (4, String::new());
    for i in 0..a.len().max(b.len()) {
        let (x, y) = (a.get(i), b.get(i));
        // A number that follows a word against nothing counts as later, zero or not.
        let (x, y) = (x.unwrap_or(&end), y.unwrap_or(&end));
        let order =
            x.0.cmp(&y.0)
                .then_with(|| x.1.len().cmp(&y.1.len()))
                .then_with(|| x.1.cmp(&y.1));
        if order.is_ne() {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}

/// NuGet: up to four numbers, then SemVer's rules with letter case ignored; no build metadata.
pub(super) fn nuget(a: &str, b: &str) -> Option<Ordering> {
    type Parsed = ([u64; 4], Option<Vec<String>>);
    let parse = |t: &str| -> Option<Parsed> {
        let t = t.strip_prefix(['v', 'V']).unwrap_or(t);
        let t = t.split_once('+').map_or(t, |(t, _)| t);
        let (core, pre) = match t.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => (t, None),
        };
        let mut numbers = [0u64; 4];
        let mut parts = core.split('.');
        for (slot, part) in numbers.iter_mut().zip(parts.by_ref()) {
            *slot = part.parse().ok()?;
        }
        if parts.next().is_some() {
            return None;
        }
        let pre = match pre {
            None => None,
            Some(pre) => {
                let ids: Vec<String> = pre.split('.').map(str::to_lowercase).collect();
                let sane = |i: &String| {
                    !i.is_empty() && i.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                };
                if !ids.iter().all(sane) {
                    return None;
                }
                Some(ids)
            }
        };
        Some((numbers, pre))
    };
    let ((na, pa), (nb, pb)) = (parse(a)?, parse(b)?);
    let pre = match (pa, pb) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(x), Some(y)) => x
            .iter()
            .zip(&y)
            .map(|(x, y)| identifier(x, y))
            .find(|o| o.is_ne())
            .unwrap_or_else(|| x.len().cmp(&y.len())),
    };
    Some(na.cmp(&nb).then(pre))
}

fn identifier(a: &str, b: &str) -> Ordering {
    let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    match (number(a), number(b)) {
        (true, true) => by_value(a, b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}
