//! The HTTP shell from outside: who may do what, sessions, limits, the listener.

// Helpers of tests may fail as tests do; clippy's exemption reaches test functions alone.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod limits;
mod listener;
mod monitoring;
mod people;
mod roles;
mod session;
mod support;
