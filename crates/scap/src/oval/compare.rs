//! Values compared: data types, operations, patterns.
//!
//! OpenSCAP 1.3.7 decides what a comparison means, where it and the OVAL language differ:
//! `boolean` knows no invalid text, an `evr_string` without an epoch is older than any with one,
//! `ios_version` and `fileset_revision` are not evaluated.

mod address;
mod number;
mod pattern;
mod version;

#[cfg(test)]
mod hostile;
#[cfg(test)]
pub(super) mod nowhere;

pub(super) use number::{is_space, skip_space};
pub use pattern::{Flags, Pattern, Spans};
pub use version::{debian_cmp, evr_cmp};

use super::model::{Datatype, Operation};
use super::outcome::Truth;
use crate::probe::Context;
use std::cmp::Ordering;

/// Compares a collected value with the one that the content wants. Error when a value does not
/// parse as its datatype, or when the datatype does not know the operation.
pub fn compare(
    context: &Context<'_>,
    datatype: Datatype,
    operation: Operation,
    actual: &str,
    wanted: &str,
) -> Truth {
    let result = match datatype {
        Datatype::String => return string(context, operation, actual, wanted),
        Datatype::Int => number::int(operation, actual, wanted),
        Datatype::Float => number::float(operation, actual, wanted),
        Datatype::Boolean => equality(operation, is_true(actual) == is_true(wanted)),
        Datatype::Binary => equality(operation, actual.eq_ignore_ascii_case(wanted)),
        Datatype::EvrString => ordered(operation, evr_cmp(actual, wanted)),
        Datatype::DebianEvrString => version::debian_checked(actual, wanted)
            .and_then(|ordering| ordered(operation, ordering)),
        Datatype::Version => version::version_checked(actual, wanted)
            .and_then(|ordering| ordered(operation, ordering)),
        Datatype::Ipv4 => address::ipv4(operation, actual, wanted),
        Datatype::Ipv6 => address::ipv6(operation, actual, wanted),
        Datatype::FilesetRevision | Datatype::IosVersion => return Truth::NotEvaluated,
        // The fields of a record are compared one by one, by whoever has them.
        Datatype::Record => None,
    };
    result.map_or(Truth::Error, Truth::from)
}

fn string(context: &Context<'_>, operation: Operation, actual: &str, wanted: &str) -> Truth {
    match operation {
        Operation::Equals => (actual == wanted).into(),
        Operation::NotEqual => (actual != wanted).into(),
        Operation::CaseInsensitiveEquals => actual.eq_ignore_ascii_case(wanted).into(),
        Operation::CaseInsensitiveNotEqual => (!actual.eq_ignore_ascii_case(wanted)).into(),
        Operation::PatternMatch => context
            .pattern(wanted)
            .and_then(|pattern| pattern.is_match(actual.as_bytes()).ok())
            .map_or(Truth::Error, Truth::from),
        _ => Truth::Error,
    }
}

/// Everything that is not true is false, as in OpenSCAP.
fn is_true(text: &str) -> bool {
    matches!(text, "true" | "1")
}

fn equality(operation: Operation, equal: bool) -> Option<bool> {
    match operation {
        Operation::Equals => Some(equal),
        Operation::NotEqual => Some(!equal),
        _ => None,
    }
}

