//! Gatekeeper's test suites (`kind: Suite`), run through this engine as `gator verify` would.
//!
//! Files are read through a callback, since nothing here opens files, and the time comes as an
//! argument, since there is no clock.

mod native;

use crate::ask::Parameters;
use crate::budget::Budget;
use crate::check::{Subject, is_constraint};
use crate::enforce::Point;
use crate::expansion::Expansions;
use crate::gatekeeper::{self, Constraint, Template};
use crate::input::{self, Limits, Piece, Source};
use crate::matching::Verdict;
use crate::mutate::{About, Mutators};
use crate::object::{Found, Object, loose_objects};
use crate::providers::NoProviders;
use crate::sync::Synced;
pub use crate::unit::Language;
use crate::unit::Unit;
use crate::world::{UNNAMED, World};
use bartizan_model::Timestamp;
use regex::Regex;
use serde_json::Value;
use std::time::Duration;

/// How one case of a suite went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseOutcome {
    /// `test/case` from [`run`], the case's own name within a [`TestOutcome`].
    pub name: String,
    /// Why it failed; none when it passed.
    pub fault: Option<String>,
    /// Cases that the suite itself skips, or the filter.
    pub skipped: bool,
    /// How long it took.
    pub took: Duration,
}

/// How one test of a suite went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// Its name.
    pub name: String,
    /// Why none of its cases could be run; none when they could.
    pub fault: Option<String>,
    /// Whether the suite itself skips it, or the filter.
    pub skipped: bool,
    /// How long it took.
    pub took: Duration,
    /// Its cases.
    pub cases: Vec<CaseOutcome>,
}

/// Reads a file named relative to the suite's folder.
pub type ReadFile<'r> = dyn Fn(&str) -> Result<Vec<u8>, String> + 'r;

/// How a suite is run.
pub struct Options<'o> {
    /// Which language is run where a template has both.
    pub language: Language,
    /// Which tests and cases.
    pub filter: Filter,
    /// The time since some moment.
    pub clock: &'o dyn Fn() -> Duration,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            language: Language::Rego,
            filter: Filter::All,
            clock: &|| Duration::ZERO,
        }
    }
}

/// Which tests and cases are run: `gator verify --run`.
#[derive(Debug, Clone, Default)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Tests whose name matches with all cases, and cases whose name matches.
    Either(Regex),
    /// Cases whose name matches the second, of tests whose name matches the first.
    Both(Regex, Regex),
}

impl Filter {
    /// One pattern, or two on both sides of `//`; the error names the bad one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let regex = |text: &str| Regex::new(text).map_err(|e| format!("the filter: {e}"));
        match text.split("//").collect::<Vec<_>>().as_slice() {
            [""] => Ok(Self::All),
            [one] => Ok(Self::Either(regex(one)?)),
            [test, case] => Ok(Self::Both(regex(test)?, regex(case)?)),
            _ => Err("the filter has more than one //".into()),
        }
    }

    fn takes_test(&self, test: &Value) -> bool {
        let name = text(test, "name");
        match self {
            Self::All => true,
            Self::Either(_) => {
                let mut cases = list(test, "cases");
                self.takes_case(name, "")
                    || cases.any(|case| self.takes_case(name, text(case, "name")))
            }
            Self::Both(regex, _) => regex.is_match(name),
        }
    }

    fn takes_case(&self, test: &str, case: &str) -> bool {
        match self {
            Self::All => true,
            Self::Either(regex) => regex.is_match(case) || regex.is_match(test),
            Self::Both(of_test, of_case) => of_case.is_match(case) && of_test.is_match(test),
        }
    }
}

/// Runs every case of a suite, in Rego where a template has both, as `gator` does; the error
/// means that the suite itself is unusable.
pub fn run(suite: &[u8], read: &ReadFile<'_>) -> Result<Vec<CaseOutcome>, String> {
    run_in(suite, read, Language::Rego)
}

/// Runs every case of a suite, in that language where a template has both.
pub fn run_in(
    suite: &[u8],
    read: &ReadFile<'_>,
    language: Language,
) -> Result<Vec<CaseOutcome>, String> {
    let options = Options {
        language,
        ..Options::default()
    };
    let mut all = Vec::new();
    for test in tests(suite, read, &options)?.unwrap_or_default() {
        for case in test.cases {
            all.push(CaseOutcome {
                name: format!("{}/{}", test.name, case.name),
                fault: case.fault.or_else(|| test.fault.clone()),
                skipped: case.skipped || test.skipped,
                took: case.took,
            });
        }
    }
    Ok(all)
}

