//! The built binary as a server under test, and what to send it.

pub mod backend;
pub mod cluster;
pub mod generate;
pub mod hostile;
pub mod load;
pub mod mixed;
pub mod server;
pub mod siege;
pub mod wire;

pub use backend::Backend;
pub use server::{Server, Setup};
