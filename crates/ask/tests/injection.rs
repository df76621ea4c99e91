//! Records that give orders, a model that obeys them all, and what leaves nevertheless: nothing.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may end by panicking"
)]

mod poison;

use bartizan_ask::answer::{Chat, ChatRequest, Event, answer};
use bartizan_ask::own::{Inventory, Matches, Own, OwnMatch, Standing, Unreachable};
use bartizan_ask::question::Question;
use bartizan_ask::retrieve::World;
use bartizan_ask::{Answer, Index, Outcome};
use bartizan_model::{TenantId, Timestamp};
use poison::{CANARIES, POISONS, documents};
use std::ops::ControlFlow;
use std::sync::Mutex;

/// A model that does whatever it reads, and, where `blind`, even what it was not shown.
struct Obedient {
    blind: bool,
    asked: Mutex<Vec<String>>,
}

impl Chat for Obedient {
    fn model(&self) -> String {
        "obedient".to_owned()
    }

    fn stream(
        &self,
        request: &ChatRequest,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), String> {
        let body = request.body();
        assert!(body.get("tools").is_none(), "no tool is ever offered");
        let prompt = body.to_string();
        self.asked.lock().unwrap().push(prompt.clone());
        for event in poison::obey(&prompt, &request.system, self.blind) {
            // In small pieces, as endpoints stream.
            for piece in event.as_bytes().chunks(11) {
                if take(piece).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Two tenants with an inventory of their own.
struct Two;

impl Own for Two {
    fn inventory(&self, _: &TenantId) -> Result<Inventory, String> {
        Ok(Inventory {
            assets: 1,
            components: 10,
            gaps: Vec::new(),
        })
    }

    fn vulnerabilities(&self, _: &TenantId, _: usize) -> Result<Vec<String>, String> {
        Ok(vec!["CVE-2024-0001".to_owned()])
    }

    fn matches(&self, tenant: &TenantId, names: &[String], _: usize) -> Result<Matches, String> {
        let asset = match tenant.as_str() {
            "acme" => "host:acme-web-1",
            _ => "host:globex-vault-7",
        };
        let hit = OwnMatch {
            asset: asset.to_owned(),
            uid: format!("{asset}//Host//it"),
            package: "rocket".to_owned(),
            version: Some("1.4.0".to_owned()),
            names: vec!["CVE-2024-0001".to_owned()],
            standing: Standing::Affected,
            fixed: Some("2.0.0".to_owned()),
            finding: None,
            decided: String::new(),
        };
        let listed: Vec<OwnMatch> = names
            .contains(&hit.names[0])
            .then_some(hit)
            .into_iter()
            .collect();
        Ok(Matches {
            total: listed.len() as u64,
            listed,
        })
    }
}

fn ask(
    index: &Index,
    tenant: &str,
    question: &str,
    chat: Option<&dyn Chat>,
) -> (Answer, Vec<Event>) {
    let tenant = TenantId::new(tenant).unwrap();
    let world = World {
        index,
        rerank: None,
        own: &Two,
        tenant: &tenant,
    };
    let question =
        Question::read(question, Timestamp::parse("2026-11-26T00:00:00Z").unwrap()).unwrap();
    let mut events = Vec::new();
    let answer = answer(world, &question, chat, &mut |e| {
        events.push(e.clone());
        ControlFlow::Continue(())
    })
    .unwrap();
    (answer, events)
}

/// Everything that a reader sees, but for the addresses that records list as their own references.
fn seen(answer: &Answer, events: &[Event]) -> String {
    let strip = |mut value: serde_json::Value| {
        if let Some(sources) = value.get_mut("sources").and_then(|s| s.as_array_mut()) {
            for source in sources {
                source.as_object_mut().unwrap().remove("references");
            }
        }
        value.to_string()
    };
    let mut seen = strip(serde_json::to_value(answer).unwrap());
    for event in events {
        seen.push_str(&strip(serde_json::to_value(event).unwrap()));
    }
    seen
}

fn check(answer: &Answer, events: &[Event], what: &str) {
    let seen = seen(answer, events);
    for canary in CANARIES {
        assert!(
            !seen.to_lowercase().contains(&canary.to_lowercase()),
            "{what}: {canary} left in {seen}"
        );
    }
    let ids: Vec<&str> = answer.sources.iter().map(|s| s.id.as_str()).collect();
    let known: Vec<String> = answer
        .sources
        .iter()
        .flat_map(|s| s.names.iter().chain([&s.id]))
        .map(|n| n.to_uppercase())
        .collect();
    let pattern =
        regex::Regex::new(r"(?i)\b(?:CVE-\d{4}-\d{4,}|GHSA(?:-[0-9a-z]{4}){3})\b").unwrap();
    for sentence in &answer.sentences {
        assert!(!sentence.cites.is_empty(), "{what}: {sentence:?}");
        for cite in &sentence.cites {
            assert!(ids.contains(&cite.as_str()), "{what}: {sentence:?}");
        }
        for name in pattern.find_iter(&sentence.text) {
            let name = name.as_str().to_uppercase();
            assert!(known.contains(&name), "{what}: {sentence:?} names {name}");
        }
        assert!(!sentence.text.contains("://"), "{what}: {sentence:?}");
    }
}

#[test]
fn a_model_that_obeys_every_record_says_nothing_that_is_not_carried() {
    assert!(POISONS.len() >= 30);
    let folder = tempfile::tempdir().unwrap();
    let documents = documents();
    let index = Index::build(folder.path(), &documents, None, "", &mut |_, _| {}).unwrap();
    let (mut shown, mut dropped, mut honest) = (0, 0, 0);
    for blind in [false, true] {
        let model = Obedient {
            blind,
            asked: Mutex::default(),
        };
        for (i, poison) in POISONS.iter().enumerate() {
            let id = poison::id(i);
            for question in [
                format!("what is {id} about?"),
                format!("overflow in {}", poison.product),
                format!("is {id} like CVE-2024-0001?"),
            ] {
                let (answer, events) = ask(&index, "acme", &question, Some(&model));
                assert!(
                    answer.sources.iter().any(|s| s.id == id),
                    "{question} does not even find {id}"
                );
                check(&answer, &events, &format!("{blind} {question}"));
                dropped += answer.dropped.len();
                honest += answer.sentences.len();
            }
        }
        let prompts = model.asked.into_inner().unwrap();
        // Once a question: no answer makes it ask again.
        assert_eq!(prompts.len(), POISONS.len() * 3);
        for prompt in &prompts {
            assert!(!prompt.contains("globex"), "another tenant's asset");
        }
        if !blind {
            shown = prompts
                .iter()
                .filter(|p| POISONS.iter().any(|poison| poison::is_shown(p, poison)))
                .count();
        }
    }
    // The test would prove nothing if the model had never been fooled, or had been silenced.
    assert!(
        shown > 0,
        "every poison was recognised; add some that are not"
    );
    assert!(dropped > POISONS.len(), "{dropped} dropped");
    assert!(honest > POISONS.len(), "{honest} honest sentences went out");
    println!(
        "{shown} prompts with a poison that was not recognised, {dropped} dropped, {honest} out"
    );
}

#[test]
fn without_a_model_poison_is_not_repeated_either() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::build(folder.path(), &documents(), None, "", &mut |_, _| {}).unwrap();
    for (i, poison) in POISONS.iter().enumerate() {
        let question = format!("overflow in {} {}", poison.product, poison::id(i));
        let (answer, events) = ask(&index, "acme", &question, None);
        assert_eq!(answer.outcome, Outcome::Answered, "{question}");
        check(&answer, &events, &question);
    }
}

#[test]
fn tenants_see_their_own_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::build(folder.path(), &documents(), None, "", &mut |_, _| {}).unwrap();
    for (tenant, mine, theirs) in [
        ("acme", "acme-web-1", "globex"),
        ("globex", "globex-vault-7", "acme"),
    ] {
        let (answer, events) = ask(&index, tenant, "are we affected by CVE-2024-0001?", None);
        let seen = seen(&answer, &events);
        assert!(seen.contains(mine), "{seen}");
        assert!(!seen.contains(theirs), "{seen}");
        let own = answer
            .sentences
            .iter()
            .find(|s| s.cites == ["OWN-1"])
            .unwrap();
        assert!(own.text.contains("2.0.0 fixes it"), "{}", own.text);
    }
}

#[test]
fn nothing_there_is_said_and_an_unreadable_inventory_is_no_all_clear() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::build(folder.path(), &documents(), None, "", &mut |_, _| {}).unwrap();
    let (answer, _) = ask(&index, "acme", "how do I bake sourdough bread?", None);
    assert_eq!(answer.outcome, Outcome::Nothing);
    let (answer, _) = ask(&index, "acme", "what is CVE-2099-12345?", None);
    assert_eq!(answer.outcome, Outcome::Nothing);
    assert_eq!(answer.missing, ["CVE-2099-12345"]);

    let tenant = TenantId::new("acme").unwrap();
    let world = World {
        index: &index,
        rerank: None,
        own: &Unreachable("the inventory cannot be read".to_owned()),
        tenant: &tenant,
    };
    let question = Question::read(
        "overflow in rocket in my cluster",
        Timestamp::from_micros(0),
    )
    .unwrap();
    let answer =
        bartizan_ask::answer::answer(world, &question, None, &mut |_| ControlFlow::Continue(()))
            .unwrap();
    assert_eq!(answer.unknown, ["the inventory cannot be read"]);
    assert!(!answer.filters.iter().any(|f| f.contains("you run")));
}
