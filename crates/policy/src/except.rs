//! Exceptions from policies at admission: who has let what pass, why, and until when.
//!
//! ```yaml
//! apiVersion: bartizan.dev/v1
//! kind: PolicyException
//! metadata: {name: node-agents}
//! spec:
//!   policies: [k8spspprivileged]      # template or check uid; `*` allowed
//!   constraints: ["psp-*"]            # optional
//!   match:                            # as in a constraint
//!     namespaces: [monitoring]
//!   owner: platform
//!   reason: node agents need the host; see RISK-12
//!   expires: 2027-01-01
//! ```
//!
//! Owner, reason and expiry are required: what lacks one stops the load, so that nobody takes
//! it for honoured. Annotations on the object ([`crate::suppress`]) do not count at admission:
//! whoever asks would grant the exception to himself.

use crate::matching::{Match, Namespaces, Target, Verdict};
use crate::object::Object;
use crate::suppress::UnusedSuppression;
use crate::suppress::{glob, moment, names};
use bartizan_model::{CheckUid, Location, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One exception. Copies count their uses together.
#[derive(Clone)]
pub(crate) struct Exception {
    pub name: String,
    pub owner: String,
    pub reason: String,
    pub expires: Timestamp,
    policies: Vec<String>,
    constraints: Vec<String>,
    matching: Match,
    location: Location,
    used: Arc<AtomicU64>,
}

impl std::fmt::Debug for Exception {
    /// Without the count of uses, so that equal exceptions look equal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exception")
            .field("name", &self.name)
            .field("owner", &self.owner)
            .field("reason", &self.reason)
            .field("expires", &self.expires)
            .field("policies", &self.policies)
            .field("constraints", &self.constraints)
            .field("matching", &self.matching)
            .finish_non_exhaustive()
    }
}

impl Exception {
    pub(crate) fn read(object: &Object) -> Result<Self, String> {
        const KNOWN: [&str; 6] = [
            "policies",
            "constraints",
            "match",
            "owner",
            "reason",
            "expires",
        ];
        let spec = object.value.get("spec").and_then(Value::as_object);
        let spec = spec.ok_or("spec is missing or no mapping")?;
        if let Some(key) = spec.keys().find(|k| !KNOWN.contains(&k.as_str())) {
            return Err(format!("spec.{key} is not known"));
        }
        let need = |field: &str| {
            let text = spec.get(field).and_then(Value::as_str).map(str::trim);
            text.filter(|t| !t.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| format!("spec.{field} is missing"))
        };
        let list = |field: &str| match spec.get(field) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| format!("spec.{field} holds something that is no text")),
            Some(_) => Err(format!("spec.{field} is no list")),
        };
        let policies = list("policies")?;
        if policies.is_empty() {
            return Err("spec.policies is missing: `*` stands for all".into());
        }
        Ok(Self {
            name: object.name.clone(),
            owner: need("owner")?,
            reason: need("reason")?,
            expires: moment(&need("expires")?).map_err(|why| format!("spec.expires: {why}"))?,
            policies,
            constraints: list("constraints")?,
            matching: Match::parse(spec.get("match"))?,
            location: object.location.clone(),
            used: Arc::default(),
        })
    }

    /// Whether labels of the object's namespace decide.
    pub(crate) fn by_namespace(&self) -> bool {
        self.matching.by_namespace()
    }

    /// Whether it lets a violation of this policy on this object pass now; counted as used.
    pub(crate) fn covers(
        &self,
        check: &CheckUid,
        constraint: &str,
        targets: &[Target<'_>],
        namespaces: &Namespaces,
        now: Timestamp,
    ) -> bool {
        let named = self.policies.iter().any(|pattern| names(pattern, check))
            && (self.constraints.is_empty()
                || self
                    .constraints
                    .iter()
                    .any(|pattern| glob(pattern, constraint)));
        // Where it cannot be told whether it covers all forms of the object, it does not.
        let covers = self.expires > now
            && named
            && !targets.is_empty()
            && targets
                .iter()
                .all(|target| self.matching.test(target, namespaces) == Verdict::Yes);
        if covers {
            self.used.fetch_add(1, Ordering::Relaxed);
        }
        covers
    }

    /// A copy that counts its uses for itself.
    pub(crate) fn apart(&self) -> Self {
        Self {
            used: Arc::new(AtomicU64::new(self.used.load(Ordering::Relaxed))),
            ..self.clone()
        }
    }

    /// Counts on where the same exception of another load has come to.
    pub(crate) fn continue_from(&mut self, before: &[Self]) {
        let same = |old: &&Self| {
            old.name == self.name
                && old.policies == self.policies
                && old.constraints == self.constraints
                && old.matching == self.matching
        };
        if let Some(old) = before.iter().find(same) {
            self.used = Arc::clone(&old.used);
        }
    }

    /// Why it has let nothing pass; none when it has.
    pub(crate) fn unused(&self, now: Timestamp) -> Option<UnusedSuppression> {
        let why = if self.expires <= now {
            format!("it expired at {}", self.expires)
        } else if self.used.load(Ordering::Relaxed) == 0 {
            "it matches no failure".to_owned()
        } else {
            return None;
        };
        Some(UnusedSuppression {
            by: "exception".into(),
            check: self.policies.join(", "),
            asset: self.name.clone(),
            why,
            location: Some(self.location.clone()),
        })
    }
}
