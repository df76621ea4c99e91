//! Objects judged by the policies that come with them, as `gator test` does it: all files are
//! one heap of templates, constraints, mutators, ExpansionTemplates and objects.
//!
//! Constraints are asked at the enforcement point `gator.gatekeeper.sh`, of every object of the
//! heap, the policies themselves too. What names no namespace is taken to be in one without name
//! and labels, so that `scope: Namespaced` fits it; `gator` does not know the cluster either. An object is first judged as it is; then it is mutated
//! and expanded, and what it implies is judged. What cannot be told is in [`Checked::untold`],
//! where `gator` gives up.

mod images;

use crate::ask::{Ask, Known, Parameters};
use crate::budget::Budget;
use crate::enforce::{Action, Point};
use crate::engine::{Shared, Violation};
use crate::expansion::{Expansions, Resultant};
use crate::gatekeeper::{self, Constraint, Template};
use crate::input::{self, Limits, Piece, Source};
use crate::matching::{Namespaces, Target, Verdict};
use crate::mutate::{About, Mutators};
use crate::object::{Found, Object, loose_objects};
use crate::providers::{NoProviders, Providers};
use crate::sync::Synced;
pub use crate::unit::Language;
use crate::unit::Unit;
use crate::vap::{
    self,
    set::{Index, Natives},
};
use crate::world::{self, World};
use bartizan_model::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What Gatekeeper calls its only target.
pub const TARGET: &str = "admission.k8s.gatekeeper.sh";

/// The objects of a file. What is no object is passed over and named; what cannot be read is
/// an error with file and line.
pub fn read(file: &str, bytes: &[u8], passed: &mut Vec<String>) -> Result<Vec<Object>, String> {
    let mut all = Vec::new();
    let mut fault = None;
    let mut piece = |piece| match piece {
        Piece::Document(document) => {
            for found in loose_objects(file, document) {
                match found {
                    Found::Object(object) => all.push(*object),
                    Found::Other { line, why } => passed.push(format!("{file}:{line}: {why}")),
                    Found::Broken { line, why } => {
                        fault.get_or_insert(format!("{file}:{line}: {why}"));
                    }
                }
            }
        }
        Piece::Unreadable { line, why } => {
            fault.get_or_insert(format!("{file}:{line}: {why}"));
        }
        Piece::Unrendered { line } => {
            fault.get_or_insert(format!("{file}:{line}: it is an unrendered template"));
        }
    };
    input::read(Source::new(file, bytes), &Limits::default(), &mut piece);
    fault.map_or(Ok(all), Err)
}

/// One violation.
#[derive(Debug, Clone, PartialEq)]
pub struct Violated {
    /// What is wrong.
    pub message: String,
    /// What the policy says beside the message.
    pub details: Value,
    /// The constraint, as it was written.
    pub constraint: Value,
    /// `deny`, `warn`, `dryrun`, `scoped` or what else the constraint says.
    pub action: String,
    /// What happens here, where the action is scoped.
    pub scoped: Vec<String>,
    /// The object, as it was written.
    pub object: Value,
    /// Where it stands.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl Violated {
    /// Whether it makes a check fail.
    pub fn denies(&self) -> bool {
        self.action == "deny" || self.scoped.iter().any(|action| action == "deny")
    }

