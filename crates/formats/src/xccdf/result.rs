//! A `TestResult`: who was judged, by what, and what came of each rule.

use super::XccdfError;
use super::text::MAX_VALUE;
use super::xml::{Element, Piece, Space, Stream};
use bartizan_model::text::plain;
use std::collections::HashMap;
use std::io::Read;

/// The outcome of one rule.
#[derive(Debug, Default)]
pub(super) struct RuleResult {
    pub(super) id: String,
    /// Such as `pass`, as written.
    pub(super) word: String,
    /// Why, where the scanner says so.
    pub(super) message: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) idents: Vec<String>,
    /// What was asked: the document and, where one is named, the definition in it.
    pub(super) checks: Vec<(String, Option<String>)>,
    /// What the check handed back, such as `stdout` of a script.
    pub(super) imports: Vec<(String, String)>,
    /// What part of the machine it is about, where the scanner tells parts apart.
    pub(super) instance: Option<String>,
}

impl RuleResult {
    fn of(tree: &Element) -> Self {
        let short = |text: String| plain(&text, MAX_VALUE);
        let messages: Vec<String> = tree.named("message").map(Element::text).take(4).collect();
        let message = plain(&messages.join(" "), MAX_VALUE);
        let mut result = Self {
            id: tree.attribute("idref").unwrap_or_default().to_owned(),
            word: tree.child("result").map(Element::text).unwrap_or_default(),
            message: (!message.is_empty()).then_some(message),
            severity: tree.attribute("severity").map(str::to_owned),
            idents: tree
                .named("ident")
                .map(|one| short(one.text()))
                .take(50)
                .collect(),
            instance: tree.child("instance").map(|one| short(one.text())),
            ..Self::default()
        };
        result.word = result.word.chars().take(40).collect();
        result.checked(tree, 0);
        result
    }

    /// The checks, also those within a combination.
    fn checked(&mut self, tree: &Element, depth: usize) {
        for check in tree.elements() {
            match check.name.as_str() {
                "complex-check" if depth < 16 => self.checked(check, depth + 1),
                "check" => {
                    let contents = check.named("check-content-ref").filter_map(|content| {
                        let href = content.attribute("href")?.to_owned();
                        Some((href, content.attribute("name").map(str::to_owned)))
                    });
                    self.checks.extend(contents.take(50));
                    let imports = check.named("check-import").map(|import| {
                        let name = import.attribute("import-name").unwrap_or_default();
                        (plain(name, 80), plain(&import.text(), MAX_VALUE))
                    });
                    self.imports.extend(imports.take(8));
                }
                _ => {}
            }
        }
    }

    fn size(&self) -> usize {
        let texts = [&self.id, &self.word].into_iter().map(String::len);
        let maybe = [&self.message, &self.severity, &self.instance];
        let maybe = maybe.into_iter().flatten().map(String::len);
        let idents = self.idents.iter().map(|one| one.len() + 24);
        let checks = self.checks.iter().map(|(href, name)| {
            href.len() + name.as_ref().map_or(0, String::len) + size_of::<(String, String)>()
        });
        let imports = self
            .imports
            .iter()
            .map(|(name, text)| name.len() + text.len() + 48);
        size_of::<Self>()
            + texts
                .chain(maybe)
                .chain(idents)
                .chain(checks)
                .chain(imports)
                .sum::<usize>()
    }
}

/// What was judged.
#[derive(Debug, Default)]
pub(super) struct TestResult {
    pub(super) id: String,
    pub(super) started: Option<String>,
    pub(super) ended: Option<String>,
    /// A CPE name of the scanner.
    pub(super) system: String,
    /// The benchmark's id, empty where it is not said.
    pub(super) benchmark: String,
    pub(super) benchmark_version: String,
    pub(super) profile: Option<String>,
    pub(super) target: String,
    pub(super) addresses: Vec<String>,
    /// By name; the first of each.
    pub(super) facts: HashMap<String, String>,
    pub(super) values: HashMap<String, String>,
    pub(super) rules: Vec<RuleResult>,
    /// System, value and maximum.
    pub(super) scores: Vec<(String, f64, f64)>,
}

/// Reads a result that was just entered. `benchmark` is the id of the benchmark around it;
/// `rules` counts down how many rules may still come.
pub(super) fn read<R: Read>(
    start: &Element,
    benchmark: &str,
    rules: &mut usize,
    stream: &mut Stream<R>,
) -> Result<TestResult, XccdfError> {
    let attribute = |name: &str| start.attribute(name).map(str::to_owned);
    let mut result = TestResult {
        id: attribute("id").unwrap_or_default(),
        started: attribute("start-time"),
        ended: attribute("end-time"),
        system: attribute("test-system").unwrap_or_default(),
        benchmark: benchmark.to_owned(),
        benchmark_version: attribute("version").unwrap_or_default(),
        ..TestResult::default()
    };
    stream.charge(size_of::<TestResult>() + 512)?;
    loop {
        let child = match stream.next()? {
            Piece::Start(child) if child.space == Space::Xccdf => child,
            Piece::Start(_) => {
                stream.skip()?;
                continue;
            }
            Piece::End => return Ok(result),
            Piece::Done => return Err(stream.error("the document ends inside a TestResult")),
        };
        let tree = stream.tree(child)?;
        match tree.name.as_str() {
            "rule-result" => {
                let rule = RuleResult::of(&tree);
                if rule.id.is_empty() {
                    return Err(stream.error("a rule-result has no idref"));
                }
                *rules = rules.checked_sub(1).ok_or(XccdfError::TooMany)?;
                stream.charge(rule.size())?;
                result.rules.push(rule);
            }
            "benchmark" => {
                // Its place is a file's name or a component's; an id says more.
                let href = tree.attribute("href").unwrap_or_default();
                let file = href.rsplit(['/', '#']).next().unwrap_or_default();
                let said = tree.attribute("id").filter(|id| !id.is_empty());
                if let Some(id) = said.or((result.benchmark.is_empty()).then_some(file)) {
                    result.benchmark = id.to_owned();
                }
            }
            "profile" => result.profile = tree.attribute("idref").map(str::to_owned),
            "target" if result.target.is_empty() => result.target = tree.text(),
            "target-address" if result.addresses.len() < 256 => {
                result.addresses.push(plain(&tree.text(), 80));
            }
            "target-facts" => {
                for fact in tree.named("fact").take(1_000) {
                    let name = fact.attribute("name").unwrap_or_default();
                    let name = name.strip_prefix("urn:xccdf:fact:").unwrap_or(name);
                    let text = plain(&fact.text(), MAX_VALUE);
                    stream.charge(128 + name.len() + text.len())?;
                    result.facts.entry(name.to_owned()).or_insert(text);
                }
            }
            "set-value" | "set-complex-value" => {
                let id = tree.attribute("idref").unwrap_or_default().to_owned();
                let items: Vec<String> = tree.named("item").map(Element::text).collect();
                let text = match items.is_empty() {
                    true => tree.text(),
                    false => items.join(", "),
                };
                let text = plain(&text, super::text::MAX_TEXT);
                stream.charge(128 + id.len() + text.len())?;
                result.values.insert(id, text);
            }
            "score" if result.scores.len() < 64 => {
                let system = tree.attribute("system").unwrap_or_default();
                let maximum = tree.attribute("maximum").unwrap_or("100").trim().parse();
                if let (Ok(value), Ok(maximum)) = (tree.text().parse(), maximum) {
                    result.scores.push((plain(system, 200), value, maximum));
                }
            }
            _ => {}
        }
    }
}
