//! `admission.k8s.io` AdmissionReviews: request bytes in, response bytes out.
//!
//! A review comes from the network and may be anything. Size, depth and number of values are
//! bounded before a tree is made of it; every error says which field is wrong.

use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// What a review may cost to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewLimits {
    /// Bytes. An API server takes objects up to 3 MiB; a review carries two of them.
    pub bytes: usize,
    /// Nested lists and mappings.
    pub depth: usize,
    /// Values of all kinds.
    pub values: usize,
}

impl Default for ReviewLimits {
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            depth: 100,
            values: 400_000,
        }
    }
}

/// Why a review cannot be read. Whose fault: the sender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// Larger than [`ReviewLimits::bytes`].
    #[error("the review is larger than {0} bytes")]
    TooLarge(usize),
    /// Deeper than [`ReviewLimits::depth`].
    #[error("the review is nested deeper than {0}")]
    TooDeep(usize),
    /// More values than [`ReviewLimits::values`].
    #[error("the review has more than {0} values")]
    TooMany(usize),
    /// No JSON.
    #[error("the review is no JSON: {0}")]
    NotJson(String),
    /// A field is missing or of the wrong type.
    #[error("{field}: {why}")]
    Field {
        /// Which, such as `request.kind.version`.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupVersionKind {
    /// The group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
}

/// A group, version and resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupVersionResource {
    /// The group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The resource, such as `pods`.
    pub resource: String,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserInfo {
    /// The name.
    pub username: String,
    /// The id, where the authenticator gives one.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else the authenticator says.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What is done to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// Something connects to it.
    Connect,
}

impl Operation {
    /// The word in the review.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The request of an AdmissionReview.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// The `apiVersion` that came and goes back.
    pub api_version: String,
    /// The id that the answer repeats.
    pub uid: String,
    /// Of the object, as the webhook asked for it.
    pub kind: GroupVersionKind,
    /// The resource.
    pub resource: GroupVersionResource,
    /// The subresource, such as `scale`; empty where none is.
    pub sub_resource: String,
    /// As the client asked for it, where that may differ.
    pub request_kind: Option<GroupVersionKind>,
    /// As the client asked for it, where that may differ.
    pub request_resource: Option<GroupVersionResource>,
    /// As the client asked for it.
    pub request_sub_resource: String,
    /// The name; empty where the server is still to make one.
    pub name: String,
    /// The namespace; empty for objects of the cluster, and for a Namespace itself.
    pub namespace: String,
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub user: UserInfo,
    /// The new object; null for a DELETE.
    pub object: Value,
    /// The object before; null for a CREATE.
    pub old_object: Value,
    /// `CreateOptions` and its like; null where none came.
    pub options: Value,
    /// Whether nothing will be kept.
    pub dry_run: bool,
    /// All fields but the objects, for `input.review`.
    pub(crate) request: Value,
}

