//! Things that are looked at, and the facts seen of them.

use crate::{AssetUid, Digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A thing that can be secure or not: a Kubernetes object, a host, an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Identity; for Kubernetes see [`AssetUid::kubernetes`].
    pub uid: AssetUid,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The name within kind and namespace.
    pub name: String,
    /// The namespace, empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// Where in the source something stands. Evidence, never identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file as given to the scanner, or `<stdin>`.
    pub file: String,
    /// First line, from 1.
    pub line: u32,
    /// Column, from 1, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// A fact: what an asset looked like when it was scanned.
///
/// **Invariant:** secrets and environment values are redacted before an observation is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// What was seen.
    pub asset: Asset,
    /// The kind of fact, such as `kubernetes.object`.
    pub kind: String,
    /// Digest of the redacted body, so that an unchanged fact is recognised.
    pub digest: Digest,
    /// The redacted body.
    pub body: Value,
    /// Where it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}
