//! Structured logs with secrets masked, and the request id that ties them together.

tokio::task_local! {
    /// The id of the request that this task serves.
    pub(crate) static REQUEST: String;
}

/// The id of the request being served, or `-` outside of one.
pub fn request_id() -> String {
    REQUEST
        .try_with(Clone::clone)
        .unwrap_or_else(|_| "-".to_owned())
}
