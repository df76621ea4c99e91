//! What benches and whole-flow tests share: a server under test and seeded reports.

#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON answer reads as null, and this is never shipped"
)]

pub mod running;
