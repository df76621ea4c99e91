//! One YAML document to JSON, read as Kubernetes reads it, with bounds and source lines.
//!
//! `kubectl` and the API server read YAML through sigs.k8s.io/yaml, which resolves plain
//! scalars by YAML 1.1: `yes`, `on` and `y` are booleans, `0644` is octal 420, `1_000` is
//! 1000, a timestamp stays text. So here. Duplicate keys, infinite numbers, aliases to
//! themselves and mappings as keys are errors; merge keys (`<<`) are honoured.

use crate::input::Limits;
use crate::scalar::{cut, resolve};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// A document and where its notable parts stand.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Parsed {
    pub value: Value,
    /// Line of the document's first node, from 1.
    pub line: u32,
    /// Lines of container-like items, by path such as `spec.containers[0]`.
    pub lines: Vec<(String, u32)>,
    /// Nodes, aliases expanded.
    pub nodes: usize,
}

/// Why a document cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub line: u32,
    pub why: String,
}

/// Keys under which the items' lines are kept.
const LINED: [&str; 5] = [
    "volumes",
    "containers",
    "initContainers",
    "ephemeralContainers",
    "items",
];

enum Frame {
    Seq {
        items: Vec<Value>,
        lined: bool,
        anchor: usize,
        cost: Cost,
    },
    Map {
        map: Map<String, Value>,
        key: Option<Key>,
        merges: Vec<Value>,
        anchor: usize,
        cost: Cost,
    },
}

enum Key {
    Name(String),
    Merge,
}

#[derive(Clone, Copy)]
struct Cost {
    nodes: usize,
    bytes: usize,
}

struct Builder<'l> {
    limits: &'l Limits,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Value, Cost)>,
    spent: Cost,
    lines: Vec<(String, u32)>,
    done: Option<Value>,
    first_line: Option<u32>,
}

/// Reads the first document of `text`; `None` when there is none but comments.
///
/// Kubernetes' reader does not mind how far the lines of a quoted scalar are indented; the
/// parser here does. White space at the beginning of such a line means nothing, so it is added
/// where the parser asks for it.
pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Option<Parsed>, Fault> {
    const REPAIRS: usize = 32;
    const REPAIRABLE: usize = 256 << 10;
    let mut text = Cow::Borrowed(text);
    for _ in 0..REPAIRS {
        match parse_strict(&text, limits) {
            Err((fault, true)) if text.len() < REPAIRABLE => {
                let Some(wider) = indent(&text, fault.line) else {
                    return Err(fault);
                };
                text = Cow::Owned(wider);
            }
            other => return other.map_err(|(fault, _)| fault),
        }
    }
    parse_strict(&text, limits).map_err(|(fault, _)| fault)
}

/// `text` with one line indented further than the line before it.
fn indent(text: &str, line: u32) -> Option<String> {
    let at = usize::try_from(line).ok()?.checked_sub(1)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let before = lines.get(at.checked_sub(1)?)?;
    let wanted = before.len() - before.trim_start_matches(' ').len() + 2;
    let mut out = String::with_capacity(text.len() + wanted);
    for (i, one) in lines.iter().enumerate() {
        if i == at {
            out.push_str(&" ".repeat(wanted));
        }
        out.push_str(one);
    }
    Some(out)
}

/// The flag of an error says that only the indentation of a quoted scalar is wrong.
fn parse_strict(text: &str, limits: &Limits) -> Result<Option<Parsed>, (Fault, bool)> {
    let firm = |line, why| (Fault { line, why }, false);
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = limits.depth;
    options.block_nesting_limit = limits.depth;
    let mut builder = Builder {
        limits,
        frames: Vec::new(),
        anchors: HashMap::new(),
        spent: Cost { nodes: 0, bytes: 0 },
        lines: Vec::new(),
        done: None,
        first_line: None,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|e| {
            let loose = matches!(e.kind(), ErrorKind::InvalidQuotedScalarIndent);
            let fault = Fault {
                line: line_of(e.marker().line()),
                why: e.info(),
            };
            (fault, loose)
        })?;
        let line = line_of(span.start.line());
        match event {
            Event::DocumentStart(..) => {
                if builder.done.is_some() {
                    return Err(firm(line, "a second document begins without '---'".into()));
                }
            }
            Event::StreamEnd => break,
            other => builder.event(other, line).map_err(|why| firm(line, why))?,
        }
    }
    let Some(value) = builder.done else {
        return Ok(None);
    };
    if value.is_null() {
        return Ok(None);
    }
    Ok(Some(Parsed {
        value,
        line: builder.first_line.unwrap_or(1),
        lines: builder.lines,
        nodes: builder.spent.nodes,
    }))
}

