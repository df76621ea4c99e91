//! The four kinds of mutators as they are written, checked as Gatekeeper checks them.

use super::apply::Condition;
use super::external::{External, FailurePolicy};
use super::image::Parts;
use super::location::{Location, PathTests, Step};
use super::schema::Shape;
use super::{Action, ApplyTo, Id, Mutator, MutatorFault};
use crate::matching::Match;
use crate::object::Object;
use crate::review::Operation;
use serde_json::{Map, Value};

/// The group of all mutators.
pub(super) const GROUP: &str = "mutations.gatekeeper.sh";

/// The mutator that an object is; none where it is none.
pub(super) fn mutator(object: &Object) -> Option<Result<Mutator, MutatorFault>> {
    let known = ["Assign", "AssignMetadata", "ModifySet", "AssignImage"];
    if object.group != GROUP || !known.contains(&object.kind.as_str()) {
        return None;
    }
    let id = Id {
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    };
    Some(read(object, &id).map_err(|why| MutatorFault { id, why }))
}

fn read(object: &Object, id: &Id) -> Result<Mutator, String> {
    match (object.version.as_str(), object.kind.as_str()) {
        ("v1" | "v1beta1" | "v1alpha1", _) => {}
        (other, kind) => return Err(format!("there is no version {other:?} of {kind}")),
    }
    if object.name.len() > 63 {
        return Err("its name is longer than 63 characters".into());
    }
    let empty = Value::Null;
    let spec = object.value.get("spec").unwrap_or(&empty);
    let at = |field: &str| spec.get(field).filter(|v| !v.is_null());
    let written = text(spec, "location")?;
    let location =
        Location::parse(written).map_err(|why| format!("the location {written:?}: {why}"))?;
    let parameters = at("parameters").unwrap_or(&empty);
    if !parameters.is_null() && !parameters.is_object() {
        return Err("spec.parameters is no mapping".into());
    }
    let metadata = object.kind == "AssignMetadata";
    if !metadata && location.in_metadata() {
        return Err("it cannot change metadata".into());
    }
    location.keeps_keys()?;
    let action = match object.kind.as_str() {
        "AssignMetadata" => assign_metadata(parameters, &location)?,
        "ModifySet" => modify_set(parameters, &location)?,
        "AssignImage" => assign_image(parameters, &location)?,
        _ => assign(parameters, &location)?,
    };
    let tests = match metadata {
        true => PathTests::must_not_exist(&location),
        false => PathTests::new(&location, &path_tests(parameters)?)?,
    };
    Ok(Mutator {
        apply_to: match metadata {
            true => None,
            false => Some(apply_to(at("applyTo"))?),
        },
        id: id.clone(),
        matching: Match::parse(at("match"))?,
        end: match &action {
            Action::Merge(_) | Action::Prune(_) => Shape::Set,
            Action::Image(_) => Shape::Text,
            _ => Shape::Untold,
        },
        location,
        tests,
        action,
    })
}

fn text<'v>(value: &'v Value, field: &str) -> Result<&'v str, String> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{field} is no text")),
    }
}

fn texts(value: &Value, field: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{field} is no list of texts");
    match value.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            let all = list.iter().map(|v| v.as_str().map(str::to_owned));
            all.collect::<Option<_>>().ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

fn mapping<'v>(value: &'v Value, field: &str) -> Result<Option<&'v Map<String, Value>>, String> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(format!("{field} is no mapping")),
    }
}

pub(crate) fn apply_to(value: Option<&Value>) -> Result<Vec<ApplyTo>, String> {
    let list = match value {
        None => return Err("applyTo is required".into()),
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(_) => return Err("applyTo is no list with entries".into()),
    };
    let mut all = Vec::new();
    for entry in list {
        let one = ApplyTo {
            groups: texts(entry, "groups")?,
            versions: texts(entry, "versions")?,
            kinds: texts(entry, "kinds")?,
            operations: operations(&texts(entry, "operations")?)?,
        };
        if one.groups.is_empty() || one.versions.is_empty() || one.kinds.is_empty() {
            return Err("applyTo: groups, versions and kinds must each be given".into());
        }
        all.push(one);
    }
    Ok(all)
}

/// Both where nothing is said.
fn operations(words: &[String]) -> Result<Vec<Operation>, String> {
    let mut all = Vec::new();
    for word in words {
        let one = match word.as_str() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "*" if words.len() == 1 => continue,
            "*" => return Err("applyTo: the operation * stands alone".into()),
            other => {
                return Err(format!(
                    "applyTo: the operation {other:?} is none of CREATE, UPDATE, *"
                ));
            }
        };
        if all.contains(&one) {
            return Err(format!("applyTo: the operation {word} is there twice"));
        }
        all.push(one);
    }
    if all.is_empty() {
        all = vec![Operation::Create, Operation::Update];
    }
    Ok(all)
}

fn path_tests(parameters: &Value) -> Result<Vec<(Location, bool)>, String> {
    let list = match parameters.get("pathTests") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("pathTests is no list".into()),
    };
    let mut all = Vec::new();
    for test in list {
        let path = text(test, "subPath")?;
        let path = Location::parse(path).map_err(|why| format!("the subPath {path:?}: {why}"))?;
        let must = match text(test, "condition")? {
            "MustExist" => true,
            "MustNotExist" => false,
            other => {
                return Err(format!(
                    "pathTests: {other:?} is neither MustExist nor MustNotExist"
                ));
            }
        };
        all.push((path, must));
    }
    Ok(all)
}

