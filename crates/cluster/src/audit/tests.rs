//! What is due after what.

use super::*;
use serde_json::json;

fn pods() -> Resource {
    Resource::new("", "v1", "Pod", "pods", true)
}

fn ingresses() -> Resource {
    Resource::new("networking.k8s.io", "v1", "Ingress", "ingresses", true)
}

fn namespaces() -> Resource {
    Resource::new("", "v1", "Namespace", "namespaces", false)
}

fn object(resource: &Resource, namespace: &str, name: &str, version: u64) -> Object {
    let value = json!({"metadata": {"namespace": namespace, "name": name, "resourceVersion": version.to_string()}});
    Object::read(resource, value).unwrap()
}

fn namespace(name: &str, version: u64, label: &str) -> Object {
    let value = json!({"metadata": {"name": name, "resourceVersion": version.to_string(), "labels": {"a": label}}});
    Object::read(&namespaces(), value).unwrap()
}

fn about(resources: &[Resource]) -> Interest {
    Interest {
        kinds: resources
            .iter()
            .map(|r| (vec![r.group.clone()], vec![r.kind.clone()]))
            .collect(),
        by_namespace: false,
        reads: Reads::Nothing,
    }
}

fn list(audit: &mut Audit, resource: &Resource, objects: Vec<Object>) {
    let kind = Kind::of(resource);
    audit.change(&kind, &Change::Begin);
    for object in objects {
        audit.change(&kind, &Change::Present(Box::new(object)));
    }
    audit.change(&kind, &Change::Complete);
}

fn tell(audit: &mut Audit, resource: &Resource, object: Object) {
    audit.change(&Kind::of(resource), &Change::Present(Box::new(object)));
}

/// What is due, as `name: policies`.
fn due(audit: &mut Audit) -> Vec<String> {
    std::iter::from_fn(|| audit.next_task())
        .map(|t| format!("{}: {}", t.name, t.policies.join(" ")))
        .collect()
}

/// Two pods in `n`, one in `m`, judged.
fn settled(policies: &[(&str, Interest)]) -> Audit {
    let mut audit = Audit::new();
    for resource in [pods(), ingresses(), namespaces()] {
        audit.follow(&resource);
    }
    for (id, interest) in policies {
        audit.policy(id, interest.clone());
    }
    list(
        &mut audit,
        &namespaces(),
        vec![namespace("m", 1, "x"), namespace("n", 2, "x")],
    );
    list(
        &mut audit,
        &ingresses(),
        vec![object(&ingresses(), "n", "i", 3)],
    );
    let there = [("m", "c"), ("n", "a"), ("n", "b")].map(|(n, name)| object(&pods(), n, name, 4));
    list(&mut audit, &pods(), there.to_vec());
    due(&mut audit);
    audit.take_stale();
    audit
}

#[test]
fn a_changed_object_and_nothing_else() {
    let mut audit = settled(&[("p", about(&[pods()])), ("q", about(&[ingresses()]))]);
    assert_eq!(due(&mut audit), [""; 0]);
    tell(&mut audit, &pods(), object(&pods(), "n", "a", 5));
    tell(&mut audit, &pods(), object(&pods(), "n", "a", 6));
    assert_eq!(due(&mut audit), ["n/a: p"]);
    // The same state once more is no change.
    tell(&mut audit, &pods(), object(&pods(), "n", "a", 6));
    assert_eq!(due(&mut audit), [""; 0]);
    assert_eq!(audit.len(), 6);
}

#[test]
fn a_changed_policy_over_its_kinds_and_nothing_else() {
    let mut audit = settled(&[
        ("p", about(&[pods()])),
        ("q", about(&[pods(), ingresses()])),
    ]);
    audit.policy("q", about(&[pods()]));
    assert_eq!(due(&mut audit), ["m/c: q", "n/a: q", "n/b: q"]);
    assert_eq!(
        audit.take_stale(),
        [Stale::Pair("q".into(), Kind::of(&ingresses()))]
    );
    audit.remove_policy("q");
    audit.remove_policy("q");
    assert_eq!(due(&mut audit), [""; 0]);
    assert_eq!(audit.take_stale(), [Stale::Policy("q".into())]);
}

#[test]
fn policies_that_come_together_are_judged_together() {
    let mut audit = settled(&[]);
    audit.policy("p", about(&[pods()]));
    audit.policy("q", about(&[]));
    let due = due(&mut audit);
    assert_eq!(
        due.iter().filter(|d| d.ends_with(": p q")).count(),
        3,
        "{due:?}"
    );
    assert_eq!(due.len(), 6);
}

