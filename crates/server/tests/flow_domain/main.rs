//! The flow through all rooms, on both back ends: report, findings, ledger, attestation.
//! PostgreSQL needs `BARTIZAN_TEST_POSTGRES`, see `scripts/with-postgres`.

mod damage;
mod life;
mod proof;
mod speed;
mod support;
mod tenants;
