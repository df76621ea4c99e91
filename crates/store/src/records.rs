//! Artifacts, assessments, attestations, score history and key blobs.

use crate::db::{Row, args};
use crate::{Act, Page, PageRequest, Result, TenantStore};
use bartizan_model::audit::action;
use bartizan_model::framework::{Assessment, Score};
use bartizan_model::{
    Attestation, AttestationId, ControlId, Digest, FrameworkId, ScopeId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

const ATTESTATION: &str = "a.body, a.alg, a.kid, a.issuer, a.entry, a.jwt, a.seq, \
     (SELECT e.idx FROM audit e WHERE e.tenant = a.tenant AND e.entry = a.entry_key)";

fn attestation_of(row: &Row) -> Result<AttestationRow> {
    Ok(AttestationRow {
        attestation: row.json(0)?,
        alg: row.text(1)?,
        kid: row.text(2)?,
        issuer_user: row.text(3)?,
        entry_id: row.text(4)?,
        token: row.opt_text(5)?,
        index: row.opt_int(7)?.map(|n| n.max(0) as u64),
    })
}

/// The stored word of an enum that serialises as one.
fn word<T: Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_value(value)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

impl TenantStore {
    /// Records stored evidence (`artifact.received`); known bytes keep their first record.
    pub async fn record_artifact(&self, artifact: &Artifact, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.exec(
            "INSERT INTO artifacts (tenant, digest, size, media_type, name, created) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, digest) DO NOTHING",
            args![
                self.t,
                artifact.digest.as_str(),
                artifact.size,
                artifact.media_type.as_str(),
                artifact.name.as_str(),
                artifact.created
            ],
        )
        .await?;
        let detail = json!({
            "name": artifact.name, "size": artifact.size, "media_type": artifact.media_type,
        });
        self.record(
            &mut tx,
            act,
            action::ARTIFACT_RECEIVED,
            artifact.digest.as_str(),
            &detail,
        )
        .await?;
        tx.commit().await
    }

    /// What is known of stored bytes.
    pub async fn artifact(&self, digest: &Digest) -> Result<Option<Artifact>> {
        let row = self
            .db()
            .opt(
                "SELECT digest, size, media_type, name, created FROM artifacts \
                 WHERE tenant = $1 AND digest = $2",
                args![self.t, digest.as_str()],
            )
            .await?;
        row.map(|row| {
            Ok(Artifact {
                digest: row.id(0)?,
                size: row.count(1)?,
                media_type: row.text(2)?,
                name: row.text(3)?,
                created: row.time(4)?,
            })
        })
        .transpose()
    }

    /// Records a person's verdict (`assessment.recorded`); returns the entry's id.
    pub async fn add_assessment(&self, assessment: &Assessment, act: &Act) -> Result<String> {
        let mut tx = self.begin().await?;
        let subject = format!(
            "{}/{}/{}",
            assessment.scope, assessment.framework, assessment.control
        );
        let detail = serde_json::to_value(assessment)?;
        let entry = self
            .record(&mut tx, act, action::ASSESSMENT_RECORDED, &subject, &detail)
            .await?;
        let id = tx.take(self.t, "assessment", 1).await?;
        tx.exec(
            "INSERT INTO assessments (tenant, id, scope, framework, control, assessor, verdict, \
             reason, evidence, at, expires, entry) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            args![
                self.t,
                id,
                assessment.scope.as_str(),
                assessment.framework.as_str(),
                assessment.control.as_str(),
                assessment.assessor.as_str(),
                word(&assessment.verdict)?,
                assessment.reason.as_str(),
                serde_json::to_string(&assessment.evidence)?,
                assessment.at,
                assessment.expires,
                entry.as_str()
            ],
        )
        .await?;
        tx.commit().await?;
        Ok(entry)
    }

    /// Assessments of a scope and framework, oldest first; with `control`, of that one.
    pub async fn assessments(
        &self,
        scope: &ScopeId,
        framework: &FrameworkId,
        control: Option<&ControlId>,
    ) -> Result<Vec<AssessmentRow>> {
        let rows = self
            .db()
            .all(
                "SELECT control, assessor, verdict, reason, evidence, at, expires, entry \
                 FROM assessments WHERE tenant = $1 AND scope = $2 AND framework = $3 \
                 AND ($4 IS NULL OR control = $4) ORDER BY id",
                args![
                    self.t,
                    scope.as_str(),
                    framework.as_str(),
                    control.map(ControlId::as_str)
                ],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(AssessmentRow {
                    assessment: Assessment {
                        framework: framework.clone(),
                        control: row.id(0)?,
                        scope: scope.clone(),
                        assessor: row.text(1)?,
                        verdict: serde_json::from_value(row.text(2)?.into())?,
                        reason: row.text(3)?,
                        evidence: row.json(4)?,
                        at: row.time(5)?,
                        expires: row.time(6)?,
                    },
                    entry_id: row.text(7)?,
                })
            })
            .collect()
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
        let mut tx = self.begin().await?;
        let mut detail = serde_json::to_value(attestation)?;
        if let Some(detail) = detail.as_object_mut() {
            detail.insert("alg".to_owned(), alg.into());
            detail.insert("kid".to_owned(), kid.into());
        }
        let id = attestation.id.as_str();
        let entry = self
            .record(&mut tx, act, action::ATTESTATION_ISSUED, id, &detail)
            .await?;
        let entry_key =
            crate::audit::act_entry_id(&self.id, &act.salt, action::ATTESTATION_ISSUED, id);
        let seq = tx.take(self.t, "attestation", 1).await?;
        tx.exec(
            "INSERT INTO attestations (tenant, seq, uid, scope, body, evidence, alg, kid, issuer, \
             entry, entry_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            args![
                self.t,
                seq,
                id,
                attestation.scope.as_str(),
                serde_json::to_string(attestation)?,
                evidence,
                alg,
                kid,
                act.actor.as_str(),
                entry.as_str(),
                entry_key
            ],
        )
        .await?;
        tx.commit().await?;
        Ok(entry)
    }

    /// Adds the signed token; once only, the first stays.
    pub async fn set_attestation_token(&self, id: &AttestationId, token: &str) -> Result<()> {
        self.db()
            .exec(
                "UPDATE attestations SET jwt = COALESCE(jwt, $3) WHERE tenant = $1 AND uid = $2",
                args![self.t, id.as_str(), token],
            )
            .await?;
        Ok(())
    }

    /// Attestations, newest first.
    pub async fn attestations(
        &self,
        scope: Option<&ScopeId>,
        page: &PageRequest,
    ) -> Result<Page<AttestationRow>> {
        let limit = page.rows();
        let before: i64 = page.decode()?.unwrap_or(i64::MAX);
        let mut args = args![self.t, before];
        let mut wheres = String::from("a.tenant = $1 AND a.seq < $2");
        if let Some(scope) = scope {
            args.push(scope.as_str().into());
            wheres.push_str(" AND a.scope = $3");
        }
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT {ATTESTATION} FROM attestations a WHERE {wheres} \
                     ORDER BY a.seq DESC LIMIT {}",
                    limit + 1
                ),
                args,
            )
            .await?;
        let rows: Vec<(AttestationRow, i64)> = rows
            .iter()
            .map(|row| Ok((attestation_of(row)?, row.int(6)?)))
            .collect::<Result<_>>()?;
        let cut = Page::cut(rows, limit, |(_, seq)| *seq)?;
        Ok(Page {
            items: cut.items.into_iter().map(|(row, _)| row).collect(),
            next_cursor: cut.next_cursor,
            total: None,
        })
    }

    /// One attestation.
    pub async fn attestation(&self, id: &AttestationId) -> Result<Option<AttestationRow>> {
        self.db()
            .opt(
                &format!(
                    "SELECT {ATTESTATION} FROM attestations a WHERE a.tenant = $1 AND a.uid = $2"
                ),
                args![self.t, id.as_str()],
            )
            .await?
            .map(|row| attestation_of(&row))
            .transpose()
    }

    /// The evidence document of an attestation, byte for byte.
    pub async fn attestation_evidence(&self, id: &AttestationId) -> Result<Option<String>> {
        self.db()
            .opt(
                "SELECT evidence FROM attestations WHERE tenant = $1 AND uid = $2",
                args![self.t, id.as_str()],
            )
            .await?
            .map(|row| row.text(0))
            .transpose()
    }

    /// Adds a point to the history; the same scope, framework and moment are replaced.
    pub async fn record_score(
        &self,
        scope: &ScopeId,
        framework: &FrameworkId,
        point: &ScorePoint,
    ) -> Result<()> {
        self.db()
            .exec(
                "INSERT INTO scores (tenant, scope, framework, at, body) \
                 VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (tenant, scope, framework, at) DO UPDATE SET body = excluded.body",
                args![
                    self.t,
                    scope.as_str(),
                    framework.as_str(),
                    point.at,
                    serde_json::to_string(point)?
                ],
            )
            .await?;
        Ok(())
    }

    /// The newest `limit` points, oldest of them first.
    pub async fn score_trend(
        &self,
        scope: &ScopeId,
        framework: &FrameworkId,
        limit: u32,
    ) -> Result<Vec<ScorePoint>> {
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT body FROM scores WHERE tenant = $1 AND scope = $2 AND framework = $3 \
                     ORDER BY at DESC LIMIT {}",
                    limit.min(10_000)
                ),
                args![self.t, scope.as_str(), framework.as_str()],
            )
            .await?;
        rows.iter().rev().map(|row| row.json(0)).collect()
    }

    /// All key blobs, oldest first.
    pub async fn key_blobs(&self) -> Result<Vec<KeyBlob>> {
        let rows = self
            .db()
            .all(
                "SELECT id, blob, created FROM key_blobs WHERE tenant = $1 ORDER BY created, id",
                args![self.t],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(KeyBlob {
                    id: row.text(0)?,
                    blob: row.blob(1)?,
                    created: row.time(2)?,
                })
            })
            .collect()
    }

    /// Stores blobs together; a known id is replaced. With `act`, records `keys.rotated`.
    pub async fn put_key_blobs(&self, blobs: &[KeyBlob], act: Option<&Act>) -> Result<()> {
        let mut tx = self.begin().await?;
        self.write_blobs(&mut tx, blobs).await?;
        if let Some(act) = act {
            let ids: Vec<&str> = blobs.iter().map(|b| b.id.as_str()).collect();
            let detail = json!({"keys": ids});
            self.record(&mut tx, act, action::KEYS_ROTATED, "keys", &detail)
                .await?;
        }
        tx.commit().await
    }

    /// Stores first blobs only if the tenant has none; says whether it did. Two processes
    /// starting at once thus agree on one keyring.
    pub async fn init_key_blobs(&self, blobs: &[KeyBlob]) -> Result<bool> {
        let mut tx = self.begin().await?;
        let any = tx
            .opt(
                "SELECT 1 FROM key_blobs WHERE tenant = $1 LIMIT 1",
                args![self.t],
            )
            .await?;
        if any.is_some() {
            return Ok(false);
        }
        self.write_blobs(&mut tx, blobs).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn write_blobs(&self, tx: &mut crate::db::Tx, blobs: &[KeyBlob]) -> Result<()> {
        for blob in blobs {
            tx.exec(
                "INSERT INTO key_blobs (tenant, id, blob, created) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (tenant, id) DO UPDATE SET blob = excluded.blob",
                args![self.t, blob.id.as_str(), blob.blob.as_slice(), blob.created],
            )
            .await?;
        }
        Ok(())
    }
}
