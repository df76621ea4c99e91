//! A Kubernetes cluster that is watched: followers of many kinds, one stream of what they tell.

mod feed;

pub use feed::{Feed, Told, What};
