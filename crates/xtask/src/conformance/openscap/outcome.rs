//! What a results document says, whoever wrote it, as lines that can be compared.

use anyhow::{Context, Result};
use quick_xml::events::{BytesStart, Event};
use std::path::Path;

/// What was decided, one line each, sorted; the same line may occur more than once.
pub type Decisions = Vec<String>;

/// Reads XCCDF or OVAL results. Of many TestResults the last counts.
pub fn read(path: &Path) -> Result<Decisions> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    decisions(&bytes)
}

fn decisions(bytes: &[u8]) -> Result<Decisions> {
    let mut reader = quick_xml::Reader::from_reader(bytes);
    let mut lines = Vec::new();
    let mut rule = None;
    let mut text: Option<String> = None;
    loop {
        match reader.read_event()? {
            Event::Start(start) | Event::Empty(start) => match start.local_name().as_ref() {
                b"TestResult" => lines.clear(),
                b"rule-result" => rule = attribute(&start, "idref")?,
                b"result" if rule.is_some() => text = Some(String::new()),
                b"score" => {
                    let system = attribute(&start, "system")?.unwrap_or_default();
                    rule = Some(format!("score {system}"));
                    text = Some(String::new());
                }
                b"definition" => decided(&start, "definition_id", &mut lines)?,
                b"test" => decided(&start, "test_id", &mut lines)?,
                _ => {}
            },
            Event::Text(more) => {
                if let Some(text) = &mut text {
                    text.push_str(&String::from_utf8_lossy(&more));
                }
            }
            Event::End(end) => match end.local_name().as_ref() {
                b"result" | b"score" => {
                    if let (Some(rule), Some(text)) = (&rule, text.take()) {
                        let word = match text.trim().parse::<f64>() {
                            Ok(number) => format!("{number:.2}"),
                            Err(_) => text.trim().to_owned(),
                        };
                        lines.push(format!("{rule} {word}"));
                    }
                    if end.local_name().as_ref() == b"score" {
                        rule = None;
                    }
                }
                b"rule-result" => rule = None,
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    lines.sort();
    Ok(lines)
}

fn decided(start: &BytesStart<'_>, id: &str, lines: &mut Decisions) -> Result<()> {
    if let (Some(id), Some(result)) = (attribute(start, id)?, attribute(start, "result")?) {
        lines.push(format!("{id} {result}"));
    }
    Ok(())
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>> {
    let found = start.try_get_attribute(name)?;
    Ok(found.map(|found| String::from_utf8_lossy(&found.value).into_owned()))
}

/// The name of a document's root and the ids of the profiles in it; None where it is no XML.
pub fn root(bytes: &[u8]) -> Option<(String, Vec<String>)> {
    let mut reader = quick_xml::Reader::from_reader(bytes);
    let mut root = None;
    let mut profiles = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => {
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                if name == "Profile" {
                    profiles.extend(attribute(&start, "id").ok().flatten());
                }
                root.get_or_insert(name);
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    profiles.dedup();
    root.map(|root| (root, profiles))
}

/// The lines that only one of them has.
pub fn differences(ours: &Decisions, theirs: &Decisions) -> Vec<String> {
    let mut differences = Vec::new();
    let (mut our, mut their) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        match (our.peek(), their.peek()) {
            (None, None) => return differences,
            (Some(a), Some(b)) if a == b => {
                our.next();
                their.next();
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => {
                differences.push(format!("ours   {a}"));
                our.next();
            }
            (_, b) => {
                differences.extend(b.map(|b| format!("theirs {b}")));
                their.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_lines() {
        let text = b"<b><TestResult><rule-result idref='old'><result>fail</result></rule-result></TestResult>\
            <x:TestResult xmlns:x='u'><x:rule-result idref='r'><x:result>pass</x:result></x:rule-result>\
            <x:score system='s'>12.500001</x:score></x:TestResult></b>";
        assert_eq!(decisions(text).unwrap(), ["r pass", "score s 12.50"]);
        let text = b"<o><definition id='d'/><definition definition_id='d' result='true'/><test test_id='t' result='error'/></o>";
        assert_eq!(decisions(text).unwrap(), ["d true", "t error"]);
    }

    #[test]
    fn lines_of_either_are_differences() {
        let of = |lines: &[&str]| {
            lines
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>()
        };
        let found = differences(&of(&["a 1", "b 1", "b 1"]), &of(&["b 1", "c 1"]));
        assert_eq!(found, ["ours   a 1", "ours   b 1", "theirs c 1"]);
        assert!(differences(&of(&["a"]), &of(&["a"])).is_empty());
    }

    #[test]
    fn profiles_of_a_document() {
        let (name, profiles) =
            root(b"<Benchmark><Profile id='p'/><Profile id='q'/></Benchmark>").unwrap();
        assert_eq!((&*name, profiles.len()), ("Benchmark", 2));
        assert!(root(b"no xml").is_none());
    }
}
