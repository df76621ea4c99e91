//! Operators as functions: where an operand has a wrong type the result is undefined, as in OPA,
//! whereas the engine's own operators fail the whole evaluation.

use super::{Builtin, Fault, integer};
use regorus::Value;
use std::collections::BTreeSet;

pub(super) const TABLE: &[Builtin] = &[
    ("bartizan_op.plus", 2, plus),
    ("bartizan_op.minus", 2, minus),
    ("bartizan_op.mul", 2, mul),
    ("bartizan_op.div", 2, div),
    ("bartizan_op.rem", 2, rem),
    ("bartizan_op.and", 2, and),
    ("bartizan_op.or", 2, or),
    ("bartizan_op.items", 1, items),
    ("bartizan_op.written", 1, written),
    ("bits.rsh", 2, shifted),
    ("ceil", 1, |a| rounded(a, f64::ceil, 1)),
    ("floor", 1, |a| rounded(a, f64::floor, 0)),
    ("numbers.range", 2, range),
    ("numbers.range_step", 3, range_step),
];

fn no_numbers() -> Fault {
    Fault::error("operands must be numbers")
}

fn plus(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [Value::Number(a), Value::Number(b)] => told(a.add(b).map(Value::Number)),
        _ => Err(no_numbers()),
    }
}

fn minus(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [Value::Number(a), Value::Number(b)] => told(a.sub(b).map(Value::Number)),
        [Value::Set(a), Value::Set(b)] => {
            let left: BTreeSet<_> = a.difference(b).cloned().collect();
            Ok(Value::from(left))
        }
        _ => Err(no_numbers()),
    }
}

fn mul(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [Value::Number(a), Value::Number(b)] => told(a.mul(b).map(Value::Number)),
        _ => Err(no_numbers()),
    }
}

fn div(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [Value::Number(_), Value::Number(b)] if b.as_f64() == Some(0.0) => {
            Err(Fault::error("divide by zero"))
        }
        [Value::Number(a), Value::Number(b)] => told(a.clone().divide(b).map(Value::Number)),
        _ => Err(no_numbers()),
    }
}

fn rem(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [Value::Number(a), Value::Number(b)] if !a.is_integer() || !b.is_integer() => {
            Err(Fault::error("modulo on floating-point number"))
        }
        [Value::Number(_), Value::Number(b)] if b.as_f64() == Some(0.0) => {
            Err(Fault::error("modulo by zero"))
        }
        [Value::Number(a), Value::Number(b)] => told(a.clone().modulo(b).map(Value::Number)),
        _ => Err(no_numbers()),
    }
}

/// What only the engine cannot calculate.
fn told<E: std::fmt::Display>(result: Result<Value, E>) -> Result<Value, Fault> {
    result.map_err(|e| Fault::Unknown(e.to_string()))
}

fn and(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [Value::Set(a), Value::Set(b)] => {
            let both: BTreeSet<_> = a.intersection(b).cloned().collect();
            Ok(Value::from(both))
        }
        _ => Err(Fault::error("operands must be sets")),
    }
}

fn or(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [Value::Set(a), Value::Set(b)] => {
            let any: BTreeSet<_> = a.union(b).cloned().collect();
            Ok(Value::from(any))
        }
        _ => Err(Fault::error("operands must be sets")),
    }
}

/// A whole number that was written with a fraction or an exponent.
fn written(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        // One that is too large for a float is only kept.
        [value @ Value::Number(n)] => Ok(n.as_f64().map_or(value.clone(), Value::from)),
        _ => Err(no_numbers()),
    }
}

/// Whether a number may be printed otherwise by OPA, which keeps how it was written. The engine
/// keeps only whether it is a float.
pub(super) fn is_written(value: &Value) -> bool {
    match value {
        Value::Number(n) => n.is_integer() && n.format_decimal_with_width(1).contains('.'),
        _ => false,
    }
}

/// OPA cuts the fraction off first, and then adds one to what is not below zero, or takes one from
/// what is: between -1 and 0 that is one more than it should be.
fn rounded(arguments: &[Value], to: fn(f64) -> f64, small: i64) -> Result<Value, Fault> {
    match arguments {
        [value @ Value::Number(n)] if n.is_integer() => Ok(value.clone()),
        [Value::Number(n)] => match n.as_f64() {
            Some(f) if f > -1.0 && f < 0.0 => Ok(Value::from(small)),
            #[expect(clippy::cast_possible_truncation, reason = "compared with its bounds")]
            Some(f) if f.abs() < 9e15 => Ok(Value::from(to(f) as i64)),
            _ => Err(Fault::Unknown("a number that is too large".into())),
        },
        _ => Err(no_numbers()),
    }
}

