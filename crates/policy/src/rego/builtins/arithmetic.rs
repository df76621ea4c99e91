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
