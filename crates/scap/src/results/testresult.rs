//! XCCDF 1.2 `TestResult`, in the form in which OpenSCAP puts it into ARF.

use super::xml::{Xml, ncname};
use crate::xccdf::model::{Benchmark, Body, Item, Rule};
use crate::xccdf::outcome::{Evaluation, RuleOutcome, UsedCheck};
use crate::xccdf::select::{ALL, Policy};
use bartizan_model::Timestamp;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::IpAddr;

/// The namespace of XCCDF 1.2.
pub const XCCDF: &str = "http://checklists.nist.gov/xccdf/1.2";

/// What was judged and under what.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The benchmark.
    pub benchmark: &'a Benchmark,
    /// The profile applied.
    pub policy: &'a Policy,
    /// What was found.
    pub evaluation: &'a Evaluation,
}

/// What the engine does not know and results say.
#[derive(Debug, Clone)]
pub struct Context {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// The version of the program.
    pub version: String,
    /// The machine.
    pub host: Host,
    /// Who ran it.
    pub identity: Identity,
    /// Where the benchmark is: a file's name.
    pub benchmark_href: String,
    /// The tailoring that was used.
    pub tailoring: Option<TailoringFile>,
}

/// A tailoring document that was used.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct TailoringFile {
    pub href: String,
    /// The document.
    pub content: Vec<u8>,
    pub id: String,
    pub version: String,
    pub time: Timestamp,
}

/// Who ran it.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The user's name.
    pub name: String,
    /// Whether it was made sure that it is this user.
    pub authenticated: bool,
    /// Whether it may do everything.
    pub privileged: bool,
}

/// A machine. What is not known is empty.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// `NAME` of `os-release`.
    pub os_name: String,
    /// `VERSION` of `os-release`.
    pub os_version: String,
    /// Such as `x86_64`.
    pub architecture: String,
    /// The kernel's release.
    pub kernel: String,
}

/// An interface of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// A moment as OpenSCAP writes it.
pub(super) fn moment(time: Timestamp, zone: &str) -> String {
    let text = jiff::Timestamp::from_second(time.seconds())
        .map(|time| time.to_string())
        .unwrap_or_default();
    format!("{}{zone}", text.trim_end_matches('Z'))
}

/// An address written out in full, as the schemas of ARF want it.
pub(super) fn address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let parts = address.segments().map(|part| format!("{part:x}"));
            parts.join(":")
        }
    }
}

/// The program as a CPE name.
pub(super) fn product(context: &Context) -> String {
    format!("cpe:/a:bartizan:bartizan:{}", context.version)
}

/// Writes a document of one `TestResult`.
pub fn write<W: Write>(out: W, subject: &Subject<'_>, context: &Context) -> io::Result<W> {
    let mut xml = Xml::new(out);
    xml.declaration()?;
    let href = &|check: &UsedCheck| check.href.to_string();
    element(&mut xml, subject, context, &context.benchmark_href, href)?;
    xml.finish()
}

/// Writes the element; `href` says where a check's results or content are.
pub(super) fn element<W: Write>(
    xml: &mut Xml<W>,
    subject: &Subject<'_>,
    context: &Context,
    benchmark_href: &str,
    href: &dyn Fn(&UsedCheck) -> String,
) -> io::Result<()> {
    let evaluation = subject.evaluation;
    let profile = evaluation.profile.as_deref();
    let id = format!(
        "xccdf_org.bartizan_testresult_{}",
        ncname(profile.unwrap_or("default-profile"))
    );
    let (start, end) = (
        moment(context.started, "+00:00"),
        moment(context.finished, "+00:00"),
    );
    let mut attributes = vec![
        ("xmlns", XCCDF),
        ("id", &id),
        ("start-time", &start),
        ("end-time", &end),
    ];
    if !evaluation.version.is_empty() {
        attributes.push(("version", &evaluation.version));
    }
    let system = product(context);
    attributes.push(("test-system", &system));
    xml.open("TestResult", &attributes)?;
    xml.empty(
        "benchmark",
        &[("href", benchmark_href), ("id", &evaluation.benchmark)],
    )?;
    if let Some(file) = &context.tailoring {
        let time = moment(file.time, "+00:00");
        let attributes = [
            ("href", file.href.as_str()),
            ("id", &file.id),
            ("version", &file.version),
            ("time", &time),
        ];
        xml.empty("tailoring-file", &attributes)?;
    }
    xml.leaf("title", &[], "Bartizan Scan Result")?;
    target(xml, context, profile)?;
    for platform in &evaluation.platforms {
        xml.empty("platform", &[("idref", platform)])?;
    }
    for (id, text) in &evaluation.values {
        xml.leaf("set-value", &[("idref", id)], text)?;
    }
    let rules = rules(subject.benchmark);
    for outcome in &evaluation.rules {
        rule(
            xml,
            subject,
            rules.get(&*outcome.id).copied(),
            outcome,
            &end,
            href,
        )?;
    }
    for score in &evaluation.scores {
        let maximum = format!("{:.6}", score.maximum);
        let attributes = [("system", score.system), ("maximum", maximum.as_str())];
        xml.leaf("score", &attributes, &format!("{:.6}", score.value))?;
    }
    xml.close("TestResult")
}

