//! The page is whole, says what the snapshot says, and lets nothing out of its text.

use super::*;
use crate::{fixture, hostile};

fn page(snapshot: &Snapshot) -> String {
    let mut out = Vec::new();
    write(snapshot, &Options::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Element names in order, with a sign for each that closes; voids and text left out.
fn unbalanced(html: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut wrong = Vec::new();
    for part in html.split('<').skip(1) {
        let Some((tag, _)) = part.split_once('>') else {
            wrong.push(part.to_owned());
            continue;
        };
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .collect();
        let void = ["meta", "path", "rect", "circle", "use", ""].contains(&&*name);
        if void || tag.ends_with('/') {
            continue;
        }
        if !tag.starts_with('/') {
            open.push(name);
        } else if open.pop().as_ref() != Some(&name) {
            wrong.push(name);
        }
    }
    wrong.extend(open);
    wrong
}

#[test]
fn the_shop() {
    let page = page(&fixture::shop().unwrap());
    assert_eq!(unbalanced(&page), Vec::<String>::new());
    for text in [
        "26 findings need work, 7 of them critical or high. 1 subject could not be judged.",
        "Containers do not run privileged",
        "shop&#x2f;storefront.yaml:12",
        "The agent reads kernel counters; reviewed by the platform team.",
        "moves to the new cluster in May",
        "66.7",
        "Only a person can judge it, and none has.",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // Nothing is loaded: the only addresses are links that a person may follow.
    for word in [
        "<script", " src=", "@import", "url(", "<link", "<iframe", "<form", " on",
    ] {
        let found = page.find(word).and_then(|at| page.get(at..at + 40));
        let plain = found.is_some_and(|f| word == " on" && !f.contains('='));
        assert!(found.is_none() || plain, "{found:?}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let page = page(&hostile());
    assert_eq!(unbalanced(&page), Vec::<String>::new());
    assert!(!page.contains("<script"));
    assert!(!page.contains("javascript:"));
    assert!(!page.contains("\"onclick"));
    assert!(page.contains("&lt;&#x2f;script&gt;"));
    assert!(page.contains("{{7*7}}"), "a template inside text was run");
    let control = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!page.contains(control));
}

#[test]
fn an_empty_scope_has_a_page() {
    let scope = bartizan_model::ScopeId::new("cluster:new").unwrap();
    let at = bartizan_model::Timestamp::from_micros(0);
    let page = page(&Snapshot::empty(scope, "bartizan 0.1.0", at));
    assert_eq!(unbalanced(&page), Vec::<String>::new());
    assert!(page.contains("Nothing has been judged yet."));
    assert!(!page.contains("No finding needs work"));
}

#[test]
fn what_is_left_out_is_said() {
    let snapshot = fixture::shop().unwrap();
    let mut out = Vec::new();
    write(&snapshot, &Options { max_findings: 2 }, &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    assert_eq!(page.matches("finding key").count(), 2);
    assert!(page.contains("1 more row is not shown."));
    assert!(
        page.contains("8 more rows are not shown.") || page.contains("6 more rows are not shown.")
    );
}
