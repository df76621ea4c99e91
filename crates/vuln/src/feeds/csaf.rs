//! CSAF 2.0 (OASIS): one document of a vendor, its product tree, its status of products.

use super::{FeedError, MAX_BYTES, id, json, moment};
use crate::vex::{Vex, VexStatus};
use crate::{Advisory, Rating, Reference};
use bartizan_model::Purl;
use serde::Deserialize;
use std::collections::BTreeMap;

const FORMAT: &str = "CSAF 2.0";
/// The most branches of a tree that are walked.
const MAX_BRANCHES: usize = 1_000_000;

/// What a document says.
#[derive(Debug, Clone, PartialEq)]
pub struct Csaf {
    /// About the vulnerabilities; who is affected stands in the statements.
    pub advisory: Advisory,
    /// About the products.
    pub statements: Vec<Vex>,
}

#[derive(Deserialize)]
struct Document {
    document: Head,
    #[serde(default)]
    product_tree: Tree,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Head {
    title: String,
    publisher: Publisher,
    tracking: Tracking,
    #[serde(default)]
    references: Vec<Link>,
}

#[derive(Deserialize)]
struct Publisher {
    name: String,
}

#[derive(Deserialize)]
struct Tracking {
    id: String,
    initial_release_date: Option<String>,
    current_release_date: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    url: String,
    #[serde(default)]
    category: String,
}

#[derive(Deserialize, Default)]
struct Tree {
    #[serde(default)]
    branches: Vec<Branch>,
    #[serde(default)]
    full_product_names: Vec<Product>,
    #[serde(default)]
    relationships: Vec<Relationship>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    branches: Vec<Branch>,
    product: Option<Product>,
}

#[derive(Deserialize)]
struct Product {
    product_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    product_identification_helper: Helper,
}

#[derive(Deserialize, Default)]
struct Helper {
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Relationship {
    full_product_name: Product,
    product_reference: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    cve: Option<String>,
    #[serde(default)]
    ids: Vec<Name>,
    cwe: Option<Cwe>,
    #[serde(default)]
    product_status: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    scores: Vec<Score>,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(default)]
    threats: Vec<Threat>,
}

#[derive(Deserialize)]
struct Name {
    text: String,
}

#[derive(Deserialize)]
struct Cwe {
    id: String,
}

#[derive(Deserialize)]
struct Score {
    cvss_v2: Option<Cvss>,
    cvss_v3: Option<Cvss>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cvss {
    vector_string: String,
    base_score: Option<f64>,
}

#[derive(Deserialize)]
struct Flag {
    label: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Threat {
    category: String,
    details: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

struct Known {
    name: String,
    purl: Option<Purl>,
}

fn products(tree: Tree) -> Result<BTreeMap<String, Known>, FeedError> {
    let mut known = BTreeMap::new();
    let mut add = |product: Product| {
        let purl = product.product_identification_helper.purl;
        let entry = Known {
            name: product.name,
            purl: purl.and_then(|p| p.parse().ok()),
        };
        known.insert(product.product_id, entry);
    };
    let mut stack = tree.branches;
    let mut seen = 0usize;
    while let Some(branch) = stack.pop() {
        seen += 1;
        if seen > MAX_BRANCHES {
            return Err(FeedError::new(
                FORMAT,
                0,
                "the product tree has too many branches",
            ));
        }
        stack.extend(branch.branches);
        if let Some(product) = branch.product {
            add(product);
        }
    }
    tree.full_product_names.into_iter().for_each(&mut add);
    for relationship in tree.relationships {
        let part: Option<&Known> = known.get(&relationship.product_reference);
        let entry = Known {
            name: relationship.full_product_name.name,
            purl: part.and_then(|p| p.purl.clone()),
        };
        known.insert(relationship.full_product_name.product_id, entry);
    }
    Ok(known)
}

fn status(word: &str) -> Option<VexStatus> {
    Some(match word {
        "first_affected" | "known_affected" | "last_affected" => VexStatus::Affected,
        "first_fixed" | "fixed" => VexStatus::Fixed,
        "known_not_affected" => VexStatus::NotAffected,
        "under_investigation" => VexStatus::UnderInvestigation,
        // `recommended` says nothing about a vulnerability.
        _ => return None,
    })
}

/// A whole document.
pub fn parse(bytes: &[u8]) -> Result<Csaf, FeedError> {
    let document: Document = json(FORMAT, bytes, MAX_BYTES)?;
    let head = document.document;
    let known = products(document.product_tree)?;
    let source = head.publisher.name;
    let mut advisory = Advisory::new(id(FORMAT, &head.tracking.id)?, source.as_str());
    advisory.summary = head.title;
    advisory.published = head
        .tracking
        .initial_release_date
        .as_deref()
        .and_then(moment);
    advisory.modified = head
        .tracking
        .current_release_date
        .as_deref()
        .and_then(moment);
    advisory.references = head
        .references
        .into_iter()
        .map(|r| Reference {
            kind: r.category,
            url: r.url,
        })
        .collect();
    let mut statements = Vec::new();
    for vulnerability in document.vulnerabilities {
        let names: Vec<String> = vulnerability
            .cve
            .into_iter()
            .chain(vulnerability.ids.into_iter().map(|i| i.text))
            .collect();
        advisory.upstream.extend(names.iter().cloned());
        advisory.cwes.extend(vulnerability.cwe.map(|c| c.id));
        for cvss in vulnerability
            .scores
            .into_iter()
            .flat_map(|s| [s.cvss_v2, s.cvss_v3])
            .flatten()
        {
            let rating = Rating::of(&source, &cvss.vector_string, cvss.base_score);
            if !advisory.severities.contains(&rating) {
                advisory.severities.push(rating);
            }
        }
        for (word, ids) in &vulnerability.product_status {
            let Some(status) = status(word) else {
                continue;
            };
            let about = |list: &[String]| list.iter().any(|p| ids.contains(p));
            let mut vex = Vex {
                document: advisory.id.clone(),
                author: source.clone(),
                vulnerability: names.clone(),
                products: Vec::new(),
                subcomponents: Vec::new(),
                unresolved: Vec::new(),
                status,
                justification: None,
                impact: None,
                action: None,
                at: advisory.modified,
            };
            if status == VexStatus::NotAffected {
                let flag = vulnerability.flags.iter().find(|f| about(&f.product_ids));
                vex.justification = flag.map(|f| f.label.clone());
            }
            let threat = vulnerability
                .threats
                .iter()
                .find(|t| t.category == "impact" && about(&t.product_ids));
            vex.impact = threat.map(|t| t.details.clone());
            for product in ids {
                match known.get(product) {
                    Some(Known {
                        purl: Some(purl), ..
                    }) => vex.products.push(purl.clone()),
                    Some(known) if !known.name.is_empty() => {
                        vex.unresolved.push(known.name.clone())
                    }
                    _ => vex.unresolved.push(product.clone()),
                }
            }
            statements.push(vex);
        }
    }
    advisory.upstream.sort_unstable();
    advisory.upstream.dedup();
    advisory.cwes.sort_unstable();
    advisory.cwes.dedup();
    Ok(Csaf {
        advisory,
        statements,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_relationship_and_status() {
        let text = br#"{"document":{"title":"t","publisher":{"name":"acme"},"tracking":{"id":"A-1","current_release_date":"2024-01-01T00:00:00Z"}},
         "product_tree":{"branches":[{"branches":[{"product":{"product_id":"p","name":"zlib","product_identification_helper":{"purl":"pkg:rpm/acme/zlib@1.2-3"}}}]}],
           "full_product_names":[{"product_id":"os","name":"Acme OS"}],
           "relationships":[{"product_reference":"p","relates_to_product_reference":"os","full_product_name":{"product_id":"os:p","name":"zlib of Acme OS"}}]},
         "vulnerabilities":[{"cve":"CVE-2024-0001","cwe":{"id":"CWE-1"},"product_status":{"known_not_affected":["os:p"],"known_affected":["os"]},
           "flags":[{"label":"component_not_present","product_ids":["os:p"]}],
           "scores":[{"products":["os"],"cvss_v3":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H","baseScore":9.8}}]}]}"#;
        let c = parse(text).unwrap();
        assert_eq!(c.advisory.upstream, ["CVE-2024-0001"]);
        let not = c
            .statements
            .iter()
            .find(|s| s.status == VexStatus::NotAffected)
            .unwrap();
        assert_eq!(not.justification.as_deref(), Some("component_not_present"));
        assert!(not.covers(&"pkg:rpm/acme/zlib@1.2-3".parse().unwrap(), None));
        assert_eq!(c.statements[0].unresolved, ["Acme OS"]);
    }
}