fn target<W: Write>(xml: &mut Xml<W>, context: &Context, profile: Option<&str>) -> io::Result<()> {
    let (host, identity) = (&context.host, &context.identity);
    let word = |is: bool| if is { "true" } else { "false" };
    let attributes = [
        ("authenticated", word(identity.authenticated)),
        ("privileged", word(identity.privileged)),
    ];
    xml.leaf("identity", &attributes, &identity.name)?;
    // The name of the profile of everything is no XML name, which the schema asks for.
    if let Some(profile) = profile.filter(|profile| *profile != ALL) {
        xml.empty("profile", &[("idref", profile)])?;
    }
    xml.leaf("target", &[], &host.name)?;
    for one in &host.addresses {
        xml.leaf("target-address", &[], &address(*one))?;
    }
    xml.open("target-facts", &[])?;
    let mut fact = |name: &str, text: &str| {
        if text.is_empty() {
            return Ok(());
        }
        let name = format!("urn:xccdf:fact:{name}");
        xml.leaf("fact", &[("name", &name), ("type", "string")], text)
    };
    fact("scanner:name", "Bartizan")?;
    fact("scanner:version", &context.version)?;
    fact("asset:identifier:fqdn", &host.name)?;
    fact("asset:identifier:host_name", &host.name)?;
    for interface in &host.interfaces {
        fact("ethernet:MAC", &interface.mac)?;
        fact("asset:identifier:mac", &interface.mac)?;
    }
    for one in &host.addresses {
        let name = match one {
            IpAddr::V4(_) => "asset:identifier:ipv4",
            IpAddr::V6(_) => "asset:identifier:ipv6",
        };
        fact(name, &one.to_string())?;
    }
    fact("asset:identifier:os_name", &host.os_name)?;
    fact("asset:identifier:os_version", &host.os_version)?;
    xml.close("target-facts")
}

/// A rule with its place among the items.
pub(super) type Placed<'a> = (usize, &'a Item, &'a Rule);

/// The rules by id.
pub(super) fn rules(benchmark: &Benchmark) -> HashMap<&str, Placed<'_>> {
    let items = benchmark.items.iter().enumerate();
    items
        .filter_map(|(place, item)| match &item.body {
            Body::Rule(rule) => Some((&*item.id, (place, item, &**rule))),
            Body::Group => None,
        })
        .collect()
}

