//! HTTP API, identity and workers: the outermost crate but one.
//!
//! **Invariant:** nothing here parses formats or evaluates policies; it asks the crates
//! that do. The clock, random numbers and the network exist only here and in `cli`.
//!
//! [`route::table`] lists every operation with who may call it; the router, the OpenAPI
//! document and the role test are made from that list. [`serve`] runs it all.

pub mod admission;
pub mod api;
pub mod ask;
pub mod audit;
pub mod auth;
pub mod cluster;
pub mod config;
mod console;
pub mod error;
pub mod extract;
pub mod headers;
pub mod health;
pub mod limit;
pub mod listen;
pub mod log;
pub mod matching;
pub mod metrics;
pub mod openapi;
pub mod own;
pub mod route;
mod serve;
mod shell;
pub mod state;
pub mod sync;
pub mod vulnerabilities;
pub mod work;

pub use auth::bootstrap::{BootstrapError, OneTimeSecret, bootstrap_admin, reset_password};
pub use config::{Cidr, Config, Limits, Secret, Sessions, Tls};
pub use error::{ApiResult, Problem};
pub use openapi::openapi_json;
pub use serve::{Ready, ServeError, assemble, serve, store_config};
pub use state::AppState;
