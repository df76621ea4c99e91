//! Offline verification of a token: named checks, and the one reason to refuse.

use super::{Algorithm, Claims, JwsError, LEEWAY_SECONDS, check_entry};
use crate::checkpoint::Checkpoint;
use crate::commit::{Salt, commit_body};
use crate::json;
use crate::jwks::{Jwk, Jwks};
use crate::jws::{self, MAX_TOKEN, Parts};
use crate::merkle::{Hash, ProofError, verify_inclusion};
use bartizan_model::{Digest, Timestamp};
use serde::Serialize;

/// The one reason for which a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// `none`, a symmetric algorithm, or one we do not use.
    #[error("the algorithm {0:?} is not accepted")]
    Algorithm(String),
    /// The header's algorithm is not the key's.
    #[error("the header says {header}, the key is for {key}")]
    AlgorithmConfusion {
        /// What the header says.
        header: &'static str,
        /// What the key is for.
        key: &'static str,
    },
    /// The checkpoint is not believed.
    #[error("the checkpoint: {0}")]
    Checkpoint(String),
    /// The claims are not those of an attestation.
    #[error("the claims: {0}")]
    Claims(String),
    /// A member appears twice.
    #[error("member {0:?} appears twice")]
    Duplicate(String),
    /// The logged entry is not about this token.
    #[error("the ledger entry: {0}")]
    Entry(String),
    /// The evidence document is another.
    #[error("the evidence hashes to {found}, {attested} is attested")]
    Evidence {
        /// What the token attests.
        attested: String,
        /// What the document hashes to.
        found: String,
    },
    /// Its time is over.
    #[error("it expired at {at}, it is {now}")]
    Expired {
        /// When.
        at: Timestamp,
        /// The verifier's time.
        now: Timestamp,
    },
    /// Not a token in our form.
    #[error("{0}")]
    Form(String),
    /// The entry is not in the tree.
    #[error("the inclusion proof: {0}")]
    Inclusion(ProofError),
    /// The key had ceased to sign before the token was issued.
    #[error("the key was retired at {retired}, the token says it was issued at {issued}")]
    KeyRetired {
        /// When the key ceased to sign.
        retired: Timestamp,
        /// When the token says it was issued.
        issued: Timestamp,
    },
    /// A log's key may sign checkpoints, never tokens.
    #[error("key {0} signs checkpoints and may not sign tokens")]
    KeyUse(String),
    /// Its time has not come.
    #[error("it counts from {from}, it is {now}")]
    NotYetValid {
        /// From when it counts.
        from: Timestamp,
        /// The verifier's time.
        now: Timestamp,
    },
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    Oversize,
    /// The signature is not the key's over these bytes.
    #[error("the signature does not fit: the token was altered, or is signed by another key")]
    Signature,
    /// A good token, but not the one that is wanted.
    #[error("{what} is {found:?}, {expected:?} is expected")]
    Unexpected {
        /// Which claim.
        what: &'static str,
        /// What is wanted.
        expected: String,
        /// What it says.
        found: String,
    },
    /// The key set has no such key: a foreign token, or an outdated key set.
    #[error("the key set has no key {0:?}")]
    UnknownKey(String),
    /// The key set has no key of that log.
    #[error("the key set has no key of the log {0:?}")]
    UnknownLog(String),
}

impl From<JwsError> for Refusal {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Algorithm(alg) => Self::Algorithm(alg),
            JwsError::Oversize => Self::Oversize,
            JwsError::Json {
                error: json::JsonError::Duplicate(name),
                ..
            } => Self::Duplicate(name),
            other => Self::Form(other.to_string()),
        }
    }
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedCheck {
    /// Which: `form`, `key`, `signature`, `claims`, `time`, `checkpoint`, `inclusion`, `entry`,
    /// and where asked for `evidence` and `expected`.
    pub name: &'static str,
    /// Whether it held. What was not reached did not hold.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Everything that verification found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// What was checked, in order.
    pub checks: Vec<NamedCheck>,
    /// What the token says, once its signature holds; not to be relied on if `refusal` is set.
    pub claims: Option<Claims>,
    /// The first reason to refuse; none if the token is good.
    pub refusal: Option<Refusal>,
}

