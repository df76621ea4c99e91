//! From tests and items to evidence, in the words that our own engine uses.

use super::{Asked, Document, Found, Item, Value, Wanted};
use crate::xccdf::xml::Element;
use bartizan_model::Evidence;
use bartizan_model::secret;
use bartizan_model::text::plain;

/// The most values that are evidence of one definition.
const MAX_EVIDENCE: usize = 8;
/// The most characters of a value.
pub(super) const MAX_TEXT: usize = 200;
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

/// A place: a file, else what `text` has a name for.
fn place(text: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let joined = || match (text("path"), text("filename")) {
        (Some(path), Some(name)) => Some(format!("{}/{name}", path.trim_end_matches('/'))),
        (path, _) => path,
    };
    text("filepath")
        .or_else(joined)
        .or_else(|| NAMES.into_iter().find_map(text))
}

/// What an object looks for; None where it does not say it in few words.
pub(super) fn sought(object: &Element) -> Option<String> {
    let text = |name: &str| {
        let entity = object.child(name)?;
        if matches!(entity.attribute("mask"), Some("true" | "1")) {
            return Some(MASKED.to_owned());
        }
        let text = match entity.attribute("var_ref") {
            Some(variable) => format!("the values of {variable}"),
            None => entity.text(),
        };
        (!text.is_empty()).then(|| plain(&text, MAX_TEXT))
    };
    let place = place(&text)?;
    Some(match INSIDE.into_iter().find_map(text) {
        Some(inside) => format!("{place}: {inside}"),
        None => place,
    })
}

impl Document {
    /// What decided, by the tests that did.
    pub(super) fn evidence(&self, tests: &[String]) -> Vec<Evidence> {
        let mut told = Vec::new();
        for test in tests {
            let Some(found) = self.found.get(test) else {
                continue;
            };
            let unknown = Asked::default();
            let asked = self.asked.get(test).unwrap_or(&unknown);
            let before = told.len();
            if found
                .items
                .iter()
                .any(|(_, result)| result != "not evaluated")
            {
                self.judged(asked, found, &mut told);
            }
            if told.len() == before {
                self.existing(test, asked, found, &mut told);
            }
            if told.len() >= MAX_EVIDENCE {
                told.truncate(MAX_EVIDENCE);
                break;
            }
        }
        told
    }

    /// Decided by states: the values of the items that have the result that decides.
    fn judged(&self, asked: &Asked, found: &Found, told: &mut Vec<Evidence>) {
        let states = asked.states.iter().filter_map(|id| self.states.get(id));
        let wanted: Vec<&Wanted> = states.flatten().collect();
        for (id, result) in &found.items {
            let Some(item) = self.items.get(id) else {
                continue;
            };
            for wanted in &wanted {
                let expected = Some(wanted.expected(found));
                let path = format!("{}: {}", item.identity(), wanted.name);
                let mut values = item.values.iter().filter(|one| one.name == wanted.name);
                let Some(first) = values.next() else {
                    let actual = "does not exist".to_owned();
                    tell(told, path, actual, expected);
                    continue;
                };
                for value in std::iter::once(first).chain(values) {
                    // In an item that fails, what does not fail is no reason.
                    if result != "true" && wanted.surely_holds(value) {
                        continue;
                    }
                    let is_hidden = wanted.mask || value.mask || item.hides(value);
                    tell(told, path.clone(), value.shown(is_hidden), expected.clone());
                }
            }
        }
    }

