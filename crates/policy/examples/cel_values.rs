//! Describes the values of expressions from standard input, one a line as a JSON text, for a
//! comparison with another engine: `V` and the value, `E` and the error, or `C` and why it does
//! not compile. `cargo run --example cel_values -- OBJECT.json`

use bartizan_policy::cel::{Environment, Limits};
use serde_json::Value;
use std::error::Error;
use std::io::BufRead;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(file) = std::env::args().nth(1) else {
        println!("skipped: give a JSON file, the object that expressions look at");
        return Ok(());
    };
    let object: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let environment = Environment::new(&["object", "oldObject", "params"]);
    for line in std::io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        match environment.compile(&text) {
            Err(why) => println!("C {why:?}"),
            Ok(program) => {
                match program.describe(&[&object, &Value::Null, &object], Limits::default()) {
                    Ok(value) => println!("V {value}"),
                    Err(why) => println!("E {why:?}"),
                }
            }
        }
    }
    Ok(())
}
