//! Why a definition has its result, in words.

use super::{Evaluator, TestOutcome, existence};
use crate::oval::item::{Flag, Item, Status, Value};
use crate::oval::model::{
    Criteria, Entity, Existence, Object, ObjectBody, Operator, SetOperand, Test,
};
use crate::oval::outcome::{Truth, operate};
use crate::xccdf::outcome::Why;
use std::collections::HashSet;

/// The most values that are a reason.
const MAX_WHY: usize = 8;
/// The most characters of a value.
const MAX_TEXT: usize = 200;
/// How deep criteria and definitions are followed.
const MAX_DEPTH: usize = 200;
const MASKED: &str = "(masked)";
/// Entities that tell items of a kind apart, the first that is there.
const NAMES: [&str; 12] = [
    "name",
    "unit",
    "username",
    "mount_point",
    "command_line",
    "process_name",
    "local_port",
    "service_name",
    "family",
    "var_ref",
    "os_name",
    "pid",
];
/// Entities that say what is looked for inside.
const INSIDE: [&str; 6] = [
    "pattern",
    "line",
    "xpath",
    "yamlpath",
    "property",
    "dependency",
];

pub(super) fn why(evaluator: &Evaluator<'_>, id: &str) -> Vec<Why> {
    let mut walk = Walk {
        evaluator,
        found: Vec::new(),
        seen: HashSet::new(),
        depth: 0,
    };
    walk.definition(id);
    walk.found
}

struct Walk<'e, 'a> {
    evaluator: &'e Evaluator<'a>,
    found: Vec<Why>,
    /// Tests and definitions that were told.
    seen: HashSet<&'a str>,
    depth: usize,
}

