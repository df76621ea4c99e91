//! Whether a platform applies to the system: CPE names and platform tests.

use super::check::{Checker, Definitions};
use super::plan::Plan;
use crate::content::cpe::{Dictionary, Name, Specification, Test};
use std::collections::HashMap;
use std::sync::Arc;

/// Which platforms apply, each looked at once.
#[derive(Debug, Default)]
pub(super) struct Platforms {
    known: HashMap<Arc<str>, bool>,
    /// By item: whether it and all it is in apply.
    items: HashMap<usize, bool>,
}

impl Platforms {
    /// Whether the benchmark is for this system.
    pub fn benchmark<'p, D: Definitions>(
        &mut self,
        plan: &'p Plan<'p>,
        checker: &mut Checker<'p, '_, D>,
    ) -> bool {
        self.any(plan, checker, &plan.benchmark.platforms)
    }

    /// Those of the platforms that were found to apply.
    pub fn applied(&self, platforms: &[Arc<str>]) -> Vec<Arc<str>> {
        let applied = platforms.iter();
        applied
            .filter(|platform| self.known.get(*platform) == Some(&true))
            .cloned()
            .collect()
    }

    /// Whether an item is for this system: it, the groups around it and the benchmark.
    /// Recursion is bounded by the depth of the XML.
    pub fn item<'p, D: Definitions>(
        &mut self,
        plan: &'p Plan<'p>,
        checker: &mut Checker<'p, '_, D>,
        place: usize,
    ) -> bool {
        if let Some(known) = self.items.get(&place) {
            return *known;
        }
        let Some(item) = plan.benchmark.items.get(place) else {
            return false;
        };
        let around = match item.parent {
            Some(parent) => self.item(plan, checker, parent),
            None => self.benchmark(plan, checker),
        };
        let applies = around && self.any(plan, checker, &item.platforms);
        self.items.insert(place, applies);
        applies
    }

    /// No platform at all is for every system.
    fn any<'p, D: Definitions>(
        &mut self,
        plan: &'p Plan<'p>,
        checker: &mut Checker<'p, '_, D>,
        platforms: &[Arc<str>],
    ) -> bool {
        let mut applies = platforms.is_empty();
        for platform in platforms {
            let one = match self.known.get(platform) {
                Some(known) => *known,
                None => {
                    let one = one(plan, checker, platform);
                    self.known.insert(Arc::clone(platform), one);
                    one
                }
            };
            applies |= one;
        }
        applies
    }
}

/// A platform is a test by its id (with or without `#`), or a name in a dictionary.
fn one<'p, D: Definitions>(
    plan: &'p Plan<'p>,
    checker: &mut Checker<'p, '_, D>,
    platform: &str,
) -> bool {
    let id = platform.strip_prefix('#').unwrap_or(platform);
    let own = plan.specifications.iter().map(|known| (false, *known));
    let given = plan.extra_specifications.iter().map(|known| (true, known));
    let specifications: Vec<(bool, &Specification)> = own.chain(given).collect();
    for (extra, specification) in specifications {
        if let Some(test) = specification.platforms.get(id)
            && holds(plan, checker, extra, test)
        {
            return true;
        }
    }
    Name::parse(platform).is_some_and(|name| listed(plan, checker, &name))
}

/// Recursion is bounded by the depth of the XML.
fn holds<'p, D: Definitions>(
    plan: &'p Plan<'p>,
    checker: &mut Checker<'p, '_, D>,
    extra: bool,
    test: &Test,
) -> bool {
    match test {
        Test::Logical { all, negate, parts } => {
            let mut parts = parts.iter();
            let together = if *all {
                parts.all(|part| holds(plan, checker, extra, part))
            } else {
                parts.any(|part| holds(plan, checker, extra, part))
            };
            together != *negate
        }
        Test::Name(name) => name
            .as_ref()
            .is_some_and(|name| listed(plan, checker, name)),
        Test::Check(check) => checker.holds(extra, check),
        Test::Unknown => false,
    }
}

/// Whether a dictionary has an item of that name with a check that is true.
fn listed<'p, D: Definitions>(
    plan: &'p Plan<'p>,
    checker: &mut Checker<'p, '_, D>,
    name: &Name,
) -> bool {
    let own = plan.dictionaries.iter().map(|known| (false, *known));
    let given = plan.extra_dictionaries.iter().map(|known| (true, known));
    let dictionaries: Vec<(bool, &Dictionary)> = own.chain(given).collect();
    dictionaries.into_iter().any(|(extra, dictionary)| {
        dictionary
            .items
            .iter()
            .filter(|(item, _)| name.covers(item))
            .any(|(_, checks)| checks.iter().any(|check| checker.holds(extra, check)))
    })
}
