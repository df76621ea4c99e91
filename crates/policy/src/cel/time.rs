//! Durations and timestamps: reading, writing and their parts. Nothing here asks a clock.

use super::error::Error;
use super::value::{Outcome, Value};

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;
/// The first moment of the year 1 and of the year 10000.
const FIRST: i128 = -62_135_596_800 * SECOND;
const PAST: i128 = 253_402_300_800 * SECOND;

/// A timestamp within the years 1 to 9999.
pub(super) fn timestamp<'a>(nanos: i128) -> Outcome<'a> {
    if (FIRST..PAST).contains(&nanos) {
        Ok(Value::Timestamp(nanos))
    } else {
        Err(Error::new("timestamp overflow"))
    }
}

/// Reads a duration such as `1h30m` or `-1.5s`.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(end)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3_600 * SECOND,
            _ => return None,
        };
        let whole: i64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        total += i128::from(whole) * unit;
        if !fraction.is_empty() {
            let digits = fraction.get(..fraction.len().min(15))?;
            let value: i128 = digits.parse().ok()?;
            total += value * unit / 10_i128.pow(u32::try_from(digits.len()).ok()?);
        }
        if total > i128::from(i64::MAX) + 1 {
            return None;
        }
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Seconds with a fraction, and `s`.
pub(super) fn duration_text(nanos: i64) -> String {
    let value = i128::from(nanos);
    let (whole, rest) = (value / SECOND, value % SECOND);
    let sign = if value < 0 { "-" } else { "" };
    let (whole, rest) = (whole.unsigned_abs(), rest.unsigned_abs());
    if rest == 0 {
        return format!("{sign}{whole}s");
    }
    let fraction = format!("{rest:09}");
    format!("{sign}{whole}.{}s", fraction.trim_end_matches('0'))
}

/// Reads RFC 3339.
pub(super) fn parse_timestamp(text: &str) -> Option<i128> {
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        let all = part.bytes().all(|b| b.is_ascii_digit());
        all.then(|| part.parse().ok())?
    };
    let sign = |at: usize, wanted: &str| text.get(at..at + 1).filter(|s| *s == wanted);
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    sign(4, "-")?;
    sign(7, "-")?;
    sign(10, "T")?;
    sign(13, ":")?;
    sign(16, ":")?;
    if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut nanos: i128 = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction.find(|c: char| !c.is_ascii_digit())?;
        let (part, tail) = fraction.split_at_checked(end)?;
        let kept = part.get(..part.len().min(9))?;
        nanos = format!("{kept:0<9}").parse().ok()?;
        if part.is_empty() {
            return None;
        }
        rest = tail;
    }
    let offset = if rest == "Z" { 0 } else { zone_offset(rest)? };
    let seconds = days_before(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(i128::from(seconds - offset) * SECOND + nanos)
}

/// Seconds east of `+hh:mm` or `-hh:mm`.
fn zone_offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |part: &str| -> Option<i64> {
        let fits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| part.parse().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// RFC 3339 in UTC.
pub(super) fn timestamp_text(nanos: i128) -> String {
    let civil = Civil::of(nanos);
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    );
    if civil.nanos != 0 {
        let fraction = format!("{:09}", civil.nanos);
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// Seconds since 1970, rounded down.
pub(super) fn seconds(nanos: i128) -> i64 {
    i64::try_from(nanos.div_euclid(SECOND)).unwrap_or_default()
}

/// A moment by the calendar.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    /// Days since 1970.
    days: i64,
}

impl Civil {
    fn of(nanos: i128) -> Self {
        let small = |value: i128| i64::try_from(value).unwrap_or_default();
        let days = small(nanos.div_euclid(DAY));
        let within = nanos.rem_euclid(DAY);
        let second = small(within / SECOND);
        // Counted in eras of 400 years that begin on the first of March.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day,
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
            nanos: small(within % SECOND),
            days,
        }
    }
}

/// Days from 1970 to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A part of a timestamp, in a zone, or of a duration.
pub(super) fn part<'a>(name: &str, value: &Value<'a>, zone: Option<&str>) -> Outcome<'a> {
    let nanos = match value {
        Value::Timestamp(nanos) => *nanos,
        Value::Duration(d) if zone.is_none() => {
            let unit = match name {
                "getHours" => 3_600_000_000_000,
                "getMinutes" => 60_000_000_000,
                "getSeconds" => 1_000_000_000,
                "getMilliseconds" => 1_000_000,
                _ => return Err(Error::overload()),
            };
            return Ok(Value::Int(d / unit));
        }
        _ => return Err(Error::overload()),
    };
    let offset = match zone {
        None | Some("" | "UTC" | "Etc/UTC" | "GMT") => 0,
        Some(zone) => {
            let signed = if zone.starts_with(['+', '-']) {
                zone.to_owned()
            } else {
                format!("+{zone}")
            };
            // A database of zones would come from the machine, and the verdict with it.
            zone_offset(&signed).ok_or_else(|| {
                Error::new(format!(
                    "the time zone {zone:?} is not known: give an offset"
                ))
            })?
        }
    };
    let civil = Civil::of(nanos + i128::from(offset) * SECOND);
    Ok(Value::Int(match name {
        "getFullYear" => civil.year,
        "getMonth" => civil.month - 1,
        "getDate" => civil.day,
        "getDayOfMonth" => civil.day - 1,
        "getDayOfWeek" => (civil.days + 4).rem_euclid(7),
        "getDayOfYear" => civil.days - days_before(civil.year, 1, 1),
        "getHours" => civil.hour,
        "getMinutes" => civil.minute,
        "getSeconds" => civil.second,
        "getMilliseconds" => civil.nanos / 1_000_000,
        _ => return Err(Error::overload()),
    }))
}
