//! `time_difference`: seconds between times that are written in many ways. Times without a
//! zone are of UTC.

use super::{Values, product};
use crate::oval::compare::{is_space, skip_space};
use crate::oval::model::TimeFormat;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The forms of `year_month_day`, as C's `strptime` has them; `_` is any space or none.
const YEAR_MONTH_DAY: &[&str] = &[
    "YMD",
    "Y/M/D",
    "Y-M-D",
    "YMDThms",
    "Y/M/D_h:m:s",
    "Y-M-D_h:m:s",
];
const MONTH_DAY_YEAR: &[&str] = &[
    "M/D/Y",
    "M-D-Y",
    "N,_D_Y",
    "M/D/Y_h:m:s",
    "M-D-Y_h:m:s",
    "N,_D_Y_h:m:s",
];
const DAY_MONTH_YEAR: &[&str] = &["D/M/Y", "D-M-Y", "D/M/Y_h:m:s", "D-M-Y_h:m:s"];
/// The forms of `cim_datetime`; `f` is a fraction of a second.
const CIM: &[&str] = &["YMDhms.f+z", "YMDhms.f-z", "Y-M-D_h:m:s:f", "M-D-Y_h:m:s:f"];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Seconds from 1601 to 1970.
const FILETIME_EPOCH: i64 = 11_644_473_600;

/// The first argument's times less the second one's; now less the only one's.
pub(super) fn difference(
    format_1: TimeFormat,
    format_2: TimeFormat,
    arguments: &[Vec<Arc<str>>],
    values: &mut Values,
) -> Result<(), String> {
    let (minuends, subtrahends) = match arguments {
        [only] => {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_err(|error| error.to_string())?;
            let now = i64::try_from(now.as_secs()).map_err(|error| error.to_string())?;
            (vec![now], only)
        }
        [first, second] => (seconds_of_all(first, format_1)?, second),
        _ => return Err("time_difference has one or two arguments".into()),
    };
    let subtrahends = seconds_of_all(subtrahends, format_2)?;
    product([minuends.len(), subtrahends.len()].into_iter())?;
    for minuend in minuends {
        for subtrahend in &subtrahends {
            let seconds = minuend
                .checked_sub(*subtrahend)
                .ok_or("time_difference overflows")?;
            values.push(seconds.to_string())?;
        }
    }
    Ok(())
}

fn seconds_of_all(texts: &[Arc<str>], format: TimeFormat) -> Result<Vec<i64>, String> {
    texts
        .iter()
        .map(|text| seconds(text, format).ok_or_else(|| format!("not a time: {}", shortened(text))))
        .collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Seconds since 1970.
fn seconds(text: &str, format: TimeFormat) -> Option<i64> {
    let forms = match format {
        TimeFormat::YearMonthDay => YEAR_MONTH_DAY,
        TimeFormat::MonthDayYear => MONTH_DAY_YEAR,
        TimeFormat::DayMonthYear => DAY_MONTH_YEAR,
        TimeFormat::CimDatetime => CIM,
        TimeFormat::SecondsSinceEpoch => return leading_seconds(text),
        TimeFormat::WinFiletime => return filetime(text),
    };
    forms.iter().find_map(|form| parse(text, form))
}

/// The whole number that the text begins with (C's `atol`).
fn leading_seconds(text: &str) -> Option<i64> {
    let text = skip_space(text);
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit);
    text.get(..sign + digits.count())?.parse().ok()
}

/// Tenths of microseconds since 1601, decimal or `0x…`.
fn filetime(text: &str) -> Option<i64> {
    let text = skip_space(text);
    let ticks: i64 = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    (ticks >= 0).then(|| ticks / 10_000_000 - FILETIME_EPOCH)
}

