//! Whole flows of the built binary: what users and CI see, and what survives.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may end by panicking"
)]

mod admission;
mod ask;
mod attestations;
mod crashes;
mod feeds;
mod hostile;
mod hosts;
mod images;
mod load;
mod policies;
mod sbom;
mod scans;
mod software;
mod support;
mod targets;