/// How Rego and CEL of one template differ on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The suite's test whose template and constraint it was.
    pub test: String,
    /// The place of the object in the list.
    pub object: usize,
    /// What Rego said: messages, or why it could not be told.
    pub rego: Result<Vec<String>, String>,
    /// What CEL said.
    pub cel: Result<Vec<String>, String>,
}

/// Asks the templates of a suite that have Rego and CEL about objects, in both languages.
/// Returns how often they were asked, and where only one of them found something.
pub fn compare(
    suite: &[u8],
    read: &ReadFile<'_>,
    objects: &[Object],
) -> Result<(usize, Vec<Difference>), String> {
    let mut asked = 0;
    let mut all = Vec::new();
    for document in documents("suite.yaml", suite)? {
        for test in list(&document, "tests") {
            let Ok(prepared) = Prepared::of(test, read) else {
                continue;
            };
            let template = &prepared.template;
            if template.native.is_none() || template.modules.is_empty() {
                continue;
            }
            for (place, object) in objects.iter().enumerate() {
                let world = World::gather(Some(&Synced::Everything), []);
                let ask = |language| prepared.judge(&object.value, false, &world, language);
                let (rego, cel) = (ask(Language::Rego), ask(Language::Cel));
                asked += 1;
                let found = |told: &Result<Vec<String>, String>| match told {
                    Ok(messages) => Some(!messages.is_empty()),
                    Err(_) => None,
                };
                if found(&rego) != found(&cel) {
                    all.push(Difference {
                        test: text(test, "name").to_owned(),
                        object: place,
                        rego,
                        cel,
                    });
                }
            }
        }
    }
    Ok((asked, all))
}

/// The objects of a file of manifests; an AdmissionReview is one.
pub fn objects_of(name: &str, bytes: &[u8]) -> Result<Vec<Object>, String> {
    read_objects(name, &|_| Ok(bytes.to_vec()))
}

/// Runs the tests of a suite; none where the file holds no suite, an empty list where the suite
/// skips itself. The error means that the suite is unusable.
pub fn tests(
    suite: &[u8],
    read: &ReadFile<'_>,
    options: &Options<'_>,
) -> Result<Option<Vec<TestOutcome>>, String> {
    let documents = match documents("suite.yaml", suite) {
        Ok(documents) => documents,
        // What is no YAML and does not say that it is a suite is another kind of file.
        Err(_) if !String::from_utf8_lossy(suite).contains("test.gatekeeper.sh") => {
            return Ok(None);
        }
        Err(why) => return Err(why),
    };
    let mut all = None;
    for document in documents {
        let ours = text(&document, "apiVersion").starts_with("test.gatekeeper.sh/");
        if text(&document, "kind") != "Suite" || !ours {
            continue;
        }
        let all = all.get_or_insert_with(Vec::new);
        if skips(&document) {
            continue;
        }
        for test in list(&document, "tests") {
            all.push(run_test(test, read, options));
        }
    }
    Ok(all)
}

fn run_test(test: &Value, read: &ReadFile<'_>, options: &Options<'_>) -> TestOutcome {
    let start = (options.clock)();
    let mut outcome = TestOutcome {
        name: text(test, "name").to_owned(),
        fault: None,
        skipped: skips(test) || !options.filter.takes_test(test),
        took: Duration::ZERO,
        cases: Vec::new(),
    };
    let prepared = match outcome.skipped {
        true => None,
        false => match (Tested::of(test, read), flag(test, "invalid")) {
            (Ok(_), true) => {
                outcome.fault = Some("the constraint is valid and should not be".into());
                None
            }
            (Err(Fault::Schema(_)), true) => None,
            (Err(Fault::Schema(why) | Fault::Other(why)), _) => {
                outcome.fault = Some(why);
                None
            }
            (Ok(prepared), false) => Some(prepared),
        },
    };
    for case in list(test, "cases") {
        let before = (options.clock)();
        let name = text(case, "name").to_owned();
        let skipped = skips(case) || !options.filter.takes_case(&outcome.name, &name);
        let prepared = prepared.as_ref().filter(|_| !skipped);
        let fault = prepared.and_then(|p| p.case(case, read, options.language).err());
        outcome.cases.push(CaseOutcome {
            name,
            fault,
            skipped: skipped || outcome.skipped,
            took: (options.clock)().saturating_sub(before),
        });
    }
    outcome.took = (options.clock)().saturating_sub(start);
    outcome
}

