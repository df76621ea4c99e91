//! In-toto statements: which predicate of which subject.

use serde_json::Value;

/// What a DSSE envelope signs.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What is said of the subjects, as a URI.
    pub predicate_type: String,
    /// All of it, as a policy sees it.
    pub value: Value,
}

/// The predicate by which `cosign sign` says no more than that the image is signed.
pub(crate) const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

impl Statement {
    /// Reads a payload whose signature was verified.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(payload)
            .map_err(|e| format!("the in-toto statement is no JSON: {e}"))?;
        let kind = value.get("_type").and_then(Value::as_str).unwrap_or("");
        if !matches!(
            kind,
            "https://in-toto.io/Statement/v1" | "https://in-toto.io/Statement/v0.1"
        ) {
            return Err(format!("the statement is of type {kind:.100?}"));
        }
        let predicate = value.get("predicateType").and_then(Value::as_str);
        let predicate_type = predicate.unwrap_or_default().to_owned();
        if predicate_type.is_empty() {
            return Err("the statement has no predicateType".into());
        }
        Ok(Self {
            predicate_type,
            value,
        })
    }

    /// Whether one of its subjects is this image.
    pub(crate) fn about(&self, hex: &str) -> bool {
        let subjects = self.value.get("subject").and_then(Value::as_array);
        subjects.into_iter().flatten().any(|subject| {
            let digest = subject.get("digest").and_then(|d| d.get("sha256"));
            digest.and_then(Value::as_str) == Some(hex)
        })
    }
}

/// The URI of a predicate type that may be given by cosign's short name.
pub fn predicate_type(name: &str) -> &str {
    match name {
        "custom" => "https://cosign.sigstore.dev/attestation/v1",
        "slsaprovenance" | "slsaprovenance02" => "https://slsa.dev/provenance/v0.2",
        "slsaprovenance1" => "https://slsa.dev/provenance/v1",
        "spdx" | "spdxjson" => "https://spdx.dev/Document",
        "cyclonedx" => "https://cyclonedx.org/bom",
        "link" => "https://in-toto.io/Link/v1",
        "vuln" => "https://cosign.sigstore.dev/attestation/vuln/v1",
        "openvex" => "https://openvex.dev/ns",
        other => other,
    }
}
