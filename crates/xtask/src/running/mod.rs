//! The built binary as a server under test, and what to send it.

pub mod backend;
pub mod generate;
pub mod hostile;
pub mod server;

pub use backend::Backend;
pub use server::{Server, Setup};