    /// Decided by what exists.
    fn existing(&self, test: &str, asked: &Asked, found: &Found, told: &mut Vec<Evidence>) {
        let expected = match asked.existence.as_str() {
            "none_exist" => "does not exist",
            "only_one_exists" => "exists once",
            "any_exist" => "may exist",
            _ => "exists",
        };
        let expected = Some(expected.to_owned());
        let before = told.len();
        for (id, _) in &found.items {
            let Some(item) = self.items.get(id) else {
                continue;
            };
            let actual = match item.status.as_str() {
                "exists" => item.content(),
                "does not exist" => continue,
                _ => {
                    let message = item.message.as_deref().unwrap_or("no reason given");
                    format!("could not be read: {message}")
                }
            };
            tell(told, item.identity(), actual, expected.clone());
        }
        if told.len() > before {
            return;
        }
        let flag = self.flags.get(&asked.object).map(String::as_str);
        let actual = match (flag, found.result.as_str()) {
            (Some("does not exist" | "complete"), _) => "does not exist".to_owned(),
            (Some("error"), _) => "could not be read".to_owned(),
            (Some("incomplete"), _) => "not all of it could be read".to_owned(),
            (Some(flag), _) => flag.to_owned(),
            (None, result) => format!("the test is {result}"),
        };
        let sought = self.objects.get(&asked.object).cloned();
        let comment = (!asked.comment.is_empty()).then(|| asked.comment.clone());
        let path = sought.or(comment).unwrap_or_else(|| plain(test, MAX_TEXT));
        tell(told, path, actual, expected);
    }
}

fn tell(told: &mut Vec<Evidence>, path: String, actual: String, expected: Option<String>) {
    let evidence = Evidence {
        path,
        actual: Some(actual),
        expected,
    };
    if told.len() < MAX_EVIDENCE && !told.contains(&evidence) {
        told.push(evidence);
    }
}

impl Wanted {
    fn expected(&self, found: &Found) -> String {
        let operation = match self.operation.as_str() {
            "" => "equals",
            "pattern match" => "matches",
            other => other,
        };
        let Some(variable) = &self.variable else {
            return format!("{operation} {}", self.value);
        };
        let values: Vec<&str> = found
            .variables
            .iter()
            .filter(|(id, _)| id == variable)
            .map(|(_, value)| value.as_str())
            .collect();
        let (none, join) = match self.var_check.as_str() {
            "at least one" => ("", " or "),
            "none satisfy" | "none exist" => ("not ", " nor "),
            "only one" => ("", " xor "),
            _ => ("", " and "),
        };
        match values.is_empty() {
            true => format!("{none}{operation} the values of {variable}"),
            false => format!("{none}{operation} {}", values.join(join)),
        }
    }

    /// Whether it holds, where that is plain to see.
    fn surely_holds(&self, value: &Value) -> bool {
        let is_equality = matches!(self.operation.as_str(), "" | "equals");
        is_equality
            && self.variable.is_none()
            && value.status == "exists"
            && value.text == self.value
    }
}

impl Item {
    fn text(&self, name: &str) -> Option<&Value> {
        let found = self.values.iter().find(|value| value.name == name);
        found.filter(|value| !value.text.is_empty())
    }

    /// Which item it is.
    fn identity(&self) -> String {
        let text = |name: &str| {
            let value = self.text(name)?;
            Some(match value.mask {
                true => MASKED.to_owned(),
                false => value.text.clone(),
            })
        };
        place(&text).unwrap_or_else(|| self.kind.clone())
    }

    /// Whether a value must not be shown.
    fn hides(&self, value: &Value) -> bool {
        let is_password = matches!(self.kind.as_str(), "shadow" | "password");
        let is_content = matches!(
            value.name.as_str(),
            "text" | "subexpression" | "line" | "value" | "value_of"
        );
        (is_password && value.name == "password")
            || (is_content && secret::is_secret_place(&format!("{}: text", self.identity())))
            || secret::has_hash(&value.text)
    }

    /// What is in an item of which only asks that it exists.
    fn content(&self) -> String {
        let inside = ["text", "subexpression", "value", "value_of", "evr"];
        let value = inside.into_iter().find_map(|name| {
            let value = self.text(name)?;
            (value.status == "exists").then_some(value)
        });
        match value {
            Some(value) => {
                let is_hidden = value.mask || self.hides(value);
                format!("exists: {}", value.shown(is_hidden))
            }
            None => "exists".to_owned(),
        }
    }
}

impl Value {
    fn shown(&self, is_hidden: bool) -> String {
        match self.status.as_str() {
            "exists" if is_hidden => MASKED.to_owned(),
            "exists" => self.text.clone(),
            "does not exist" => "does not exist".to_owned(),
            "error" => "could not be read".to_owned(),
            other => other.to_owned(),
        }
    }
}