#[test]
fn what_changed_comes_before_what_is_swept() {
    let mut audit = settled(&[("p", about(&[pods()]))]);
    audit.policy("q", about(&[pods()]));
    assert_eq!(audit.next_task().unwrap().name, Name::within("m", "c"));
    tell(&mut audit, &pods(), object(&pods(), "n", "b", 9));
    assert_eq!(due(&mut audit), ["n/b: p q", "n/a: q", "n/b: q"]);
}

#[test]
fn readers_of_an_inventory_are_judged_again_wholly() {
    let unique = Interest {
        reads: Reads::Kinds([Kind::of(&ingresses())].into()),
        ..about(&[ingresses()])
    };
    let mut audit = settled(&[("p", about(&[pods()])), ("unique", unique)]);
    tell(&mut audit, &ingresses(), object(&ingresses(), "m", "j", 9));
    // The new one first, then all that it may be in conflict with.
    assert_eq!(
        due(&mut audit),
        ["m/j: unique", "m/j: unique", "n/i: unique"]
    );
    audit.change(
        &Kind::of(&ingresses()),
        &Change::Gone(Name::within("n", "i")),
    );
    assert_eq!(due(&mut audit), ["m/j: unique"]);
    assert_eq!(
        audit.take_stale(),
        [Stale::Object(
            Kind::of(&ingresses()),
            Name::within("n", "i")
        )]
    );
    tell(&mut audit, &pods(), object(&pods(), "n", "a", 9));
    assert_eq!(due(&mut audit), ["n/a: p"]);
    // A new list of the same is no change.
    list(
        &mut audit,
        &ingresses(),
        vec![object(&ingresses(), "m", "j", 9)],
    );
    assert_eq!(due(&mut audit), [""; 0]);
    // During a list it waits, and then misses nothing.
    audit.change(&Kind::of(&ingresses()), &Change::Begin);
    tell(&mut audit, &ingresses(), object(&ingresses(), "m", "j", 11));
    assert_eq!(due(&mut audit), [""; 0]);
    audit.change(&Kind::of(&ingresses()), &Change::Complete);
    assert_eq!(due(&mut audit), ["m/j: unique"]);
}

#[test]
fn nobody_judges_from_half_an_inventory() {
    let mut audit = Audit::new();
    audit.follow(&pods());
    audit.follow(&ingresses());
    let reader = Interest {
        reads: Reads::Anything,
        ..about(&[pods()])
    };
    audit.policy("reader", reader);
    audit.policy("plain", about(&[pods()]));
    let absent = Interest {
        reads: Reads::Kinds([Kind::new("x", "Absent")].into()),
        ..about(&[pods()])
    };
    audit.policy("absent", absent);
    list(&mut audit, &pods(), vec![object(&pods(), "n", "a", 1)]);
    assert_eq!(due(&mut audit), ["n/a: plain"]);
    assert_eq!(audit.doubts("reader"), [&Kind::of(&ingresses())]);
    list(&mut audit, &ingresses(), vec![]);
    assert_eq!(due(&mut audit), ["n/a: reader"]);
    assert!(audit.doubts("reader").is_empty());
    // A kind that is not followed is never known: that policy says nothing at all.
    assert!(!audit.ready("absent"));
}

#[test]
fn a_relabelled_namespace_concerns_what_is_in_it() {
    let selecting = Interest {
        by_namespace: true,
        ..about(&[pods()])
    };
    let mut audit = settled(&[("p", about(&[pods()])), ("s", selecting)]);
    // Another change of the namespace is none.
    tell(&mut audit, &namespaces(), namespace("n", 10, "x"));
    assert_eq!(due(&mut audit), [""; 0]);
    tell(&mut audit, &namespaces(), namespace("n", 11, "y"));
    assert_eq!(due(&mut audit), ["n/a: s", "n/b: s"]);
}

#[test]
fn a_second_list_finds_what_is_gone() {
    let mut audit = settled(&[("p", about(&[pods()]))]);
    list(
        &mut audit,
        &pods(),
        vec![object(&pods(), "n", "a", 4), object(&pods(), "n", "b", 5)],
    );
    assert_eq!(due(&mut audit), ["n/b: p"]);
    assert_eq!(
        audit.take_stale(),
        [Stale::Object(Kind::of(&pods()), Name::within("m", "c"))]
    );
}

