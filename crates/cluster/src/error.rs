//! What may go wrong, by whose fault.

use std::time::Duration;

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The API server, or what it stands on.
    Cluster,
    /// Nobody in particular: between us and the API server.
    Network,
    /// Whoever configured us: kubeconfig, roles.
    Operator,
    /// Us, or whoever wrote the object that we sent.
    Request,
}

/// Why the API server's answer is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Too many requests; the server names a time to wait.
    #[error("the API server is busy: {message}")]
    Busy {
        /// What it said.
        message: String,
        /// When to come back.
        after: Option<Duration>,
    },
    /// The kubeconfig or the pod's service account cannot be used.
    #[error("configuration: {0}")]
    Configuration(String),
    /// Someone else changed the object, or made it first.
    #[error("conflict: {0}")]
    Conflict(String),
    /// We are known, and may not.
    #[error("not allowed: {0}")]
    Denied(String),
    /// The resource version or the continue token is too old: list again.
    #[error("too old: {0}")]
    Expired(String),
    /// The answer is not what a Kubernetes API server sends.
    #[error("the answer is not of a Kubernetes API: {0}")]
    Malformed(String),
    /// There is no such object, or no such kind.
    #[error("not found: {0}")]
    NotFound(String),
    /// The server refuses what we sent.
    #[error("refused ({code}): {message}")]
    Rejected {
        /// The HTTP status.
        code: u16,
        /// What it said.
        message: String,
    },
    /// The server failed.
    #[error("the API server failed ({code}): {message}")]
    Server {
        /// The HTTP status.
        code: u16,
        /// What it said.
        message: String,
    },
    /// The answer is larger than we take.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// Our limit.
        limit: usize,
    },
    /// The server does not know us: a wrong or expired token or certificate.
    #[error("not authenticated: {0}")]
    Unauthenticated(String),
    /// Nobody answered in time.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Configuration(_) | Self::Denied(_) | Self::Unauthenticated(_) => Fault::Operator,
            Self::Unreachable(_) => Fault::Network,
            Self::Busy { .. }
            | Self::Malformed(_)
            | Self::Server { .. }
            | Self::TooLarge { .. } => Fault::Cluster,
            Self::Conflict(_) | Self::Expired(_) | Self::NotFound(_) | Self::Rejected { .. } => {
                Fault::Request
            }
        }
    }

    /// Whether the same call may succeed later without anybody doing anything. Roles and tokens
    /// are mended from outside while we run, so those count too.
    pub fn passes(&self) -> bool {
        !matches!(
            self,
            Self::Configuration(_) | Self::NotFound(_) | Self::Rejected { .. }
        )
    }

    /// The error that an HTTP status and a `Status` object stand for.
    pub(crate) fn of_status(
        code: u16,
        reason: &str,
        message: &str,
        after: Option<Duration>,
    ) -> Self {
        let message: String = message.chars().take(2_000).collect();
        match (code, reason) {
            (401, _) => Self::Unauthenticated(message),
            (403, _) => Self::Denied(message),
            (404, _) => Self::NotFound(message),
            (409, _) => Self::Conflict(message),
            (410, _) | (_, "Expired" | "Gone") => Self::Expired(message),
            (429, _) => Self::Busy { message, after },
            (500.., _) => Self::Server { code, message },
            _ => Self::Rejected { code, message },
        }
    }
}
