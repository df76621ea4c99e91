//! Evaluates cases of CEL from standard input, one a line:
//! `{"name": "…", "expr": "…", "error": false}`. A case passes if its expression is true, or,
//! with `error`, if it has no value. Prints what fails, and how many pass.

use bartizan_policy::cel::{Environment, Limits};
use serde_json::Value;
use std::error::Error;
use std::io::BufRead;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut passed, mut total) = (0_u32, 0_u32);
    for line in std::io::stdin().lock().lines() {
        let case: Value = serde_json::from_str(&line?)?;
        let text = |field: &str| case.get(field).and_then(Value::as_str).unwrap_or_default();
        let error = case.get("error").and_then(Value::as_bool) == Some(true);
        let told = Environment::default()
            .compile(text("expr"))
            .map_err(|why| format!("does not compile: {why}"))
            .and_then(|program| program.evaluate(&[], Limits::default()));
        total += 1;
        match &told {
            Ok(Value::Bool(true)) if !error => passed += 1,
            Err(_) if error => passed += 1,
            _ => eprintln!("{}: {}: {told:?}", text("name"), text("expr")),
        }
    }
    println!("passed {passed} cases");
    println!("total {total} cases");
    Ok(())
}
