//! What the audit found, in the log, under the names that Gatekeeper's audit uses.

use super::judge::Judged;
use bartizan_policy::Audited;

/// Violations as Gatekeeper's log events.
pub fn violations(judged: &Judged, audited: &Audited) {
    let (kind, name) = (&judged.task.kind, &judged.task.name);
    for found in &audited.found {
        for message in &found.messages {
            tracing::info!(
                process = "audit",
                event_type = "violation_audited",
                constraint_group = "constraints.gatekeeper.sh",
                constraint_kind = %found.kind,
                constraint_name = %found.name,
                constraint_action = found.actions.last().copied().unwrap_or("deny"),
                resource_group = %kind.group,
                resource_kind = %kind.kind,
                resource_namespace = name.namespace.as_deref().unwrap_or_default(),
                resource_name = %name.name,
                "{message}"
            );
        }
    }
}