fn line_of(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX).max(1)
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, line: u32) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(1, text.len())?;
                if self.expects_key() {
                    return self.key(&text, style, tag.as_deref());
                }
                self.place(line);
                let value = resolve(text, style, tag.as_deref())?;
                if anchor != 0 {
                    let cost = Cost {
                        nodes: 1,
                        bytes: value.as_str().map_or(8, str::len),
                    };
                    self.anchors.insert(anchor, (value.clone(), cost));
                }
                self.put(value)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(line)?;
                let lined = self.frames.is_empty()
                    || matches!(self.frames.last(),
                    Some(Frame::Map { key: Some(Key::Name(key)), .. }) if LINED.contains(&key.as_str()));
                self.frames.push(Frame::Seq {
                    items: Vec::new(),
                    lined,
                    anchor,
                    cost: self.spent,
                });
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(line)?;
                self.frames.push(Frame::Map {
                    map: Map::new(),
                    key: None,
                    merges: Vec::new(),
                    anchor,
                    cost: self.spent,
                });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => {
                if self.expects_key() {
                    return Err("an alias as a key is not supported".into());
                }
                let (value, cost) = self
                    .anchors
                    .get(&id)
                    .ok_or("an alias stands inside what it refers to")?;
                let (value, cost) = (value, *cost);
                // Charged before it is copied: this is what defuses an alias bomb.
                self.spent.nodes = self.spent.nodes.saturating_add(cost.nodes);
                self.spent.bytes = self.spent.bytes.saturating_add(cost.bytes);
                check(self.spent, self.limits)?;
                let value = value.clone();
                self.place(line);
                self.put(value)
            }
            _ => Ok(()),
        }
    }

    fn spend(&mut self, nodes: usize, bytes: usize) -> Result<(), String> {
        self.spent.nodes = self.spent.nodes.saturating_add(nodes);
        self.spent.bytes = self.spent.bytes.saturating_add(bytes);
        check(self.spent, self.limits)
    }

    fn open(&mut self, line: u32) -> Result<(), String> {
        if self.expects_key() {
            return Err("a mapping or sequence as a key is not supported".into());
        }
        if self.frames.len() >= self.limits.depth {
            return Err(format!("nested deeper than {}", self.limits.depth));
        }
        self.spend(1, 0)?;
        self.place(line);
        Ok(())
    }

    /// Notes where a node begins, for the document's own line and for container items.
    fn place(&mut self, line: u32) {
        self.first_line.get_or_insert(line);
        if let Some(Frame::Seq { lined: true, .. }) = self.frames.last() {
            let path = self.path();
            self.lines.push((path, line));
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match frame {
                Frame::Map {
                    key: Some(Key::Name(key)),
                    ..
                } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Frame::Map { .. } => {}
                Frame::Seq { items, .. } => path.push_str(&format!("[{}]", items.len())),
            }
        }
        path
    }

    fn expects_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Map { key: None, .. }))
    }

    fn key(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<(), String> {
        let Some(Frame::Map { map, key, .. }) = self.frames.last_mut() else {
            return Ok(());
        };
        if text == "<<" && style == ScalarStyle::Plain && tag.is_none() {
            *key = Some(Key::Merge);
            return Ok(());
        }
        let name = match resolve(Cow::Borrowed(text), style, tag)? {
            Value::String(name) => name,
            Value::Bool(_) | Value::Number(_) if style == ScalarStyle::Plain => {
                resolve(Cow::Borrowed(text), style, tag)?.to_string()
            }
            _ => return Err("null as a key is not supported".into()),
        };
        if map.contains_key(&name) {
            return Err(format!("the key {:?} is there twice", cut(&name)));
        }
        *key = Some(Key::Name(name));
        Ok(())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        match self.frames.last_mut() {
            None => {
                if self.done.is_some() {
                    return Err("a second value in one document".into());
                }
                self.done = Some(value);
                Ok(())
            }
            Some(Frame::Seq { items, .. }) => {
                items.push(value);
                Ok(())
            }
            Some(Frame::Map {
                map, key, merges, ..
            }) => {
                match key.take() {
                    Some(Key::Name(name)) => {
                        map.insert(name, value);
                    }
                    Some(Key::Merge) => match value {
                        Value::Array(all) => merges.extend(all),
                        one => merges.push(one),
                    },
                    None => return Err("a value without a key".into()),
                }
                Ok(())
            }
        }
    }

    fn close(&mut self) -> Result<(), String> {
        let (value, anchor, before) = match self.frames.pop() {
            None => return Ok(()),
            Some(Frame::Seq {
                items,
                anchor,
                cost,
                ..
            }) => (Value::Array(items), anchor, cost),
            Some(Frame::Map {
                mut map,
                merges,
                anchor,
                cost,
                ..
            }) => {
                for merge in merges {
                    let Value::Object(merge) = merge else {
                        return Err("a merge key (<<) needs a mapping".into());
                    };
                    for (key, value) in merge {
                        map.entry(key).or_insert(value);
                    }
                }
                (Value::Object(map), anchor, cost)
            }
        };
        if anchor != 0 {
            let cost = Cost {
                nodes: self.spent.nodes.saturating_sub(before.nodes) + 1,
                bytes: self.spent.bytes.saturating_sub(before.bytes),
            };
            // The copy that is kept for aliases counts, too.
            self.spend(cost.nodes, cost.bytes)?;
            self.anchors.insert(anchor, (value.clone(), cost));
        }
        self.put(value)
    }
}

