//! Against a real Kubernetes API server: `make test-cluster`, see `docs/cluster-tests.md`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may end by panicking"
)]

mod admission;
mod api;
mod bartizan;
mod install;
mod live;
mod setup;
mod webhook;
