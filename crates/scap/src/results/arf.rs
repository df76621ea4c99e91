//! ARF 1.1: the source content, the machine, the `TestResult` and OVAL results in one
//! document.

use super::fragment::{Fragment, components, without_declaration};
use super::oval::{self, Evaluated};
use super::tailoring::{Places, TAILORING};
use super::testresult::{self, Context, Subject, address};
use super::xml::{Xml, ncname};
use crate::content::{Bundle, DataStream, Target};
use crate::xccdf::outcome::UsedCheck;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

const ARF: &str = "http://scap.nist.gov/schema/asset-reporting-format/1.1";
const CORE: &str = "http://scap.nist.gov/schema/reporting-core/1.1";
const ASSET: &str = "http://scap.nist.gov/schema/asset-identification/1.1";
const VOCABULARY: &str = "http://scap.nist.gov/specifications/arf/vocabulary/relationships/1.0#";

/// The content as the bytes that it is, not packed (see [`crate::content::unpacked`]).
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A data stream collection: embedded as it is.
    DataStream(&'a [u8]),
    /// A plain benchmark, and the files that it names: made into a collection.
    Files {
        /// The benchmark's file name and bytes.
        benchmark: (&'a str, &'a [u8]),
        /// The names by which the benchmark knows the other files, and their bytes.
        others: &'a [(String, Vec<u8>)],
    },
}

/// What goes into an ARF document.
pub struct Parts<'a> {
    /// The content's bytes.
    pub source: Source<'a>,
    /// The content.
    pub bundle: &'a Bundle,
    /// The id of the component that the benchmark is in.
    pub component: &'a str,
    /// Files given beside the content, such as CPE's OVAL definitions.
    pub beside: &'a [(String, Vec<u8>)],
    /// What was judged.
    pub subject: Subject<'a>,
    /// What else is known.
    pub context: &'a Context,
    /// Evaluators: what results call the document, and what it found.
    pub evaluated: Vec<(Arc<str>, &'a dyn Evaluated)>,
}

/// Writes the document.
pub fn write<W: Write>(out: W, parts: &Parts<'_>) -> io::Result<W> {
    let cut = match parts.source {
        Source::DataStream(bytes) => components(bytes).map_err(io::Error::other)?,
        Source::Files { others, .. } => others
            .iter()
            .map(|(name, bytes)| (name.clone(), Fragment::document(bytes)))
            .collect(),
    };
    let reports: Vec<(String, &str, &dyn Evaluated)> = parts
        .evaluated
        .iter()
        .enumerate()
        .map(|(at, (href, evaluated))| (format!("oval{at}"), &**href, *evaluated))
        .collect();
    let mut xml = Xml::new(out);
    xml.declaration()?;
    let namespaces = [
        ("xmlns:arf", ARF),
        ("xmlns:core", CORE),
        ("xmlns:ai", ASSET),
    ];
    xml.open("arf:asset-report-collection", &namespaces)?;
    relationships(&mut xml)?;
    xml.open("arf:report-requests", &[])?;
    xml.open("arf:report-request", &[("id", "collection1")])?;
    xml.open("arf:content", &[])?;
    let mut context = Cow::Borrowed(parts.context);
    let tailoring = parts.context.tailoring.as_ref();
    let benchmark = match parts.source {
        Source::DataStream(bytes) => {
            let bytes = without_declaration(bytes);
            let place = tailoring.and_then(|file| Some((file, Places::in_stream(bytes, parts)?)));
            match place {
                Some((file, places)) => {
                    places.write(xml.raw()?, bytes, file)?;
                    if let Some(file) = &mut context.to_mut().tailoring {
                        file.href = format!("#{TAILORING}");
                    }
                }
                None => xml.raw()?.write_all(bytes)?,
            }
            format!("#{}", parts.component)
        }
        Source::Files { benchmark, others } => compose(&mut xml, benchmark, others)?,
    };
    xml.close("arf:content")?;
    xml.close("arf:report-request")?;
    xml.close("arf:report-requests")?;
    asset(&mut xml, parts.context)?;
    xml.open("arf:reports", &[])?;
    report(&mut xml, "xccdf1", |xml| {
        let at = |check: &UsedCheck| place(check, &reports);
        testresult::element(xml, &parts.subject, &context, &benchmark, &at)
    })?;
    for (id, href, evaluated) in &reports {
        let definitions = definitions(parts, &cut, href);
        report(&mut xml, id, |xml| {
            oval::element(xml, *evaluated, definitions.as_ref(), parts.context)
        })?;
    }
    xml.close("arf:reports")?;
    xml.close("arf:asset-report-collection")?;
    xml.finish()
}

