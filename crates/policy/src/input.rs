//! Bounded reading of YAML and JSON streams into documents with source lines.

use crate::yaml::{self, Parsed};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::io::{BufRead, BufReader, Read};

/// What reading may cost. Whatever exceeds a limit becomes an Unknown result that names
/// file and line; the documents before it are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one document. Kubernetes itself takes about 3 MiB.
    pub document_bytes: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Documents of one file.
    pub documents: usize,
    /// Nesting of mappings and sequences.
    pub depth: usize,
    /// Scalars, mappings and sequences of one document, aliases expanded.
    pub nodes: usize,
    /// Estimated bytes of memory that all documents of a scan may take together.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 4 << 20,
            file_bytes: 64 << 20,
            documents: 20_000,
            depth: 100,
            nodes: 200_000,
            memory: 512 << 20,
        }
    }
}

/// One file (or standard input) to scan.
pub struct Source<'a> {
    /// The name shown in locations: the path as given, or `<stdin>`.
    pub name: String,
    /// Its bytes; read once, never whole.
    pub reader: Box<dyn Read + Send + 'a>,
    /// The folder of the nearest `Chart.yaml` when the file lies in its `templates/`: then a
    /// file with template syntax is an unrendered Helm template of that chart.
    pub chart: Option<String>,
}

impl<'a> Source<'a> {
    /// A source outside any Helm chart.
    pub fn new(name: impl Into<String>, reader: impl Read + Send + 'a) -> Self {
        Self {
            name: name.into(),
            reader: Box::new(reader),
            chart: None,
        }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

/// A document as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub value: Value,
    /// Line of its first node in the file, from 1.
    pub line: u32,
    /// Lines of container items and list items in the file, by path.
    pub lines: Vec<(String, u32)>,
    /// What Helm says that it was rendered from.
    pub helm: Option<String>,
    /// Nodes of the document, for an estimate of its size.
    pub nodes: usize,
}

/// What reading a source yields, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    /// A document.
    Document(Document),
    /// A document that cannot be read; reading goes on after it.
    Unreadable {
        /// Where it goes wrong.
        line: u32,
        /// What is wrong.
        why: String,
    },
    /// Helm template syntax: at most once a source.
    Unrendered {
        /// Where it begins.
        line: u32,
    },
}

/// Reads all documents of a source. Errors become pieces: one bad document does not lose the
/// others.
pub(crate) fn read(source: Source<'_>, limits: &Limits, take: &mut dyn FnMut(Piece)) {
    let in_chart = source.chart.is_some();
    let mut unrendered = false;
    let mut documents = 0_usize;
    let mut sink = |chunk: Chunk| -> bool {
        documents += 1;
        if documents > limits.documents {
            take(Piece::Unreadable {
                line: chunk.line,
                why: format!("more than {} documents in one file", limits.documents),
            });
            return false;
        }
        match chunk.text {
            Err(why) => take(Piece::Unreadable {
                line: chunk.line,
                why,
            }),
            Ok(text) => {
                let template = text.contains("{{");
                if template && in_chart {
                    if !unrendered {
                        take(Piece::Unrendered { line: chunk.line });
                    }
                    unrendered = true;
                    return true;
                }
                if let Err((line, why)) = document(&text, chunk.line, limits, take) {
                    if template {
                        if !unrendered {
                            take(Piece::Unrendered { line: chunk.line });
                        }
                        unrendered = true;
                    } else {
                        take(Piece::Unreadable { line, why });
                    }
                }
            }
        }
        true
    };
    split(source.reader, limits, &mut sink);
}

fn document(
    text: &str,
    start: u32,
    limits: &Limits,
    take: &mut dyn FnMut(Piece),
) -> Result<(), (u32, String)> {
    let at = |line: u32| start.saturating_add(line).saturating_sub(1);
    match yaml::parse(text, limits) {
        Ok(None) => Ok(()),
        Ok(Some(Parsed {
            value,
            line,
            lines,
            nodes,
        })) => {
            take(Piece::Document(Document {
                value,
                line: at(line),
                lines: lines.into_iter().map(|(p, l)| (p, at(l))).collect(),
                helm: helm_source(text),
                nodes,
            }));
            Ok(())
        }
        Err(fault) => {
            // JSON with tabs, or several JSON texts in a row, is no YAML but is accepted by kubectl.
            let body = text.strip_prefix("---").unwrap_or(text);
            let looks_json = body.trim_start().starts_with(['{', '[']);
            if let Some(pieces) = looks_json.then(|| json(body, start, limits)).flatten() {
                pieces.into_iter().for_each(take);
                return Ok(());
            }
            Err((at(fault.line), fault.why))
        }
    }
}