fn flag(value: &Value, field: &str) -> bool {
    value.get(field).and_then(Value::as_bool) == Some(true)
}

fn skips(value: &Value) -> bool {
    flag(value, "skip")
}

fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The documents of a YAML or JSON file; the error names the file and the line.
pub fn documents(name: &str, bytes: &[u8]) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    let mut fault = None;
    input::read(
        Source::new(name, bytes),
        &Limits::default(),
        &mut |piece| match piece {
            Piece::Document(document) => all.push(document.value),
            Piece::Unreadable { line, why } => {
                fault.get_or_insert(format!("{name}:{line}: {why}"));
            }
            Piece::Unrendered { line } => {
                fault.get_or_insert(format!("{name}:{line}: a template"));
            }
        },
    );
    fault.map_or(Ok(all), Err)
}

fn read_objects(file: &str, read: &ReadFile<'_>) -> Result<Vec<Object>, String> {
    let bytes = read(file)?;
    let mut all = Vec::new();
    let mut fault = None;
    input::read(
        Source::new(file, &bytes[..]),
        &Limits::default(),
        &mut |piece| match piece {
            Piece::Document(document) => {
                let mut document = document;
                let is_review = text(&document.value, "kind") == "AdmissionReview";
                if let (true, Value::Object(map)) = (is_review, &mut document.value) {
                    map.entry("apiVersion")
                        .or_insert_with(|| "admission.k8s.io/v1".into());
                }
                for found in loose_objects(file, document) {
                    match found {
                        Found::Object(object) => all.push(*object),
                        Found::Broken { line, why } | Found::Other { line, why } => {
                            fault.get_or_insert(format!("{file}:{line}: {why}"));
                        }
                    }
                }
            }
            Piece::Unreadable { line, why } => {
                fault.get_or_insert(format!("{file}:{line}: {why}"));
            }
            Piece::Unrendered { line } => {
                fault.get_or_insert(format!("{file}:{line}: a template"));
            }
        },
    );
    fault.map_or(Ok(all), Err)
}

