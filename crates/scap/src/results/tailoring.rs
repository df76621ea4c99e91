//! The tailoring that was used, put into the data stream that ARF embeds.

use super::arf::Parts;
use super::fragment::Fragment;
use super::testresult::TailoringFile;
use crate::content::Target;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::io::{self, Write};

/// The id of the component.
pub(super) const TAILORING: &str = "scap_org.bartizan_comp_tailoring";
const REFERENCE: &str = "scap_org.bartizan_cref_tailoring";
const NAMESPACES: &str = "xmlns:ds=\"http://scap.nist.gov/schema/scap/source/1.2\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"";

/// Where things may be put into a collection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// The end of the checklists of a stream.
    reference: usize,
    /// Before the first component.
    component: usize,
}

impl Places {
    /// In the stream that has the benchmark. None where there is no place, as in streams
    /// whose list is not written out.
    pub fn in_stream(bytes: &[u8], parts: &Parts<'_>) -> Option<Self> {
        let stream = parts.bundle.streams.iter().find(|stream| {
            let mut checklists = stream.checklists.iter();
            checklists
                .any(|one| matches!(&one.target, Target::Local(id) if **id == *parts.component))
        })?;
        Self::find(bytes, &stream.id)
    }

    fn find(bytes: &[u8], stream: &str) -> Option<Self> {
        let mut reader = Reader::from_reader(bytes);
        let mut depth = 0_u32;
        let mut wanted = false;
        let mut reference = None;
        loop {
            let here = usize::try_from(reader.buffer_position()).ok()?;
            match reader.read_event().ok()? {
                Event::Start(element) => match (depth, element.local_name().as_ref()) {
                    (0, _) => depth = 1,
                    (1, b"data-stream") => {
                        wanted = has_id(&element, stream);
                        depth = 2;
                    }
                    (1, b"component" | b"extended-component") => {
                        let component = here;
                        return reference.map(|reference| Self {
                            reference,
                            component,
                        });
                    }
                    (2, b"checklists") if wanted => {
                        let end = reader.read_to_end(element.name()).ok()?.end;
                        reference = usize::try_from(end).ok();
                    }
                    _ => {
                        reader.read_to_end(element.name()).ok()?;
                    }
                },
                Event::End(_) => depth = depth.checked_sub(1)?,
                Event::Eof => return None,
                _ => {}
            }
        }
    }

    /// Writes the collection with the tailoring in it.
    pub fn write(
        &self,
        out: &mut impl Write,
        bytes: &[u8],
        tailoring: &TailoringFile,
    ) -> io::Result<()> {
        let cut = bytes
            .split_at_checked(self.component)
            .and_then(|(before, after)| Some((before.split_at_checked(self.reference)?, after)));
        let Some(((first, second), third)) = cut else {
            return out.write_all(bytes);
        };
        out.write_all(first)?;
        write!(
            out,
            "<ds:component-ref {NAMESPACES} id=\"{REFERENCE}\" xlink:href=\"#{TAILORING}\"/>"
        )?;
        out.write_all(second)?;
        write!(
            out,
            "<ds:component {NAMESPACES} id=\"{TAILORING}\" timestamp=\"{}\">",
            super::testresult::moment(tailoring.time, "")
        )?;
        Fragment::document(&tailoring.content).write(out)?;
        out.write_all(b"</ds:component>")?;
        out.write_all(third)
    }
}

fn has_id(element: &BytesStart<'_>, id: &str) -> bool {
    let mut attributes = element.attributes().filter_map(Result::ok);
    attributes.any(|one| one.key.local_name().as_ref() == b"id" && *one.value == *id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::Timestamp;

    #[test]
    fn a_tailoring_is_put_into_its_stream() {
        let bytes = b"<c><data-stream id='a'><checklists><r/></checklists></data-stream><data-stream id='b'><checklists><r/></checklists><checks/></data-stream><component id='1'><checklists/></component></c>";
        let places = Places::find(bytes, "b").unwrap();
        let tailoring = TailoringFile {
            href: "t.xml".to_owned(),
            content: b"<?xml version='1.0'?><Tailoring/>".to_vec(),
            id: "t".to_owned(),
            version: "1".to_owned(),
            time: Timestamp::from_micros(0),
        };
        let mut out = Vec::new();
        places.write(&mut out, bytes, &tailoring).unwrap();
        let root = crate::xml::parse(&out).unwrap();
        let names: Vec<&str> = root.elements().map(|one| &*one.name).collect();
        assert_eq!(
            names,
            ["data-stream", "data-stream", "component", "component"]
        );
        let counts: Vec<usize> = root
            .named("data-stream")
            .map(|stream| stream.child("checklists").unwrap().elements().count())
            .collect();
        assert_eq!(counts, [1, 2]);
        let component = root.named("component").next().unwrap();
        assert_eq!(component.attribute("id"), Some(TAILORING));
        assert!(component.child("Tailoring").is_some());
        assert_eq!(Places::find(b"<c><data-stream id='b'/></c>", "b"), None);
    }
}
