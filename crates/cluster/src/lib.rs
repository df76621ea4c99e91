//! The Kubernetes API behind plain types.
//!
//! Objects come out as JSON values with their kind and name beside them; nothing of the client
//! library is in the public interface. [`Cluster`] is the seam: [`connect`] makes one that speaks
//! to a real API server, [`fake`] one in memory, so that every user is tested without a cluster.
//!
//! [`follow`] lists a kind in pages and then watches it, for as long as it is asked to. It never
//! holds more than a page. What it could not learn it says ([`Change::Trouble`]): a kind that is
//! not being followed is unknown, never empty.
//!
//! **Invariant:** no policy is evaluated here and nothing is stored. Wall-clock time comes in as an
//! argument.

pub mod audit;
mod backoff;
mod cluster;
mod connect;
mod discovery;
mod error;
pub mod fake;
mod follow;
pub mod fuzzing;
mod known;
mod lease;
mod object;
mod webhook;
mod wire;

pub use backoff::Backoff;
pub use cluster::{Answer, Cluster, Event, Events, Page, PageRequest, Patch};
pub use connect::{Source, connect};
pub use discovery::{Discovery, Unserved};
pub use error::{Error, Fault};
pub use follow::{Change, Following, follow};
pub use known::Known;
pub use lease::{Campaign, Election, Step, campaign};
pub use object::{Name, Object, Resource};
pub use webhook::{WebhookKind, ca_bundle_patch, set_ca_bundle};
