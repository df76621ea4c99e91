//! apk's versions: numbers, one letter, suffixes, a commit, the package's revision
//! (apk-tools, `apk-package(5)`): `1.2.3a_rc1_p2~abcdef-r4`.

use std::cmp::Ordering;

struct Version<'a> {
    numbers: Vec<&'a str>,
    letter: u8,
    suffixes: Vec<(i8, u64)>,
    revision: u64,
}

/// Pre-release suffixes stand before the version, the others after it.
fn suffix(name: &str) -> Option<i8> {
    Some(match name {
        "alpha" => -4,
        "beta" => -3,
        "pre" => -2,
        "rc" => -1,
        "cvs" => 1,
        "svn" => 2,
        "git" => 3,
        "hg" => 4,
        "p" => 5,
        _ => return None,
    })
}

fn parse(text: &str) -> Option<Version<'_>> {
    let (rest, revision) = match text.rsplit_once("-r") {
        Some((rest, revision)) => (rest, revision.parse().ok()?),
        None => (text, 0),
    };
    let rest = rest.split_once('~').map_or(rest, |(rest, _commit)| rest);
    let mut parts = rest.split('_');
    let mut core = parts.next()?;
    let mut letter = 0;
    if let Some(last) = core.bytes().last().filter(u8::is_ascii_lowercase) {
        letter = last;
        core = core.get(..core.len().saturating_sub(1))?;
    }
    let numbers: Vec<&str> = core.split('.').collect();
    let digits = |n: &&str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    if !numbers.iter().all(digits) {
        return None;
    }
    let mut suffixes = Vec::new();
    for part in parts {
        let end = part
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(part.len());
        let (name, number) = part.split_at_checked(end)?;
        let number = if number.is_empty() {
            0
        } else {
            number.parse().ok()?
        };
        suffixes.push((suffix(name)?, number));
    }
    Some(Version {
        numbers,
        letter,
        suffixes,
        revision,
    })
}

/// Digits of any length by value.
fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The first number by value; later ones that begin with a zero are fractions, compared as text.
fn numbers(a: &[&str], b: &[&str]) -> Ordering {
    for (i, pair) in a.iter().zip(b).enumerate() {
        let (x, y) = pair;
        let order = if i > 0 && (x.starts_with('0') || y.starts_with('0')) {
            x.cmp(y)
        } else {
            by_value(x, y)
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn suffixes(a: &[(i8, u64)], b: &[(i8, u64)]) -> Ordering {
    for i in 0..a.len().max(b.len()) {
        // None stands between the pre-releases and the patches.
        let (x, y) = (a.get(i).unwrap_or(&(0, 0)), b.get(i).unwrap_or(&(0, 0)));
        let order = x.cmp(y);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    Some(
        numbers(&a.numbers, &b.numbers)
            .then(a.letter.cmp(&b.letter))
            .then_with(|| suffixes(&a.suffixes, &b.suffixes))
            .then(a.revision.cmp(&b.revision)),
    )
}
