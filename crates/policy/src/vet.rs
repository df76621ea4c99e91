//! Policies themselves at the webhook: what could not be used is refused when it is applied, as
//! Gatekeeper's validation webhook does it, with the field or line that is wrong. What could be
//! used but does nothing, or not all that it says, gets a warning.

use crate::cel::NativeCode;
use crate::enforce::Actions;
use crate::except::Exception;
use crate::expansion::Expansions;
use crate::gatekeeper::{self, Exclusions};
use crate::library::Library;
use crate::mutate::Mutators;
use crate::object::Object;
use crate::providers::Provider;
use crate::review::{Operation, Review};
use crate::{parameters, unit};
use bartizan_model::Location;
use serde_json::Value;

/// Whether objects of a group may be policies of ours; asked of every review.
pub(crate) fn concerns(group: &str) -> bool {
    group.ends_with(".gatekeeper.sh") || group == "bartizan.dev"
}

/// Warnings; the error is why the object of a review cannot be used.
pub(crate) fn vet(review: &Review, library: &Library) -> Result<Vec<String>, String> {
    let changes = matches!(review.operation, Operation::Create | Operation::Update);
    if !changes || !review.sub_resource.is_empty() || review.object.is_null() {
        return Ok(Vec::new());
    }
    let object = object(review);
    match (object.group.as_str(), object.kind.as_str()) {
        ("templates.gatekeeper.sh", "ConstraintTemplate") => template(&object),
        ("constraints.gatekeeper.sh", _) => constraint(&object, library),
        ("mutations.gatekeeper.sh", _) => mutator(&object, library),
        ("expansion.gatekeeper.sh", "ExpansionTemplate") => {
            let read = Expansions::from_objects([&object]);
            let fault = read.faults().first();
            fault.map_or(Ok(Vec::new()), |(_, why)| Err(why.clone()))
        }
        ("externaldata.gatekeeper.sh", "Provider") => match Provider::read(&object) {
            Some(Err(why)) => Err(why),
            _ => Ok(Vec::new()),
        },
        ("config.gatekeeper.sh", "Config") => config(&object),
        ("syncset.gatekeeper.sh", "SyncSet") => {
            kinds(object.value.pointer("/spec/gvks"), "spec.gvks").map(|()| Vec::new())
        }
        ("bartizan.dev", "PolicyException") => Exception::read(&object).map(|_| Vec::new()),
        _ => Ok(Vec::new()),
    }
}

fn object(review: &Review) -> Object {
    let metadata = review.object.get("metadata");
    let name = metadata.and_then(|m| m.get("name")).and_then(Value::as_str);
    Object {
        group: review.kind.group.clone(),
        version: review.kind.version.clone(),
        kind: review.kind.kind.clone(),
        namespace: review.namespace.clone(),
        name: name.unwrap_or(&review.name).to_owned(),
        location: Location {
            file: String::new(),
            line: 1,
            column: None,
        },
        value: review.object.clone(),
        lines: Vec::new(),
        helm: None,
    }
}

fn template(object: &Object) -> Result<Vec<String>, String> {
    let template = gatekeeper::template(object)?;
    if let Some(why) = template.refused {
        return Err(format!("spec.targets[0]: {why}"));
    }
    unit::prove(&template).map_err(|why| format!("spec.targets[0]: {why}"))?;
    if let Some(schema) = &template.schema {
        parameters::check_schema(schema)?;
    }
    // A template in both languages is run in the other where one cannot be; say which.
    let entries = object.value.pointer("/spec/targets/0/code");
    for (i, entry) in entries
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let native = entry.get("engine").and_then(Value::as_str) == Some("K8sNativeValidation");
        if let Some(source) = entry.get("source").filter(|_| native) {
            NativeCode::compile(source)
                .map_err(|why| format!("spec.targets[0].code[{i}].source: {why}"))?;
        }
    }
    Ok(template.notice.into_iter().collect())
}

fn constraint(object: &Object, library: &Library) -> Result<Vec<String>, String> {
    let mut constraint = gatekeeper::constraint(object)?;
    Actions::vet(object.value.get("spec"))?;
    let scope = object.value.pointer("/spec/match/scope");
    if !matches!(
        scope.map(Value::as_str),
        None | Some(Some("" | "*" | "Cluster" | "Namespaced"))
    ) {
        return Err("spec.match.scope is none of *, Cluster, Namespaced".into());
    }
    let mut warnings: Vec<String> = constraint.notice.take().into_iter().collect();
    match library.schema(&object.kind) {
        Some(Some(schema)) => {
            gatekeeper::default_parameters(&mut constraint.parameters, schema);
            parameters::check(&constraint.parameters, schema)?;
        }
        Some(None) => {}
        None => warnings.push(format!(
            "there is no ConstraintTemplate of kind {} in force here yet: its parameters were not checked",
            object.kind
        )),
    }
    Ok(warnings)
}

fn mutator(object: &Object, library: &Library) -> Result<Vec<String>, String> {
    let own = Mutators::from_objects([object]);
    if let Some(fault) = own.faults().first() {
        return Err(fault.why.clone());
    }
    let all = library.mutators().with(own);
    let new = |id: &crate::mutate::Id| id.kind == object.kind && id.name == object.name;
    let mut warnings = Vec::new();
    // Gatekeeper takes them, too, and applies neither.
    if let Some((_, others)) = all.conflicts().iter().find(|(id, _)| new(id)) {
        let others: Vec<_> = others.iter().map(ToString::to_string).collect();
        warnings.push(format!(
            "it contradicts {}: neither is applied",
            others.join(", ")
        ));
    }
    Ok(warnings)
}

fn config(object: &Object) -> Result<Vec<String>, String> {
    if object.name != "config" {
        return Err("config resource must have name 'config'".into());
    }
    Exclusions::read(object)?;
    let synced = object.value.pointer("/spec/sync/syncOnly");
    kinds(synced, "spec.sync.syncOnly")?;
    Ok(Vec::new())
}

/// A list of groups, versions and kinds.
fn kinds(value: Option<&Value>, field: &str) -> Result<(), String> {
    let entries = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(format!("{field} is no list")),
    };
    for (i, entry) in entries.iter().enumerate() {
        let known = ["group", "version", "kind"];
        let fits = |part: &&str| matches!(entry.get(*part), None | Some(Value::String(_)));
        let named = |part: &str| {
            entry
                .get(part)
                .and_then(Value::as_str)
                .is_some_and(|t| !t.is_empty())
        };
        if !entry.is_object() || !known.iter().all(fits) {
            return Err(format!("{field}[{i}] is no group, version and kind"));
        }
        if !named("kind") || !named("version") {
            return Err(format!("{field}[{i}] is without version or kind"));
        }
    }
    Ok(())
}
