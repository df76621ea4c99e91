//! Canonical XML 1.0 and 1.1 and Exclusive XML Canonicalization 1.0 of one element.
//!
//! The document is read once more from its beginning for each element: what is in scope there
//! is known then, and nothing but the canonical form is held.

use super::Place;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;

/// How an element becomes bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Only the namespaces that are used.
    pub exclusive: bool,
    /// Version 1.1: what `xml:` attributes are inherited.
    pub newer: bool,
    pub comments: bool,
    /// Prefixes that are treated as in the inclusive form.
    pub inclusive: Vec<String>,
}

impl Method {
    /// The method of an algorithm's name.
    pub fn named(algorithm: &str) -> Option<Self> {
        let (name, comments) = match algorithm.strip_suffix("WithComments") {
            Some(name) => (name.strip_suffix('#').unwrap_or(name), true),
            None => (algorithm, false),
        };
        let (exclusive, newer) = match name.trim_end_matches('#') {
            "http://www.w3.org/TR/2001/REC-xml-c14n-20010315" => (false, false),
            "http://www.w3.org/2006/12/xml-c14n11" => (false, true),
            "http://www.w3.org/2001/10/xml-exc-c14n" => (true, false),
            _ => return None,
        };
        Some(Self {
            exclusive,
            newer,
            comments,
            inclusive: Vec::new(),
        })
    }
}

const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// A declaration: the depth of its element, prefix and namespace.
type Declared = (usize, String, String);

fn scope<'d>(declared: &'d [Declared], prefix: &str) -> Option<&'d str> {
    let mut inner = declared.iter().rev();
    inner
        .find(|(_, known, _)| known == prefix)
        .map(|(_, _, namespace)| &**namespace)
}

/// The canonical form of the element whose tag begins at a place, or of the whole document;
/// `without` is where an element begins that is left out.
pub fn canonical(
    bytes: &[u8],
    of: Option<Place>,
    without: Option<Place>,
    method: &Method,
) -> Result<Vec<u8>, String> {
    let mut reader = Reader::from_reader(bytes);
    reader.config_mut().expand_empty_elements = true;
    let mut writer = Writer {
        out: Vec::new(),
        method,
        scope: Vec::new(),
        rendered: Vec::new(),
        inherited: Vec::new(),
        depth: 0,
    };
    // The depth of the element that is written, or left out.
    let mut inside = None;
    let mut left_out = None;
    let mut was_root = false;
    loop {
        let place = Place(reader.buffer_position());
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let writing = (inside.is_some() || of.is_none()) && left_out.is_none();
        match event {
            Event::Start(start) => {
                writer.depth += 1;
                if inside.is_none() && of.is_none_or(|of| of == place) {
                    inside = Some(writer.depth);
                }
                if left_out.is_none() && without == Some(place) {
                    left_out = Some(writer.depth);
                }
                was_root = true;
                let writing = inside.is_some() && left_out.is_none();
                writer.start(&start, writing, inside == Some(writer.depth))?;
            }
            Event::End(end) => {
                if writing {
                    writer.out.extend(b"</");
                    writer.out.extend(end.name().as_ref());
                    writer.out.push(b'>');
                }
                writer.leave();
                if left_out == Some(writer.depth + 1) {
                    left_out = None;
                }
                if inside == Some(writer.depth + 1) && of.is_some() {
                    return Ok(writer.out);
                }
            }
            Event::Text(text) if writing && writer.depth > 0 => writer.text(&plain(&text)?),
            Event::CData(text) if writing => writer.text(&plain(&text)?),
            Event::GeneralRef(reference) if writing => {
                let reference = utf8(&reference)?;
                let character = referred(reference)?;
                writer.text(&character);
            }
            Event::Comment(comment) if writing && method.comments => {
                writer.outside(was_root, &[b"<!--", plain(&comment)?.as_bytes(), b"-->"]);
            }
            Event::PI(instruction) if writing => {
                let text = plain(&instruction)?;
                writer.outside(was_root, &[b"<?", text.trim_end().as_bytes(), b"?>"]);
            }
            Event::DocType(_) => return Err("a document type".into()),
            Event::Eof if of.is_none() && was_root => return Ok(writer.out),
            Event::Eof => return Err("the signed element is not there".into()),
            _ => {}
        }
    }
}

struct Writer<'m> {
    out: Vec<u8>,
    method: &'m Method,
    /// What is declared where we are, and what of it was written.
    scope: Vec<Declared>,
    rendered: Vec<Declared>,
    /// `xml:` attributes of the elements above, the innermost last.
    inherited: Vec<Declared>,
    depth: usize,
}

