//! Probes of everything that is not files.

use super::Probe;

/// What is loaded once.
#[derive(Debug, Default)]
pub struct Tables {}

/// The probes.
pub const PROBES: &[Probe] = &[];