/// However far: nothing is left but the sign.
fn shifted(arguments: &[Value]) -> Result<Value, Fault> {
    let (number, by) = (integer(arguments, 0)?, integer(arguments, 1)?);
    if by < 0 {
        return Err(Fault::error("operand 2 must be an unsigned integer"));
    }
    let by = u32::try_from(by).unwrap_or(63).min(63);
    Ok(Value::from(number >> by))
}

/// What `some x in …` goes over: a collection, or nothing.
fn items(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [collection @ (Value::Array(_) | Value::Set(_) | Value::Object(_))] => {
            Ok(collection.clone())
        }
        _ => Ok(Value::Undefined),
    }
}

/// Longer ranges are not made: one would take the memory of the whole process.
const LONGEST: u128 = 1_000_000;

fn range(arguments: &[Value]) -> Result<Value, Fault> {
    between(arguments, 1)
}

fn range_step(arguments: &[Value]) -> Result<Value, Fault> {
    let step = integer(arguments, 2)?;
    if step <= 0 {
        return Err(Fault::error("step must be a positive integer"));
    }
    between(arguments, i128::from(step))
}

fn between(arguments: &[Value], step: i128) -> Result<Value, Fault> {
    let whole = |at: usize| match arguments.get(at) {
        Some(Value::Number(n)) if n.is_integer() => n
            .as_i64()
            .map(i128::from)
            .ok_or_else(|| Fault::Unknown("too large".into())),
        _ => Err(Fault::error("operands must be integers")),
    };
    let (from, to) = (whole(0)?, whole(1)?);
    let steps = from.abs_diff(to) / step.unsigned_abs();
    if steps >= LONGEST {
        return Err(Fault::Unknown("more than a million numbers".into()));
    }
    let sign = if from <= to { step } else { -step };
    let steps = i128::try_from(steps).unwrap_or(0);
    let numbers = (0..=steps).map(|n| Value::from(from + n * sign));
    Ok(Value::from(numbers.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn wrong_types_are_undefined() {
        assert_eq!(
            call("bartizan_op.plus", &[json!(1), json!(2.5)]),
            Some(json!(3.5))
        );
        for name in ["plus", "minus", "mul", "div", "rem", "and", "or"] {
            let name = format!("bartizan_op.{name}");
            assert_eq!(call(&name, &[json!("a"), json!(1)]), None, "{name}");
        }
        assert_eq!(call("bartizan_op.div", &[json!(1), json!(0)]), None);
        assert_eq!(call("bartizan_op.rem", &[json!(1.5), json!(2)]), None);
        assert_eq!(call("bartizan_op.items", &[json!("text")]), None);
    }

    #[test]
    fn fractions_are_rounded_as_opa_does() {
        for (name, from, to) in [
            ("floor", -0.5, 0),
            ("floor", -1.5, -2),
            ("floor", 1.5, 1),
            ("ceil", -0.5, 1),
            ("ceil", -1.5, -1),
            ("ceil", 1.5, 2),
            ("ceil", 0.5, 1),
        ] {
            assert_eq!(call(name, &[json!(from)]), Some(json!(to)), "{name} {from}");
        }
        assert_eq!(call("floor", &[json!(-7)]), Some(json!(-7)));
        assert_eq!(call("ceil", &[json!("a")]), None);
    }

    #[test]
    fn nothing_is_left_of_what_is_shifted_far() {
        let shifted = |n: i64, by: i64| call("bits.rsh", &[json!(n), json!(by)]);
        assert_eq!(shifted(8, 2), Some(json!(2)));
        assert_eq!(shifted(-8, 1), Some(json!(-4)));
        assert_eq!(shifted(8, 1 << 53), Some(json!(0)));
        assert_eq!(shifted(-8, 1 << 53), Some(json!(-1)));
        assert_eq!(shifted(8, -1), None);
    }

    #[test]
    fn ranges_go_both_ways_and_end() {
        assert_eq!(
            call("numbers.range", &[json!(1), json!(3)]),
            Some(json!([1, 2, 3]))
        );
        assert_eq!(
            call("numbers.range", &[json!(1), json!(-1)]),
            Some(json!([1, 0, -1]))
        );
        let stepped = call("numbers.range_step", &[json!(1), json!(6), json!(2)]);
        assert_eq!(stepped, Some(json!([1, 3, 5])));
        assert_eq!(
            call("numbers.range", &[json!(0), json!(10_000_000_000_i64)]),
            None
        );
        assert_eq!(
            call("numbers.range_step", &[json!(0), json!(1), json!(0)]),
            None
        );
    }
}
