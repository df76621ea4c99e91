//! Parts of the source content as the bytes that they are, to be embedded in results.

use crate::xml::XmlError;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::HashMap;
use std::io::{self, Write};

/// An element of a document, with the namespace declarations that it inherits.
#[derive(Debug, Clone)]
pub struct Fragment<'a> {
    before: &'a [u8],
    inherited: Vec<u8>,
    after: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// A whole document, without what may stand only at its beginning.
    pub fn document(bytes: &'a [u8]) -> Self {
        Self {
            before: without_declaration(bytes),
            inherited: Vec::new(),
            after: &[],
        }
    }

    /// Writes it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(self.before)?;
        out.write_all(&self.inherited)?;
        out.write_all(self.after)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        [self.before, &self.inherited, self.after].concat()
    }
}

/// The bytes after a byte order mark and `<?xml …?>`.
pub fn without_declaration(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if !bytes.starts_with(b"<?xml") {
        return bytes;
    }
    let end = bytes.windows(2).position(|two| two == b"?>");
    end.and_then(|end| bytes.get(end + 2..))
        .unwrap_or(bytes)
        .trim_ascii_start()
}

type Declarations = Vec<(Vec<u8>, Vec<u8>)>;

fn declarations(start: &BytesStart<'_>) -> Declarations {
    start
        .attributes()
        .filter_map(Result::ok)
        .filter(|attribute| attribute.key.as_namespace_binding().is_some())
        .map(|attribute| {
            (
                attribute.key.as_ref().to_vec(),
                attribute.value.into_owned(),
            )
        })
        .collect()
}

/// The document in each component of a data stream collection, by the component's id. The
/// bytes were read as content before, so what they hold is bounded.
pub fn components(bytes: &[u8]) -> Result<HashMap<String, Fragment<'_>>, XmlError> {
    let mut reader = Reader::from_reader(bytes);
    let mut found = HashMap::new();
    let mut root: Option<Declarations> = None;
    let mut inside: Option<(String, Declarations)> = None;
    loop {
        let begin = reader.buffer_position();
        let event = reader.read_event().map_err(wrong)?;
        match event {
            Event::Start(start) if root.is_none() => root = Some(declarations(&start)),
            Event::Start(start) if inside.is_none() => {
                if start.local_name().as_ref() != b"component" {
                    reader.read_to_end(start.name()).map_err(wrong)?;
                    continue;
                }
                let id = start.attributes().filter_map(Result::ok).find_map(|one| {
                    (one.key.local_name().as_ref() == b"id")
                        .then(|| String::from_utf8_lossy(&one.value).into_owned())
                });
                let mut all = root.clone().unwrap_or_default();
                for own in declarations(&start) {
                    all.retain(|(name, _)| *name != own.0);
                    all.push(own);
                }
                inside = Some((id.unwrap_or_default(), all));
            }
            Event::Start(start) => {
                reader.read_to_end(start.name()).map_err(wrong)?;
                let end = reader.buffer_position();
                if let Some((id, all)) = &inside
                    && let Some(fragment) = cut(bytes, begin, end, &start, all)
                {
                    found.entry(id.clone()).or_insert(fragment);
                }
            }
            Event::End(_) if inside.is_none() => return Ok(found),
            Event::End(_) => inside = None,
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

fn cut<'a>(
    bytes: &'a [u8],
    begin: u64,
    end: u64,
    start: &BytesStart<'_>,
    around: &Declarations,
) -> Option<Fragment<'a>> {
    let own = declarations(start);
    let mut inherited = Vec::new();
    for (name, value) in around {
        if !own.iter().any(|(known, _)| known == name) {
            inherited.push(b' ');
            inherited.extend_from_slice(name);
            // The value is as it was written, so only its own kind of quote cannot be in it.
            let quote = if value.contains(&b'"') { b'\'' } else { b'"' };
            inherited.push(b'=');
            inherited.push(quote);
            inherited.extend_from_slice(value);
            inherited.push(quote);
        }
    }
    let begin = usize::try_from(begin).ok()?;
    let end = usize::try_from(end).ok()?;
    let name_end = begin + 1 + start.name().as_ref().len();
    Some(Fragment {
        before: bytes.get(begin..name_end)?,
        inherited,
        after: bytes.get(name_end..end)?,
    })
}

fn wrong(error: quick_xml::Error) -> XmlError {
    XmlError {
        line: 0,
        what: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_cut_with_the_namespaces_they_inherit() {
        let bytes = b"<?xml version='1.0'?><ds:c xmlns:ds='urn:ds' xmlns:o='urn:o' xmlns='urn:d'><ds:data-stream><x/></ds:data-stream><ds:component id='a' xmlns:p='urn:p'> <o:r xmlns:p='urn:q'>t<o:r/></o:r>\n</ds:component><ds:component id='b'/><ds:component id='e'><y>&lt;</y></ds:component></ds:c>";
        let found = components(bytes).unwrap();
        let text = |id: &str| String::from_utf8(found[id].bytes()).unwrap();
        assert_eq!(
            text("a"),
            "<o:r xmlns:ds=\"urn:ds\" xmlns:o=\"urn:o\" xmlns=\"urn:d\" xmlns:p='urn:q'>t<o:r/></o:r>"
        );
        assert!(text("e").ends_with(">&lt;</y>"), "{}", text("e"));
        assert_eq!(found.len(), 2);
        crate::xml::parse(text("a").as_bytes()).unwrap();
    }

    #[test]
    fn declarations_go() {
        assert_eq!(
            without_declaration(b"\xef\xbb\xbf<?xml version='1.0'?>\n<a/>"),
            b"<a/>"
        );
        assert_eq!(without_declaration(b"<a/>"), b"<a/>");
    }
}