/// The answer of the six operations of an order; `ordering` is the actual's to the wanted.
fn ordered(operation: Operation, ordering: Ordering) -> Option<bool> {
    Some(match operation {
        Operation::Equals => ordering.is_eq(),
        Operation::NotEqual => ordering.is_ne(),
        Operation::GreaterThan => ordering.is_gt(),
        Operation::GreaterThanOrEqual => ordering.is_ge(),
        Operation::LessThan => ordering.is_lt(),
        Operation::LessThanOrEqual => ordering.is_le(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::nowhere::Nowhere;
    use super::*;
    use Datatype::{
        Binary, Boolean, DebianEvrString, EvrString, FilesetRevision, Float, Int, IosVersion, Ipv4,
        Ipv6, Record, String as Text, Version,
    };
    use Operation::{
        BitwiseAnd, BitwiseOr, CaseInsensitiveEquals, CaseInsensitiveNotEqual, Equals, GreaterThan,
        GreaterThanOrEqual, LessThan, LessThanOrEqual, NotEqual, PatternMatch, SubsetOf,
        SupersetOf,
    };
    use Truth::{Error, False, NotEvaluated, True};

    #[test]
    fn datatypes_and_operations() {
        let context = Context::new(&Nowhere);
        for (datatype, operation, actual, wanted, expected) in [
            (Text, Equals, "a", "a", True),
            (Text, Equals, "a", "A", False),
            (Text, NotEqual, "a", "A", True),
            (Text, CaseInsensitiveEquals, "a", "A", True),
            (Text, CaseInsensitiveEquals, "é", "É", False),
            (Text, CaseInsensitiveNotEqual, "a", "A", False),
            (Text, GreaterThan, "b", "a", Error),
            (Text, PatternMatch, "xabc", "b", True),
            (Text, PatternMatch, "xabc", "^b", False),
            (Text, PatternMatch, "abc\n", "^abc$", True),
            (Text, PatternMatch, "a\nb", "^b$", False),
            (Text, PatternMatch, "é", "^.$", True),
            (Text, PatternMatch, "é", "^É$", False),
            (Text, PatternMatch, "a", "(", Error),
            (Int, Equals, "007", "7", True),
            (Int, Equals, " +7", "7", True),
            (Int, Equals, "7 ", "7", Error),
            (Int, Equals, "0x7", "7", Error),
            (Int, Equals, "", "0", Error),
            (Int, Equals, "-", "0", Error),
            (Int, Equals, "9223372036854775808", "0", Error),
            (
                Int,
                LessThan,
                "-9223372036854775808",
                "9223372036854775807",
                True,
            ),
            (Int, GreaterThan, "10", "9", True),
            (Int, GreaterThanOrEqual, "9", "9", True),
            (Int, LessThan, "9", "9", False),
            (Int, LessThanOrEqual, "9", "9", True),
            (Int, NotEqual, "9", "9", False),
            (Int, BitwiseAnd, "7", "5", True),
            (Int, BitwiseAnd, "6", "5", False),
            (Int, BitwiseOr, "5", "7", True),
            (Int, BitwiseOr, "8", "7", False),
            (Int, PatternMatch, "8", "8", Error),
            (Float, Equals, "1.0", "1", True),
            (Float, Equals, "1e3", "1000", True),
            (Float, Equals, "1.00000000001", "1", True),
            (Float, Equals, "1.0001", "1", False),
            (Float, GreaterThan, "1.00000000001", "1", False),
            (Float, LessThan, ".5", "1.", True),
            (Float, LessThan, "x", "1", Error),
            (Float, LessThan, "1", "1e999", Error),
            (Float, NotEqual, "nan", "nan", True),
            (Float, BitwiseOr, "1", "1", Error),
            (Boolean, Equals, "1", "true", True),
            (Boolean, Equals, "0", "false", True),
            (Boolean, NotEqual, "0", "1", True),
            (Boolean, Equals, "yes", "true", False),
            (Boolean, LessThan, "0", "1", Error),
            (Binary, Equals, "0aFF", "0Aff", True),
            (Binary, NotEqual, "0aFF", "0Afe", True),
            (Binary, GreaterThan, "0a", "09", Error),
            (EvrString, LessThan, "0:1.0~rc1-1", "0:1.0-1", True),
            (EvrString, GreaterThan, "0:1.0^git-1", "0:1.0-1", True),
            (EvrString, Equals, "0:1.0-1", "0:1.00-1", True),
            (EvrString, GreaterThan, "0:1.0-1", "2.0-1", True),
            (EvrString, PatternMatch, "0:1.0-1", "1", Error),
            (DebianEvrString, LessThan, "1.0~rc1-1", "1.0-1", True),
            (DebianEvrString, Equals, "1.0-1", "0:1.0-1", True),
            (DebianEvrString, GreaterThan, "1:1.0-1", "2.0-1", True),
            (DebianEvrString, Equals, "99999999999:1", "1", Error),
            (Version, Equals, "1.2.0", "1.2", True),
            (Version, GreaterThan, "1.10", "1.9", True),
            (Version, LessThanOrEqual, "1-2", "1.2", True),
            (Version, CaseInsensitiveEquals, "1", "1", Error),
            (Ipv4, Equals, "10.0.0.1", "10.0.0.1/32", True),
            (Ipv4, SubsetOf, "10.1.0.0/16", "10.0.0.0/8", True),
            (Ipv4, SupersetOf, "10.1.0.0/16", "10.0.0.0/8", False),
            (Ipv6, SubsetOf, "fe80::1", "fe80::/10", True),
            (Record, Equals, "", "", Error),
            (IosVersion, Equals, "12.4(1)T", "12.4(1)T", NotEvaluated),
            (FilesetRevision, Equals, "1.2.3.4", "1.2.3.4", NotEvaluated),
        ] {
            assert_eq!(
                compare(&context, datatype, operation, actual, wanted),
                expected,
                "{datatype:?} {actual:?} {operation:?} {wanted:?}"
            );
        }
    }
}