impl Review {
    /// Reads an AdmissionReview of v1 or v1beta1.
    pub fn parse(bytes: &[u8], limits: &ReviewLimits) -> Result<Self, ReviewError> {
        bounded(bytes, limits)?;
        let mut review: Value =
            serde_json::from_slice(bytes).map_err(|e| ReviewError::NotJson(e.to_string()))?;
        let wrong = |field, why| ReviewError::Field { field, why };
        let top = review
            .as_object_mut()
            .ok_or(wrong("the review", "is no mapping"))?;
        if top.get("kind").and_then(Value::as_str) != Some("AdmissionReview") {
            return Err(wrong("kind", "is not AdmissionReview"));
        }
        let api_version = match top.get("apiVersion").and_then(Value::as_str) {
            Some(known @ ("admission.k8s.io/v1" | "admission.k8s.io/v1beta1")) => known.to_owned(),
            _ => return Err(wrong("apiVersion", "is not admission.k8s.io/v1")),
        };
        let Some(Value::Object(mut map)) = top.remove("request") else {
            return Err(wrong("request", "is missing or no mapping"));
        };
        let mut take = |field: &'static str| map.remove(field).unwrap_or(Value::Null);
        let object = mapping(take("object"), "request.object")?;
        let old_object = mapping(take("oldObject"), "request.oldObject")?;
        let options = mapping(take("options"), "request.options")?;
        let dry_run = match take("dryRun") {
            Value::Null => None,
            Value::Bool(told) => Some(told),
            _ => return Err(wrong("request.dryRun", "is no boolean")),
        };
        let uid = text(&map, "uid", "request.uid")?;
        if uid.is_empty() {
            return Err(wrong("request.uid", "is missing"));
        }
        let kind =
            gvk(map.get("kind"), "request.kind")?.ok_or(wrong("request.kind", "is missing"))?;
        let resource = gvr(map.get("resource"), "request.resource")?.unwrap_or_default();
        let operation = match text(&map, "operation", "request.operation")?.as_str() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => Operation::Connect,
            _ => {
                return Err(wrong(
                    "request.operation",
                    "is none of CREATE, UPDATE, DELETE, CONNECT",
                ));
            }
        };
        let mut namespace = text(&map, "namespace", "request.namespace")?;
        if kind.kind == "Namespace" && kind.group.is_empty() {
            // Server-side apply names the Namespace as its own namespace; other requests do
            // not. Gatekeeper treats both as the latter.
            namespace.clear();
        }
        let mut this = Self {
            api_version,
            uid,
            kind,
            resource,
            sub_resource: text(&map, "subResource", "request.subResource")?,
            request_kind: gvk(map.get("requestKind"), "request.requestKind")?,
            request_resource: gvr(map.get("requestResource"), "request.requestResource")?,
            request_sub_resource: text(&map, "requestSubResource", "request.requestSubResource")?,
            name: text(&map, "name", "request.name")?,
            namespace,
            operation,
            user: user(map.get("userInfo"))?,
            object,
            old_object,
            options,
            dry_run: dry_run == Some(true),
            request: Value::Null,
        };
        this.request = this.fields(dry_run);
        Ok(this)
    }

    /// The object that the review is about: of a DELETE the one that goes.
    pub fn subject(&self) -> &Value {
        match self.operation {
            Operation::Delete => &self.old_object,
            _ if self.object.is_null() => &self.old_object,
            _ => &self.object,
        }
    }

    /// The fields beside the objects as Gatekeeper gives them to policies: what is empty and
    /// optional is left out.
    fn fields(&self, dry_run: Option<bool>) -> Value {
        let mut fields = Map::new();
        let kind =
            |k: &GroupVersionKind| json!({"group": k.group, "kind": k.kind, "version": k.version});
        let resource = |r: &GroupVersionResource| json!({"group": r.group, "resource": r.resource, "version": r.version});
        fields.insert("uid".into(), self.uid.clone().into());
        fields.insert("kind".into(), kind(&self.kind));
        fields.insert("resource".into(), resource(&self.resource));
        fields.insert("operation".into(), self.operation.word().into());
        fields.insert("options".into(), self.options.clone());
        for (name, text) in [
            ("subResource", &self.sub_resource),
            ("requestSubResource", &self.request_sub_resource),
            ("name", &self.name),
            ("namespace", &self.namespace),
        ] {
            if !text.is_empty() {
                fields.insert(name.into(), text.clone().into());
            }
        }
        if let Some(k) = &self.request_kind {
            fields.insert("requestKind".into(), kind(k));
        }
        if let Some(r) = &self.request_resource {
            fields.insert("requestResource".into(), resource(r));
        }
        if let Some(dry_run) = dry_run {
            fields.insert("dryRun".into(), dry_run.into());
        }
        let mut user = Map::new();
        for (name, text) in [("username", &self.user.username), ("uid", &self.user.uid)] {
            if !text.is_empty() {
                user.insert(name.into(), text.clone().into());
            }
        }
        if !self.user.groups.is_empty() {
            user.insert("groups".into(), self.user.groups.clone().into());
        }
        if !self.user.extra.is_empty() {
            user.insert("extra".into(), json!(self.user.extra));
        }
        fields.insert("userInfo".into(), Value::Object(user));
        Value::Object(fields)
    }
}

