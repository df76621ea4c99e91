//! The routes under `/api/v1`, a module a noun.

use crate::route::Route;

// Shell and identity.
pub mod session;
mod sorted;
pub mod tokens;
pub mod users;

// Domain.
pub mod artifacts;
pub mod ask;
pub mod attestations;
pub mod audit;
pub mod bom;
pub mod checks;
pub mod cluster;
pub mod comparison;
pub mod components;
pub mod decisions;
mod export;
pub mod exports;
pub mod findings;
pub mod frameworks;
pub mod history;
pub mod inventories;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod overview;
pub mod policies;
pub mod policy_reports;
pub mod present;
pub mod reports;
pub mod results;
pub mod scans;
pub mod schedules;
pub mod scopes;
pub mod systems;
pub mod tasks;
pub mod upgrades;
pub mod view;
pub mod vulnerabilities;

/// Every route. A module that is not listed here is not served.
pub fn routes() -> Vec<Route> {
    let mut all = Vec::new();
    for part in [
        // Shell and identity.
        session::routes(),
        tokens::routes(),
        users::routes(),
        // Domain.
        artifacts::routes(),
        ask::routes(),
        attestations::routes(),
        audit::routes(),
        checks::routes(),
        cluster::routes(),
        bom::routes(),
        comparison::routes(),
        components::routes(),
        decisions::routes(),
        exports::routes(),
        findings::routes(),
        frameworks::routes(),
        history::routes(),
        inventories::routes(),
        jobs::routes(),
        keys::routes(),
        ledger::routes(),
        overview::routes(),
        policies::routes(),
        policy_reports::routes(),
        present::routes(),
        reports::routes(),
        results::routes(),
        scans::routes(),
        schedules::routes(),
        scopes::routes(),
        systems::routes(),
        tasks::routes(),
        upgrades::routes(),
        vulnerabilities::routes(),
    ] {
        all.extend(part);
    }
    all
}
