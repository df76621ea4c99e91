//! HTTP API, identity and workers: the outermost crate but one.
//!
//! **Invariant:** nothing here parses formats or evaluates policies; it asks the crates
//! that do. The clock, random numbers and the network exist only here and in `cli`.
//!
//! [`route::table`] lists every operation with who may call it; the router, the OpenAPI
//! document and the role test are made from that list.

pub mod api;
pub mod auth;
pub mod config;
pub mod error;
pub mod extract;
pub mod log;
pub mod route;
pub mod state;
pub mod work;

pub use config::Config;
pub use error::{ApiResult, Problem};
pub use state::AppState;
