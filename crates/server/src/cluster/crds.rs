//! The kind of constraints that a ConstraintTemplate makes, as a CustomResourceDefinition.

use serde_json::{Value, json};

/// The definition. Without `strict`, parameters are taken as they come.
pub fn of_template(template: &Value, strict: bool) -> Result<Value, String> {
    let crd = template.pointer("/spec/crd/spec");
    let kind = crd
        .and_then(|c| c.pointer("/names/kind"))
        .and_then(Value::as_str)
        .filter(|k| !k.is_empty() && k.bytes().all(|b| b.is_ascii_alphanumeric()))
        .ok_or("spec.crd.spec.names.kind is missing or no kind")?;
    let plural = kind.to_lowercase();
    let free = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = crd.and_then(|c| c.pointer("/validation/openAPIV3Schema"));
    let parameters = match schema.filter(|_| strict) {
        Some(schema) => {
            let mut schema = schema.clone();
            if let Some(map) = schema.as_object_mut() {
                map.entry("type").or_insert_with(|| "object".into());
            }
            schema
        }
        None => free(),
    };
    let short = crd.and_then(|c| c.pointer("/names/shortNames")).cloned();
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 63}}},
        "spec": {"type": "object", "properties": {
            "enforcementAction": {"type": "string"},
            "scopedEnforcementActions": {"type": "array", "items": free()},
            "match": free(),
            "parameters": parameters,
        }},
        "status": free(),
    }}});
    let column =
        |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "schema": schema,
            "subresources": {"status": {}},
            "additionalPrinterColumns": [
                column("enforcement-action", "string", ".spec.enforcementAction"),
                column("total-violations", "integer", ".status.totalViolations"),
            ],
        })
    };
    let mut names = json!({
        "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": plural,
        "categories": ["constraint", "constraints"],
    });
    if let (Some(short), Some(map)) = (short, names.as_object_mut()) {
        map.insert("shortNames".into(), short);
    }
    let owner = match template.pointer("/metadata/uid").and_then(Value::as_str) {
        // The kind goes with its template.
        Some(uid) => json!([{
            "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
            "name": template.pointer("/metadata/name"), "uid": uid,
            "controller": true, "blockOwnerDeletion": true,
        }]),
        None => json!([]),
    };
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.constraints.gatekeeper.sh"),
            "labels": {"gatekeeper.sh/constraint": "yes"},
            "ownerReferences": owner,
        },
        "spec": {
            "group": "constraints.gatekeeper.sh",
            "names": names,
            "scope": "Cluster",
            "versions": [version("v1beta1", true), version("v1alpha1", false)],
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_makes_its_kind() {
        let template = json!({"metadata": {"name": "needslabel", "uid": "u"}, "spec": {"crd": {"spec": {
            "names": {"kind": "NeedsLabel"},
            "validation": {"openAPIV3Schema": {"properties": {"label": {"type": "string"}}}}}}}});
        let made = of_template(&template, true).unwrap();
        assert_eq!(
            made["metadata"]["name"],
            "needslabel.constraints.gatekeeper.sh"
        );
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        assert_eq!(
            made.pointer(&format!("{spec}/parameters")),
            Some(&json!({"type": "object", "properties": {"label": {"type": "string"}}}))
        );
        let free = of_template(&template, false).unwrap();
        assert_eq!(
            free.pointer(&format!(
                "{spec}/parameters/x-kubernetes-preserve-unknown-fields"
            )),
            Some(&json!(true))
        );
        assert!(of_template(&json!({}), true).is_err());
        assert!(
            of_template(
                &json!({"spec": {"crd": {"spec": {"names": {"kind": "a/b"}}}}}),
                true
            )
            .is_err()
        );
    }
}