impl Verification {
    /// Whether every check held.
    pub fn valid(&self) -> bool {
        self.refusal.is_none() && self.claims.is_some() && self.checks.iter().all(|c| c.ok)
    }
}

/// What the verifier knows and wants beyond the token.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// The time at which the token has to count.
    pub now: Timestamp,
    /// The evidence document, whose digest must be the attested one.
    pub evidence: Option<&'a [u8]>,
    /// The issuer it must be from.
    pub issuer: Option<&'a str>,
    /// The scope it must be about.
    pub scope: Option<&'a str>,
    /// The framework it must be about.
    pub framework: Option<&'a str>,
}

impl Expectations<'_> {
    /// Nothing but the time.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            evidence: None,
            issuer: None,
            scope: None,
            framework: None,
        }
    }
}

/// Collects checks. A check whose precondition failed is entered as not reached.
struct Checks {
    done: Vec<NamedCheck>,
    refusal: Option<Refusal>,
}

impl Checks {
    /// Enters a check; what it needs is handed in, so that none runs on nothing.
    fn run<I, T>(
        &mut self,
        name: &'static str,
        input: Option<I>,
        check: impl FnOnce(I) -> Result<(T, String), Refusal>,
    ) -> Option<T> {
        let (ok, detail, out) = match input.map(check) {
            Some(Ok((out, detail))) => (true, detail, Some(out)),
            Some(Err(refusal)) => {
                let detail = refusal.to_string();
                self.refusal.get_or_insert(refusal);
                (false, detail, None)
            }
            None => (
                false,
                "not reached: an earlier check failed".to_owned(),
                None,
            ),
        };
        self.done.push(NamedCheck { name, ok, detail });
        out
    }
}

/// Verifies a token offline. Every altered byte is refused, and `refusal` says why.
pub fn verify(token: &[u8], jwks: &Jwks, expect: &Expectations<'_>) -> Verification {
    let mut checks = Checks {
        done: Vec::new(),
        refusal: None,
    };
    let parts = checks.run("form", Some(token), |token| {
        let parts = jws::split(token)?;
        Ok((parts, "three parts, canonical, one spelling".to_owned()))
    });
    let key = checks.run("key", parts.as_ref(), |parts| find_key(parts, jwks));
    let signed = checks.run("signature", parts.as_ref().zip(key), |(parts, key)| {
        if key.public.verifies(parts.signed, &parts.signature) {
            Ok((parts, format!("{} by {}", key.alg.name(), key.kid)))
        } else {
            Err(Refusal::Signature)
        }
    });
    let claims = checks.run("claims", signed, |parts| read_claims(parts));
    let claims = claims.as_ref();
    checks.run("time", claims.zip(key), |(claims, key)| {
        check_time(claims, key, expect.now)
    });
    let checkpoint = checks.run("checkpoint", claims, |claims| open_checkpoint(claims, jwks));
    let salt = checks.run(
        "inclusion",
        claims.zip(checkpoint),
        |(claims, checkpoint)| check_inclusion(claims, &checkpoint),
    );
    checks.run("entry", claims.zip(salt), |(claims, salt)| {
        check_entry(claims, &salt).map_err(Refusal::Entry)?;
        Ok(((), "the logged entry is about this token".to_owned()))
    });
    if let Some(evidence) = expect.evidence {
        checks.run("evidence", claims, |claims| {
            check_evidence(claims, evidence)
        });
    }
    if expect
        .issuer
        .or(expect.scope)
        .or(expect.framework)
        .is_some()
    {
        checks.run("expected", claims, |claims| check_expected(claims, expect));
    }
    Verification {
        claims: claims.cloned(),
        checks: checks.done,
        refusal: checks.refusal,
    }
}

