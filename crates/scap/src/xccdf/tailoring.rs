//! Tailoring documents: profiles given beside a benchmark.

use super::model::{Benchmark, Profile, Tailoring};
use crate::content::{Component, LoadError, document};
use std::collections::HashSet;
use std::sync::Arc;

/// Reads a tailoring document.
pub fn load(bytes: &[u8]) -> Result<Tailoring, LoadError> {
    match document(bytes)? {
        Component::Tailoring(tailoring) => Ok(*tailoring),
        _ => Err(LoadError::Wrong {
            place: "tailoring".to_owned(),
            what: "the document is not a <Tailoring>".to_owned(),
        }),
    }
}

/// A chain of profiles goes in a circle: the content's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Circle(pub Arc<str>);

/// The profile of that id with all that it inherits. A tailoring's profile comes before the
/// benchmark's of the same id, and may extend it.
pub(super) fn profile(
    benchmark: &Benchmark,
    tailoring: Option<&Tailoring>,
    id: &str,
) -> Result<Option<Profile>, Circle> {
    let tailored = |id: &str| {
        tailoring.and_then(|tailoring| {
            let mut profiles = tailoring.profiles.iter();
            profiles.find(|profile| &*profile.id == id)
        })
    };
    let mut chain: Vec<&Profile> = Vec::new();
    // A profile's id and whether it is the tailoring's: the two may be named the same.
    let mut seen: HashSet<(&str, bool)> = HashSet::new();
    let mut next = match tailored(id) {
        Some(profile) => Some((profile, true)),
        None => benchmark.profile(id).map(|profile| (profile, false)),
    };
    while let Some((profile, is_tailored)) = next {
        if !seen.insert((&profile.id, is_tailored)) {
            return Err(Circle(Arc::clone(&profile.id)));
        }
        chain.push(profile);
        next = profile.extends.as_deref().and_then(|parent| {
            let shadowed = !is_tailored || parent == &*profile.id;
            match tailored(parent).filter(|_| !shadowed) {
                Some(found) => Some((found, true)),
                None => benchmark.profile(parent).map(|found| (found, false)),
            }
        });
    }
    Ok(chain.into_iter().rev().fold(None, |base, profile| {
        Some(match base {
            None => profile.clone(),
            Some(base) => over(base, profile),
        })
    }))
}

/// What the base says of things that the profile does not mention, then the profile.
fn over(base: Profile, profile: &Profile) -> Profile {
    fn join<T: Clone>(base: Vec<T>, own: &[T], id: fn(&T) -> &Arc<str>) -> Vec<T> {
        let named: HashSet<&Arc<str>> = own.iter().map(id).collect();
        base.into_iter()
            .filter(|entry| !named.contains(id(entry)))
            .chain(own.iter().cloned())
            .collect()
    }
    Profile {
        id: Arc::clone(&profile.id),
        title: pick(&profile.title, base.title),
        description: pick(&profile.description, base.description),
        extends: None,
        selects: join(base.selects, &profile.selects, |entry| &entry.0),
        set_values: join(base.set_values, &profile.set_values, |entry| &entry.0),
        refine_values: join(base.refine_values, &profile.refine_values, |entry| &entry.0),
        refine_rules: join(base.refine_rules, &profile.refine_rules, |entry| &entry.id),
    }
}

fn pick(own: &super::model::Text, base: super::model::Text) -> super::model::Text {
    if own.is_empty() { base } else { own.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str, extends: Option<&str>, selects: &[(&str, bool)]) -> Profile {
        Profile {
            id: id.into(),
            extends: extends.map(Into::into),
            selects: selects.iter().map(|(id, on)| ((*id).into(), *on)).collect(),
            ..Profile::default()
        }
    }

    fn selects(profile: &Profile) -> Vec<(&str, bool)> {
        profile
            .selects
            .iter()
            .map(|(id, on)| (&**id, *on))
            .collect()
    }

    #[test]
    fn profiles_inherit_and_tailoring_shadows() {
        let benchmark = Benchmark {
            profiles: vec![
                named("a", None, &[("x", true), ("y", true)]),
                named("b", Some("a"), &[("y", false)]),
            ],
            ..Benchmark::default()
        };
        let tailoring = Tailoring {
            profiles: vec![named("b", Some("b"), &[("x", false)])],
            ..Tailoring::default()
        };
        let plain = profile(&benchmark, None, "b").unwrap().unwrap();
        assert_eq!(selects(&plain), [("x", true), ("y", false)]);
        let tailored = profile(&benchmark, Some(&tailoring), "b").unwrap().unwrap();
        assert_eq!(selects(&tailored), [("y", false), ("x", false)]);
        assert!(profile(&benchmark, None, "c").unwrap().is_none());
    }

    #[test]
    fn a_circle_is_an_error() {
        let benchmark = Benchmark {
            profiles: vec![named("a", Some("b"), &[]), named("b", Some("a"), &[])],
            ..Benchmark::default()
        };
        assert_eq!(
            profile(&benchmark, None, "a").unwrap_err(),
            Circle("a".into())
        );
    }
}
