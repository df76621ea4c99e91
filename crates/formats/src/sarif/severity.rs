//! How bad a SARIF result is. In order, the first that a result or its rule gives:
//!
//! | given | critical | high | medium | low | info |
//! |---|---|---|---|---|---|
//! | `properties.security-severity` (CVSS) | 9.0 | 7.0 | 4.0 | above 0 | 0 |
//! | `properties.severity` | the word | the word | the word | the word | the word |
//! | `properties.problem.severity` | | error | warning | recommendation | |
//! | `rank` | 90 | 70 | 40 | 10 | 0 |
//! | `level`, else the rule's, else `warning` | | error | warning | note | none |

use super::schema::{Properties, RawResult, Rule};
use bartizan_model::Severity;

/// The severity of a rule's failures.
pub(super) fn of_rule(rule: &Rule) -> Severity {
    let configuration = rule.default_configuration.as_ref();
    of_properties(rule.properties.as_ref())
        .or_else(|| of_rank(configuration.and_then(|c| c.rank.get())))
        .or_else(|| of_level(configuration.and_then(|c| c.level.get())))
        .unwrap_or(Severity::Medium)
}

/// The severity of a result.
pub(super) fn of_result(result: &RawResult, rule: Option<&Rule>) -> Severity {
    of_properties(result.properties.as_ref())
        .or_else(|| of_properties(rule.and_then(|r| r.properties.as_ref())))
        .or_else(|| of_rank(result.rank.get()))
        .or_else(|| of_level(result.level.get()))
        .or_else(|| rule.map(of_rule))
        .unwrap_or(Severity::Medium)
}

fn of_properties(properties: Option<&Properties>) -> Option<Severity> {
    let properties = properties?;
    of_cvss(properties.security_severity.get())
        .or_else(|| of_word(properties.severity.get()))
        .or_else(|| of_word(properties.problem_severity.get()))
}

fn of_cvss(score: Option<&str>) -> Option<Severity> {
    let score: f64 = score?.trim().parse().ok()?;
    match score {
        s if !(0.0..=10.0).contains(&s) => None,
        s if s >= 9.0 => Some(Severity::Critical),
        s if s >= 7.0 => Some(Severity::High),
        s if s >= 4.0 => Some(Severity::Medium),
        s if s > 0.0 => Some(Severity::Low),
        _ => Some(Severity::Info),
    }
}

fn of_word(word: Option<&str>) -> Option<Severity> {
    let word = word?.trim();
    Severity::parse(word).or_else(|| match &*word.to_ascii_lowercase() {
        "error" => Some(Severity::High),
        "warning" | "moderate" => Some(Severity::Medium),
        "recommendation" | "note" | "minor" => Some(Severity::Low),
        "informational" | "trace" | "none" => Some(Severity::Info),
        _ => None,
    })
}

/// A rank runs from 0 to 100; -1 stands for none.
fn of_rank(rank: Option<&str>) -> Option<Severity> {
    let rank: f64 = rank?.trim().parse().ok()?;
    match rank {
        r if !(0.0..=100.0).contains(&r) => None,
        r if r >= 90.0 => Some(Severity::Critical),
        r if r >= 70.0 => Some(Severity::High),
        r if r >= 40.0 => Some(Severity::Medium),
        r if r >= 10.0 => Some(Severity::Low),
        _ => Some(Severity::Info),
    }
}

fn of_level(level: Option<&str>) -> Option<Severity> {
    match &*level?.to_ascii_lowercase() {
        "error" => Some(Severity::High),
        "warning" => Some(Severity::Medium),
        "note" => Some(Severity::Low),
        "none" => Some(Severity::Info),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Critical, High, Info, Low, Medium};

    fn severity(result: &str, rule: &str) -> Severity {
        let (parsed, over) = super::super::budget::within(1 << 20, || {
            let result: RawResult = serde_json::from_str(result).unwrap();
            let rule: Rule = serde_json::from_str(rule).unwrap();
            of_result(&result, Some(&rule))
        });
        assert!(!over);
        parsed
    }

    #[test]
    fn the_table_holds() {
        for (result, rule, expected) in [
            ("{}", "{}", Medium),
            (r#"{"level":"error"}"#, "{}", High),
            (r#"{"level":"none"}"#, "{}", Info),
            (r#"{"level":"loud"}"#, "{}", Medium),
            ("{}", r#"{"defaultConfiguration":{"level":"note"}}"#, Low),
            (r#"{"rank":95.5,"level":"note"}"#, "{}", Critical),
            (r#"{"rank":-1,"level":"note"}"#, "{}", Low),
            // trivy: a text; KICS and others: a number.
            (
                r#"{"level":"note"}"#,
                r#"{"properties":{"security-severity":"9.8"}}"#,
                Critical,
            ),
            (
                r#"{"level":"note"}"#,
                r#"{"properties":{"security-severity":6.9}}"#,
                Medium,
            ),
            (
                r#"{"level":"note"}"#,
                r#"{"properties":{"security-severity":"0.0"}}"#,
                Info,
            ),
            (
                r#"{"level":"note"}"#,
                r#"{"properties":{"security-severity":"n/a"}}"#,
                Low,
            ),
            (
                r#"{"properties":{"severity":"LOW"}}"#,
                r#"{"properties":{"security-severity":"9"}}"#,
                Low,
            ),
            // CodeQL: only security queries have a CVSS score.
            (
                "{}",
                r#"{"properties":{"problem.severity":"recommendation"}}"#,
                Low,
            ),
            (
                "{}",
                r#"{"properties":{"severity":{"a":1}},"defaultConfiguration":{"level":"error"}}"#,
                High,
            ),
        ] {
            assert_eq!(severity(result, rule), expected, "{result} {rule}");
        }
    }
}
