//! Integers and floating-point numbers, read as C's `strtoimax` and `strtod` read them.

use super::ordered;
use crate::oval::model::Operation;
use std::cmp::Ordering;

/// What C's `isspace` calls a space.
pub(in crate::oval) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Without the spaces that C's number readers pass over.
pub(in crate::oval) fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
}

/// A decimal number of 64 bits with nothing behind it.
fn parse_int(text: &str) -> Option<i64> {
    // Hexadecimal is no number here, and neither is one that does not fit.
    skip_space(text).parse().ok()
}

/// Compares as integers.
pub(super) fn int(operation: Operation, actual: &str, wanted: &str) -> Option<bool> {
    let wanted = parse_int(wanted)?;
    let actual = parse_int(actual)?;
    match operation {
        Operation::BitwiseAnd => Some(actual & wanted == wanted),
        Operation::BitwiseOr => Some(actual | wanted == wanted),
        _ => ordered(operation, actual.cmp(&wanted)),
    }
}

/// A number with nothing behind it, not too large for a double.
fn parse_float(text: &str) -> Option<f64> {
    let text = skip_space(text);
    let number: f64 = text.parse().ok()?;
    let spelled = text.trim_start_matches(['+', '-']);
    let is_digits = spelled.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    (number.is_finite() || !is_digits).then_some(number)
}

/// Compares as doubles: what differs by a part in 10⁹ is equal.
pub(super) fn float(operation: Operation, actual: &str, wanted: &str) -> Option<bool> {
    let wanted = parse_float(wanted)?;
    let actual = parse_float(actual)?;
    let largest = actual.abs().max(wanted.abs());
    // Equal infinities have no difference that could be small.
    let ordering = if actual == wanted || ((actual - wanted) / largest).abs() <= 1e-9 {
        Ordering::Equal
    } else if actual > wanted {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    ordered(operation, ordering)
}
