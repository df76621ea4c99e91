//! Any bytes as values, patterns and operands: an answer, no panic, in time.

use super::nowhere::Nowhere;
use super::{Flags, Pattern, compare, debian_cmp, evr_cmp};
use crate::oval::function::apply;
use crate::oval::model::{Datatype, Function, Operation, TimeFormat};
use crate::probe::Context;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DATATYPES: [Datatype; 13] = [
    Datatype::Binary,
    Datatype::Boolean,
    Datatype::DebianEvrString,
    Datatype::EvrString,
    Datatype::FilesetRevision,
    Datatype::Float,
    Datatype::Int,
    Datatype::IosVersion,
    Datatype::Ipv4,
    Datatype::Ipv6,
    Datatype::Record,
    Datatype::String,
    Datatype::Version,
];
const OPERATIONS: [Operation; 13] = [
    Operation::BitwiseAnd,
    Operation::BitwiseOr,
    Operation::CaseInsensitiveEquals,
    Operation::CaseInsensitiveNotEqual,
    Operation::Equals,
    Operation::GreaterThan,
    Operation::GreaterThanOrEqual,
    Operation::LessThan,
    Operation::LessThanOrEqual,
    Operation::NotEqual,
    Operation::PatternMatch,
    Operation::SubsetOf,
    Operation::SupersetOf,
];
const FORMATS: [TimeFormat; 6] = [
    TimeFormat::DayMonthYear,
    TimeFormat::MonthDayYear,
    TimeFormat::SecondsSinceEpoch,
    TimeFormat::WinFiletime,
    TimeFormat::YearMonthDay,
    TimeFormat::CimDatetime,
];

/// Any text, or one of the characters that mean something somewhere.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        r"[0-9a-f:./~^+eExX \n-]{0,24}",
        r"(\\[a-zA-Z0-9]|[]a\[(){}|*+?.^$<=!:,0-9é\n-]){0,16}",
    ]
}

fn functions(text: &str, start: i64, length: i64) -> Vec<Function> {
    let mut functions = vec![
        Function::Arithmetic { multiply: true },
        Function::Arithmetic { multiply: false },
        Function::Begin(text.into()),
        Function::Concat,
        Function::Count,
        Function::End(text.into()),
        Function::EscapeRegex,
        Function::GlobToRegex { noescape: true },
        Function::GlobToRegex { noescape: false },
        Function::RegexCapture(text.into()),
        Function::Split(text.into()),
        Function::Substring { start, length },
        Function::Unique,
    ];
    functions.extend(FORMATS.map(|format| Function::TimeDifference {
        format_1: format,
        format_2: format,
    }));
    functions
}

proptest! {
    #[test]
    fn values(actual in text(), wanted in text()) {
        let context = Context::new(&Nowhere);
        for datatype in DATATYPES {
            for operation in OPERATIONS {
                compare(&context, datatype, operation, &actual, &wanted);
            }
        }
        evr_cmp(&actual, &wanted);
        debian_cmp(&actual, &wanted);
    }

    #[test]
    fn patterns(
        pattern in text(),
        haystack in prop_oneof![
            any::<Vec<u8>>(),
            text().prop_map(String::into_bytes),
        ],
        (multiline, ignore_case, dotall) in any::<(bool, bool, bool)>(),
    ) {
        let flags = Flags { multiline, ignore_case, dotall };
        if let Ok(pattern) = Pattern::with_flags(&pattern, flags) {
            let found = pattern.find_all(&haystack, 1000);
            if let (Ok(found), Ok(is_match)) = (&found, pattern.is_match(&haystack)) {
                prop_assert_eq!(!found.is_empty(), is_match);
            }
            for groups in found.into_iter().flatten() {
                for (start, end) in groups.into_iter().flatten() {
                    prop_assert!(haystack.get(start..end).is_some());
                }
            }
        }
    }

    /// The form for bytes gives on ASCII what the form for UTF-8 gives there.
    #[test]
    fn forms_agree(pattern in text(), haystack in r"[a-c0-9A-C.\[\]\n -]{0,24}") {
        let utf = Pattern::new(&format!("(*UTF){pattern}"));
        if let (Ok(plain), Ok(utf)) = (Pattern::new(&pattern), utf) {
            prop_assert_eq!(
                plain.find_all(haystack.as_bytes(), 100).ok(),
                utf.find_all(haystack.as_bytes(), 100).ok()
            );
        }
    }

    #[test]
    fn operands(
        parameter in text(),
        start in any::<i64>(),
        length in any::<i64>(),
        lists in prop::collection::vec(prop::collection::vec(text(), 0..4), 0..4),
    ) {
        let context = Context::new(&Nowhere);
        for function in functions(&parameter, start, length) {
            let lists = lists
                .iter()
                .map(|list| list.iter().map(|text| Arc::from(text.as_str())).collect())
                .collect();
            let _ = apply(&function, lists, &context);
        }
    }
}

/// Long values of the kinds that are slow to read by a naive reader.
#[test]
fn long_values() {
    let context = Context::new(&Nowhere);
    let begun = Instant::now();
    for unit in [
        " ", "0", "9", "1.", "~", "^", "-", ":", "a1", "é", "[", "\\", "/", "(", "*",
    ] {
        let long = unit.repeat(200_000);
        for datatype in DATATYPES {
            compare(&context, datatype, Operation::GreaterThan, &long, &long);
        }
        compare(
            &context,
            Datatype::String,
            Operation::PatternMatch,
            &long,
            &long,
        );
        for function in functions(",", 5, 5) {
            let lists = vec![vec![Arc::from(long.as_str())]; 2];
            let _ = apply(&function, lists, &context);
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}
