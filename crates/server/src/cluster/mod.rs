//! A Kubernetes cluster that is watched: followers of many kinds, one stream of what they tell; the
//! policies that live in it; and its trust in our webhook.

mod crds;
mod feed;
pub(crate) mod held;
mod policies;
pub mod trust;

pub use feed::{Feed, Told, What};
pub use policies::{FAULTS, Snapshot, Watched};
pub use trust::Trust;