/// The path in a `# Source: chart/templates/x.yaml` comment before the first node.
fn helm_source(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .take_while(|l| l.is_empty() || l.starts_with('#') || l.starts_with("---"))
        .find_map(|l| l.strip_prefix("# Source: "))
        .map(|p| p.trim().chars().take(512).collect())
}

/// JSON texts in a row; `None` when they are not JSON.
fn json(text: &str, start: u32, limits: &Limits) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut nodes = 0;
    let mut rest = text;
    let mut line = start;
    loop {
        let trimmed = rest.trim_start();
        line = line.saturating_add(newlines(rest.get(..rest.len() - trimmed.len())?));
        if trimmed.is_empty() {
            return Some(pieces);
        }
        let mut reader = serde_json::Deserializer::from_str(trimmed).into_iter::<Strict>();
        let value = reader.next()?.ok()?.0;
        let used = reader.byte_offset();
        let before = nodes;
        count(&value, &mut nodes);
        if nodes > limits.nodes {
            return None;
        }
        pieces.push(Piece::Document(Document {
            value,
            line,
            lines: Vec::new(),
            helm: None,
            nodes: nodes - before,
        }));
        line = line.saturating_add(newlines(trimmed.get(..used)?));
        rest = trimmed.get(used..)?;
    }
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|b| *b == b'\n').count()).unwrap_or(u32::MAX)
}

fn count(value: &Value, nodes: &mut usize) {
    *nodes += 1;
    match value {
        Value::Array(items) => items.iter().for_each(|v| count(v, nodes)),
        Value::Object(map) => map.values().for_each(|v| count(v, nodes)),
        _ => {}
    }
}

/// A JSON value whose objects name no key twice. Its depth is bounded by serde_json (128).
struct Strict(Value);

impl<'de> serde::Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictSeed.deserialize(deserializer).map(Strict)
    }
}

struct StrictSeed;

impl<'de> DeserializeSeed<'de> for StrictSeed {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictSeed {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(StrictSeed)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom("a key is there twice"));
            }
            map.insert(key, access.next_value_seed(StrictSeed)?);
        }
        Ok(Value::Object(map))
    }
}

/// The bytes between two `---` lines, checked to be text.
struct Chunk {
    line: u32,
    text: Result<String, String>,
}

/// Cuts a stream at its `---` lines, as Kubernetes does, never holding more than a document.
fn split(reader: impl Read, limits: &Limits, take: &mut dyn FnMut(Chunk) -> bool) {
    let mut reader = BufReader::with_capacity(64 << 10, reader.take(limits.file_bytes + 1));
    let mut seen: u64 = 0;
    let mut line: u32 = 0;
    let mut begin: u32 = 1;
    let mut text: Vec<u8> = Vec::new();
    // Set while the rest of a document that cannot be read is passed over.
    let mut fault: Option<(u32, String)> = None;
    let mut row: Vec<u8> = Vec::new();
    loop {
        row.clear();
        let room = limits.document_bytes.saturating_sub(text.len()) as u64 + 1;
        let got = match reader.by_ref().take(room).read_until(b'\n', &mut row) {
            Ok(n) => n,
            Err(e) => {
                take(Chunk {
                    line: line.max(1),
                    text: Err(format!("reading failed: {e}")),
                });
                return;
            }
        };
        seen += got as u64;
        if got == 0 || seen > limits.file_bytes {
            if seen > limits.file_bytes {
                fault.get_or_insert((
                    line + 1,
                    format!("the file is larger than {} bytes", limits.file_bytes),
                ));
            }
            take(chunk(begin, &mut text, fault));
            return;
        }
        line = line.saturating_add(1);
        if row.contains(&0) {
            let why = if row.starts_with(&[0xff, 0xfe]) || row.starts_with(&[0xfe, 0xff]) {
                "the file is UTF-16; only UTF-8 is read"
            } else {
                "a NUL byte: the file is no text"
            };
            take(chunk(begin, &mut text, Some((line, why.into()))));
            return;
        }
        if is_separator(&row) {
            if !take(chunk(begin, &mut text, fault.take())) {
                return;
            }
            begin = line;
        }
        if fault.is_none() {
            text.extend_from_slice(&row);
            if text.len() > limits.document_bytes {
                fault = Some((
                    line,
                    format!(
                        "the document is larger than {} bytes",
                        limits.document_bytes
                    ),
                ));
                text = Vec::new();
            }
        }
        // The rest of a line that was too long.
        while row.last() != Some(&b'\n') {
            row.clear();
            let more = reader.by_ref().take(64 << 10).read_until(b'\n', &mut row);
            match more {
                Ok(0) | Err(_) => break,
                Ok(n) => seen += n as u64,
            }
            if fault.is_none() {
                text.extend_from_slice(&row);
            }
        }
    }
}

