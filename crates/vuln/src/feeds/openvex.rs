//! OpenVEX 0.2 (openvex.dev), and the older form with plain strings.

use super::{FeedError, MAX_BYTES, json, moment};
use crate::vex::{Vex, VexStatus};
use bartizan_model::Purl;
use serde::Deserialize;

const FORMAT: &str = "OpenVEX";

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@id", default)]
    id: String,
    #[serde(default)]
    author: String,
    timestamp: Option<String>,
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    vulnerability: Vulnerability,
    #[serde(default)]
    products: Vec<Product>,
    #[serde(default)]
    subcomponents: Vec<Product>,
    status: VexStatus,
    justification: Option<String>,
    impact_statement: Option<String>,
    action_statement: Option<String>,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vulnerability {
    Plain(String),
    Named {
        name: String,
        #[serde(default)]
        aliases: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Product {
    Plain(String),
    Named {
        #[serde(rename = "@id", default)]
        id: String,
        #[serde(default)]
        identifiers: Identifiers,
        #[serde(default)]
        subcomponents: Vec<Product>,
    },
}

#[derive(Deserialize, Default)]
struct Identifiers {
    purl: Option<String>,
}

/// Sorts products into purls and names that are none.
fn sort(
    products: Vec<Product>,
    purls: &mut Vec<Purl>,
    unresolved: &mut Vec<String>,
    parts: &mut Vec<Product>,
) {
    for product in products {
        let name = match product {
            Product::Plain(name) => name,
            Product::Named {
                id,
                identifiers,
                subcomponents,
            } => {
                parts.extend(subcomponents);
                identifiers.purl.unwrap_or(id)
            }
        };
        match name.parse() {
            Ok(purl) => purls.push(purl),
            Err(_) => unresolved.push(name),
        }
    }
}

/// A whole document.
pub fn parse(bytes: &[u8]) -> Result<Vec<Vex>, FeedError> {
    let document: Document = json(FORMAT, bytes, MAX_BYTES)?;
    let at = document.timestamp;
    let mut statements = Vec::with_capacity(document.statements.len());
    for statement in document.statements {
        let vulnerability = match statement.vulnerability {
            Vulnerability::Plain(name) => vec![name],
            Vulnerability::Named { name, aliases } => {
                std::iter::once(name).chain(aliases).collect()
            }
        };
        let mut vex = Vex {
            document: document.id.clone(),
            author: document.author.clone(),
            vulnerability,
            products: Vec::new(),
            subcomponents: Vec::new(),
            unresolved: Vec::new(),
            status: statement.status,
            justification: statement.justification,
            impact: statement.impact_statement,
            action: statement.action_statement,
            at: statement
                .timestamp
                .as_ref()
                .or(at.as_ref())
                .and_then(|t| moment(t)),
        };
        // Products that differ in their parts are statements of their own.
        let mut whole = Vec::new();
        for product in statement.products {
            let mut parts = Vec::new();
            let mut one = Vex {
                products: Vec::new(),
                ..vex.clone()
            };
            sort(
                vec![product],
                &mut one.products,
                &mut one.unresolved,
                &mut parts,
            );
            if parts.is_empty() {
                whole.extend(one.products);
                vex.unresolved.extend(one.unresolved);
            } else {
                sort(
                    parts,
                    &mut one.subcomponents,
                    &mut one.unresolved,
                    &mut Vec::new(),
                );
                // A part that is not understood must not widen the statement to the product.
                if !one.subcomponents.is_empty() {
                    statements.push(one);
                }
            }
        }
        let narrowed = !statement.subcomponents.is_empty();
        sort(
            statement.subcomponents,
            &mut vex.subcomponents,
            &mut vex.unresolved,
            &mut Vec::new(),
        );
        vex.products = whole;
        let lost = narrowed && vex.subcomponents.is_empty();
        if !lost && (!vex.products.is_empty() || !vex.unresolved.is_empty()) {
            statements.push(vex);
        }
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_and_parts() {
        let text = br#"{"@id":"d","author":"a","timestamp":"2024-01-01T00:00:00Z","statements":[
          {"vulnerability":{"name":"CVE-2024-0001","aliases":["GHSA-1"]},"products":[
             {"@id":"pkg:oci/app","subcomponents":[{"@id":"pkg:golang/a/b@1.0"}]},{"@id":"pkg:npm/x@1"}],
           "status":"not_affected","justification":"vulnerable_code_not_present"},
          {"vulnerability":"CVE-2024-0002","products":["something"],"status":"fixed"}]}"#;
        let v = parse(text).unwrap();
        assert_eq!(v.len(), 3);
        let part: Purl = "pkg:golang/a/b@1.0".parse().unwrap();
        let app: Purl = "pkg:oci/app".parse().unwrap();
        assert!(v[0].about("GHSA-1") && v[0].covers(&part, Some(&app)));
        assert!(!v[0].covers(&part, None));
        assert!(v[1].covers(&"pkg:npm/x@1".parse().unwrap(), None));
        assert!(!v[1].covers(&"pkg:npm/x@2".parse().unwrap(), None));
        assert_eq!(v[2].unresolved, ["something"]);
        assert!(parse(br#"{"statements":[{"vulnerability":"x","status":"maybe"}]}"#).is_err());
    }
}
