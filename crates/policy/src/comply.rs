//! Rego that says of one document whether it complies: the form that cosign and policy-controller
//! give attestations' policies. Package `sigstore`; `isCompliant` decides, `errorMsg` and
//! `warnMsg` say why not.

use crate::budget::Budget;
use crate::engine::{Runner, Shared};
use crate::rego::calls::rule_names;
use crate::rego::prepare;
use crate::rego::syntax::{self, Text};
use bartizan_model::Timestamp;
use serde_json::Value;

/// Whether the input complies: none where it does, else why not. The error means that it could
/// not be told.
pub fn complies(
    source: &str,
    input: &Value,
    now: Timestamp,
    budget: Budget,
) -> Result<Option<String>, String> {
    let module = prepare(source, false).or_else(|why| prepare(source, true).map_err(|_| why))?;
    if module.package != "sigstore" {
        return Err(format!(
            "the Rego is of package {:.100?}, not sigstore",
            module.package
        ));
    }
    let tree = syntax::parse(&module.source, module.v1)?;
    let names = rule_names(&tree, &Text::new(&module.source)?);
    let has = |name: &&str| names.contains(*name);
    if !has(&"isCompliant") {
        return Err("the Rego has no rule isCompliant".into());
    }
    let rules: Vec<_> = ["isCompliant", "errorMsg", "warnMsg"]
        .into_iter()
        .filter(has)
        .collect();
    let entry = |rule: &str| format!("data.sigstore.{rule}");
    let entries = rules.iter().map(|rule| entry(rule)).collect();
    let mut runner = Runner::new(&[module], entries, None, now, budget)?;
    let input = Shared::of(input);
    if runner.strict(&entry("isCompliant"), &input)? == Some(Value::Bool(true)) {
        return Ok(None);
    }
    for rule in rules.iter().skip(1) {
        if let Some(Value::String(why)) = runner.strict(&entry(rule), &input)?
            && !why.is_empty()
        {
            return Ok(Some(why));
        }
    }
    Ok(Some("it does not comply".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn compliance_and_its_message() {
        let told = |source: &str, input: Value| {
            complies(source, &input, Timestamp::from_micros(0), Budget::default())
        };
        let rego = "package sigstore\ndefault isCompliant = false\n\
                    isCompliant { input.predicate.Data == \"good\" }\n\
                    errorMsg = m { not isCompliant\n m := sprintf(\"%v is bad\", [input.predicate.Data]) }\n";
        assert_eq!(told(rego, json!({"predicate": {"Data": "good"}})), Ok(None));
        let why = told(rego, json!({"predicate": {"Data": "x"}}));
        assert_eq!(why, Ok(Some("x is bad".into())));
        assert!(told("package other\nisCompliant = true", json!({})).is_err());
        assert!(told("package sigstore\nx = true", json!({})).is_err());
        assert!(told("package sigstore\nisCompliant {", json!({})).is_err());
        let new = "package sigstore\nimport rego.v1\nisCompliant if input.a";
        assert_eq!(told(new, json!({"a": true})), Ok(None));
    }
}