/// The report that has a check's definition. One document may have many reports, which
/// differ in the values of variables; the first that evaluated the definition is named.
fn place(check: &UsedCheck, reports: &[(String, &str, &dyn Evaluated)]) -> String {
    let same = || reports.iter().filter(|(_, href, _)| *href == &*check.href);
    let has = |evaluated: &dyn Evaluated| {
        check.name.as_ref().is_none_or(|name| {
            let definitions = evaluated.definitions();
            definitions.iter().any(|(one, _)| one.id == *name)
        })
    };
    let mut candidates = same();
    let found = match (candidates.next(), candidates.next()) {
        (only, None) => only,
        _ => same()
            .find(|(_, _, evaluated)| has(*evaluated))
            .or_else(|| same().next()),
    };
    match found {
        Some((id, _, _)) => format!("#{id}"),
        None => check.href.to_string(),
    }
}

/// The definitions that results call by `href`.
fn definitions<'a>(
    parts: &Parts<'a>,
    cut: &HashMap<String, Fragment<'a>>,
    href: &str,
) -> Option<Fragment<'a>> {
    if let Some(id) = href.strip_prefix('#') {
        let streams = parts.bundle.streams.iter();
        let reference = streams
            .filter_map(|stream: &DataStream| stream.reference(id))
            .next()?;
        let Target::Local(component) = &reference.target else {
            return None;
        };
        return cut.get(&**component).cloned();
    }
    cut.get(href).cloned().or_else(|| {
        let beside = parts.beside.iter().find(|(name, _)| name == href);
        beside.map(|(_, bytes)| Fragment::document(bytes))
    })
}

fn report<W: Write>(
    xml: &mut Xml<W>,
    id: &str,
    content: impl FnOnce(&mut Xml<W>) -> io::Result<()>,
) -> io::Result<()> {
    xml.open("arf:report", &[("id", id)])?;
    xml.open("arf:content", &[])?;
    content(xml)?;
    xml.close("arf:content")?;
    xml.close("arf:report")
}

fn relationships<W: Write>(xml: &mut Xml<W>) -> io::Result<()> {
    xml.open("core:relationships", &[("xmlns:arfvocab", VOCABULARY)])?;
    for (kind, to) in [("createdFor", "collection1"), ("isAbout", "asset0")] {
        let kind = format!("arfvocab:{kind}");
        xml.open(
            "core:relationship",
            &[("type", &kind), ("subject", "xccdf1")],
        )?;
        xml.leaf("core:ref", &[], to)?;
        xml.close("core:relationship")?;
    }
    xml.close("core:relationships")
}

fn asset<W: Write>(xml: &mut Xml<W>, context: &Context) -> io::Result<()> {
    let host = &context.host;
    xml.open("arf:assets", &[])?;
    xml.open("arf:asset", &[("id", "asset0")])?;
    xml.open("ai:computing-device", &[])?;
    let macs: Vec<&str> = host
        .interfaces
        .iter()
        .map(|interface| interface.mac.as_str())
        .filter(|mac| !mac.is_empty())
        .collect();
    if !host.addresses.is_empty() || !macs.is_empty() {
        xml.open("ai:connections", &[])?;
        for one in &host.addresses {
            let name = match one {
                IpAddr::V4(_) => "ai:ip-v4",
                IpAddr::V6(_) => "ai:ip-v6",
            };
            xml.open("ai:connection", &[])?;
            xml.open("ai:ip-address", &[])?;
            xml.leaf(name, &[], &address(*one))?;
            xml.close("ai:ip-address")?;
            xml.close("ai:connection")?;
        }
        for mac in macs {
            xml.open("ai:connection", &[])?;
            xml.leaf("ai:mac-address", &[], mac)?;
            xml.close("ai:connection")?;
        }
        xml.close("ai:connections")?;
    }
    if !host.name.is_empty() {
        xml.leaf("ai:fqdn", &[], &host.name)?;
        xml.leaf("ai:hostname", &[], &host.name)?;
    }
    xml.close("ai:computing-device")?;
    xml.close("arf:asset")?;
    xml.close("arf:assets")
}

