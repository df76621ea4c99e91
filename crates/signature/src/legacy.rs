//! Cosign's first way to keep signatures: a layer whose annotations hold the proofs. They are
//! made into a Sigstore bundle, so that one verification judges both ways.

use crate::trust::certificates;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::types::Bundle;
use std::collections::BTreeMap;

/// The proofs beside a payload, as they stand in annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The signature in base64.
    pub signature: Option<String>,
    /// The signer's certificate, PEM.
    pub certificate: Option<String>,
    /// The authorities between it and the root, PEM.
    pub chain: Option<String>,
    /// Rekor's promise to include it, JSON.
    pub bundle: Option<String>,
    /// A time-stamp, JSON.
    pub timestamp: Option<String>,
}

/// One annotation may have so many bytes.
const MOST: usize = 256 << 10;

#[derive(Deserialize)]
struct Promise {
    #[serde(rename = "SignedEntryTimestamp")]
    signed: String,
    #[serde(rename = "Payload")]
    payload: Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
struct Stamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

impl Annotations {
    /// Out of the annotations of a layer.
    pub fn of(all: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| all.get(name).filter(|text| !text.is_empty()).cloned();
        Self {
            signature: get("dev.cosignproject.cosign/signature"),
            certificate: get("dev.sigstore.cosign/certificate"),
            chain: get("dev.sigstore.cosign/chain"),
            bundle: get("dev.sigstore.cosign/bundle"),
            timestamp: get("dev.sigstore.cosign/rfc3161timestamp"),
        }
    }

    /// The signature's bytes.
    pub(crate) fn signature(&self) -> Result<Vec<u8>, String> {
        let text = self.signature.as_deref().ok_or("there is no signature")?;
        if text.len() > MOST {
            return Err("the signature is too large".into());
        }
        let bytes = STANDARD.decode(text.trim());
        bytes.map_err(|_| "the signature is no base64".into())
    }

    /// A bundle of these proofs and that content. With `keyless` the certificate is the proof,
    /// else it is left out: a key signs whatever certificate lies beside.
    pub(crate) fn bundle(
        &self,
        keyless: bool,
        field: &str,
        content: Value,
    ) -> Result<Bundle, String> {
        let texts = [
            &self.certificate,
            &self.chain,
            &self.bundle,
            &self.timestamp,
        ];
        if texts.into_iter().flatten().any(|text| text.len() > MOST) {
            return Err("an annotation is too large".into());
        }
        let mut material = match (keyless, &self.certificate) {
            (false, _) => json!({"publicKey": {"hint": ""}}),
            (true, None) => return Err("there is no certificate".into()),
            (true, Some(leaf)) => {
                let mut all = certificates(leaf).map_err(|e| e.to_string())?;
                all.truncate(1);
                if let Some(chain) = &self.chain {
                    all.extend(certificates(chain).map_err(|e| e.to_string())?);
                }
                let all = all.iter().map(|c| json!({"rawBytes": c.to_base64()}));
                json!({"x509CertificateChain": {"certificates": all.collect::<Vec<_>>()}})
            }
        };
        if let Some(text) = &self.bundle {
            set(&mut material, "tlogEntries", json!([entry(text)?]));
        }
        if let Some(text) = &self.timestamp {
            let stamp: Stamp = serde_json::from_str(text)
                .map_err(|e| format!("the annotation of the time-stamp is malformed: {e}"))?;
            let all = json!({"rfc3161Timestamps": [{"signedTimestamp": stamp.signed}]});
            set(&mut material, "timestampVerificationData", all);
        }
        let mut bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2",
            "verificationMaterial": material,
        });
        set(&mut bundle, field, content);
        serde_json::from_value(bundle).map_err(|e| format!("the proofs are malformed: {e}"))
    }
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(field.to_owned(), value);
    }
}

/// Rekor's promise as an entry of a bundle. Both forms hold the same; only here the entry's
/// kind stands inside its body.
fn entry(text: &str) -> Result<Value, String> {
    let fault = |what: &str| format!("the annotation of the log is malformed: {what}");
    let promise: Promise = serde_json::from_str(text).map_err(|e| fault(&e.to_string()))?;
    let entry = promise.payload;
    let body = STANDARD.decode(&entry.body);
    let body = body.map_err(|_| fault("the body is no base64"))?;
    let body: Value = serde_json::from_slice(&body).map_err(|e| fault(&e.to_string()))?;
    let id = hex::decode(&entry.log_id).map_err(|_| fault("logID is no hex"))?;
    Ok(json!({
        "logIndex": entry.log_index.to_string(),
        "logId": {"keyId": STANDARD.encode(id)},
        "kindVersion": {"kind": body.get("kind"), "version": body.get("apiVersion")},
        "integratedTime": entry.integrated_time.to_string(),
        "inclusionPromise": {"signedEntryTimestamp": promise.signed},
        "canonicalizedBody": entry.body,
    }))
}