/// Reads a text by a form; None unless all of it is read.
fn parse(text: &str, form: &str) -> Option<i64> {
    let mut rest = text;
    let (mut year, mut month, mut day) = (0, 1, 1);
    let (mut hour, mut minute, mut second) = (0, 0, 0);
    for part in form.chars() {
        match part {
            'Y' => year = take(&mut rest, 4, 0..=9999)?,
            'M' => month = take(&mut rest, 2, 1..=12)?,
            'D' => day = take(&mut rest, 2, 1..=31)?,
            'h' => hour = take(&mut rest, 2, 0..=23)?,
            'm' => minute = take(&mut rest, 2, 0..=59)?,
            's' => second = take(&mut rest, 2, 0..=61)?,
            'f' => drop(take(&mut rest, 6, 0..=999_999)?),
            'z' => drop(take(&mut rest, 3, 0..=999)?),
            'N' => month = take_month(&mut rest)?,
            '_' => rest = skip_space(rest),
            literal => rest = rest.strip_prefix(literal)?,
        }
    }
    rest.is_empty()
        .then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// A number of at most so many digits.
fn take(rest: &mut &str, digits: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    // As `strptime`: spaces before a number are passed over.
    let text = rest.trim_start_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
    let count = text
        .bytes()
        .take(digits)
        .take_while(u8::is_ascii_digit)
        .count();
    let (number, behind) = text.split_at_checked(count)?;
    *rest = behind;
    number.parse().ok().filter(|number| range.contains(number))
}

/// A month's name, whole or its first three letters.
fn take_month(rest: &mut &str) -> Option<i64> {
    let text = skip_space(rest);
    for (month, name) in (1..).zip(MONTHS) {
        for length in [name.len(), 3] {
            if let (Some((word, behind)), Some(name)) =
                (text.split_at_checked(length), name.get(..length))
                && word.eq_ignore_ascii_case(name)
            {
                *rest = behind;
                return Some(month);
            }
        }
    }
    None
}

/// Days since 1970 in the Gregorian calendar; days behind a month's end run on into the next.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last.
    let shifted = (month + 9) % 12;
    let year = if month <= 2 { year - 1 } else { year };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719 468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (153 * shifted + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimeFormat::{
        CimDatetime, DayMonthYear, MonthDayYear, SecondsSinceEpoch, WinFiletime, YearMonthDay,
    };

    #[test]
    fn formats() {
        let day = Some(1_709_164_800); // 2024-02-29
        let time = Some(1_709_164_800 + 13 * 3600 + 14 * 60 + 15);
        for (format, text, expected) in [
            (YearMonthDay, "20240229", day),
            (YearMonthDay, "2024/02/29", day),
            (YearMonthDay, "2024-2-29", day),
            (YearMonthDay, "20240229T131415", time),
            (YearMonthDay, "2024-02-29 13:14:15", time),
            (YearMonthDay, "2024/02/29 13:14:15", time),
            (YearMonthDay, "2024-02-29 ", None),
            (YearMonthDay, "2024-13-01", None),
            (YearMonthDay, "29-02-2024", None),
            (YearMonthDay, "", None),
            (MonthDayYear, "02/29/2024", day),
            (MonthDayYear, "02-29-2024 13:14:15", time),
            (MonthDayYear, "Feb, 29 2024", day),
            (MonthDayYear, "february, 29 2024 13:14:15", time),
            (MonthDayYear, "Fee, 29 2024", None),
            (DayMonthYear, "29/02/2024", day),
            (DayMonthYear, "29-02-2024 13:14:15", time),
            (DayMonthYear, "32/02/2024", None),
            (SecondsSinceEpoch, "1709164800", day),
            (SecondsSinceEpoch, " 1709164800.9", day),
            (SecondsSinceEpoch, "-5", Some(-5)),
            (SecondsSinceEpoch, "x", None),
            (SecondsSinceEpoch, "99999999999999999999", None),
            (WinFiletime, "133536384000000000", day),
            (WinFiletime, "0x1da6aa23ce90000", day),
            (WinFiletime, "-1", None),
            (CimDatetime, "20240229131415.000000+000", time),
            (CimDatetime, "20240229131415.123456-060", time),
            (CimDatetime, "2024-02-29 13:14:15:123", time),
            (CimDatetime, "02-29-2024 13:14:15:123", time),
            (CimDatetime, "2024-02-29", None),
        ] {
            assert_eq!(seconds(text, format), expected, "{format:?} {text:?}");
        }
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2023, 2, 29), days(2023, 3, 1));
        assert_eq!(days(0, 1, 1), -719_528);
    }

    fn run(arguments: &[&[&str]]) -> Result<Vec<String>, String> {
        let lists: Vec<Vec<Arc<str>>> = arguments
            .iter()
            .map(|list| list.iter().map(|text| Arc::from(*text)).collect())
            .collect();
        let mut values = Values::default();
        difference(YearMonthDay, SecondsSinceEpoch, &lists, &mut values)?;
        Ok(values.values.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn differences() {
        assert_eq!(
            run(&[&["1970-01-02", "1970-01-01"], &["0", "100"]]).unwrap(),
            ["86400", "86300", "0", "-100"]
        );
        let age: i64 = run(&[&["1700000000"]]).unwrap()[0].parse().unwrap();
        assert!(age > 0);
        let future: i64 = run(&[&["9999999999999"]]).unwrap()[0].parse().unwrap();
        assert!(future < 0);
        assert!(run(&[&["x"]]).is_err());
        assert!(run(&[&["1970-01-01"], &["1"], &["1"]]).is_err());
        assert!(run(&[&["1970-01-02"], &["-9223372036854775808"]]).is_err());
    }
}
