//! Orders of versions: rpm's, dpkg's, and OVAL's `version`.

use std::cmp::Ordering;

/// Longer is no version; `version` reads the spaces in front of a field again and again.
const MAX_VERSION: usize = 4096;

/// Epoch, version, and release or revision.
struct Parts<'a> {
    epoch: Option<&'a [u8]>,
    version: &'a [u8],
    release: Option<&'a [u8]>,
}

/// Takes `epoch:version-release` apart. The epoch is digits before a colon, the release is
/// behind the last hyphen.
fn parts(text: &str) -> Parts<'_> {
    let bytes = text.as_bytes();
    let (digits, tail) = split_while(bytes, u8::is_ascii_digit);
    let (epoch, rest) = match tail.split_first() {
        Some((b':', rest)) if digits.is_empty() => (Some(&b"0"[..]), rest),
        Some((b':', rest)) => (Some(digits), rest),
        _ => (None, bytes),
    };
    let hyphen = rest.iter().rposition(|byte| *byte == b'-');
    let (version, release) = match hyphen.and_then(|place| rest.split_at_checked(place)) {
        Some((version, release)) => (version, release.get(1..)),
        None => (rest, None),
    };
    Parts {
        epoch,
        version,
        release,
    }
}

fn split_while(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| !belongs(byte))
        .unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

fn skip_while(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> &[u8] {
    split_while(bytes, belongs).1
}

fn rest(bytes: &[u8]) -> &[u8] {
    bytes.get(1..).unwrap_or_default()
}

/// rpm's order of `epoch:version-release`. A missing epoch or release is older than any that is
/// there (rpm itself reads a missing epoch as 0; OpenSCAP, which content is written for, does
/// not).
pub fn evr_cmp(a: &str, b: &str) -> Ordering {
    fn optional(a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) => segments_cmp(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    }
    let (a, b) = (parts(a), parts(b));
    optional(a.epoch, b.epoch)
        .then_with(|| segments_cmp(a.version, b.version))
        .then_with(|| optional(a.release, b.release))
}

/// `rpmvercmp`: segments of digits or letters; `~` is older than the end, `^` newer than the
/// end and older than a segment.
fn segments_cmp(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let is_separator = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'~' && *byte != b'^';
    while !a.is_empty() || !b.is_empty() {
        a = skip_while(a, is_separator);
        b = skip_while(b, is_separator);
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (rest(a), rest(b));
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, _) | (_, None) => break,
            (Some(first), Some(_)) => {
                let is_number = first.is_ascii_digit();
                let belongs = if is_number {
                    u8::is_ascii_digit
                } else {
                    u8::is_ascii_alphabetic
                };
                let (a_segment, a_rest) = split_while(a, belongs);
                let (b_segment, b_rest) = split_while(b, belongs);
                // A number is newer than letters.
                if b_segment.is_empty() {
                    return if is_number {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    };
                }
                let ordering = if is_number {
                    digits_cmp(a_segment, b_segment)
                } else {
                    a_segment.cmp(b_segment)
                };
                if ordering.is_ne() {
                    return ordering;
                }
                (a, b) = (a_rest, b_rest);
            }
        }
    }
    a.is_empty().cmp(&b.is_empty()).reverse()
}

/// Numbers of any length.
fn digits_cmp(a: &[u8], b: &[u8]) -> Ordering {
    let a = skip_while(a, |digit| *digit == b'0');
    let b = skip_while(b, |digit| *digit == b'0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// dpkg's order of `epoch:upstream-revision`; a missing epoch is 0.
pub fn debian_cmp(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    digits_cmp(a.epoch.unwrap_or_default(), b.epoch.unwrap_or_default())
        .then_with(|| debian_part_cmp(a.version, b.version))
        .then_with(|| debian_part_cmp(a.release.unwrap_or_default(), b.release.unwrap_or_default()))
}

/// As [`debian_cmp`]; None for an epoch that dpkg cannot hold.
pub(super) fn debian_checked(a: &str, b: &str) -> Option<Ordering> {
    let holds = |text| {
        let epoch = skip_while(parts(text).epoch.unwrap_or_default(), |digit| {
            *digit == b'0'
        });
        digits_cmp(epoch, b"2147483647").is_le()
    };
    (holds(a) && holds(b)).then(|| debian_cmp(a, b))
}

/// The weight of a character that is no digit; 0 for a digit and the end.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(b'~') => -1,
        // C's `char` has a sign where dpkg runs.
        Some(byte) => i32::from(byte.cast_signed()) + 256,
    }
}

