//! `arithmetic`: sums and products of each combination of values.

use super::{Values, product};
use crate::oval::compare::skip_space;
use std::sync::Arc;

/// A value as a number. Whole ones stay exact.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    /// The number that the text begins with, as C's number readers take it; 0 where it begins
    /// with none (OpenSCAP calculates with that).
    fn leading(text: &str) -> Self {
        let text = skip_space(text);
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let sign = usize::from(text.starts_with(['+', '-']));
        let unsigned = text.get(sign..).unwrap_or_default();
        let whole = digits(unsigned);
        let behind = unsigned.get(whole..).unwrap_or_default();
        let fraction = behind.strip_prefix('.').map_or(0, |part| 1 + digits(part));
        if whole == 0 && fraction < 2 {
            return Self::Whole(0);
        }
        let behind = behind.get(fraction..).unwrap_or_default();
        let exponent = behind.strip_prefix(['e', 'E']).map_or(0, |part| {
            let sign = usize::from(part.starts_with(['+', '-']));
            match digits(part.get(sign..).unwrap_or_default()) {
                0 => 0,
                count => 1 + sign + count,
            }
        });
        let number = text
            .get(..sign + whole + fraction + exponent)
            .unwrap_or_default();
        if fraction == 0
            && exponent == 0
            && let Ok(number) = number.parse::<i64>()
        {
            return Self::Whole(number.into());
        }
        // A `float` is a C float in OpenSCAP, and its rounding shows in products.
        let single = number.parse::<f32>().unwrap_or(0.0);
        if single.is_finite() {
            Self::Float(single.into())
        } else {
            Self::Float(number.parse().unwrap_or(f64::INFINITY))
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    fn combine(self, other: Self, multiply: bool) -> Option<Self> {
        if let (Self::Whole(a), Self::Whole(b)) = (self, other) {
            return if multiply {
                a.checked_mul(b)
            } else {
                a.checked_add(b)
            }
            .map(Self::Whole);
        }
        let (a, b) = (self.float(), other.float());
        Some(Self::Float(if multiply { a * b } else { a + b }))
    }

    /// Whole numbers as they are, others with six digits behind the point.
    fn text(self) -> Option<String> {
        match self {
            Self::Whole(number) => i64::try_from(number).ok().map(|number| number.to_string()),
            Self::Float(number) => number.is_finite().then(|| format!("{number:.6}")),
        }
    }
}

/// Each combination's sum or product, the first argument changing fastest.
pub(super) fn arithmetic(
    multiply: bool,
    arguments: &[Vec<Arc<str>>],
    values: &mut Values,
) -> Result<(), String> {
    if arguments.is_empty() {
        return Err("function has no argument".into());
    }
    let count = product(arguments.iter().map(Vec::len))?;
    let numbers: Vec<Vec<Number>> = arguments
        .iter()
        .map(|list| list.iter().map(|text| Number::leading(text)).collect())
        .collect();
    for index in 0..count {
        let mut rest = index;
        let mut result: Option<Number> = None;
        for list in &numbers {
            let Some(number) = list.get(rest % list.len()).copied() else {
                continue;
            };
            rest /= list.len();
            result = Some(match result {
                None => number,
                Some(result) => result
                    .combine(number, multiply)
                    .ok_or("arithmetic overflows")?,
            });
        }
        let text = result
            .and_then(Number::text)
            .ok_or("arithmetic overflows")?;
        values.push(text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(multiply: bool, arguments: &[&[&str]]) -> Result<Vec<String>, String> {
        let lists: Vec<Vec<Arc<str>>> = arguments
            .iter()
            .map(|list| list.iter().map(|text| Arc::from(*text)).collect())
            .collect();
        let mut values = Values::default();
        arithmetic(multiply, &lists, &mut values)?;
        Ok(values.values.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn sums_and_products() {
        for (multiply, arguments, expected) in [
            (
                false,
                [&["1", "2"][..], &["10", "20"]],
                &["11", "12", "21", "22"][..],
            ),
            (true, [&["8"], &["7"]], &["56"]),
            (true, [&["-3"], &["+4"]], &["-12"]),
            (true, [&["7"], &["0.25"]], &["1.750000"]),
            (true, [&["2"], &["1e3"]], &["2000.000000"]),
            (false, [&["1"], &[".5"]], &["1.500000"]),
            (false, [&[" 5 minutes"], &["1"]], &["6"]),
            (false, [&["x"], &["1"]], &["1"]),
            (false, [&[""], &["-"]], &["0"]),
            (false, [&["."], &["1.e"]], &["1.000000"]),
            (
                false,
                [&["9007199254740993"], &["0"]],
                &["9007199254740993"],
            ),
            (false, [&[], &["1"]], &[]),
        ] {
            assert_eq!(
                run(multiply, &arguments).unwrap(),
                expected,
                "{arguments:?}"
            );
        }
        assert!(run(true, &[&["9223372036854775807"], &["2"]]).is_err());
        assert!(run(true, &[&["1e300"], &["1e300"]]).is_err());
        assert!(run(false, &[]).is_err());
    }
}
