//! Which objects pass which checks, a bit each: what never failed is counted and not stored one by
//! one.

use bartizan_model::{AssetUid, CheckUid};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Passes without a row, and which results have one.
#[derive(Debug, Default)]
pub struct Passing {
    checks: HashMap<CheckUid, usize>,
    counts: Vec<u64>,
    /// Bits by check, for each asset, which stands as a number.
    assets: HashMap<u64, Box<[u64]>>,
    /// Results that the store has a row of, as numbers: theirs are told one by one.
    rows: HashSet<u64>,
    changed: bool,
}

impl Passing {
    /// The store has a row of this.
    pub fn has_row(&mut self, check: &CheckUid, asset: &str) {
        self.rows.insert(number(&(check.as_str(), asset)));
    }

    /// Whether a pass is but counted, because the store has no row that it would have to mend.
    pub fn pass(&mut self, check: &CheckUid, asset: &AssetUid) -> bool {
        if self
            .rows
            .contains(&number(&(check.as_str(), asset.as_str())))
        {
            return false;
        }
        let at = match self.checks.get(check) {
            Some(at) => *at,
            None => {
                let at = self.counts.len();
                self.checks.insert(check.clone(), at);
                self.counts.push(0);
                at
            }
        };
        let words = self.assets.entry(number(asset.as_str())).or_default();
        if words.len() <= at / 64 {
            let mut longer = std::mem::take(words).into_vec();
            longer.resize(at / 64 + 1, 0);
            *words = longer.into_boxed_slice();
        }
        let bit = 1 << (at % 64);
        if let Some(word) = words.get_mut(at / 64)
            && *word & bit == 0
        {
            *word |= bit;
            self.add(at, 1);
        }
        true
    }

    /// It does not pass any more, or is not judged. Whether the store has a row of it.
    pub fn clear(&mut self, check: &CheckUid, asset: &AssetUid) -> bool {
        if let Some(&at) = self.checks.get(check)
            && let Some(words) = self.assets.get_mut(&number(asset.as_str()))
            && let Some(word) = words.get_mut(at / 64)
        {
            let bit = 1 << (at % 64);
            if *word & bit != 0 {
                *word &= !bit;
                self.add(at, -1);
            }
        }
        self.rows
            .contains(&number(&(check.as_str(), asset.as_str())))
    }

    fn add(&mut self, at: usize, by: i64) {
        self.changed = true;
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add_signed(by);
        }
    }

    /// How many pass, by check, if that is another than was taken last.
    pub fn take_changed(&mut self) -> Option<BTreeMap<CheckUid, u64>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let count = |at: &usize| self.counts.get(*at).copied().unwrap_or_default();
        let all = self.checks.iter();
        Some(all.map(|(check, at)| (check.clone(), count(at))).collect())
    }

    /// Whether there is something to take.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// They were not stored: they are taken again.
    pub fn again(&mut self) {
        self.changed = true;
    }
}

fn number<T: Hash + ?Sized>(what: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted_until_they_fail() {
        let check = |n: usize| CheckUid::new(format!("rego/t/c{n}")).unwrap();
        let asset = |n: usize| AssetUid::new(format!("cluster:a//Pod/n/{n}")).unwrap();
        let mut passing = Passing::default();
        passing.has_row(&check(0), asset(0).as_str());
        assert!(!passing.pass(&check(0), &asset(0)));
        for n in 0..100 {
            assert!(passing.pass(&check(n), &asset(1)));
            assert!(passing.pass(&check(n), &asset(1)));
        }
        assert!(passing.pass(&check(70), &asset(2)));
        let counts = passing.take_changed().unwrap();
        assert_eq!((counts[&check(0)], counts[&check(70)]), (1, 2));
        assert_eq!(passing.take_changed(), None);
        assert!(!passing.clear(&check(70), &asset(1)));
        assert!(!passing.clear(&check(70), &asset(1)));
        assert!(passing.clear(&check(0), &asset(0)));
        assert_eq!(passing.take_changed().unwrap()[&check(70)], 1);
    }
}
