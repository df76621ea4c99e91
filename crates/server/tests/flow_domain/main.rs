//! The flow through all rooms, on both back ends: report, findings, ledger, attestation.
//! PostgreSQL needs `BARTIZAN_TEST_POSTGRES`, see `scripts/with-postgres`.

// Helpers of tests may fail as tests do; clippy's exemption reaches test functions alone.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod ask;
mod damage;
mod inventories;
mod life;
mod matching;
mod proof;
mod rematching;
mod speed;
mod support;
mod systems;
mod tenants;
mod vulnerabilities;