fn find_key<'a>(parts: &Parts<'_>, jwks: &'a Jwks) -> Result<(&'a Jwk, String), Refusal> {
    let cut = || parts.kid.chars().take(80).collect();
    let key = jwks
        .find(&parts.kid)
        .ok_or_else(|| Refusal::UnknownKey(cut()))?;
    if key.log_origin.is_some() {
        return Err(Refusal::KeyUse(cut()));
    }
    if key.alg != parts.alg || key.public.algorithm() != parts.alg {
        return Err(Refusal::AlgorithmConfusion {
            header: Algorithm::name(parts.alg),
            key: key.public.algorithm().name(),
        });
    }
    Ok((key, format!("{} is in the key set", key.kid)))
}

fn read_claims(parts: &Parts<'_>) -> Result<(Claims, String), Refusal> {
    let claims: Claims =
        json::typed(parts.payload.clone()).map_err(|error| Refusal::Claims(error.to_string()))?;
    match claims.incoherent() {
        Some(why) => Err(Refusal::Claims(why.to_owned())),
        None => {
            let detail = format!(
                "{} against {} {}, issued by {}",
                claims.sub, claims.framework.id, claims.framework.version, claims.iss
            );
            Ok((claims, detail))
        }
    }
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000))
}

fn check_time(claims: &Claims, key: &Jwk, now: Timestamp) -> Result<((), String), Refusal> {
    let (from, until, issued) = (moment(claims.nbf), moment(claims.exp), moment(claims.iat));
    if now >= until {
        return Err(Refusal::Expired { at: until, now });
    }
    if now.plus_seconds(LEEWAY_SECONDS) < from {
        return Err(Refusal::NotYetValid { from, now });
    }
    match key.retired {
        Some(retired) if issued > retired => Err(Refusal::KeyRetired { retired, issued }),
        _ => Ok(((), format!("counts from {from} until {until}"))),
    }
}

fn open_checkpoint(claims: &Claims, jwks: &Jwks) -> Result<(Checkpoint, String), Refusal> {
    let origin = &claims.ledger.origin;
    let mut last = Refusal::UnknownLog(origin.chars().take(80).collect());
    // A log has several keys when one was rotated; any may have signed.
    for key in jwks.log_keys(origin) {
        match Checkpoint::open(claims.ledger.checkpoint.as_bytes(), &key) {
            Ok(checkpoint) => {
                let size = checkpoint.head.size;
                return Ok((checkpoint, format!("{origin} signed a tree of {size}")));
            }
            Err(error) => last = Refusal::Checkpoint(error.to_string()),
        }
    }
    Err(last)
}

fn check_inclusion(claims: &Claims, checkpoint: &Checkpoint) -> Result<(Salt, String), Refusal> {
    let ledger = &claims.ledger;
    let bad = |what: &str| Refusal::Claims(format!("{what} is not lower-case hexadecimal"));
    let salt = Salt::from_hex(&ledger.salt).ok_or_else(|| bad("ledger.salt"))?;
    let path: Option<Vec<Hash>> = ledger.path.iter().map(|h| Hash::from_hex(h)).collect();
    let path = path.ok_or_else(|| bad("ledger.path"))?;
    let leaf = commit_body(&salt, ledger.body.as_bytes()).leaf();
    verify_inclusion(&leaf, ledger.index, &checkpoint.head, &path).map_err(Refusal::Inclusion)?;
    let detail = format!("entry {} is in that tree", ledger.index);
    Ok((salt, detail))
}

fn check_evidence(claims: &Claims, evidence: &[u8]) -> Result<((), String), Refusal> {
    let found = Digest::of(evidence).to_string();
    if found == claims.evidence_digest {
        Ok(((), format!("the document is {found}")))
    } else {
        Err(Refusal::Evidence {
            attested: claims.evidence_digest.clone(),
            found,
        })
    }
}

fn check_expected(claims: &Claims, expect: &Expectations<'_>) -> Result<((), String), Refusal> {
    for (what, expected, found) in [
        ("the issuer", expect.issuer, &claims.iss),
        ("the scope", expect.scope, &claims.sub),
        ("the framework", expect.framework, &claims.framework.id),
    ] {
        if let Some(expected) = expected.filter(|expected| expected != found) {
            return Err(Refusal::Unexpected {
                what,
                expected: expected.to_owned(),
                found: found.clone(),
            });
        }
    }
    Ok(((), "it is the one that is wanted".to_owned()))
}