fn is_separator(row: &[u8]) -> bool {
    row.strip_prefix(b"---")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\t' | b'\r' | b'\n')))
}

fn chunk(line: u32, text: &mut Vec<u8>, fault: Option<(u32, String)>) -> Chunk {
    let bytes = std::mem::take(text);
    if let Some((line, why)) = fault {
        return Chunk {
            line,
            text: Err(why),
        };
    }
    match String::from_utf8(bytes) {
        Ok(text) => Chunk {
            line,
            text: Ok(match text.strip_prefix('\u{feff}') {
                Some(rest) => rest.to_owned(),
                None => text,
            }),
        },
        Err(e) => {
            let before = e.as_bytes().get(..e.utf8_error().valid_up_to());
            let rows = before.map_or(0, |b| b.iter().filter(|b| **b == b'\n').count());
            Chunk {
                line: line.saturating_add(u32::try_from(rows).unwrap_or(u32::MAX)),
                text: Err("bytes that are not UTF-8".into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pieces(bytes: &[u8]) -> Vec<Piece> {
        let mut all = Vec::new();
        read(Source::new("f", bytes), &Limits::default(), &mut |p| {
            all.push(p)
        });
        all
    }

    fn brief(bytes: &[u8]) -> Vec<String> {
        pieces(bytes)
            .into_iter()
            .map(|p| match p {
                Piece::Document(d) => format!("{}: {}", d.line, d.value),
                Piece::Unreadable { line, why } => format!("{line}! {why}"),
                Piece::Unrendered { line } => format!("{line}? template"),
            })
            .collect()
    }

    #[test]
    fn one_bad_document_does_not_lose_the_others() {
        assert_eq!(
            brief(
                b"\xef\xbb\xbfa: 1\r\n---\r\nb: [\r\n--- # x\nc: 3\n---\n\xff\n---\n# e\n---\nd: 4"
            ),
            [
                "1: {\"a\":1}",
                "3! unclosed bracket '['",
                "5: {\"c\":3}",
                "7! bytes that are not UTF-8",
                "11: {\"d\":4}"
            ]
        );
    }

    #[test]
    fn json_texts_and_templates() {
        assert_eq!(
            brief(b"{\n\t\"a\": 1\n}\n{\"b\": 2}"),
            ["1: {\"a\":1}", "4: {\"b\":2}"]
        );
        assert_eq!(brief(b"{\"a\": 1,\n\t\"a\": 2}").len(), 1);
        assert_eq!(
            brief(b"a: 1\n---\nx: {{ .Values.x }}\n---\n{{ if }}\n"),
            ["1: {\"a\":1}", "2? template"]
        );
        let Some(Piece::Document(d)) =
            pieces(b"---\n# Source: shop/templates/a.yaml\na: 1\n").pop()
        else {
            panic!("no document")
        };
        assert_eq!(d.helm.as_deref(), Some("shop/templates/a.yaml"));
        assert_eq!(d.value, json!({"a": 1}));
    }

    /// A source of `n` equal bytes that allocates nothing.
    struct Endless(u8, u64);
    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = out.len().min(usize::try_from(self.1).unwrap());
            out[..n].fill(self.0);
            self.1 -= n as u64;
            Ok(n)
        }
    }

    #[test]
    fn huge_inputs_are_refused_by_line() {
        let run = |reader: Box<dyn Read + Send>| {
            let mut all = Vec::new();
            let source = Source {
                name: "f".into(),
                reader,
                chart: None,
            };
            read(source, &Limits::default(), &mut |p| all.push(p));
            all
        };
        assert_eq!(
            run(Box::new(Endless(0, 1 << 30))),
            [Piece::Unreadable {
                line: 1,
                why: "a NUL byte: the file is no text".into()
            }]
        );
        let scalar = b"a: 1\n---\nb: "
            .chain(Endless(b'x', 20 << 20))
            .chain(&b"\n---\nc: 3\n"[..]);
        let got = run(Box::new(scalar));
        assert_eq!(got.len(), 3);
        assert_eq!(
            got[1],
            Piece::Unreadable {
                line: 3,
                why: "the document is larger than 4194304 bytes".into()
            }
        );
        let got = run(Box::new(Endless(b'x', 100 << 20)));
        assert_eq!(got.len(), 1);
        assert!(matches!(&got[0], Piece::Unreadable { line: 1, .. }));
    }
}
