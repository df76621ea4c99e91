//! What there is to tell of the audit: for the API, the console, the metrics.

use bartizan_model::Timestamp;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use utoipa::ToSchema;

/// How the audit of a cluster stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
#[schema(as = ClusterAudit)]
pub struct Status {
    /// What is audited.
    pub scope: String,
    /// Objects that are known.
    pub objects: u64,
    /// Objects that wait because they changed.
    pub due: u64,
    /// Walks over a whole kind that are under way, because a policy changed.
    pub sweeps: u64,
    /// Objects judged since the audit began.
    pub judged: u64,
    /// When the last full pass began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub pass_started: Option<Timestamp>,
    /// When it ended; none while it is under way.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub pass_finished: Option<Timestamp>,
    /// Why nothing can be judged now.
    pub waiting: Option<String>,
    /// The kinds that are followed.
    pub kinds: Vec<KindStatus>,
    /// The constraints that are asked.
    pub constraints: Vec<ConstraintStatus>,
}

/// A kind that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ClusterAuditKind)]
pub struct KindStatus {
    /// The group; empty for the core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Objects that are known.
    pub objects: u64,
    /// Whether all of them are known.
    pub complete: bool,
    /// Why not, where an error is the reason.
    pub trouble: Option<String>,
}

/// A constraint and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ClusterAuditConstraint)]
pub struct ConstraintStatus {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it does at the audit.
    pub actions: Vec<String>,
    /// Its violations.
    pub violations: u64,
}

/// The status as it is now; none where no cluster is audited.
#[derive(Debug, Default)]
pub struct Live(Mutex<Option<Status>>);

impl Live {
    pub(super) fn set(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    /// As it is now.
    pub fn get(&self) -> Option<Status> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
