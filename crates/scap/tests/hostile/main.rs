//! Hostile content and hostile systems: every answer comes in bounded time, and where nobody
//! could look it is no pass.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may end by panicking"
)]

mod content;
mod support;
mod systems;