impl<'a> Walk<'_, 'a> {
    fn is_full(&self) -> bool {
        self.found.len() >= MAX_WHY
    }

    fn tell(&mut self, what: String, actual: Option<String>, expected: Option<String>) {
        if self.is_full() {
            return;
        }
        let why = Why {
            what: cut(&what),
            actual: actual.map(|text| cut(&text)),
            expected: expected.map(|text| cut(&text)),
        };
        if !self.found.contains(&why) {
            self.found.push(why);
        }
    }

    fn definition(&mut self, id: &str) {
        let Some(definition) = self.evaluator.document.definitions.get(id) else {
            return self.tell(
                format!("definition {id}"),
                Some("not in the document".to_owned()),
                None,
            );
        };
        if !self.seen.insert(&definition.id) {
            return;
        }
        if let Some(criteria) = &definition.criteria {
            self.criteria(criteria);
        }
    }

    /// What was found before; errors where it was not evaluated.
    fn truth(&self, criteria: &Criteria, depth: usize) -> Truth {
        let evaluator = self.evaluator;
        match criteria {
            _ if depth > MAX_DEPTH => Truth::Error,
            Criteria::Group {
                operator,
                negate,
                parts,
            } => {
                let parts = parts.iter().map(|part| self.truth(part, depth + 1));
                operate(*operator, parts).negated(*negate)
            }
            Criteria::Test { test, negate } => {
                let known = evaluator.tests.get(test);
                known.map_or(Truth::Error, |known| known.truth.negated(*negate))
            }
            Criteria::Extend { definition, negate } => {
                let known = evaluator.definitions.get(&**definition);
                known.map_or(Truth::Error, |known| known.negated(*negate))
            }
        }
    }

    fn criteria(&mut self, criteria: &'a Criteria) {
        if self.is_full() || self.depth > MAX_DEPTH {
            return;
        }
        self.depth += 1;
        match criteria {
            Criteria::Group {
                operator, parts, ..
            } => {
                let results: Vec<Truth> = parts.iter().map(|part| self.truth(part, 0)).collect();
                let together = operate(*operator, results.iter().copied());
                // The parts that alone decide, where some do; else all have a share.
                let is_decided = match operator {
                    Operator::And => together != Truth::True,
                    Operator::Or => together != Truth::False,
                    Operator::One | Operator::Xor => {
                        !matches!(together, Truth::True | Truth::False)
                    }
                };
                for (part, result) in parts.iter().zip(results) {
                    if !is_decided || result == together {
                        self.criteria(part);
                    }
                }
            }
            Criteria::Test { test, .. } => self.test(test),
            Criteria::Extend { definition, .. } => self.definition(definition),
        }
        self.depth -= 1;
    }

    fn test(&mut self, id: &str) {
        let evaluator = self.evaluator;
        let (Some(test), Some(outcome)) =
            (evaluator.document.tests.get(id), evaluator.tests.get(id))
        else {
            let actual = Some("not in the document".to_owned());
            return self.tell(format!("test {id}"), actual, None);
        };
        if !self.seen.insert(&test.id) {
            return;
        }
        let object = test.object.as_ref();
        let object = object.and_then(|id| evaluator.document.objects.get(id));
        let Some(object) = object else {
            return self.tell(test.comment.to_string(), outcome.message.clone(), None);
        };
        let collected = evaluator.objects.get(&object.id);
        let (Some(collected), true) = (collected, object.kind == test.kind) else {
            return self.tell(test.comment.to_string(), outcome.message.clone(), None);
        };
        let exists = existence(test, collected.flag, evaluator.count(&collected.items));
        let was_judged = outcome
            .tested
            .iter()
            .any(|(_, result)| *result != Truth::NotEvaluated);
        if exists == Truth::True && was_judged {
            self.judged(test, object, outcome);
        } else {
            self.existing(test, object, outcome, collected.flag);
        }
    }

    /// Decided by what exists.
    fn existing(&mut self, test: &Test, object: &'a Object, outcome: &TestOutcome, flag: Flag) {
        let expected = match test.existence {
            Existence::None => "does not exist",
            Existence::OnlyOne => "exists once",
            Existence::Any => "may exist",
            Existence::All | Existence::AtLeastOne => "exists",
        };
        let expected = Some(expected.to_owned());
        let evaluator = self.evaluator;
        let mut is_told = false;
        for (id, _) in &outcome.tested {
            let Some(item) = evaluator.store.item(*id) else {
                continue;
            };
            let actual = match item.status {
                Status::Exists => content(object, item),
                Status::DoesNotExist => continue,
                Status::Error | Status::NotCollected => {
                    let message = item.message.as_deref();
                    format!(
                        "could not be read: {}",
                        message.unwrap_or("no reason given")
                    )
                }
            };
            self.tell(identity(object, item), Some(actual), expected.clone());
            is_told = true;
            if self.is_full() {
                return;
            }
        }
        if !is_told {
            let actual = match (flag, &outcome.message) {
                (Flag::DoesNotExist | Flag::Complete, _) => "does not exist".to_owned(),
                (_, Some(message)) => message.clone(),
                (Flag::Error, None) => "could not be read".to_owned(),
                (Flag::Incomplete, None) => "not all of it could be read".to_owned(),
                (Flag::NotApplicable, None) => "not applicable".to_owned(),
                (Flag::NotCollected, None) => "not collected".to_owned(),
            };
            let what = self.sought(object, 0);
            let what = what.unwrap_or_else(|| test.comment.to_string());
            self.tell(what, Some(actual), expected);
        }
    }

    /// Decided by states: the values of the items that have the result that decides.
    fn judged(&mut self, test: &'a Test, object: &'a Object, outcome: &TestOutcome) {
        let evaluator = self.evaluator;
        let has_failed = outcome
            .tested
            .iter()
            .any(|(_, result)| *result != Truth::True);
        for (id, result) in &outcome.tested {
            let concerns = if outcome.truth == Truth::True {
                *result == Truth::True
            } else {
                // Where all are true and that is wrong, all are told.
                *result != Truth::True || !has_failed
            };
            let item = evaluator.store.item(*id);
            let (true, Some(item)) = (concerns, item) else {
                continue;
            };
            if item.status != Status::Exists {
                let message = item.message.as_deref().unwrap_or("could not be read");
                self.tell(identity(object, item), Some(message.to_owned()), None);
            }
            for judge in test
                .states
                .iter()
                .filter_map(|id| evaluator.judges.get(&**id))
            {
                for wanted in &judge.wanted {
                    let truth = wanted.item(evaluator.context, item);
                    // In an item that fails, what does not fail is no reason.
                    if *result != Truth::True && truth == Truth::True {
                        continue;
                    }
                    let name = &wanted.entity.name;
                    let mut is_there = false;
                    for value in item.named(name) {
                        is_there = true;
                        for (wanted, value) in wanted.concerns(value) {
                            let is_masked = wanted.entity.mask
                                || is_masked(object, name)
                                || is_text(name) && is_of_secrets(item);
                            self.tell(
                                format!("{}: {}", identity(object, item), value.name),
                                Some(shown(value, is_masked)),
                                Some(wanted.expected()),
                            );
                        }
                    }
                    if !is_there {
                        self.tell(
                            format!("{}: {name}", identity(object, item)),
                            Some("does not exist".to_owned()),
                            Some(wanted.expected()),
                        );
                    }
                    if self.is_full() {
                        return;
                    }
                }
            }
        }
    }

    /// What an object looks for; None where it does not say it in few words.
    fn sought(&self, object: &'a Object, depth: usize) -> Option<String> {
        match &object.body {
            ObjectBody::Set(set) => match set.operands.first()? {
                SetOperand::Object(id) if depth < 8 => {
                    let objects = &self.evaluator.document.objects;
                    self.sought(objects.get(id)?, depth + 1)
                }
                _ => None,
            },
            ObjectBody::Plain { entities, .. } => {
                let text = |name: &str| -> Option<String> {
                    let entity = entities.iter().find(|entity| &*entity.name == name)?;
                    if entity.mask {
                        return Some(MASKED.to_owned());
                    }
                    (!entity.nil).then(|| self.written(entity))
                };
                let place = text("filepath").or_else(|| match (text("path"), text("filename")) {
                    (Some(path), Some(name)) => Some(join(&path, &name)),
                    (Some(path), None) => Some(path),
                    (None, _) => None,
                });
                let place = place.or_else(|| NAMES.into_iter().find_map(text))?;
                Some(match INSIDE.into_iter().find_map(text) {
                    Some(inside) => format!("{place}: {inside}"),
                    None => place,
                })
            }
        }
    }

    fn written(&self, entity: &Entity) -> String {
        let Some(id) = &entity.variable else {
            return entity.value.to_string();
        };
        match self.evaluator.variables.get(id) {
            Some(outcome) if !outcome.values.is_empty() => {
                let values: Vec<&str> = outcome.values.iter().take(8).map(|v| &**v).collect();
                values.join(", ")
            }
            _ => format!("the values of {id}"),
        }
    }
}