fn rule<W: Write>(
    xml: &mut Xml<W>,
    subject: &Subject<'_>,
    placed: Option<Placed<'_>>,
    outcome: &RuleOutcome,
    time: &str,
    href: &dyn Fn(&UsedCheck) -> String,
) -> io::Result<()> {
    let mut attributes = vec![("idref", &*outcome.id)];
    let weight;
    if let Some((place, item, rule)) = placed {
        let policy = subject.policy;
        weight = format!("{:.6}", policy.weight(subject.benchmark, place));
        attributes.extend([
            ("role", policy.role(place, rule).word()),
            ("time", time),
            ("severity", policy.severity(place, rule).word()),
            ("weight", &weight),
        ]);
        if let Some(version) = &item.version {
            attributes.push(("version", version));
        }
    }
    xml.open("rule-result", &attributes)?;
    xml.leaf("result", &[], outcome.result.word())?;
    if let Some((_, _, rule)) = placed {
        for (system, text) in &rule.idents {
            xml.leaf("ident", &[("system", system)], text)?;
        }
    }
    if let Some(message) = &outcome.message {
        xml.leaf("message", &[("severity", "info")], message)?;
    }
    if let Some(used) = &outcome.check {
        xml.open("check", &[("system", &used.system)])?;
        for (name, text) in &used.imports {
            xml.leaf("check-import", &[("import-name", name)], text)?;
        }
        let mut written: Vec<(&str, &str)> = Vec::new();
        for (variable, value, _) in &used.exports {
            // A value of many texts is exported once.
            if written.contains(&(variable, value)) {
                continue;
            }
            written.push((variable, value));
            xml.empty(
                "check-export",
                &[("export-name", variable), ("value-id", value)],
            )?;
        }
        let href = href(used);
        let mut attributes = Vec::new();
        if let Some(name) = &used.name {
            attributes.push(("name", &**name));
        }
        attributes.push(("href", &href));
        xml.empty("check-content-ref", &attributes)?;
        xml.close("check")?;
    }
    xml.close("rule-result")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::content::Bundle;
    use crate::xccdf::outcome::{RuleResult, Score, Why};
    use crate::xml::parse;

    pub fn bundle() -> Bundle {
        Bundle::load(
            "<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='b'><title>B</title><version>7</version><platform idref='cpe:/o:a:b'/>
 <Value id='v'><title>v</title><value>&lt;x></value></Value>
 <Rule id='r1' severity='high' weight='2'><title>one &amp; <sub idref='v'/></title><description>do it</description><rationale>it matters</rationale><ident system='https://cce'>CCE-1</ident><reference href='https://a.example/1'>1.1</reference></Rule>
 <Rule id='r2'><title>two</title></Rule>
</Benchmark>"
                .as_bytes(),
        )
        .unwrap()
    }

    pub fn outcome(id: &str, result: RuleResult) -> RuleOutcome {
        RuleOutcome {
            id: id.into(),
            result,
            check: None,
            message: None,
            why: Vec::new(),
        }
    }

    pub fn evaluation() -> Evaluation {
        let mut first = outcome("r1", RuleResult::Fail);
        first.check = Some(UsedCheck {
            system: "urn:oval".into(),
            href: "#ref".into(),
            name: Some("oval:t:def:1".into()),
            exports: vec![
                ("var".into(), "v".into(), "1".to_owned()),
                ("var".into(), "v".into(), "2".to_owned()),
            ],
            imports: vec![("stdout".into(), "<out>".to_owned())],
        });
        first.why.push(Why {
            what: "/etc/x: text".to_owned(),
            actual: Some("a\0".to_owned()),
            expected: Some("equals b".to_owned()),
        });
        let mut second = outcome("r2", RuleResult::NotChecked);
        second.message = Some("<no> check".to_owned());
        Evaluation {
            benchmark: "b".into(),
            version: "7".to_owned(),
            profile: Some(ALL.into()),
            applicable: true,
            platforms: vec!["cpe:/o:a:b".into()],
            rules: vec![first, second],
            values: vec![("v".into(), "<x>".to_owned())],
            scores: vec![Score {
                system: "urn:xccdf:scoring:default",
                value: 50.0,
                maximum: 100.0,
            }],
        }
    }

    pub fn context() -> Context {
        Context {
            started: Timestamp::parse("2026-01-02T03:04:05.5Z").unwrap(),
            finished: Timestamp::parse("2026-01-02T03:04:06Z").unwrap(),
            version: "0.1".to_owned(),
            host: Host {
                name: "h&1".to_owned(),
                addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
                ..Host::default()
            },
            identity: Identity {
                name: "root".to_owned(),
                authenticated: false,
                privileged: true,
            },
            benchmark_href: "b.xml".to_owned(),
            tailoring: None,
        }
    }

    #[test]
    fn a_test_result_says_what_was_found() {
        let bundle = bundle();
        let benchmark = bundle.benchmark(None, None).unwrap().benchmark;
        let policy = Policy::new(benchmark, None, None).unwrap();
        let evaluation = evaluation();
        let subject = Subject {
            benchmark,
            policy: &policy,
            evaluation: &evaluation,
        };
        let written = write(Vec::new(), &subject, &context()).unwrap();
        let text = String::from_utf8(written.clone()).unwrap();
        for line in [
            "<TestResult xmlns=\"http://checklists.nist.gov/xccdf/1.2\" id=\"xccdf_org.bartizan_testresult__all_\" start-time=\"2026-01-02T03:04:05+00:00\" end-time=\"2026-01-02T03:04:06+00:00\" version=\"7\" test-system=\"cpe:/a:bartizan:bartizan:0.1\">",
            "<benchmark href=\"b.xml\" id=\"b\"/>",
            "<identity authenticated=\"false\" privileged=\"true\">root</identity>",
            "<target>h&amp;1</target>",
            "<target-address>0:0:0:0:0:0:0:1</target-address>",
            "<platform idref=\"cpe:/o:a:b\"/>",
            "<set-value idref=\"v\">&lt;x&gt;</set-value>",
            "<rule-result idref=\"r1\" role=\"full\" time=\"2026-01-02T03:04:06+00:00\" severity=\"high\" weight=\"2.000000\">",
            "<ident system=\"https://cce\">CCE-1</ident>",
            "<check-content-ref name=\"oval:t:def:1\" href=\"#ref\"/>",
            "<check-import import-name=\"stdout\">&lt;out&gt;</check-import>",
            "<message severity=\"info\">&lt;no&gt; check</message>",
            "<score system=\"urn:xccdf:scoring:default\" maximum=\"100.000000\">50.000000</score>",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("<check-export").count(), 1);
        assert!(!text.contains("<profile"));
        let root = parse(&written).unwrap();
        assert_eq!(&*root.namespace, XCCDF);
        // The schema fixes this order.
        let order: Vec<&str> = root.elements().map(|element| &*element.name).collect();
        assert_eq!(
            order,
            [
                "benchmark",
                "title",
                "identity",
                "target",
                "target-address",
                "target-address",
                "target-facts",
                "platform",
                "set-value",
                "rule-result",
                "rule-result",
                "score"
            ]
        );
    }
}
