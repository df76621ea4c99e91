//! Bytes to model and back, one module a format: our own report, SARIF 2.1.0, XCCDF
//! results and ARF.
//!
//! **Invariant:** no network, no files by path, no clock, no randomness. Every reader is
//! bounded in size, depth and count, never panics on hostile bytes, and has a fuzz entry
//! point in [`fuzzing`]. Each format is listed in [`registry::FORMATS`].

pub mod fuzzing;
pub mod registry;
pub mod report;
pub mod sarif;
pub mod xccdf;

pub use registry::{FORMATS, Format};