fn check(spent: Cost, limits: &Limits) -> Result<(), String> {
    if spent.nodes > limits.nodes {
        return Err(format!(
            "more than {} values, aliases expanded",
            limits.nodes
        ));
    }
    if spent.bytes > limits.document_bytes.saturating_mul(2) {
        return Err(format!(
            "more than {} bytes of text, aliases expanded",
            limits.document_bytes.saturating_mul(2)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        parse(text, &Limits::default()).unwrap().unwrap().value
    }

    fn fault(text: &str) -> Fault {
        parse(text, &Limits::default()).unwrap_err()
    }

    #[test]
    fn scalars_are_read_as_kubernetes_reads_them() {
        assert_eq!(
            read(
                "[yes, On, n, off, 'yes', 0644, 0o644, 08, 0x1F, 0b11, 1_000, 1e3, 1.5, .5, -7, +7, \
                 ~, null, 2001-12-14, 1:30, !!str 12, 18446744073709551615, 1.0, '', 1.2.3]"
            ),
            json!([
                true,
                true,
                false,
                false,
                "yes",
                420,
                420,
                8,
                31,
                3,
                1000,
                1000,
                1.5,
                0.5,
                -7,
                7,
                null,
                null,
                "2001-12-14",
                "1:30",
                "12",
                18446744073709551615u64,
                1,
                "",
                "1.2.3"
            ])
        );
    }

    #[test]
    fn quoted_lines_may_stand_anywhere() {
        assert_eq!(
            read("a:\n  b: \"x\n  y\n z\"\n  c: 1\n"),
            json!({"a": {"b": "x y z", "c": 1}})
        );
    }

    #[test]
    fn keys_merges_and_aliases() {
        assert_eq!(
            read("base: &b {a: 1, b: 2}\nitem:\n  <<: *b\n  b: 3\n1: x\ntrue: z\n"),
            json!({"base": {"a": 1, "b": 2}, "item": {"a": 1, "b": 3}, "1": "x", "true": "z"})
        );
    }

    #[test]
    fn lines_of_containers() {
        let parsed = parse(
            "# c\nspec:\n  containers:\n  - name: a\n\n  -\n    name: b\n",
            &Limits::default(),
        )
        .unwrap()
        .unwrap();
        assert_eq!(parsed.line, 2);
        assert_eq!(
            parsed.lines,
            vec![
                ("spec.containers[0]".to_owned(), 4),
                ("spec.containers[1]".to_owned(), 7)
            ]
        );
    }

    #[test]
    fn what_is_refused_names_its_line() {
        assert_eq!(
            fault("a: 1\nb: 2\na: 3\n"),
            Fault {
                line: 3,
                why: "the key \"a\" is there twice".into()
            }
        );
        assert_eq!(fault("a: .inf").why, ".inf has no JSON form");
        assert_eq!(fault("a: &x\n  b: *x\n").line, 2);
        assert_eq!(fault("a:\n\tb: 1\n").line, 2);
        assert_eq!(fault("x: 1\n? {a: b}\n: 1\n").line, 2);
        assert!(parse("# nothing\n", &Limits::default()).unwrap().is_none());
    }

    #[test]
    fn bombs_are_defused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..30 {
            let p = format!("*a{}", i - 1);
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![p; 10].join(", "));
        }
        assert!(fault(&bomb).why.contains("aliases expanded"));
        let deep = "[".repeat(100_000);
        assert_eq!(fault(&deep).line, 1);
        let deep: String = (0..300).map(|i| " ".repeat(i) + "a:\n").collect();
        assert!(fault(&deep).line > 50);
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), "*a, ".repeat(100));
        assert!(fault(&long).why.contains("bytes of text"));
    }
}