fn assign(parameters: &Value, location: &Location) -> Result<Action, String> {
    let mut action = value_of(parameters)?;
    if let (Action::Put { value, .. }, Some(Step::Item { key, is })) =
        (&action, location.steps.last())
    {
        let is = is
            .as_ref()
            .ok_or("all elements of a list cannot be set at once")?;
        let Value::Object(map) = value else {
            return Err("only a mapping can be put into a list that is known by a key".into());
        };
        if !map.get(key).is_some_and(|value| is.is(value)) {
            return Err(format!(
                "the mapping that is put into the list has another {key:?} than the location"
            ));
        }
    } else if location.ends_in_list() {
        return Err("only a value can be put into a list".into());
    }
    if let (Action::Put { when, .. }, Some(map)) = (&mut action, mapping(parameters, "assignIf")?) {
        let list = |field: &str| match map.get(field) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list.clone()),
            Some(_) => Err(format!("assignIf.{field} is no list")),
        };
        *when = Some(Condition {
            among: list("in")?,
            not_among: list("notIn")?,
        });
    }
    Ok(action)
}

fn assign_metadata(parameters: &Value, location: &Location) -> Result<Action, String> {
    let place = match location.steps.as_slice() {
        [Step::Field(a), Step::Field(b), Step::Field(_)] => Some((a.as_str(), b.as_str())),
        _ => None,
    };
    if !matches!(place, Some(("metadata", "labels" | "annotations"))) {
        return Err(format!(
            "the location {location} is no single label or annotation"
        ));
    }
    let action = value_of(parameters)?;
    match &action {
        Action::Put { value, .. } if !value.is_string() => {
            Err("assign.value of a label or annotation is no text".into())
        }
        Action::External(external) if !external.by_user => {
            Err("labels and annotations take external data by Username only".into())
        }
        _ => Ok(action),
    }
}

fn value_of(parameters: &Value) -> Result<Action, String> {
    let wrong = || "assign must have exactly one of value, fromMetadata and externalData";
    let assign = mapping(parameters, "assign")?.ok_or_else(wrong)?;
    let has = |field: &str| assign.get(field).filter(|v| !v.is_null());
    match (has("value"), has("fromMetadata"), has("externalData")) {
        (Some(value), None, None) => Ok(Action::Put {
            value: value.clone(),
            when: None,
        }),
        (None, Some(from), None) => match text(from, "field")? {
            "name" => Ok(Action::Name),
            "namespace" => Ok(Action::Namespace),
            other => Err(format!(
                "fromMetadata: the field {other:?} is neither name nor namespace"
            )),
        },
        (None, None, Some(external)) => Ok(Action::External(external_data(external)?)),
        _ => Err(wrong().into()),
    }
}

fn external_data(value: &Value) -> Result<External, String> {
    let provider = text(value, "provider")?;
    if provider.is_empty() {
        return Err("externalData: the provider is missing".into());
    }
    let default = text(value, "default")?;
    Ok(External {
        provider: provider.to_owned(),
        by_user: match text(value, "dataSource")? {
            "" | "ValueAtLocation" => false,
            "Username" => true,
            other => {
                return Err(format!(
                    "externalData: the dataSource {other:?} is neither ValueAtLocation nor Username"
                ));
            }
        },
        failure: match text(value, "failurePolicy")? {
            "" | "Fail" => FailurePolicy::Fail,
            "Ignore" => FailurePolicy::Ignore,
            "UseDefault" if default.is_empty() => {
                return Err("externalData: UseDefault needs a default".into());
            }
            "UseDefault" => FailurePolicy::UseDefault(default.to_owned()),
            other => {
                return Err(format!(
                    "externalData: the failurePolicy {other:?} is none of Fail, Ignore, UseDefault"
                ));
            }
        },
    })
}

fn modify_set(parameters: &Value, location: &Location) -> Result<Action, String> {
    if location.ends_in_list() {
        return Err("the location of a ModifySet cannot end at elements of a list".into());
    }
    let values = match mapping(parameters, "values")?.and_then(|v| v.get("fromList")) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.clone(),
        Some(_) => return Err("values.fromList is no list".into()),
    };
    match text(parameters, "operation")? {
        "" | "merge" => Ok(Action::Merge(values)),
        "prune" => Ok(Action::Prune(values)),
        other => Err(format!(
            "the operation {other:?} is neither merge nor prune"
        )),
    }
}

fn assign_image(parameters: &Value, location: &Location) -> Result<Action, String> {
    if location.ends_in_list() {
        return Err("the location of an AssignImage cannot end at elements of a list".into());
    }
    let parts = Parts {
        domain: text(parameters, "assignDomain")?.to_owned(),
        path: text(parameters, "assignPath")?.to_owned(),
        tag: text(parameters, "assignTag")?.to_owned(),
    };
    parts.check()?;
    Ok(Action::Image(parts))
}