/// Looks at brackets and commas alone, so that a hostile review costs one pass and no memory.
fn bounded(bytes: &[u8], limits: &ReviewLimits) -> Result<(), ReviewError> {
    if bytes.len() > limits.bytes {
        return Err(ReviewError::TooLarge(limits.bytes));
    }
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => {
                depth += 1;
                values += 1;
                if depth > limits.depth {
                    return Err(ReviewError::TooDeep(limits.depth));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
    }
    if values > limits.values {
        return Err(ReviewError::TooMany(limits.values));
    }
    Ok(())
}

fn mapping(value: Value, field: &'static str) -> Result<Value, ReviewError> {
    match value {
        Value::Null | Value::Object(_) => Ok(value),
        _ => Err(ReviewError::Field {
            field,
            why: "is no mapping",
        }),
    }
}

fn text(map: &Map<String, Value>, key: &str, field: &'static str) -> Result<String, ReviewError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(ReviewError::Field {
            field,
            why: "is no text",
        }),
    }
}

fn three(
    value: Option<&Value>,
    last: &str,
    field: &'static str,
) -> Result<Option<(String, String, String)>, ReviewError> {
    let map = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(_) => {
            return Err(ReviewError::Field {
                field,
                why: "is no mapping",
            });
        }
    };
    let named = text(map, last, field)?;
    if named.is_empty() {
        return Err(ReviewError::Field {
            field,
            why: "names nothing",
        });
    }
    Ok(Some((
        text(map, "group", field)?,
        text(map, "version", field)?,
        named,
    )))
}

fn gvk(
    value: Option<&Value>,
    field: &'static str,
) -> Result<Option<GroupVersionKind>, ReviewError> {
    let parts = three(value, "kind", field)?;
    Ok(parts.map(|(group, version, kind)| GroupVersionKind {
        group,
        version,
        kind,
    }))
}

fn gvr(
    value: Option<&Value>,
    field: &'static str,
) -> Result<Option<GroupVersionResource>, ReviewError> {
    let parts = three(value, "resource", field)?;
    Ok(
        parts.map(|(group, version, resource)| GroupVersionResource {
            group,
            version,
            resource,
        }),
    )
}

fn user(value: Option<&Value>) -> Result<UserInfo, ReviewError> {
    const FIELD: &str = "request.userInfo";
    let wrong = |field, why| ReviewError::Field { field, why };
    let map = match value {
        None | Some(Value::Null) => return Ok(UserInfo::default()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(wrong(FIELD, "is no mapping")),
    };
    let list = |value: &Value, field: &'static str| match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(wrong(field, "holds something that is no text")),
        _ => Err(wrong(field, "is no list")),
    };
    let groups = map.get("groups").unwrap_or(&Value::Null);
    let mut extra = BTreeMap::new();
    match map.get("extra") {
        None | Some(Value::Null) => {}
        Some(Value::Object(known)) => {
            for (key, values) in known {
                extra.insert(key.clone(), list(values, "request.userInfo.extra")?);
            }
        }
        Some(_) => return Err(wrong("request.userInfo.extra", "is no mapping")),
    }
    Ok(UserInfo {
        username: text(map, "username", "request.userInfo.username")?,
        uid: text(map, "uid", "request.userInfo.uid")?,
        groups: list(groups, "request.userInfo.groups")?,
        extra,
    })
}

/// The answer to a review.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Response {
    /// Whether the request goes on.
    pub allowed: bool,
    /// The HTTP-like code of the status: 200, 299 with warnings, 403, 500.
    pub code: u16,
    /// The reason in a word, such as `Forbidden`; empty where it is allowed.
    pub reason: String,
    /// What the user is told.
    pub message: String,
    /// What the user is told beside the answer.
    pub warnings: Vec<String>,
    /// JSONPatch operations, for a mutating webhook.
    pub patch: Option<Value>,
    /// For the API server's audit log.
    pub audit_annotations: BTreeMap<String, String>,
}

