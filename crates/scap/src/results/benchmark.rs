//! A benchmark with its `TestResult` in it: what `oscap xccdf eval --results` writes, and what
//! `oscap xccdf validate` can judge, as a `TestResult` alone refers to rules that are not there.

use super::arf::Source;
use super::fragment::{Fragment, components};
use super::testresult::{self, Context, Subject};
use super::xml::Xml;
use crate::xccdf::outcome::UsedCheck;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::io::{self, Write};

/// Writes the benchmark of `component` with the results; without one a `TestResult` alone.
pub fn write<W: Write>(
    mut out: W,
    source: Source<'_>,
    component: &str,
    subject: &Subject<'_>,
    context: &Context,
) -> io::Result<W> {
    let benchmark = match source {
        Source::DataStream(bytes) => components(bytes)
            .map_err(io::Error::other)?
            .remove(component)
            .map(|fragment| fragment.bytes()),
        Source::Files { benchmark, .. } => Some(Fragment::document(benchmark.1).bytes()),
    };
    let benchmark = benchmark.unwrap_or_default();
    let Some((before, after)) = at_the_end(&benchmark) else {
        return testresult::write(out, subject, context);
    };
    out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
    out.write_all(before)?;
    let mut xml = Xml::new(out);
    let href = &|check: &UsedCheck| check.href.to_string();
    testresult::element(&mut xml, subject, context, &context.benchmark_href, href)?;
    let mut out = xml.finish()?;
    out.write_all(after)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(out)
}

/// A `Benchmark` cut where results may stand: before its signature, or its end.
fn at_the_end(document: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader::from_reader(document);
    let mut inside = false;
    loop {
        let here = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Start(root) if !inside => {
                if root.local_name().as_ref() != b"Benchmark" {
                    return None;
                }
                inside = true;
            }
            Event::Start(child) if child.local_name().as_ref() != b"signature" => {
                reader.read_to_end(child.name()).ok()?;
            }
            Event::Start(_) | Event::End(_) => return document.split_at_checked(here),
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testresult::tests::{bundle, context, evaluation};
    use super::*;
    use crate::xccdf::select::Policy;
    use crate::xml::parse;

    #[test]
    fn results_stand_at_the_end_of_the_benchmark() {
        let bundle = bundle();
        let chosen = bundle.benchmark(None, None).unwrap();
        let policy = Policy::new(chosen.benchmark, None, None).unwrap();
        let evaluation = evaluation();
        let subject = Subject {
            benchmark: chosen.benchmark,
            policy: &policy,
            evaluation: &evaluation,
        };
        let of = |bytes: &[u8]| {
            let source = Source::Files {
                benchmark: ("b.xml", bytes),
                others: &[],
            };
            let written = write(Vec::new(), source, "", &subject, &context()).unwrap();
            let root = parse(&written).unwrap();
            let inside: Vec<String> = root.elements().map(|one| one.name.to_string()).collect();
            (root.name.to_string(), inside)
        };
        let names = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let (root, inside) = of(b"<?xml version='1.0'?><x:Benchmark xmlns:x='urn:x'><x:Rule/><x:Rule>t</x:Rule></x:Benchmark><!-- </x:Benchmark> -->");
        assert_eq!(root, "Benchmark");
        assert_eq!(inside, names(&["Rule", "Rule", "TestResult"]));
        let (_, inside) = of(b"<Benchmark><Rule></Rule><signature>s</signature></Benchmark>");
        assert_eq!(inside, names(&["Rule", "TestResult", "signature"]));
        for other in ["<Benchmark/>", "<Other><Benchmark></Benchmark></Other>", ""] {
            assert_eq!(of(other.as_bytes()).0, "TestResult", "{other}");
        }
    }
}