fn join(path: &str, name: &str) -> String {
    format!("{}/{name}", path.trim_end_matches('/'))
}

/// Which item it is.
fn identity(object: &Object, item: &Item) -> String {
    let text = |name: &str| -> Option<String> {
        let text = item.text(name)?;
        Some(if is_masked(object, name) {
            MASKED.to_owned()
        } else {
            text.to_owned()
        })
    };
    let place = text("filepath").or_else(|| match (text("path"), text("filename")) {
        (Some(path), Some(name)) => Some(join(&path, &name)),
        (Some(path), None) => Some(path),
        (None, _) => None,
    });
    let place = place.or_else(|| NAMES.into_iter().find_map(text));
    place.unwrap_or_else(|| object.kind.to_string())
}

/// What is in an item of which only asks that it exists.
fn content(object: &Object, item: &Item) -> String {
    let inside = ["text", "subexpression", "value", "value_of", "evr"];
    let value = inside.into_iter().find_map(|name| {
        item.named(name)
            .find(|value| value.status == Status::Exists)
    });
    match value {
        Some(value) if value.fields.is_empty() => {
            let is_masked = is_masked(object, &value.name) || is_of_secrets(item);
            format!("exists: {}", shown(value, is_masked))
        }
        _ => "exists".to_owned(),
    }
}

/// Whether the content asks not to show it, or it is a secret whatever the content asks.
fn is_masked(object: &Object, name: &str) -> bool {
    let is_secret = matches!(&*object.kind, "shadow" | "password") && name == "password";
    is_secret
        || match &object.body {
            ObjectBody::Plain { entities, .. } => entities
                .iter()
                .any(|entity| entity.mask && &*entity.name == name),
            ObjectBody::Set(_) => false,
        }
}

fn is_text(name: &str) -> bool {
    matches!(name, "text" | "subexpression" | "line")
}

/// Whether it is of a file whose lines have password hashes.
fn is_of_secrets(item: &Item) -> bool {
    const FILES: [&str; 6] = [
        "shadow", "shadow-", "gshadow", "gshadow-", "opasswd", "user.cfg",
    ];
    let name = item.text("filename").or_else(|| {
        let path = item.text("filepath")?;
        path.rsplit('/').next()
    });
    name.is_some_and(|name| FILES.contains(&name))
}

fn shown(value: &Value, is_masked: bool) -> String {
    match value.status {
        Status::Exists if is_masked => MASKED.to_owned(),
        Status::Exists => value.text.to_string(),
        Status::DoesNotExist => "does not exist".to_owned(),
        Status::Error => "could not be read".to_owned(),
        Status::NotCollected => "not collected".to_owned(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
