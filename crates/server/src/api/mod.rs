//! The routes under `/api/v1`, a module a noun.

use crate::route::Route;

// Shell and identity.
// (session, users, tokens)

// Domain: add `pub mod x;` here, alphabetically.

/// Every route. A module that is not listed here is not served.
pub fn routes() -> Vec<Route> {
    let mut all = Vec::new();
    for part in [
        // Shell and identity.
        // Domain: add `x::routes(),` here, alphabetically.
    ] as [Vec<Route>; 0]
    {
        all.extend(part);
    }
    all
}