/// Writes plain files as a collection of one stream; answers where the benchmark is.
fn compose<W: Write>(
    xml: &mut Xml<W>,
    benchmark: (&str, &[u8]),
    others: &[(String, Vec<u8>)],
) -> io::Result<String> {
    let id = |what: &str, name: &str| format!("scap_org.bartizan_{what}_{}", ncname(name));
    let collection = id("collection", benchmark.0);
    let namespaces = [
        ("xmlns:ds", "http://scap.nist.gov/schema/scap/source/1.2"),
        ("xmlns:xlink", "http://www.w3.org/1999/xlink"),
        ("xmlns:cat", "urn:oasis:names:tc:entity:xmlns:xml:catalog"),
        ("id", &collection),
        ("schematron-version", "1.2"),
    ];
    xml.open("ds:data-stream-collection", &namespaces)?;
    let stream = [
        ("id", &*id("datastream", benchmark.0)),
        ("scap-version", "1.2"),
        ("use-case", "OTHER"),
    ];
    xml.open("ds:data-stream", &stream)?;
    let attributes = |name: &str| (id("cref", name), format!("#{}", id("comp", name)));
    let (cref, component) = attributes(benchmark.0);
    xml.open("ds:checklists", &[])?;
    xml.open(
        "ds:component-ref",
        &[("id", &cref), ("xlink:href", &component)],
    )?;
    if !others.is_empty() {
        xml.open("cat:catalog", &[])?;
        for (name, _) in others {
            let uri = format!("#{}", attributes(name).0);
            xml.empty("cat:uri", &[("name", name), ("uri", &uri)])?;
        }
        xml.close("cat:catalog")?;
    }
    xml.close("ds:component-ref")?;
    xml.close("ds:checklists")?;
    if !others.is_empty() {
        xml.open("ds:checks", &[])?;
        for (name, _) in others {
            let (cref, component) = attributes(name);
            xml.empty(
                "ds:component-ref",
                &[("id", &cref), ("xlink:href", &component)],
            )?;
        }
        xml.close("ds:checks")?;
    }
    xml.close("ds:data-stream")?;
    let files = others.iter().map(|(name, bytes)| (&**name, &**bytes));
    for (name, bytes) in files.chain([benchmark]) {
        // No clock here, and when the file was written is not known.
        let component = [
            ("id", &*id("comp", name)),
            ("timestamp", "1970-01-01T00:00:00"),
        ];
        xml.open("ds:component", &component)?;
        Fragment::document(bytes).write(xml.raw()?)?;
        xml.close("ds:component")?;
    }
    xml.close("ds:data-stream-collection")?;
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::super::testresult::tests::{bundle, context, evaluation};
    use super::*;
    use crate::results::oval::tests::given;
    use crate::xccdf::select::Policy;
    use crate::xml::parse;

    #[test]
    fn an_arf_holds_content_machine_and_results() {
        let bundle = bundle();
        let chosen = bundle.benchmark(None, None).unwrap();
        let policy = Policy::new(chosen.benchmark, None, None).unwrap();
        let evaluation = evaluation();
        let context = context();
        let given = given();
        let other: Arc<str> = "#other".into();
        let parts = Parts {
            source: Source::Files {
                benchmark: ("b 1.xml", b"<?xml version='1.0'?><Benchmark/>"),
                others: &[("#ref".to_owned(), b"<oval_definitions/>".to_vec())],
            },
            bundle: &bundle,
            component: "c",
            beside: &[],
            subject: Subject {
                benchmark: chosen.benchmark,
                policy: &policy,
                evaluation: &evaluation,
            },
            context: &context,
            evaluated: vec![(other, &given), ("#ref".into(), &given)],
        };
        let written = write(Vec::new(), &parts).unwrap();
        let text = String::from_utf8(written.clone()).unwrap();
        for line in [
            "<benchmark href=\"#scap_org.bartizan_comp_b_1.xml\" id=\"b\"/>",
            "<check-content-ref name=\"oval:t:def:1\" href=\"#oval1\"/>",
            "<cat:uri name=\"#ref\" uri=\"#scap_org.bartizan_cref__ref\"/>",
            "<ai:ip-v6>0:0:0:0:0:0:0:1</ai:ip-v6>",
            "<ai:hostname>h&amp;1</ai:hostname>",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("<?xml").count(), 1);
        let root = parse(&written).unwrap();
        let reports = root.child("reports").unwrap();
        assert_eq!(reports.named("report").count(), 3);
    }
}
