//! ValidatingAdmissionPolicies made of ConstraintTemplates in CEL, and bindings made of their
//! constraints, under the names and with the fields that Gatekeeper gives them.

use super::{name, text};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const ENGINE: &str = "K8sNativeValidation";

/// The longest name of an object.
const NAME: usize = 253;

/// An object of a request whose metadata has a field that fits one of the globs of the
/// constraint's match.
fn globs(field: &str, wanted: bool) -> String {
    let not = if wanted { "" } else { "!" };
    format!(
        "!has(params.spec) || !has(params.spec.match) || !has(params.spec.match.{field}) || \
         [object, oldObject].exists(o, o != null && \
         (!has(o.metadata.namespace) || o.metadata.namespace == \"\" || \
         {not}params.spec.match.{field}.exists(n, string(o.metadata.namespace).matches(\
         \"^\" + string(n).replace(\"*\", \".*\") + \"$\"))))"
    )
}

/// The conditions that stand for the constraint's match; selectors are the binding's.
fn conditions() -> [(&'static str, String); 4] {
    let listed = |field: &str, item: &str| {
        format!(
            "(!has(k.{field}) || size(k.{field}) == 0 || \"*\" in k.{field} || request.kind.{item} in k.{field})"
        )
    };
    let kinds = format!(
        "!has(params.spec) || !has(params.spec.match) || !has(params.spec.match.kinds) || \
         params.spec.match.kinds.exists(k, {} && {})",
        listed("kinds", "kind"),
        listed("apiGroups", "group")
    );
    let glob = "\"^\" + string(params.spec.match.name).replace(\"*\", \".*\") + \"$\"";
    let names = format!(
        "!has(params.spec) || !has(params.spec.match) || !has(params.spec.match.name) || \
         [object, oldObject].exists(o, o != null && \
         ((has(o.metadata.name) && string(o.metadata.name).matches({glob})) || \
         (has(o.metadata.generateName) && o.metadata.generateName != \"\" && \
         string(params.spec.match.name).endsWith(\"*\") && \
         string(o.metadata.generateName).matches({glob}))))"
    );
    [
        (
            "gatekeeper_internal_match_excluded_namespaces",
            globs("excludedNamespaces", false),
        ),
        (
            "gatekeeper_internal_match_namespaces",
            globs("namespaces", true),
        ),
        ("gatekeeper_internal_match_name", names),
        ("gatekeeper_internal_match_kinds", kinds),
    ]
}

/// The policy of a template that has CEL. None where it has none, or says `generateVAP: false`.
///
/// # Errors
/// Says what in the template is malformed.
pub fn policy_of(template: &Value) -> Result<Option<Value>, String> {
    let targets = template.get("spec").and_then(|s| s.get("targets"));
    let targets = targets.and_then(Value::as_array);
    let [target] = targets.map_or(&[][..], Vec::as_slice) else {
        return Err("spec.targets must have exactly one target".into());
    };
    let code = target.get("code").and_then(Value::as_array);
    let native = |entry: &&Value| entry.get("engine").and_then(Value::as_str) == Some(ENGINE);
    let Some(entry) = code.into_iter().flatten().find(native) else {
        return Ok(None);
    };
    let source = entry.get("source").ok_or("code[].source is missing")?;
    crate::cel::NativeCode::compile(source)?;
    if source.get("generateVAP").and_then(Value::as_bool) == Some(false) {
        return Ok(None);
    }
    let kind = template
        .pointer("/spec/crd/spec/names/kind")
        .and_then(Value::as_str)
        .ok_or("spec.crd.spec.names.kind is missing")?;
    let listed = |field: &str| source.get(field).and_then(Value::as_array).cloned();
    let mut match_conditions = listed("matchCondition").unwrap_or_default();
    for (name, expression) in conditions() {
        match_conditions.push(json!({"name": name, "expression": expression}));
    }
    let mut variables = vec![
        json!({
            "name": "anyObject",
            "expression": "has(request.operation) && request.operation == \"DELETE\" && object == null ? oldObject : object",
        }),
        json!({
            "name": "params",
            "expression": "has(params.spec) && has(params.spec.parameters) ? params.spec.parameters : null",
        }),
    ];
    variables.extend(listed("variables").unwrap_or_default());
    let validations: Vec<Value> = listed("validations")
        .unwrap_or_default()
        .iter()
        .map(|entry| {
            let fields = ["expression", "message", "messageExpression"];
            let kept = fields.iter().filter_map(|field| {
                let value = entry.get(*field).filter(|v| !v.is_null() && *v != "")?;
                Some(((*field).to_owned(), value.clone()))
            });
            Value::Object(kept.collect::<Map<_, _>>())
        })
        .collect();
    let operations = target.get("operations").and_then(Value::as_array);
    let operations = match operations.filter(|o| !o.is_empty()) {
        Some(operations) => Value::Array(operations.clone()),
        None => json!(["CREATE", "UPDATE"]),
    };
    Ok(Some(json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": format!("gatekeeper-{}", name(template)?)},
        "spec": {
            "failurePolicy": text(source, "failurePolicy")?.unwrap_or("Fail"),
            "paramKind": {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind},
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": operations,
            }]},
            "matchConditions": match_conditions,
            "variables": variables,
            "validations": validations,
        },
    })))
}

/// The binding of a constraint, with its enforcement actions at the enforcement point of the
/// API server: `deny`, `warn` and `dryrun`.
///
/// # Errors
/// Says which action has no counterpart.
pub fn binding_of(constraint: &Value, actions: &[&str]) -> Result<Value, String> {
    let kind = text(constraint, "kind")?.unwrap_or_default().to_lowercase();
    let own = name(constraint)?;
    let mut validation = Vec::new();
    for action in actions {
        validation.push(match *action {
            "deny" => "Deny",
            "warn" => "Warn",
            "dryrun" => "Audit",
            other => {
                return Err(format!(
                    "the enforcement action {other:?} has no counterpart"
                ));
            }
        });
    }
    if validation.is_empty() {
        return Err("without an enforcement action there is no binding".into());
    }
    let mut resources = Map::new();
    for (field, kept) in [
        ("labelSelector", "objectSelector"),
        ("namespaceSelector", "namespaceSelector"),
    ] {
        let path = format!("/spec/match/{field}");
        if let Some(selector) = constraint.pointer(&path).filter(|v| !v.is_null()) {
            resources.insert(kept.into(), selector.clone());
        }
    }
    Ok(json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": bounded(&format!("gatekeeper-{kind}-{own}"))},
        "spec": {
            "policyName": format!("gatekeeper-{kind}"),
            "paramRef": {"name": own, "parameterNotFoundAction": "Allow"},
            "matchResources": resources,
            "validationActions": validation,
        },
    }))
}

/// A name, cut to the length that is allowed, with a piece of its digest.
fn bounded(name: &str) -> String {
    if name.len() <= NAME {
        return name.to_owned();
    }
    let digest = Sha256::digest(name.as_bytes());
    let hash: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    let cut: String = name.chars().take(NAME - hash.len() - 1).collect();
    format!("{}-{hash}", cut.trim_end_matches(['-', '.']))
}
