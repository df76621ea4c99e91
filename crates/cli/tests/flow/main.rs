//! Whole flows of the built binary: what users and CI see, and what survives.

mod attestations;
mod crashes;
mod hostile;
mod scans;
mod support;
