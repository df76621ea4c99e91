//! What the policies in force look at, in terms of what the cluster serves.

use bartizan_cluster::audit::{Interest, Kind, Reads};
use bartizan_cluster::{Discovery, Resource};
use bartizan_model::CheckUid;
use bartizan_policy::Library;
use bartizan_policy::audit::{Interest as Wanted, Reads as Read};
use std::collections::BTreeMap;

/// Kinds that change all the time and of which nobody writes policies; a constraint that names one
/// is asked of it all the same.
const NOISE: [(&str, &str); 5] = [
    ("", "Event"),
    ("events.k8s.io", "Event"),
    ("coordination.k8s.io", "Lease"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("", "Endpoints"),
];

/// One policy's interest, and what differs when its verdicts may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Its check.
    pub check: CheckUid,
    /// What it looks at and reads.
    pub interest: Interest,
    /// Differs when its verdicts may.
    pub fingerprint: u64,
}

/// The interests of a library, and the kinds to follow for them: first those that are read.
#[derive(Debug, Default)]
pub struct Plan {
    /// The policies, by check.
    pub policies: BTreeMap<String, Looked>,
    /// Namespaces and what is read: followed first, and kept whole.
    pub read: Vec<Resource>,
    /// All that is looked at.
    pub looked: Vec<Resource>,
}

impl Plan {
    /// Of a library in a cluster.
    pub fn of(library: &Library, discovery: &Discovery) -> Self {
        let served: Vec<&Resource> = discovery
            .preferred()
            .filter(|r| r.can("list") && r.can("watch"))
            .collect();
        let mut plan = Self::default();
        for wanted in library.audit_interests() {
            let looked = looked(wanted, &served);
            plan.policies.insert(looked.check.to_string(), looked);
        }
        let namespace = Kind::namespace();
        for resource in served {
            let kind = Kind::of(resource);
            let reads = plan.policies.values().any(|p| match &p.interest.reads {
                Reads::Kinds(kinds) => kinds.contains(&kind),
                Reads::Anything => library.syncs(&kind.group, &kind.kind) && !noise(&kind),
                Reads::Nothing => false,
            });
            if kind == namespace || reads {
                plan.read.push(resource.clone());
            }
            let mut asked = plan.policies.values();
            if asked.any(|p| p.interest.looks_at(&kind)) && (named(&plan, &kind) || !noise(&kind)) {
                plan.looked.push(resource.clone());
            }
        }
        plan
    }
}

fn noise(kind: &Kind) -> bool {
    NOISE.contains(&(kind.group.as_str(), kind.kind.as_str()))
}

/// Whether a constraint names the kind, and does not only mean all.
fn named(plan: &Plan, kind: &Kind) -> bool {
    let names = |kinds: &[(Vec<String>, Vec<String>)]| {
        kinds.iter().any(|(_, kinds)| kinds.contains(&kind.kind))
    };
    plan.policies.values().any(|p| names(&p.interest.kinds))
}

fn looked(wanted: Wanted, served: &[&Resource]) -> Looked {
    // What is not served cannot be waited for: there is none of it.
    let reads = match wanted.reads {
        Read::Nothing => Reads::Nothing,
        Read::Anything => Reads::Anything,
        Read::Kinds(kinds) => {
            let fits = |pattern: &str, word: &str| pattern == "*" || pattern == word;
            let wanted = |r: &&&Resource| {
                kinds
                    .iter()
                    .any(|(group, kind)| fits(group, &r.group) && fits(kind, &r.kind))
            };
            Reads::Kinds(served.iter().filter(wanted).map(|r| Kind::of(r)).collect())
        }
    };
    Looked {
        check: wanted.check,
        interest: Interest {
            kinds: wanted.kinds,
            by_namespace: wanted.by_namespace,
            reads,
        },
        fingerprint: wanted.fingerprint,
    }
}
