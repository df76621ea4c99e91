//! Signatures and attestations of container images, verified offline.
//!
//! ```text
//! registry, layout folder ─► Material ─► gather ─► Piece ─┐
//! ClusterImagePolicy, keys, trusted_root.json ─► Demand ──┴─► verify ─► Signed, or Refused and why
//! ```
//!
//! A [`Piece`] is one signature as it was found: cosign's simple signing payload with its
//! annotations, a DSSE envelope with the same, or a Sigstore bundle. [`verify()`] says of a piece
//! who signed which image, by what proof, or precisely why not. [`Policies`] are
//! `ClusterImagePolicy` objects (`policy.sigstore.dev`), which say who must have signed.
//!
//! **Invariant:** no network, no files; the world is read through [`Material`]. The clock is read
//! in one place only, inside `sigstore-verify`, which refuses times from the future. What could
//! not be fetched is Unknown and never a pass; what was fetched and cannot be used is a refusal,
//! because whoever can write to a registry could otherwise choose Unknown.

pub mod fuzzing;
mod gather;
mod glob;
mod legacy;
mod oci;
mod policy;
mod reference;
mod rules;
mod statement;
mod trust;
mod verify;

pub use gather::{Absent, Found, Material, gather};
pub use legacy::Annotations;
pub use oci::{MAX_BLOB, MAX_MANIFEST};
pub use policy::{Judged, Mode, NoRego, Notice, Policies, Rego, Subject, Verdict};
pub use reference::{Reference, ReferenceError};
pub use statement::{Statement, predicate_type};
pub use trust::{Identity, PublicKey, Trust, TrustError};
pub use verify::{Demand, Log, Piece, Reason, Refused, Signed, Signer, Who, verify};