impl Writer<'_> {
    fn leave(&mut self) {
        let depth = self.depth;
        for declared in [&mut self.scope, &mut self.rendered, &mut self.inherited] {
            while declared.last().is_some_and(|(at, ..)| *at >= depth) {
                declared.pop();
            }
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// What stands beside the root has a line of its own.
    fn outside(&mut self, was_root: bool, parts: &[&[u8]]) {
        let is_outside = self.depth == 0;
        if is_outside && was_root {
            self.out.push(b'\n');
        }
        for part in parts {
            self.out.extend(*part);
        }
        if is_outside && !was_root {
            self.out.push(b'\n');
        }
    }

    fn start(&mut self, start: &BytesStart<'_>, writing: bool, first: bool) -> Result<(), String> {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = utf8(attribute.key.as_ref())?.to_owned();
            let value = attribute_value(utf8(&attribute.value)?)?;
            match name.strip_prefix("xmlns") {
                Some("") => self.scope.push((self.depth, String::new(), value)),
                Some(prefix) if prefix.starts_with(':') => {
                    let prefix = prefix.trim_start_matches(':').to_owned();
                    self.scope.push((self.depth, prefix, value));
                }
                _ => attributes.push((name, value)),
            }
        }
        let own: Vec<(String, String)> = attributes
            .iter()
            .filter(|(name, _)| name.starts_with("xml:"))
            .cloned()
            .collect();
        if writing {
            if first && !self.method.exclusive {
                self.inherit(&mut attributes)?;
            }
            self.write(utf8(start.name().as_ref())?, attributes, first)?;
        }
        for (name, value) in own {
            self.inherited.push((self.depth, name, value));
        }
        Ok(())
    }

    /// Adds the `xml:` attributes of the elements above the first one.
    fn inherit(&self, attributes: &mut Vec<(String, String)>) -> Result<(), String> {
        for (_, name, value) in self.inherited.iter().rev() {
            if attributes.iter().any(|(known, _)| known == name) {
                continue;
            }
            match (&**name, self.method.newer) {
                ("xml:id", true) => continue,
                ("xml:base", true) => return Err("xml:base above what is signed".into()),
                ("xml:lang" | "xml:space", _) | (_, false) => {}
                _ => continue,
            }
            attributes.push((name.clone(), value.clone()));
        }
        Ok(())
    }

    fn write(
        &mut self,
        name: &str,
        attributes: Vec<(String, String)>,
        first: bool,
    ) -> Result<(), String> {
        self.out.push(b'<');
        self.out.extend(name.as_bytes());
        let mut prefixes: Vec<String> = Vec::new();
        if self.method.exclusive {
            let of = |name: &str| name.split_once(':').map(|(prefix, _)| prefix.to_owned());
            prefixes.push(of(name).unwrap_or_default());
            prefixes.extend(attributes.iter().filter_map(|(name, _)| of(name)));
            let listed = self.scope.iter().map(|(_, prefix, _)| prefix);
            prefixes.extend(
                listed
                    .filter(|prefix| self.method.inclusive.contains(prefix))
                    .cloned(),
            );
        } else {
            // Below the first, only what is declared here can be new.
            let here = self
                .scope
                .iter()
                .filter(|(at, ..)| first || *at == self.depth);
            prefixes.extend(here.map(|(_, prefix, _)| prefix.clone()));
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        for prefix in prefixes {
            if prefix == "xml" {
                continue;
            }
            let namespace = match scope(&self.scope, &prefix) {
                Some(namespace) => namespace,
                None if prefix.is_empty() => "",
                None => return Err(format!("prefix {prefix:?} is not declared")),
            };
            if scope(&self.rendered, &prefix).unwrap_or_default() == namespace {
                continue;
            }
            let namespace = namespace.to_owned();
            self.out.extend(b" xmlns");
            if !prefix.is_empty() {
                self.out.push(b':');
                self.out.extend(prefix.as_bytes());
            }
            self.value(&namespace);
            self.rendered.push((self.depth, prefix, namespace));
        }
        let mut sorted = Vec::new();
        for (name, value) in attributes {
            let (namespace, local) = match name.split_once(':') {
                Some(("xml", local)) => (XML.to_owned(), local.to_owned()),
                Some((prefix, local)) => {
                    let namespace = scope(&self.scope, prefix)
                        .ok_or_else(|| format!("prefix {prefix:?} is not declared"))?;
                    (namespace.to_owned(), local.to_owned())
                }
                None => (String::new(), name.clone()),
            };
            sorted.push((namespace, local, name, value));
        }
        sorted.sort_unstable();
        for (_, _, name, value) in sorted {
            self.out.push(b' ');
            self.out.extend(name.as_bytes());
            self.value(&value);
        }
        self.out.push(b'>');
        Ok(())
    }

    fn value(&mut self, value: &str) {
        self.out.extend(b"=\"");
        for byte in value.bytes() {
            match byte {
                b'&' => self.out.extend(b"&amp;"),
                b'<' => self.out.extend(b"&lt;"),
                b'"' => self.out.extend(b"&quot;"),
                b'\t' => self.out.extend(b"&#x9;"),
                b'\n' => self.out.extend(b"&#xA;"),
                b'\r' => self.out.extend(b"&#xD;"),
                other => self.out.push(other),
            }
        }
        self.out.push(b'"');
    }

    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'&' => self.out.extend(b"&amp;"),
                b'<' => self.out.extend(b"&lt;"),
                b'>' => self.out.extend(b"&gt;"),
                b'\r' => self.out.extend(b"&#xD;"),
                other => self.out.push(other),
            }
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned())
}