#[test]
fn trouble_is_doubt_and_no_pass() {
    let mut audit = settled(&[("p", about(&[pods()]))]);
    assert_eq!(audit.unknown().count(), 0);
    audit.change(
        &Kind::of(&pods()),
        &Change::Trouble(Error::Denied("no".into())),
    );
    assert_eq!(audit.doubts("p"), [&Kind::of(&pods())]);
    assert!(matches!(
        audit.unknown().next(),
        Some((_, Some(Error::Denied(_))))
    ));
    audit.change(&Kind::of(&pods()), &Change::Resumed);
    assert!(audit.doubts("p").is_empty());
    audit.unfollow(&Kind::of(&pods()));
    assert_eq!(audit.take_stale().len(), 3);
    assert_eq!(due(&mut audit), [""; 0]);
}

/// A reference that forgets nothing: after any history, every pair of a policy and an object it looks
/// at was judged after the last change that concerns it.
#[test]
fn nothing_that_is_due_is_ever_missed() {
    let mut seed = 7u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..60 {
        let reader = Interest {
            reads: Reads::Kinds([Kind::of(&ingresses())].into()),
            ..about(&[pods()])
        };
        let interests = [("p", about(&[pods()])), ("r", reader)];
        let mut audit = settled(&interests);
        let mut clock = 100u64;
        // When each pair was judged last, and when something that concerns it last changed.
        let mut judged: BTreeMap<(PolicyId, Name), u64> = BTreeMap::new();
        let mut touched: BTreeMap<(PolicyId, Name), u64> = BTreeMap::new();
        let mut there: BTreeSet<Name> = audit.kinds[&Kind::of(&pods())].names.clone();
        for _ in 0..200 {
            clock += 1;
            match random(8) {
                4 => audit.change(&Kind::of(&ingresses()), &Change::Begin),
                5 => {
                    let before = audit.kinds[&Kind::of(&ingresses())].names.len();
                    audit.change(&Kind::of(&ingresses()), &Change::Complete);
                    // What the list did not name is gone, which concerns the readers.
                    if audit.kinds[&Kind::of(&ingresses())].names.len() != before {
                        touched.extend(there.iter().map(|n| (("r".to_owned(), n.clone()), clock)));
                    }
                }
                0 => {
                    let name = Name::within("n", &format!("p{}", random(9)));
                    tell(&mut audit, &pods(), object(&pods(), "n", &name.name, clock));
                    for id in ["p", "r"] {
                        touched.insert((id.to_owned(), name.clone()), clock);
                    }
                    there.insert(name);
                }
                1 => {
                    let name = Name::within("n", &format!("p{}", random(9)));
                    audit.change(&Kind::of(&pods()), &Change::Gone(name.clone()));
                    there.remove(&name);
                    touched.retain(|(_, n), _| *n != name);
                }
                2 => {
                    tell(
                        &mut audit,
                        &ingresses(),
                        object(&ingresses(), "n", "i", clock),
                    );
                    touched.extend(there.iter().map(|n| (("r".to_owned(), n.clone()), clock)));
                }
                3 => {
                    audit.policy("p", interests[0].1.clone());
                    touched.extend(there.iter().map(|n| (("p".to_owned(), n.clone()), clock)));
                }
                _ => {
                    if let Some(task) = audit.next_task() {
                        for id in task.policies {
                            judged.insert((id, task.name.clone()), clock);
                        }
                    }
                }
            }
        }
        clock += 1;
        list(&mut audit, &ingresses(), vec![]);
        let mut steps = 0;
        while let Some(task) = audit.next_task() {
            steps += 1;
            assert!(steps < 1_000, "it never ends");
            for id in task.policies {
                judged.insert((id, task.name.clone()), clock);
            }
        }
        for (pair, changed) in touched {
            let when = judged.get(&pair).copied().unwrap_or(0);
            assert!(
                when >= changed,
                "{pair:?} changed at {changed}, judged at {when}"
            );
        }
    }
}

#[test]
fn what_a_first_list_brings_is_judged_once() {
    let mut audit = Audit::new();
    audit.follow(&pods());
    audit.policy("p", about(&[pods()]));
    audit.follow(&ingresses());
    audit.policy("q", about(&[pods(), ingresses()]));
    let there = [("m", "c"), ("n", "a")].map(|(n, name)| object(&pods(), n, name, 4));
    list(&mut audit, &pods(), there.to_vec());
    assert_eq!(due(&mut audit), ["m/c: p q", "n/a: p q"]);
    assert_eq!(audit.due(), (0, 0));
}