/// Characters that are no digits by weight, then a number, and so on.
fn debian_part_cmp(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let is_text = |bytes: &[u8]| bytes.first().is_some_and(|byte| !byte.is_ascii_digit());
    while !a.is_empty() || !b.is_empty() {
        while is_text(a) || is_text(b) {
            let ordering = weight(a.first()).cmp(&weight(b.first()));
            if ordering.is_ne() {
                return ordering;
            }
            (a, b) = (rest(a), rest(b));
        }
        let (a_number, a_rest) = split_while(a, u8::is_ascii_digit);
        let (b_number, b_rest) = split_while(b, u8::is_ascii_digit);
        let ordering = digits_cmp(a_number, b_number);
        if ordering.is_ne() {
            return ordering;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

/// The order of OVAL's `version`: numbers between characters that are no digits, the shorter
/// one padded with 0. None when a text is too long to be a version.
pub(super) fn version_checked(a: &str, b: &str) -> Option<Ordering> {
    if a.len() > MAX_VERSION || b.len() > MAX_VERSION {
        return None;
    }
    let (mut a, mut b) = (Fields(a.as_bytes()), Fields(b.as_bytes()));
    loop {
        let (one, two) = (a.next(), b.next());
        if one.is_none() && two.is_none() {
            return Some(Ordering::Equal);
        }
        let ordering = one.unwrap_or(0).cmp(&two.unwrap_or(0));
        if ordering.is_ne() {
            return Some(ordering);
        }
    }
}

/// The numbers of a `version`.
struct Fields<'a>(&'a [u8]);

impl Iterator for Fields<'_> {
    type Item = i32;

    fn next(&mut self) -> Option<i32> {
        if self.0.is_empty() {
            return None;
        }
        let number = leading_int(self.0);
        // One character (of the number, or a separator where there is none), the digits, one
        // separator.
        self.0 = rest(skip_while(rest(self.0), u8::is_ascii_digit));
        Some(number)
    }
}

/// C's `atoi`, which cuts what `strtol` reads to 32 bits.
fn leading_int(bytes: &[u8]) -> i32 {
    let bytes = skip_while(bytes, |byte| super::number::is_space(*byte));
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, bytes),
    };
    let number = split_while(digits, u8::is_ascii_digit)
        .0
        .iter()
        .fold(0i64, |number, digit| {
            let digit = i64::from(digit - b'0');
            let shifted = number.saturating_mul(10);
            if negative {
                shifted.saturating_sub(digit)
            } else {
                shifted.saturating_add(digit)
            }
        });
    number as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(cmp: impl Fn(&str, &str) -> Ordering, a: &str, b: &str, expected: Ordering) {
        assert_eq!(cmp(a, b), expected, "{a:?} {b:?}");
        assert_eq!(cmp(b, a), expected.reverse(), "{b:?} {a:?}");
    }

    #[test]
    fn rpm() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, expected) in [
            ("1.0", "1.0", Equal),
            ("1.0", "2.0", Less),
            ("2.0.1", "2.0.1a", Less),
            ("5.5p1", "5.5p2", Less),
            ("5.5p10", "5.5p1", Greater),
            ("10xyz", "10.1xyz", Less),
            ("xyz10", "xyz10.1", Less),
            ("xyz.4", "8", Less),
            ("xyz.4", "2", Less),
            ("5.5p2", "5.6p1", Less),
            ("6.0.rc1", "6.0", Greater),
            ("10b2", "10a1", Greater),
            ("1.0aa", "1.0aa", Equal),
            ("10.0001", "10.1", Equal),
            ("10.0001", "10.0039", Less),
            ("4.999.9", "5.0", Less),
            ("20101121", "20101122", Less),
            ("2_0", "2.0", Equal),
            ("a+", "a_", Equal),
            ("+a", "_a", Equal),
            ("1.0~rc1", "1.0", Less),
            ("1.0~rc1", "1.0~rc2", Less),
            ("1.0~rc1~git123", "1.0~rc1", Less),
            ("1.0^", "1.0", Greater),
            ("1.0^git1", "1.0", Greater),
            ("1.0^git1", "1.0^git2", Less),
            ("1.0^git1", "1.01", Less),
            ("1.0^20160101", "1.0.1", Less),
            ("1.0^20160101^git1", "1.0^20160102", Less),
            ("1.0~rc1^git1", "1.0~rc1", Greater),
            ("1.0^git1~pre", "1.0^git1", Less),
            ("1e.fc33", "1g.fc33", Less),
            ("0:1.0-1", "0:1.0-2", Less),
            ("1:1.0-1", "0:2.0-1", Greater),
            ("00:1.0-1", "0:1.0-1", Equal),
            (":1.0-1", "0:1.0-1", Equal),
            ("1.0-1", "0:1.0-1", Less),
            ("1.0", "1.0-0", Less),
            ("0:1-2-3", "0:1-2-4", Less),
            ("99999999999999999999", "100000000000000000000", Less),
        ] {
            check(evr_cmp, a, b, expected);
        }
    }

    #[test]
    fn dpkg() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, expected) in [
            ("1.0", "1.0", Equal),
            ("1.0~rc1", "1.0", Less),
            ("1.0~~", "1.0~", Less),
            ("1.0~~a", "1.0~", Less),
            ("1.0", "1.0a", Less),
            ("1.0a", "1.0+", Less),
            ("1.0", "1.0-0", Equal),
            ("1.0", "1.0-1", Less),
            ("1.2", "1.10", Less),
            ("1.002", "1.2", Equal),
            ("0:1.0", "1.0", Equal),
            ("1:0.1", "9.9", Greater),
            ("7.6p2-4", "7.6-0", Greater),
            ("1.0.3-3", "1.0-1", Greater),
            ("1.3", "1.2.2-2", Greater),
            ("1.3", "1.2.2", Greater),
            ("0-pre", "0-pree", Less),
            ("1.1.6r2-2", "1.1.6r-1", Greater),
            ("2.6b2-1", "2.6b-2", Greater),
            ("98.1p5-1", "98.1-pre2-b6-2", Less),
            ("0.4a6-2", "0.4-1", Greater),
            ("1:3.0.5-2", "1:3.0.5.1", Less),
            ("10.3", "1:0.4", Less),
            ("1:1.25-4", "1:1.25-8", Less),
            ("1.18.36:5.4", "1.18.36:5.5", Less),
            ("9:1.18.37:4.3-22", "10:0.5.20.1-2", Less),
            ("1.2.3-1+deb12u1", "1.2.3-1", Greater),
            ("1.2.3-1~bpo12+1", "1.2.3-1", Less),
        ] {
            check(debian_cmp, a, b, expected);
        }
    }

    #[test]
    fn version() {
        use Ordering::{Equal, Greater, Less};
        let cmp = |a: &str, b: &str| version_checked(a, b).unwrap();
        for (a, b, expected) in [
            ("", "", Equal),
            ("1", "1.0.0", Equal),
            ("1.2.3", "1.2.4", Less),
            ("1.10", "1.9", Greater),
            ("1#2", "1.2", Equal),
            ("08", "8", Equal),
            ("1.2", "", Greater),
            ("1..2", "1.0.2", Less),
            ("99999999999999999999", "0", Less),
        ] {
            check(cmp, a, b, expected);
        }
        assert_eq!(version_checked(&" ".repeat(5000), "1"), None);
    }

    /// Short, of few characters: so that many are equal or nearly so.
    fn text() -> impl Strategy<Value = String> {
        "[0-2]{0,2}:?[0-2a~^.+é -]{0,5}(-[0-1a~.]{0,3})?"
    }

    proptest! {
        #[test]
        fn orders(a in text(), b in text(), c in text()) {
            let version: fn(&str, &str) -> Ordering = |a, b| version_checked(a, b).unwrap();
            for cmp in [evr_cmp, debian_cmp, version] {
                prop_assert_eq!(cmp(&a, &a), Ordering::Equal);
                prop_assert_eq!(cmp(&a, &b), cmp(&b, &a).reverse());
                let (ab, bc) = (cmp(&a, &b), cmp(&b, &c));
                if ab == bc || bc.is_eq() {
                    prop_assert_eq!(cmp(&a, &c), ab);
                } else if ab.is_eq() {
                    prop_assert_eq!(cmp(&a, &c), bc);
                }
            }
        }

        #[test]
        fn larger_numbers_are_newer(a in any::<u32>(), b in any::<u32>(), tail in "[.-][0-9]{1,3}") {
            let (one, two) = (format!("1:{a}{tail}"), format!("1:{b}{tail}"));
            prop_assert_eq!(evr_cmp(&one, &two), a.cmp(&b));
            prop_assert_eq!(debian_cmp(&one, &two), a.cmp(&b));
        }
    }
}
