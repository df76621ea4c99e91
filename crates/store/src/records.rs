//! Artifacts, assessments, attestations, score history and key blobs.

use crate::{Act, Page, PageRequest, Result, StoreError, TenantStore};
use bartizan_model::framework::{Assessment, Score};
use bartizan_model::{
    Attestation, AttestationId, ControlId, Digest, FrameworkId, ScopeId, Timestamp,
};

/// Stored bytes, apart from the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Their digest and name in the object store.
    pub digest: Digest,
    /// Their length.
    pub size: u64,
    /// Their media type.
    pub media_type: String,
    /// A file name, for evidence.
    pub name: String,
    /// When they first came.
    pub created: Timestamp,
}

/// An assessment with the ledger entry that records it.
#[derive(Debug, Clone, PartialEq)]
pub struct AssessmentRow {
    /// What was judged.
    pub assessment: Assessment,
    /// The audit entry.
    pub entry_id: String,
}

/// An issued attestation.
#[derive(Debug, Clone, PartialEq)]
pub struct AttestationRow {
    /// What is attested.
    pub attestation: Attestation,
    /// The signature's algorithm.
    pub alg: String,
    /// The signing key.
    pub kid: String,
    /// Who asked for it.
    pub issuer_user: String,
    /// The ledger entry that records it.
    pub entry_id: String,
    /// The entry's leaf index; none while pending.
    pub index: Option<u64>,
    /// The JWT; none until it is signed over the inclusion proof.
    pub token: Option<String>,
}

/// A point of a score's history.
#[derive(Debug, Clone, PartialEq)]
pub struct ScorePoint {
    /// When: the end of the scan that it follows.
    pub at: Timestamp,
    /// passed / (passed + failed), percent.
    pub score: Option<f64>,
    /// Controls with a verdict, percent.
    pub coverage: Option<f64>,
    /// The counts.
    pub counts: Score,
}

/// An opaque secret, encrypted by its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBlob {
    /// Its name, such as a `kid`.
    pub id: String,
    /// What it is, for its owner.
    pub blob: Vec<u8>,
    /// When it was stored first.
    pub created: Timestamp,
}

impl TenantStore {
    /// Records stored evidence (`artifact.received`); known bytes keep their first record.
    pub async fn record_artifact(&self, artifact: &Artifact, act: &Act) -> Result<()> {
        crate::unfinished()
    }

    /// What is known of stored bytes.
    pub async fn artifact(&self, digest: &Digest) -> Result<Option<Artifact>> {
        crate::unfinished()
    }

    /// Records a person's verdict (`assessment.recorded`); returns the entry's id.
    pub async fn add_assessment(&self, assessment: &Assessment, act: &Act) -> Result<String> {
        crate::unfinished()
    }

    /// Assessments of a scope and framework, oldest first; with `control`, of that one.
    pub async fn assessments(
        &self,
        scope: &ScopeId,
        framework: &FrameworkId,
        control: Option<&ControlId>,
    ) -> Result<Vec<AssessmentRow>> {
        crate::unfinished()
    }

    /// Records an attestation that is about to be signed (`attestation.issued`), with its
    /// evidence document; returns the entry's id. Sign once the entry has its index.
    pub async fn add_attestation(
        &self,
        attestation: &Attestation,
        alg: &str,
        kid: &str,
        evidence: &str,
        act: &Act,
    ) -> Result<String> {
        crate::unfinished()
    }

    /// Adds the signed token; once only, the first stays.
    pub async fn set_attestation_token(&self, id: &AttestationId, token: &str) -> Result<()> {
        crate::unfinished()
    }

    /// Attestations, newest first.
    pub async fn attestations(
        &self,
        scope: Option<&ScopeId>,
        page: &PageRequest,
    ) -> Result<Page<AttestationRow>> {
        crate::unfinished()
    }

    /// One attestation.
    pub async fn attestation(&self, id: &AttestationId) -> Result<Option<AttestationRow>> {
        crate::unfinished()
    }

    /// The evidence document of an attestation, byte for byte.
    pub async fn attestation_evidence(&self, id: &AttestationId) -> Result<Option<String>> {
        crate::unfinished()
    }

    /// Adds a point to the history; the same scope, framework and moment are replaced.
    pub async fn record_score(
        &self,
        scope: &ScopeId,
        framework: &FrameworkId,
        point: &ScorePoint,
    ) -> Result<()> {
        crate::unfinished()
    }

    /// The newest `limit` points, oldest of them first.
    pub async fn score_trend(
        &self,
        scope: &ScopeId,
        framework: &FrameworkId,
        limit: u32,
    ) -> Result<Vec<ScorePoint>> {
        crate::unfinished()
    }

    /// All key blobs, oldest first.
    pub async fn key_blobs(&self) -> Result<Vec<KeyBlob>> {
        crate::unfinished()
    }

    /// Stores blobs together; a known id is replaced. With `act`, records `keys.rotated`.
    pub async fn put_key_blobs(&self, blobs: &[KeyBlob], act: Option<&Act>) -> Result<()> {
        crate::unfinished()
    }

    /// Stores first blobs only if the tenant has none; says whether it did. Two processes
    /// starting at once thus agree on one keyring.
    pub async fn init_key_blobs(&self, blobs: &[KeyBlob]) -> Result<bool> {
        crate::unfinished()
    }
}
