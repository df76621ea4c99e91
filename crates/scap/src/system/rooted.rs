//! A system under a root folder.

/// A root folder: `/` or a mounted one.
#[derive(Debug)]
pub struct Rooted;
