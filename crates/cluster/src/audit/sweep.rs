//! A walk over all names of a kind that can be begun again without beginning over.

use crate::Name;
use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included, Unbounded};

/// Where a sweep stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sweep {
    /// The last name that was given out.
    at: Option<Name>,
    /// After the end it goes on from the beginning to here.
    until: Option<Name>,
    /// The end was passed.
    wrapped: bool,
}

impl Sweep {
    /// From the beginning, for what is judged in the order of its names.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    /// Everything once more from here: the rest, and then up to where it stands now.
    pub(crate) fn again(&mut self) {
        self.until = self.at.clone();
        self.wrapped = false;
    }

    /// The next name; none at the end. Names may come and go in between.
    pub(crate) fn advance(&mut self, names: &BTreeSet<Name>) -> Option<Name> {
        loop {
            let from = self.at.as_ref().map_or(Unbounded, Excluded);
            let to = match (&self.until, self.wrapped) {
                (Some(until), true) => {
                    // A range must not end before it begins.
                    if self.at.as_ref().is_some_and(|at| at >= until) {
                        return None;
                    }
                    Included(until)
                }
                _ => Unbounded,
            };
            if let Some(name) = names.range((from, to)).next() {
                self.at = Some(name.clone());
                return Some(name.clone());
            }
            if self.wrapped || self.until.is_none() {
                return None;
            }
            self.wrapped = true;
            self.at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<Name> {
        list.iter().map(|n| Name::of_cluster(n)).collect()
    }

    fn rest(sweep: &mut Sweep, names: &BTreeSet<Name>) -> Vec<String> {
        std::iter::from_fn(|| sweep.advance(names).map(|n| n.name)).collect()
    }

    #[test]
    fn all_once() {
        let all = names(&["a", "b", "c"]);
        assert_eq!(rest(&mut Sweep::default(), &all), ["a", "b", "c"]);
        assert_eq!(rest(&mut Sweep::default(), &names(&[])), [""; 0]);
    }

    #[test]
    fn again_goes_round_to_where_it_stood() {
        let all = names(&["a", "b", "c", "d"]);
        let mut sweep = Sweep::default();
        sweep.advance(&all);
        sweep.advance(&all);
        sweep.again();
        assert_eq!(rest(&mut sweep, &all), ["c", "d", "a", "b"]);
        // In the second round, once more.
        let mut sweep = Sweep::default();
        for _ in 0..3 {
            sweep.advance(&all);
        }
        sweep.again();
        assert_eq!(sweep.advance(&all), Some(Name::of_cluster("d")));
        assert_eq!(sweep.advance(&all), Some(Name::of_cluster("a")));
        sweep.again();
        assert_eq!(rest(&mut sweep, &all), ["b", "c", "d", "a"]);
    }

    #[test]
    fn names_come_and_go() {
        let mut all = names(&["b", "d"]);
        let mut sweep = Sweep::default();
        assert_eq!(sweep.advance(&all), Some(Name::of_cluster("b")));
        all.remove(&Name::of_cluster("b"));
        all.insert(Name::of_cluster("c"));
        sweep.again();
        all.insert(Name::of_cluster("a"));
        assert_eq!(rest(&mut sweep, &all), ["c", "d", "a"]);
    }
}
