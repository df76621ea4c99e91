//! Gatekeeper `ConstraintTemplate`s and constraints over Kubernetes manifests: manifests in,
//! a report out.
//!
//! ```text
//! policy files ─► Library ──────────────┐
//! manifests ─► input ─► Object ─► expand ─► match ─► Evaluator ─► results ─► ScanOutput
//!                          └─► redact ─► observations ──────────────────────────┘
//! ```
//!
//! **Invariant:** no clock, no network, no files by path; nothing of the Rego engine's types
//! in the public interface. Whatever could not be evaluated is Unknown, with the reason.
//!
//! Who codes against this: `cli` makes a [`Library`] from `(name, bytes)` pairs with
//! [`LibraryBuilder`], hands [`Source`]s to [`scan()`] and gets a [`ScanOutput`].

pub mod admit;
mod ask;
pub mod audit;
pub mod budget;
pub mod cel;
pub mod check;
pub mod comply;
mod enforce;
mod engine;
pub mod evaluate;
mod except;
mod expand;
pub mod expansion;
pub mod facts;
pub mod fuzzing;
mod gatekeeper;
pub mod images;
mod implied;
pub mod input;
pub mod library;
mod matching;
pub mod mutate;
mod object;
pub mod outline;
mod parameters;
pub mod playground;
pub mod pod_security;
pub mod probe;
pub mod providers;
pub mod redact;
mod rego;
pub mod review;
mod scalar;
pub mod scan;
pub mod seeded;
pub mod suite;
pub mod suppress;
mod sync;
mod unit;
pub mod vap;
mod vet;
mod world;
mod yaml;

pub use admit::{AdmitOptions, Admitter, Failure, Outcome, Verdict};
pub use audit::{Audited, Auditor};
pub use budget::Budget;
pub use check::{Checked, Checker};
pub use enforce::{Action, Point};
pub use evaluate::Evaluator;
pub use expansion::Expansions;
pub use images::Images;
pub use input::{Limits, Source};
pub use library::{Library, LibraryBuilder, LibraryError, Notice};
pub use mutate::{Mutation, Mutators, json_patch};
pub use object::Object;
pub use providers::{NoProviders, Providers};
pub use review::{Operation, Review, ReviewError, ReviewLimits};
pub use scan::{Progress, ScanError, ScanOptions, ScanOutput, scan};
pub use suppress::{Baseline, UnusedSuppression};
pub use world::World;

/// Whether a namespace is meant by a name that may have an asterisk at its front or end, as
/// Gatekeeper's options and matches have it.
pub fn namespace_matches(pattern: &str, namespace: &str) -> bool {
    matching::wildcard(pattern, namespace)
}
