//! Which CVE records are new: decided by the record itself, never by a file's name.
//!
//! The public list has holes: deltas and baseline differ, an hour before midnight is missing,
//! records are absent from end-of-day files. So every source (baseline, delta, end of day) is
//! offered whole, and a record counts when its own `dateUpdated` is later than what is held.

use bartizan_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is held of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The record's `dateUpdated`.
    pub updated: Option<Timestamp>,
    /// Digest of its bytes: a record may change without a new date.
    pub digest: [u8; 32],
}

/// What to do with a record that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Not held: take it.
    New,
    /// Later than what is held: take it.
    Newer,
    /// Same date, other content: take it, and count it as a defect of the feed.
    Changed,
    /// Exactly what is held.
    Same,
    /// Older than what is held: leave it.
    Older,
}

impl Decision {
    /// Whether the record is to be applied.
    pub fn applies(self) -> bool {
        matches!(self, Self::New | Self::Newer | Self::Changed)
    }
}

/// The state of a sync. Serialisable, so that an interrupted one goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciler {
    held: BTreeMap<String, Held>,
}

impl Reconciler {
    /// From what the store holds.
    pub fn new(held: impl IntoIterator<Item = (String, Held)>) -> Self {
        Self {
            held: held.into_iter().collect(),
        }
    }

    /// How many records are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Decides on a record and remembers it where it applies. The same offers in another order
    /// end in the same state, but for records that share a date and differ: there the greater
    /// digest wins, so that the order does not matter.
    pub fn offer(&mut self, id: &str, offered: Held) -> Decision {
        let decision = match self.held.get(id) {
            None => Decision::New,
            Some(held) if held.digest == offered.digest && held.updated == offered.updated => {
                Decision::Same
            }
            Some(held) if offered.updated > held.updated => Decision::Newer,
            Some(held) if offered.updated < held.updated => Decision::Older,
            Some(held) if offered.digest > held.digest => Decision::Changed,
            Some(_) => Decision::Older,
        };
        if decision.applies() {
            self.held.insert(id.to_owned(), offered);
        }
        decision
    }

    /// Records that are held and that a complete baseline does not name. They are told, never
    /// deleted: a baseline has been known to lack records.
    pub fn absent_from<'a>(
        &'a self,
        mut in_baseline: impl FnMut(&str) -> bool + 'a,
    ) -> impl Iterator<Item = &'a str> {
        self.held
            .keys()
            .map(String::as_str)
            .filter(move |id| !in_baseline(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held(seconds: i64, digest: u8) -> Held {
        Held {
            updated: Some(Timestamp::from_micros(seconds * 1_000_000)),
            digest: [digest; 32],
        }
    }

    #[test]
    fn the_record_decides() {
        let mut r = Reconciler::default();
        assert_eq!(r.offer("CVE-1", held(10, 1)), Decision::New);
        assert_eq!(r.offer("CVE-1", held(10, 1)), Decision::Same);
        assert_eq!(r.offer("CVE-1", held(9, 3)), Decision::Older);
        assert_eq!(r.offer("CVE-1", held(10, 2)), Decision::Changed);
        assert_eq!(r.offer("CVE-1", held(11, 0)), Decision::Newer);
        assert_eq!(r.absent_from(|_| false).collect::<Vec<_>>(), ["CVE-1"]);
        let state = serde_json::to_string(&r).unwrap();
        assert_eq!(serde_json::from_str::<Reconciler>(&state).unwrap(), r);
    }

    proptest! {
        #[test]
        fn the_order_of_sources_does_not_matter(
            offers in proptest::collection::vec((0u8..4, 0i64..5, 0u8..4), 0..30),
            seed in any::<u64>(),
        ) {
            let run = |offers: &[(u8, i64, u8)]| {
                let mut r = Reconciler::default();
                for (id, at, digest) in offers {
                    r.offer(&format!("CVE-{id}"), held(*at, *digest));
                }
                r
            };
            let mut other = offers.clone();
            let turn = if other.is_empty() { 0 } else { seed as usize % other.len() };
            other.rotate_left(turn);
            other.reverse();
            prop_assert_eq!(run(&offers), run(&other));
        }
    }
}