impl Response {
    /// The bytes that go back.
    pub fn bytes(&self, api_version: &str, uid: &str) -> Vec<u8> {
        let mut status = Map::from_iter([("code".to_owned(), self.code.into())]);
        for (key, text) in [("reason", &self.reason), ("message", &self.message)] {
            if !text.is_empty() {
                status.insert(key.into(), text.as_str().into());
            }
        }
        let mut response = json!({"uid": uid, "allowed": self.allowed, "status": status});
        if let Value::Object(map) = &mut response {
            if !self.warnings.is_empty() {
                map.insert("warnings".into(), json!(self.warnings));
            }
            if let Some(patch) = &self.patch {
                let text = base64::engine::general_purpose::STANDARD.encode(patch.to_string());
                map.insert("patch".into(), text.into());
                map.insert("patchType".into(), "JSONPatch".into());
            }
            if !self.audit_annotations.is_empty() {
                map.insert("auditAnnotations".into(), json!(self.audit_annotations));
            }
        }
        let review =
            json!({"apiVersion": api_version, "kind": "AdmissionReview", "response": response});
        review.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(request: Value) -> Result<Review, ReviewError> {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        Review::parse(review.to_string().as_bytes(), &ReviewLimits::default())
    }

    #[test]
    fn a_review_is_read_and_given_on_as_gatekeeper_does() {
        let review = parse(json!({
            "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "subResource": "", "name": "web", "namespace": "shop", "operation": "UPDATE",
            "userInfo": {"username": "ada", "groups": ["dev"], "extra": {"a": ["b"]}},
            "object": {"a": 1}, "oldObject": {"a": 0}, "dryRun": false, "options": null,
            "unheard": 1
        }))
        .unwrap();
        assert_eq!(review.subject(), &json!({"a": 1}));
        assert_eq!(
            review.request,
            json!({
                "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "name": "web", "namespace": "shop", "operation": "UPDATE", "options": null,
                "userInfo": {"username": "ada", "groups": ["dev"], "extra": {"a": ["b"]}},
                "dryRun": false
            })
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let pod = json!({"group": "", "version": "v1", "kind": "Pod"});
        for (request, wanted) in [
            (json!([]), "request: is missing or no mapping"),
            (json!({"kind": pod}), "request.uid: is missing"),
            (json!({"uid": "u"}), "request.kind: is missing"),
            (
                json!({"uid": "u", "kind": {"kind": 3}}),
                "request.kind: is no text",
            ),
            (
                json!({"uid": "u", "kind": pod, "operation": "create"}),
                "request.operation: is none of CREATE, UPDATE, DELETE, CONNECT",
            ),
            (
                json!({"uid": "u", "kind": pod, "operation": "CREATE", "object": []}),
                "request.object: is no mapping",
            ),
            (
                json!({"uid": "u", "kind": pod, "operation": "CREATE", "userInfo": {"groups": [1]}}),
                "request.userInfo.groups: holds something that is no text",
            ),
        ] {
            assert_eq!(parse(request).unwrap_err().to_string(), wanted);
        }
        let read = |text: &str| {
            let limits = ReviewLimits {
                bytes: 1_000,
                depth: 5,
                values: 50,
            };
            Review::parse(text.as_bytes(), &limits)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            read(&" ".repeat(1_001)),
            "the review is larger than 1000 bytes"
        );
        assert_eq!(read(&"[".repeat(9)), "the review is nested deeper than 5");
        assert_eq!(
            read(&format!("[{}", "1,".repeat(60))),
            "the review has more than 50 values"
        );
        assert!(read("{").starts_with("the review is no JSON"));
        assert_eq!(read("{}"), "kind: is not AdmissionReview");
        assert_eq!(
            read(r#"{"kind":"AdmissionReview","apiVersion":"v1"}"#),
            "apiVersion: is not admission.k8s.io/v1"
        );
    }

    #[test]
    fn the_answer_has_the_shape_that_api_servers_want() {
        let response = Response {
            allowed: true,
            code: 299,
            warnings: vec!["[a] b".into()],
            patch: Some(json!([{"op": "remove", "path": "/a"}])),
            audit_annotations: BTreeMap::from([("k".into(), "v".into())]),
            ..Response::default()
        };
        let told: Value =
            serde_json::from_slice(&response.bytes("admission.k8s.io/v1", "u")).unwrap();
        assert_eq!(
            told,
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
                "uid": "u", "allowed": true, "status": {"code": 299}, "warnings": ["[a] b"],
                "patchType": "JSONPatch", "patch": "W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL2EifV0=",
                "auditAnnotations": {"k": "v"}
            }})
        );
    }
}