    /// As `gator test` writes it.
    pub fn json(&self) -> Value {
        let mut map = Map::new();
        map.insert("target".into(), TARGET.into());
        map.insert("msg".into(), self.message.clone().into());
        map.insert("metadata".into(), json!({"details": self.details}));
        map.insert("constraint".into(), self.constraint.clone());
        map.insert("enforcementAction".into(), self.action.clone().into());
        if !self.scoped.is_empty() {
            map.insert("scopedActions".into(), self.scoped.clone().into());
        }
        map.insert("violatingObject".into(), self.object.clone());
        map.insert("trace".into(), Value::Null);
        Value::Object(map)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checked {
    /// Violations, by action and message.
    pub violations: Vec<Violated>,
    /// What could not be told, with file and line.
    pub untold: Vec<String>,
}

/// A heap of objects, ready to be judged.
pub struct Checker {
    policies: Vec<Policy>,
    objects: Vec<Object>,
    mutators: Mutators,
    expansions: Expansions,
    natives: Natives,
    index: Index,
    world: World,
    providers: Box<dyn Providers>,
    seeing: Option<images::Seeing>,
}

struct Policy {
    template: Template,
    unit: Result<Unit, String>,
    rules: Vec<Rule>,
}

struct Rule {
    constraint: Constraint,
    written: Value,
    action: String,
    scoped: Vec<String>,
    parameters: Parameters,
}

impl Checker {
    /// From all objects of all files. The error names what is wrong with a policy; nothing is
    /// judged then, since what is missing would look like a pass.
    pub fn new(objects: Vec<Object>, language: Language, now: Timestamp) -> Result<Self, String> {
        let mut templates: BTreeMap<String, Template> = BTreeMap::new();
        for object in &objects {
            if is_template(object) {
                let template = gatekeeper::template(object).map_err(|why| at(object, &why))?;
                templates.insert(template.kind.clone(), template);
            }
        }
        let mut rules: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
        for object in objects.iter().filter(|o| is_constraint(o)) {
            let template = templates.get(&object.kind);
            let template =
                template.ok_or_else(|| at(object, "there is no ConstraintTemplate of its kind"))?;
            if let Some(rule) = Rule::of(object, template).map_err(|why| at(object, &why))? {
                rules.entry(object.kind.clone()).or_default().push(rule);
            }
        }
        let own = objects.iter().filter(|o| Natives::wants(o));
        let own: Vec<_> = own.map(|o| ("check".to_owned(), o.clone())).collect();
        let natives = Natives::of(&own, &mut Vec::new()).map_err(|e| e.to_string())?;
        let inventory = templates.values().any(|t| t.inventory) || !natives.params().is_empty();
        let mut world = World::gather(inventory.then_some(&Synced::Everything), &objects);
        world.add_default_namespaces();
        let budget = Budget::default();
        let policies = templates.into_values().map(|template| Policy {
            unit: Unit::of(&template, language, world.shared(), now, budget),
            rules: rules.remove(&template.kind).unwrap_or_default(),
            template,
        });
        let policies = policies.collect();
        let (mutators, expansions) = implied(&objects)?;
        Ok(Self {
            policies,
            objects,
            mutators,
            expansions,
            natives,
            index: Index::default(),
            world,
            providers: Box::new(NoProviders),
            seeing: None,
        })
    }

    /// Who is asked for the external data of mutators; nobody where this is not said.
    pub fn ask(&mut self, providers: Box<dyn Providers>) {
        self.providers = providers;
    }

    /// Leaves only what is written in that language; the kinds that are left out.
    pub fn restrict(&mut self, language: Language) -> Vec<String> {
        let mut out = Vec::new();
        self.policies.retain(|policy| {
            let template = &policy.template;
            let has = match language {
                Language::Cel => template.native.is_some(),
                Language::Rego => !template.modules.is_empty(),
            };
            if !has {
                out.push(template.kind.clone());
            }
            has
        });
        out
    }

    /// How many templates and constraints there are.
    pub fn size(&self) -> (usize, usize) {
        let rules = self.policies.iter().map(|p| p.rules.len()).sum();
        (self.policies.len(), rules)
    }

    /// All objects of the heap.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Judges every object of the heap.
    pub fn check(&mut self) -> Checked {
        let mut checked = Checked::default();
        for object in std::mem::take(&mut self.objects) {
            self.one(&object, &mut checked);
            self.objects.push(object);
        }
        checked
            .violations
            .sort_by(|a, b| (&a.action, &a.message).cmp(&(&b.action, &b.message)));
        checked
    }

    /// Judges an object and what it implies.
    pub fn one(&mut self, object: &Object, checked: &mut Checked) {
        let resultants = match self.expand(object) {
            Ok(resultants) => resultants,
            Err(why) => {
                checked.untold.push(at(object, &why));
                Vec::new()
            }
        };
        self.judge(object, &object.value, None, checked);
        self.native(object, checked);
        self.images(object, checked);
        for resultant in &resultants {
            self.judge(object, &resultant.object, Some(resultant), checked);
        }
    }

    /// Asks Kubernetes' own admission policies of the heap, which `gator` does not.
    fn native(&mut self, object: &Object, checked: &mut Checked) {
        let (natives, budget) = (&self.natives, Budget::default());
        for said in vap::manifest::ask(natives, &mut self.index, object, &self.world, budget) {
            if let Some(why) = said.unknown {
                let why = format!("ValidatingAdmissionPolicy {}: {why}", said.native.name);
                checked.untold.push(at(object, &why));
            }
            for failure in said.failures {
                let bound = said.native.bound(&failure.binding);
                let worst = vap::set::actions(&failure.actions).pop();
                checked.violations.push(Violated {
                    message: failure.message,
                    details: json!({}),
                    constraint: bound.map(|b| b.written.clone()).unwrap_or_default(),
                    action: worst.map_or("dryrun", Action::word).to_owned(),
                    scoped: Vec::new(),
                    object: object.value.clone(),
                    file: object.location.file.clone(),
                    line: object.location.line,
                });
            }
        }
    }

    /// What an object implies.
    fn expand(&self, object: &Object) -> Result<Vec<Resultant>, String> {
        if self.expansions.is_empty() {
            return Ok(Vec::new());
        }
        let with = (
            &self.mutators,
            &self.expansions,
            &self.world,
            &*self.providers,
        );
        expand_one(object, with)
    }

    fn judge(
        &mut self,
        object: &Object,
        value: &Value,
        implied: Option<&Resultant>,
        checked: &mut Checked,
    ) {
        let subject = match Subject::of(value) {
            Ok(subject) => subject,
            Err(why) => return checked.untold.push(at(object, &why)),
        };
        let world = &self.world;
        let namespace = world.namespace_object(subject.namespace());
        let known = namespace.map(|json| Known {
            json,
            rego: Shared::of(json),
        });
        let ask = subject.ask(known);
        for policy in &mut self.policies {
            for rule in &policy.rules {
                let matches = subject.matches(
                    &rule.constraint,
                    world.namespaces(),
                    implied.is_some(),
                    world::UNNAMED,
                );
                let told = match matches {
                    Verdict::No => continue,
                    Verdict::Unknown(why) => Err(why),
                    Verdict::Yes => match &mut policy.unit {
                        Ok(unit) => unit.evaluate(&ask, &rule.parameters),
                        Err(why) => Err(why.clone()),
                    },
                };
                match told {
                    Err(why) => {
                        let name = &rule.constraint.name;
                        let why = format!("{} {name}: {why}", policy.template.kind);
                        let why = implied.map_or(why.clone(), |r| r.message(&why));
                        checked.untold.push(at(object, &why));
                    }
                    Ok(violations) => {
                        let told = violations.into_iter();
                        let told = told.map(|v| rule.violated(v, object, implied));
                        checked.violations.extend(told);
                    }
                }
            }
        }
    }
}

/// The objects that all objects of a heap imply, as `gator expand` gives them.
pub fn expand(objects: &[Object], providers: &dyn Providers) -> Result<Vec<Value>, String> {
    let (mutators, expansions) = implied(objects)?;
    let mut world = World::gather(None, objects);
    world.add_default_namespaces();
    let mut all = Vec::new();
    for object in objects {
        let made = expand_one(object, (&mutators, &expansions, &world, providers));
        let made = made.map_err(|why| at(object, &why))?;
        all.extend(made.into_iter().map(|resultant| resultant.object));
    }
    let key = |value: &Value| {
        let text = |value: &Value, field: &str| {
            let text = value.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let name = value.get("metadata").map(|m| text(m, "name"));
        name.unwrap_or_default() + &text(value, "apiVersion") + &text(value, "kind")
    };
    // Backwards by name, as `gator` sorts them.
    all.sort_by_key(|value| std::cmp::Reverse(key(value)));
    Ok(all)
}

type With<'w> = (&'w Mutators, &'w Expansions, &'w World, &'w dyn Providers);

fn expand_one(object: &Object, with: With<'_>) -> Result<Vec<Resultant>, String> {
    let (mutators, expansions, world, providers) = with;
    let about = About {
        nowhere: world::UNNAMED,
        ..About::default()
    };
    let base = mutators.mutate(&object.value, &about, world, providers);
    let base = base.map_err(|e| e.to_string())?;
    expansions.expand(&base.object, &about, mutators, world, providers)
}

fn implied(objects: &[Object]) -> Result<(Mutators, Expansions), String> {
    let mutators = Mutators::from_objects(objects);
    if let Some(fault) = mutators.faults().first() {
        return Err(fault.to_string());
    }
    if let Some((one, others)) = mutators.conflicts().iter().next() {
        let others: Vec<_> = others.iter().map(ToString::to_string).collect();
        return Err(format!("{one} contradicts {}", others.join(", ")));
    }
    let expansions = Expansions::from_objects(objects);
    if let Some((name, why)) = expansions.faults().first() {
        return Err(format!("ExpansionTemplate {name}: {why}"));
    }
    let circles: Vec<_> = expansions.circles().collect();
    if !circles.is_empty() {
        return Err(format!(
            "ExpansionTemplates feed each other in a circle: {}",
            circles.join(", ")
        ));
    }
    Ok((mutators, expansions))
}

fn at(object: &Object, why: &str) -> String {
    let (place, kind) = (&object.location, &object.kind);
    format!(
        "{}:{}: {kind} {}: {why}",
        place.file, place.line, object.name
    )
}

/// Whether an object is a template or a constraint, and not one that policies are for.
pub fn is_policy(object: &Object) -> bool {
    is_template(object) || is_constraint(object)
}

pub(crate) fn is_template(object: &Object) -> bool {
    object.group == "templates.gatekeeper.sh" && object.kind == "ConstraintTemplate"
}

pub(crate) fn is_constraint(object: &Object) -> bool {
    object.group == "constraints.gatekeeper.sh"
}

impl Rule {
    /// None where it is not asked at this point.
    fn of(object: &Object, template: &Template) -> Result<Option<Self>, String> {
        let mut constraint = gatekeeper::constraint(object)?;
        let actions = constraint.actions.at(Point::Gator);
        if actions.is_empty() {
            return Ok(None);
        }
        if let Some(schema) = &template.schema {
            crate::parameters::check(&constraint.parameters, schema)?;
            gatekeeper::default_parameters(&mut constraint.parameters, schema);
        }
        let spec = object.value.get("spec");
        let word = spec.and_then(|s| s.get("enforcementAction"));
        let action = word.and_then(Value::as_str).filter(|w| !w.is_empty());
        let action = action.unwrap_or("deny").to_owned();
        let words = actions.iter().map(|a| a.word().to_owned());
        Ok(Some(Self {
            scoped: match action.as_str() {
                "scoped" => words.collect(),
                _ => Vec::new(),
            },
            action,
            parameters: Parameters::of(&constraint.parameters),
            written: object.value.clone(),
            constraint,
        }))
    }

    fn violated(&self, told: Violation, object: &Object, implied: Option<&Resultant>) -> Violated {
        let details = told.details.as_deref();
        let details = details.and_then(|text| serde_json::from_str(text).ok());
        let other = implied.map(|r| r.action.as_str()).filter(|a| !a.is_empty());
        Violated {
            message: match implied {
                Some(resultant) => resultant.message(&told.message),
                None => told.message,
            },
            details: details.unwrap_or_else(|| json!({})),
            constraint: self.written.clone(),
            action: other.unwrap_or(&self.action).to_owned(),
            scoped: self.scoped.clone(),
            object: object.value.clone(),
            file: object.location.file.clone(),
            line: object.location.line,
        }
    }
}

/// What is judged: an object, or the request of an AdmissionReview.
pub(crate) struct Subject {
    request: Value,
    object: Value,
    old: Value,
}

impl Subject {
    pub(crate) fn of(value: &Value) -> Result<Self, String> {
        let text = |value: &Value, field: &str| {
            let text = value.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let api = text(value, "apiVersion");
        let (group, version) = api.split_once('/').unwrap_or(("", &api));
        let kind = text(value, "kind");
        if kind == "AdmissionReview" && group == "admission.k8s.io" {
            return Self::request(value);
        }
        let metadata = value.get("metadata").unwrap_or(&Value::Null);
        let mut request = json!({
            "kind": {"group": group, "version": version, "kind": kind},
            "name": metadata.get("name"),
            "operation": "",
            "options": null,
            "resource": {"group": "", "version": "", "resource": ""},
            "uid": "",
            "userInfo": {}
        });
        let namespace = text(metadata, "namespace");
        if let (false, Value::Object(map)) = (namespace.is_empty(), &mut request) {
            map.insert("namespace".into(), namespace.into());
        }
        Ok(Self {
            request,
            object: value.clone(),
            old: Value::Null,
        })
    }

    fn request(review: &Value) -> Result<Self, String> {
        let request = review.get("request").and_then(Value::as_object);
        let mut request = request.ok_or("the AdmissionReview has no request")?.clone();
        let mut part = |field: &str| request.remove(field).unwrap_or(Value::Null);
        let (mut object, old) = (part("object"), part("oldObject"));
        if object.is_null() && old.is_null() {
            return Err("the request has neither object nor oldObject".into());
        }
        if request.get("operation").and_then(Value::as_str) == Some("DELETE") {
            if old.is_null() {
                return Err("a DELETE without the object that goes".into());
            }
            object = old.clone();
        }
        Ok(Self {
            request: Value::Object(request),
            object,
            old,
        })
    }

    fn namespace(&self) -> &str {
        let told = self.request.get("namespace").and_then(Value::as_str);
        told.unwrap_or_default()
    }

    pub(crate) fn ask<'s>(&'s self, namespace: Option<Known<'s>>) -> Ask<'s> {
        Ask::new(&self.object, &self.old, namespace, &self.request)
    }

    /// Whether the constraint looks at the object or the one before; the first that cannot be
    /// told ends the search. `nowhere` is the namespace of what names none.
    pub(crate) fn matches(
        &self,
        constraint: &Constraint,
        namespaces: &Namespaces,
        generated: bool,
        nowhere: &str,
    ) -> Verdict {
        for value in [&self.object, &self.old] {
            if value.is_null() {
                continue;
            }
            let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or("");
            let own = value.get("metadata").and_then(|m| m.get("namespace"));
            let target = Target {
                group: text("apiVersion").split_once('/').map_or("", |(g, _)| g),
                kind: text("kind"),
                namespace: match self.namespace() {
                    "" => own.and_then(Value::as_str).unwrap_or(nowhere),
                    told => told,
                },
                value,
                generated,
            };
            match constraint.matching.test(&target, namespaces) {
                Verdict::No => {}
                other => return other,
            }
        }
        Verdict::No
    }
}
