//! Inventories of others made fit to be kept and reported: one odd byte in the name of one file
//! must not hold up an asset.

use bartizan_model::text::plain;
use bartizan_model::{Asset, Component, Found, SourcePackage};

/// The longest path or sentence.
const LONG: usize = 1_000;
/// The longest licence, release or version.
const SHORT: usize = 300;
/// Places that are kept of one component.
const PLACES: usize = 1_000;
/// Lines that are kept of what could not be read.
const UNREAD: usize = 1_000;

/// Words of a component, without what steers a terminal and of a length that can be looked up.
/// What names it (its purl) is checked where it is read.
pub fn component(mut component: Component) -> Component {
    let short = |text: &mut String| *text = plain(text, SHORT);
    short(&mut component.ecosystem.release);
    component.licences.iter_mut().for_each(short);
    if let Some(SourcePackage { name, version }) = &mut component.source {
        short(name);
        short(version);
    }
    component.found.truncate(PLACES);
    for Found { path, .. } in &mut component.found {
        *path = plain(path, LONG);
    }
    component
}

/// What could not be read. What is too much is counted, not passed over.
pub fn unread(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines = lines.into_iter();
    let mut kept: Vec<String> = lines
        .by_ref()
        .take(UNREAD)
        .map(|line| plain(&line, LONG))
        .collect();
    let more = lines.count();
    if more > 0 {
        kept.push(format!("{more} more, which are not told"));
    }
    kept
}

/// Why an asset cannot be taken under its name; none when it can.
pub fn refused(asset: &Asset) -> Option<String> {
    let named = [
        ("kind", &asset.kind),
        ("name", &asset.name),
        ("namespace", &asset.namespace),
    ];
    named.into_iter().find_map(|(what, text)| {
        let why = if text.len() > LONG {
            "too long"
        } else if text.chars().any(char::is_control) {
            "not printable"
        } else {
            return None;
        };
        Some(format!("The asset's {what} is {why}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{AssetUid, Ecosystem};

    #[test]
    fn what_cannot_be_kept_is_made_plain_or_refused() {
        let odd = "a\0\u{1b}[31m".to_owned();
        let made = component(Component {
            purl: "pkg:npm/a@1".parse().unwrap(),
            ecosystem: Ecosystem::parse(&format!("Debian:{odd}")),
            source: Some(SourcePackage {
                name: odd.clone(),
                version: "x".repeat(5_000),
            }),
            licences: vec![odd.clone()],
            found: vec![Found {
                path: odd.clone(),
                layer: None,
            }],
            target: AssetUid::new("host:a").unwrap(),
        });
        let text = serde_json::to_string(&made).unwrap();
        assert!(text.contains("a\u{fffd}\u{fffd}[31m"), "{text}");
        assert!(
            !text.contains("\\u0000") && !text.contains("\\u001b"),
            "{text}"
        );
        assert!(made.source.unwrap().version.len() < 400);
        let many = unread((0..1_500).map(|n| n.to_string()));
        assert_eq!(many.len(), 1_001);
        assert!(many[1_000].starts_with("500 more"), "{}", many[1_000]);
        let mut asset = Asset {
            uid: AssetUid::new("host:a").unwrap(),
            kind: "Host".into(),
            name: "a".into(),
            namespace: String::new(),
        };
        assert_eq!(refused(&asset), None);
        asset.name = odd;
        assert!(refused(&asset).unwrap().contains("name is not printable"));
    }
}
