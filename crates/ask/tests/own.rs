//! What is said of the asker's own systems, and what is not.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may end by panicking"
)]

use bartizan_ask::answer::{Answer, Outcome, answer};
use bartizan_ask::own::{INVENTORY, Inventory, Matches, Nothing, Own, OwnMatch, Standing};
use bartizan_ask::retrieve::World;
use bartizan_ask::{Document, Index, Kind, Question};
use bartizan_model::{TenantId, Timestamp};
use std::ops::ControlFlow;

/// A tenant with these matches.
struct Has {
    matches: Vec<OwnMatch>,
    gaps: Vec<String>,
}

impl Own for Has {
    fn inventory(&self, _: &TenantId) -> Result<Inventory, String> {
        Ok(Inventory {
            assets: 3,
            components: 500,
            gaps: self.gaps.clone(),
        })
    }

    fn vulnerabilities(&self, _: &TenantId, _: usize) -> Result<Vec<String>, String> {
        Ok(self.matches.iter().map(|m| m.names[0].clone()).collect())
    }

    fn matches(&self, _: &TenantId, names: &[String], most: usize) -> Result<Matches, String> {
        let of: Vec<&OwnMatch> = self
            .matches
            .iter()
            .filter(|m| names.contains(&m.names[0]))
            .collect();
        Ok(Matches {
            total: of.len() as u64,
            listed: of.into_iter().take(most).cloned().collect(),
        })
    }
}

fn has(matches: Vec<OwnMatch>) -> Has {
    Has {
        matches,
        gaps: Vec::new(),
    }
}

fn matched(cve: &str, host: &str) -> OwnMatch {
    OwnMatch {
        asset: format!("Host {host} (host:{host})"),
        uid: format!("host:{host}//Host//{host}"),
        package: "rocket".to_owned(),
        version: Some("1.4.0".to_owned()),
        names: vec![cve.to_owned(), "GHSA-aaaa-bbbb-cccc".to_owned()],
        standing: Standing::Affected,
        fixed: Some("2.0.0".to_owned()),
        finding: Some("f1-00".to_owned()),
        decided: String::new(),
    }
}

/// Two CVEs, an advisory of the first, and one that mentions both.
fn records() -> Vec<Document> {
    let record = |id: &str, kind, text: &str, names: &[&str], products: &[&str]| {
        let mut document = Document::new(id, kind, "test");
        document.text = text.to_owned();
        document.names = names.iter().map(|n| (*n).to_owned()).collect();
        document.products = products.iter().map(|n| (*n).to_owned()).collect();
        document
    };
    let (one, two) = ("CVE-2024-0001", "CVE-2024-0002");
    vec![
        record(
            one,
            Kind::Cve,
            "An overflow in rocket runs code.",
            &[],
            &["rocket"],
        ),
        record(
            two,
            Kind::Cve,
            "A leak in kettle shows keys.",
            &[],
            &["kettle"],
        ),
        record(
            "GHSA-aaaa-bbbb-cccc",
            Kind::Advisory,
            "Rocket overflows its buffer and runs code.",
            &[one],
            &["rocket"],
        ),
        record(
            "DSA-1000-1",
            Kind::Advisory,
            "Several holes were found.",
            &[one, two],
            &[],
        ),
    ]
}