/// Text with lines' ends as XML reads them.
fn plain(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let text = utf8(bytes)?;
    Ok(match text.contains('\r') {
        true => text.replace("\r\n", "\n").replace('\r', "\n").into(),
        false => text.into(),
    })
}

/// What `&…;` means.
fn referred(name: &str) -> Result<String, String> {
    let known = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        }
        .and_then(char::from_u32)
        .map(String::from),
        None => quick_xml::escape::resolve_predefined_entity(name).map(str::to_owned),
    };
    known.ok_or_else(|| format!("entity &{name}; is not known"))
}

/// An attribute's value as XML reads it: blanks written as such are spaces.
fn attribute_value(raw: &str) -> Result<String, String> {
    let mut value = String::with_capacity(raw.len());
    let mut parts = raw.split('&');
    let blanks = |text: &str| text.replace("\r\n", " ").replace(['\r', '\n', '\t'], " ");
    value.push_str(&blanks(parts.next().unwrap_or_default()));
    for part in parts {
        let (name, rest) = part
            .split_once(';')
            .ok_or("an entity in an attribute does not end")?;
        value.push_str(&referred(name)?);
        value.push_str(&blanks(rest));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(algorithm: &str) -> Method {
        Method::named(algorithm).unwrap()
    }

    fn of(text: &str, element: &str, method: &Method) -> String {
        let place = Place(text.find(element).unwrap() as u64);
        let bytes = canonical(text.as_bytes(), Some(place), None, method).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_forms_differ_in_what_they_inherit() {
        let old = method("http://www.w3.org/TR/2001/REC-xml-c14n-20010315");
        let new = method("http://www.w3.org/2006/12/xml-c14n11");
        let exclusive = method("http://www.w3.org/2001/10/xml-exc-c14n#");
        let text = "<r xmlns='urn:d' xmlns:b='urn:b' xmlns:a='urn:a' xml:lang='en' xml:id='i'>\
                    <a:e z='1' b:y='2' a:x='3'/><e/></r>";
        let all = r#"xmlns="urn:d" xmlns:a="urn:a" xmlns:b="urn:b""#;
        assert_eq!(
            of(text, "<a:e", &old),
            format!(r#"<a:e {all} z="1" xml:id="i" xml:lang="en" a:x="3" b:y="2"></a:e>"#)
        );
        assert_eq!(
            of(text, "<e/>", &new),
            format!(r#"<e {all} xml:lang="en"></e>"#)
        );
        assert_eq!(
            of(text, "<a:e", &exclusive),
            r#"<a:e xmlns:a="urn:a" xmlns:b="urn:b" z="1" a:x="3" b:y="2"></a:e>"#
        );
        let mut listed = exclusive;
        listed.inclusive = vec!["b".into()];
        assert_eq!(
            of(text, "<e/>", &listed),
            r#"<e xmlns="urn:d" xmlns:b="urn:b"></e>"#
        );
    }

    #[test]
    fn text_and_values_are_as_xml_reads_them() {
        let new = method("http://www.w3.org/2006/12/xml-c14n11");
        let text = "<r xmlns='u'><e a='&quot;&#10;\t&lt;>'>x &gt;&amp;&#xd;\r\n<![CDATA[<&]]><!-- c --><?p q ?>\
                    <f xmlns=''><g/></f><h xmlns='u'/></e></r>";
        assert_eq!(
            of(text, "<e", &new),
            "<e xmlns=\"u\" a=\"&quot;&#xA; &lt;>\">x &gt;&amp;&#xD;\n&lt;&amp;<?p q?>\
             <f xmlns=\"\"><g></g></f><h></h></e>"
        );
        let comments = method("http://www.w3.org/2006/12/xml-c14n11#WithComments");
        assert!(of(text, "<e", &comments).contains("<!-- c -->"));
        let whole = "<?xml version='1.0'?>\n<?a b?>\n<r><s/>t</r>\n<?c d?>\n";
        let without = Some(Place(whole.find("<s").unwrap() as u64));
        let bytes = canonical(whole.as_bytes(), None, without, &new).unwrap();
        assert_eq!(bytes, b"<?a b?>\n<r>t</r>\n<?c d?>");
    }
}
