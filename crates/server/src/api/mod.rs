//! The routes under `/api/v1`, a module a noun.

use crate::route::Route;

// Shell and identity.
pub mod session;
pub mod tokens;
pub mod users;

// Domain: add `pub mod x;` here, alphabetically.

/// Every route. A module that is not listed here is not served.
pub fn routes() -> Vec<Route> {
    let mut all = Vec::new();
    for part in [
        // Shell and identity.
        session::routes(),
        tokens::routes(),
        users::routes(),
        // Domain: add `x::routes(),` here, alphabetically.
    ] {
        all.extend(part);
    }
    all
}