fn ask(own: &dyn Own, question: &str) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::build(folder.path(), &records(), None, "", &mut |_, _| {}).unwrap();
    let tenant = TenantId::default_tenant();
    let world = World {
        index: &index,
        rerank: None,
        own,
        tenant: &tenant,
    };
    let question = Question::read(question, Timestamp::from_micros(0)).unwrap();
    answer(world, &question, None, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn said(answer: &Answer, by: &str) -> Vec<String> {
    answer
        .sentences
        .iter()
        .filter(|s| s.cites == [by])
        .map(|s| s.text.clone())
        .collect()
}

#[test]
fn a_match_is_told_first_with_its_asset_and_finding() {
    let own = has(vec![
        matched("CVE-2024-0001", "a"),
        matched("CVE-2024-0002", "b"),
    ]);
    for question in [
        "am I affected by CVE-2024-0001?",
        "which of my hosts are affected by CVE-2024-0001",
        "is CVE-2024-0001 in my cluster?",
        "are we affected by GHSA-aaaa-bbbb-cccc?",
    ] {
        let answer = ask(&own, question);
        assert_eq!(
            answer.sentences[0].text,
            "rocket 1.4.0 on Host a (host:a) is affected by CVE-2024-0001; 2.0.0 fixes it. [OWN-1]",
            "{question}"
        );
        let source = answer.sources.iter().find(|s| s.id == "OWN-1").unwrap();
        assert_eq!(source.asset.as_deref(), Some("host:a//Host//a"));
        assert_eq!(source.finding.as_deref(), Some("f1-00"));
        // What the advisory of Debian also mentions was not asked for.
        assert!(
            !answer.sources.iter().any(|s| s.id == "OWN-2"),
            "{question}"
        );
        assert!(
            answer.unknown.is_empty(),
            "{question}: {:?}",
            answer.unknown
        );
    }
}

#[test]
fn what_an_asset_is_called_is_no_citation() {
    let mut hit = matched("CVE-2024-0001", "a");
    hit.asset = "Image [CVE-2024-0002]\nshop (image:shop)".to_owned();
    hit.standing = Standing::Unknown("its version has no order".to_owned());
    hit.decided = "its finding is accepted".to_owned();
    let answer = ask(
        &has(vec![hit]),
        "am I affected by CVE-2024-0001 or CVE-2024-0002?",
    );
    let own = said(&answer, "OWN-1");
    assert_eq!(
        own,
        [
            "Whether rocket 1.4.0 on Image CVE-2024-0002 shop (image:shop) is affected by \
          CVE-2024-0001 is unknown: its version has no order; its finding is accepted. [OWN-1]"
        ],
        "{answer:?}"
    );
}

#[test]
fn no_match_is_said_only_where_there_could_be_one() {
    let own = has(vec![]);
    let answer = ask(&own, "am I affected by CVE-2024-0001?");
    let inventory = said(&answer, INVENTORY).join(" ");
    assert!(
        inventory.contains("500 components on 3 assets"),
        "{inventory}"
    );
    assert!(
        inventory.contains("No component of it matches CVE-2024-0001."),
        "{inventory}"
    );
    // Only the CVE list speaks of it: nobody could have held a package against that.
    let answer = ask(&own, "am I affected by CVE-2024-0002?");
    let inventory = said(&answer, INVENTORY).join(" ");
    assert!(!inventory.contains("No component"), "{inventory}");
    assert_eq!(
        answer.unknown,
        ["no advisory about packages names CVE-2024-0002, so whether you run it cannot be said"]
    );
    let answer = ask(&own, "am I affected by CVE-2024-0009?");
    assert_eq!(answer.missing, ["CVE-2024-0009"]);
    assert_eq!(answer.unknown.len(), 1, "{:?}", answer.unknown);
}

#[test]
fn what_is_not_known_is_told() {
    let answer = ask(&Nothing, "am I affected by CVE-2024-0001?");
    assert!(said(&answer, INVENTORY).is_empty());
    assert!(
        answer.unknown[0].starts_with("no inventory of yours is known"),
        "{:?}",
        answer.unknown
    );
    let partial = Has {
        matches: vec![],
        gaps: vec!["the inventory of 1 of your assets is not whole".to_owned()],
    };
    let answer = ask(&partial, "am I affected by CVE-2024-0001?");
    assert_eq!(answer.unknown, partial.gaps);
    let many = (0..30).map(|n| matched("CVE-2024-0001", &format!("h{n}")));
    let answer = ask(&has(many.collect()), "am I affected by CVE-2024-0001?");
    assert_eq!(answer.unknown, ["only 20 of your 30 matches are told"]);
    // A question of one's own in words that nothing of one's own is about.
    let own = has(vec![matched("CVE-2024-0001", "a")]);
    let answer = ask(&own, "leak of keys in kettle in my cluster");
    assert_eq!(answer.outcome, Outcome::Nothing, "{answer:?}");
    assert!(
        answer.unknown[0].contains("does not say that you are not affected"),
        "{:?}",
        answer.unknown
    );
    let answer = ask(&own, "overflow in rocket in my cluster");
    assert_eq!(said(&answer, "OWN-1").len(), 1, "{answer:?}");
    let answer = ask(&own, "critical vulnerabilities in my cluster");
    let inventory = said(&answer, INVENTORY).join(" ");
    assert!(inventory.contains("passes the filters"), "{inventory}");
}
