//! An XCCDF 1.2 and OVAL 5.11 engine that reads the world through a [`system::System`].
//!
//! ```text
//! data stream ─► xml ─► content ─► xccdf (profile, tailoring, platform) ─► rules
//!                          └─────► oval (definitions) ─► probe ─► System ─┘ │
//!                                                                 results ◄─┘
//! ```
//!
//! **Invariant:** no process is started and no network is used here; what could not be looked
//! at is error, unknown or not checked, never pass.

pub mod content;
pub mod facts;
pub mod fuzzing;
pub mod oval;
pub mod plugin;
pub mod probe;
pub mod results;
pub mod signature;
pub mod system;
pub mod xccdf;
pub mod xml;
pub mod yaml;
