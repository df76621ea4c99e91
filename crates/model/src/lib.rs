//! The nouns of Bartizan and the pure rules between them.
//!
//! **Invariant:** nothing here does I/O, awaits, reads a clock or draws a random
//! number. Times and ids come in as arguments, so every function is repeatable.
//!
//! The flow through these types: a [`Scan`] looks at [`Asset`]s of one [`Scope`] and
//! records [`Observation`]s (facts) and [`CheckResult`]s (an [`Outcome`] of a [`Check`]
//! on an asset). [`life::transition`] turns results into the state changes of
//! [`Finding`]s; every change becomes an [`AuditEntry`] of the ledger.

pub mod asset;
pub mod attestation;
pub mod audit;
pub mod check;
pub mod component;
pub mod finding;
pub mod framework;
pub mod id;
pub mod life;
pub mod outcome;
pub mod report;
pub mod result;
pub mod role;
pub mod scan;
pub mod secret;
pub mod text;
pub mod time;

pub use asset::{Asset, Location, Observation};
pub use attestation::Attestation;
pub use audit::{AuditEntry, Decision, Event};
pub use check::{Check, Severity};
pub use component::{Component, Ecosystem, EcosystemKind, Found, Purl, PurlError, SourcePackage};
pub use finding::{Acceptance, Finding, FindingStatus};
pub use framework::{Control, ControlStatus, Framework};
pub use id::{
    AssetUid, AttestationId, CheckUid, ControlId, Digest, FindingKey, FrameworkId, IdError, JobId,
    ScanId, ScheduleId, ScopeId, SystemId, TaskId, TenantId, UserName,
};
pub use outcome::Outcome;
pub use result::{CheckResult, Evidence, Suppression};
pub use role::Role;
pub use scan::{Scan, Scope, ScopeKind};
pub use time::Timestamp;