/// Why a test cannot be run.
enum Fault {
    /// The constraint does not fit its template's schema.
    Schema(String),
    Other(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

/// What a test is about.
enum Tested {
    Constraint(Box<Prepared>),
    Native(native::Tested),
}

/// The object of a test's file.
fn first(test: &Value, field: &str, read: &ReadFile<'_>) -> Result<Object, String> {
    let file = text(test, field);
    if file.is_empty() {
        return Err(format!("the test has no {field}"));
    }
    let all = read_objects(file, read)?;
    all.into_iter()
        .next()
        .ok_or_else(|| format!("{file} is empty"))
}

impl Tested {
    fn of(test: &Value, read: &ReadFile<'_>) -> Result<Self, Fault> {
        let template = first(test, "template", read)?;
        if native::Tested::wants(&template) {
            let binding = first(test, "constraint", read)?;
            return native::Tested::of(template, binding).map(Self::Native);
        }
        Prepared::of(test, read).map(|p| Self::Constraint(Box::new(p)))
    }

    fn case(&self, case: &Value, read: &ReadFile<'_>, language: Language) -> Result<(), String> {
        let file = text(case, "object");
        if file.is_empty() {
            return Err("the case has no object".into());
        }
        if list(case, "assertions").next().is_none() {
            return Err("the case has no assertions".into());
        }
        let objects = read_objects(file, read)?;
        let [object] = objects.as_slice() else {
            return Err(format!("{file} holds {} objects, not one", objects.len()));
        };
        let mut known = Vec::new();
        for file in list(case, "inventory").filter_map(Value::as_str) {
            known.extend(read_objects(file, read)?);
        }
        let messages = match self {
            Self::Constraint(prepared) => {
                let world = World::gather(Some(&Synced::Everything), &known);
                prepared.messages(object, &world, language)?
            }
            Self::Native(tested) => tested.messages(object, &known)?,
        };
        for assertion in list(case, "assertions") {
            assert(assertion, &messages)?;
        }
        Ok(())
    }
}

struct Prepared {
    template: Template,
    constraint: Constraint,
    expansions: Expansions,
}

impl Prepared {
    fn of(test: &Value, read: &ReadFile<'_>) -> Result<Self, Fault> {
        let first = |field: &str| first(test, field, read);
        let template = gatekeeper::template(&first("template")?)?;
        if let Some(why) = &template.refused {
            return Err(Fault::Other(format!("refused: {why}")));
        }
        let object = first("constraint")?;
        if !is_constraint(&object) || object.kind != template.kind {
            return Err(Fault::Other(format!(
                "the constraint's kind {} is not the template's",
                object.kind
            )));
        }
        let mut constraint = gatekeeper::constraint(&object).map_err(Fault::Schema)?;
        if let Some(schema) = &template.schema {
            crate::parameters::check(&constraint.parameters, schema).map_err(Fault::Schema)?;
            gatekeeper::default_parameters(&mut constraint.parameters, schema);
        }
        let expansions = match text(test, "expansion") {
            "" => Expansions::default(),
            file => Expansions::from_objects(&read_objects(file, read)?),
        };
        if let Some((name, why)) = expansions.faults().first() {
            return Err(Fault::Other(format!("ExpansionTemplate {name}: {why}")));
        }
        if let Some(name) = expansions.circles().next() {
            return Err(Fault::Other(format!(
                "the ExpansionTemplate {name} feeds itself through others"
            )));
        }
        Ok(Self {
            template,
            constraint,
            expansions,
        })
    }

    fn messages(
        &self,
        object: &Object,
        world: &World,
        language: Language,
    ) -> Result<Vec<String>, String> {
        // Not asked where `gator` stands.
        if self.constraint.actions.at(Point::Gator).is_empty() {
            return Ok(Vec::new());
        }
        let mut messages = self.judge(&object.value, false, world, language)?;
        if object.kind != "AdmissionReview" && !self.expansions.is_empty() {
            let about = About {
                nowhere: UNNAMED,
                ..About::default()
            };
            let none = Mutators::default();
            let expansions = &self.expansions;
            for made in expansions.expand(&object.value, &about, &none, world, &NoProviders)? {
                let told = self.judge(&made.object, true, world, language)?;
                messages.extend(told.iter().map(|message| made.message(message)));
            }
        }
        Ok(messages)
    }

    fn judge(
        &self,
        value: &Value,
        generated: bool,
        world: &World,
        language: Language,
    ) -> Result<Vec<String>, String> {
        let subject = Subject::of(value)?;
        match subject.matches(&self.constraint, world.namespaces(), generated, "") {
            Verdict::Yes => {}
            Verdict::No => return Ok(Vec::new()),
            Verdict::Unknown(why) => return Err(why),
        }
        let parameters = Parameters::of(&self.constraint.parameters);
        let now = Timestamp::from_micros(0);
        let budget = Budget::default();
        let mut unit = Unit::of(&self.template, language, world.shared(), now, budget)?;
        let violations = unit.evaluate(&subject.ask(None), &parameters)?;
        Ok(violations.into_iter().map(|v| v.message).collect())
    }
}

fn assert(assertion: &Value, messages: &[String]) -> Result<(), String> {
    let wanted = match assertion.get("message").and_then(Value::as_str) {
        None => messages.len(),
        Some(pattern) => {
            let regex = Regex::new(pattern);
            let regex = regex.map_err(|e| format!("the message of an assertion: {e}"))?;
            messages.iter().filter(|m| regex.is_match(m)).count()
        }
    };
    let fits = match assertion.get("violations") {
        None | Some(Value::Null) => wanted > 0,
        Some(Value::Bool(any)) => (wanted > 0) == *any,
        Some(Value::String(word)) if word == "yes" => wanted > 0,
        Some(Value::String(word)) if word == "no" => wanted == 0,
        Some(Value::Number(n)) => n.as_u64() == Some(wanted as u64),
        Some(other) => return Err(format!("violations: {other} is not understood")),
    };
    if fits {
        return Ok(());
    }
    Err(format!("wanted {assertion}, got {wanted} of {messages:?}"))
}
