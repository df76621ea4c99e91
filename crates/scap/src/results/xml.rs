//! XML written element by element; any text may be given.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use std::borrow::Cow;
use std::io::{self, Write};

/// A document that is being written, indented.
pub struct Xml<W: Write> {
    inner: Writer<W>,
}

impl<W: Write> Xml<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        Self {
            inner: Writer::new_with_indent(out, b' ', 2),
        }
    }

    /// `<?xml …?>`.
    pub fn declaration(&mut self) -> io::Result<()> {
        let declaration = BytesDecl::new("1.0", Some("UTF-8"), None);
        self.inner.write_event(Event::Decl(declaration))
    }

    /// Begins an element; attributes with an empty value are written too.
    pub fn open(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.inner
            .write_event(Event::Start(start(name, attributes)))
    }

    /// Ends an element.
    pub fn close(&mut self, name: &str) -> io::Result<()> {
        self.inner.write_event(Event::End(BytesEnd::new(name)))
    }

    /// An element with nothing in it.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.inner
            .write_event(Event::Empty(start(name, attributes)))
    }

    /// An element with text in it.
    pub fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> io::Result<()> {
        if text.is_empty() {
            return self.empty(name, attributes);
        }
        self.open(name, attributes)?;
        let text = clean(text);
        self.inner
            .write_event(Event::Text(BytesText::new(text.as_ref())))?;
        self.close(name)
    }

    /// The place to write bytes that are XML already.
    pub fn raw(&mut self) -> io::Result<&mut W> {
        let out = self.inner.get_mut();
        out.write_all(b"\n")?;
        Ok(out)
    }

    /// Ends the document.
    pub fn finish(self) -> io::Result<W> {
        let mut out = self.inner.into_inner();
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(out)
    }
}

fn start<'a>(name: &'a str, attributes: &[(&str, &str)]) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for (key, value) in attributes {
        start.push_attribute((*key, clean(value).as_ref()));
    }
    start
}

/// The text without the characters that XML cannot hold, not even escaped: each becomes
/// U+FFFD.
fn clean(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(is_bad) {
        Cow::Owned(text.replace(is_bad, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text as an XML name: other characters become `_`.
pub(super) fn ncname(text: &str) -> String {
    let mut name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
                c
            } else {
                '_'
            }
        })
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "</a><b x=\"1\">&amp;]]>\u{1}\0\u{ffff}<!--";
        let mut xml = Xml::new(Vec::new());
        xml.declaration().unwrap();
        xml.open("r", &[("k", hostile)]).unwrap();
        xml.leaf("a", &[], hostile).unwrap();
        xml.close("r").unwrap();
        let root = parse(&xml.finish().unwrap()).unwrap();
        let expected = "</a><b x=\"1\">&amp;]]>\u{fffd}\u{fffd}\u{fffd}<!--";
        assert_eq!(root.attribute("k"), Some(expected));
        assert_eq!(root.elements().count(), 1);
        assert_eq!(root.child("a").unwrap().text(), expected);
    }

    #[test]
    fn names_are_names() {
        assert_eq!(ncname("(all)"), "_all_");
        assert_eq!(ncname("1 a:b"), "_1_a_b");
        assert_eq!(ncname("x-1.y"), "x-1.y");
    }
}
