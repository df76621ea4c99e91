//! Inheritance of rules and values (`extends`), resolved once when a benchmark is read.

use super::model::{Benchmark, Body, Item, Text, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Longer chains are cut: no real content has them.
const MAX_CHAIN: usize = 16;

/// Resolves inheritance, leaves out what is abstract, and notes where items are.
pub(super) fn resolve(benchmark: &mut Benchmark) {
    rules(benchmark);
    values(benchmark);
    drop_abstract(benchmark);
    for (place, item) in benchmark.items.iter().enumerate() {
        benchmark
            .places
            .entry(Arc::clone(&item.id))
            .or_insert(place);
        if let Some(cluster) = &item.cluster {
            let members = benchmark.clusters.entry(Arc::clone(cluster)).or_default();
            members.push(place);
        }
    }
}

fn rules(benchmark: &mut Benchmark) {
    if benchmark.items.iter().all(|item| item.extends.is_none()) {
        return;
    }
    let originals: HashMap<Arc<str>, Item> = benchmark
        .items
        .iter()
        .filter(|item| matches!(item.body, Body::Rule(_)))
        .map(|item| (Arc::clone(&item.id), item.clone()))
        .collect();
    for item in &mut benchmark.items {
        // Groups inherited only in 1.1; nothing known uses it.
        if matches!(item.body, Body::Group) {
            continue;
        }
        let mut next = item.extends.clone();
        let mut chain = 0;
        while let Some(parent) = next.as_ref().and_then(|id| originals.get(id)) {
            chain += 1;
            if chain > MAX_CHAIN || parent.id == item.id {
                break;
            }
            take_from(item, parent);
            next = parent.extends.clone();
        }
    }
}

/// What a rule does not say, its parent says; a later parent only fills what is still open.
fn take_from(item: &mut Item, parent: &Item) {
    if !item.written.selected && parent.written.selected {
        item.selected = parent.selected;
        item.written.selected = true;
    }
    if !item.written.weight && parent.written.weight {
        item.weight = parent.weight;
        item.written.weight = true;
    }
    if item.version.is_none() {
        item.version.clone_from(&parent.version);
    }
    prepend(&mut item.title, &parent.title);
    prepend(&mut item.description, &parent.description);
    prepend(&mut item.rationale, &parent.rationale);
    item.platforms.extend(parent.platforms.iter().cloned());
    for conflict in &parent.conflicts {
        if !item.conflicts.contains(conflict) {
            item.conflicts.push(Arc::clone(conflict));
        }
    }
    let (Body::Rule(rule), Body::Rule(from)) = (&mut item.body, &parent.body) else {
        return;
    };
    if rule.checks.is_empty() {
        rule.checks.clone_from(&from.checks);
    }
    if !item.written.role && parent.written.role {
        rule.role = from.role;
        item.written.role = true;
    }
    if !item.written.severity && parent.written.severity {
        rule.severity = from.severity;
        item.written.severity = true;
    }
    for ident in &from.idents {
        if !rule.idents.iter().any(|known| known.1 == ident.1) {
            rule.idents.push(ident.clone());
        }
    }
    rule.references.extend(from.references.iter().cloned());
    rule.fixes.extend(from.fixes.iter().cloned());
}

fn prepend(text: &mut Text, parent: &Text) {
    if parent.is_empty() {
        return;
    }
    let mut parts = parent.parts.clone();
    parts.append(&mut text.parts);
    text.parts = parts;
}

fn values(benchmark: &mut Benchmark) {
    let chained: Vec<Arc<str>> = benchmark
        .values
        .values()
        .filter(|value| value.extends.is_some())
        .map(|value| Arc::clone(&value.id))
        .collect();
    if !chained.is_empty() {
        let originals: HashMap<Arc<str>, Value> = benchmark.values.clone();
        for id in chained {
            let Some(value) = benchmark.values.get_mut(&id) else {
                continue;
            };
            let mut next = value.extends.clone();
            let mut chain = 0;
            while let Some(parent) = next.as_ref().and_then(|id| originals.get(id)) {
                chain += 1;
                if chain > MAX_CHAIN || parent.id == id {
                    break;
                }
                inherit_instances(value, parent);
                next = parent.extends.clone();
            }
        }
    }
    benchmark.values.retain(|_, value| !value.is_abstract);
    let values = &benchmark.values;
    benchmark.value_order.retain(|id| values.contains_key(id));
}

fn inherit_instances(value: &mut Value, parent: &Value) {
    if value.title.is_empty() {
        value.title = parent.title.clone();
    }
    for instance in &parent.instances {
        let known = value
            .instances
            .iter_mut()
            .find(|known| known.selector == instance.selector);
        match known {
            Some(known) if known.texts.is_none() => known.texts.clone_from(&instance.texts),
            Some(_) => {}
            None => value.instances.push(instance.clone()),
        }
    }
}

/// Leaves out abstract items with what is in them, and renumbers the rest.
fn drop_abstract(benchmark: &mut Benchmark) {
    if benchmark.items.iter().all(|item| !item.is_abstract) {
        return;
    }
    let mut places = vec![None; benchmark.items.len()];
    let mut kept: Vec<Item> = Vec::with_capacity(benchmark.items.len());
    let mut skip_to = 0;
    for (place, item) in std::mem::take(&mut benchmark.items).into_iter().enumerate() {
        if place < skip_to {
            continue;
        }
        if item.is_abstract {
            skip_to = item.end;
            continue;
        }
        if let Some(slot) = places.get_mut(place) {
            *slot = Some(kept.len());
        }
        kept.push(item);
    }
    for item in &mut kept {
        item.parent = item
            .parent
            .and_then(|parent| places.get(parent).copied().flatten());
    }
    // An item ends where the first one after it that is not inside it begins.
    let count = kept.len();
    let ends: Vec<usize> = (0..count)
        .map(|place| {
            (place + 1..count)
                .find(|later| !inside(&kept, *later, place))
                .unwrap_or(count)
        })
        .collect();
    for (item, end) in kept.iter_mut().zip(ends) {
        item.end = end;
    }
    benchmark.items = kept;
}

fn inside(items: &[Item], mut place: usize, group: usize) -> bool {
    // A parent always comes before its children, so this ends.
    while let Some(parent) = items.get(place).and_then(|item| item.parent) {
        if parent == group {
            return true;
        }
        if parent >= place {
            return false;
        }
        place = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::xccdf::model::{Body, Severity};
    use crate::xccdf::parse::benchmark;
    use crate::xml;

    #[test]
    fn rules_inherit_and_abstract_ones_are_left_out() {
        let text = "<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='b'>
            <Group id='g'>
              <Rule id='base' abstract='true' selected='false' severity='high'><check system='s'><check-content-ref href='h' name='n'/></check></Rule>
              <Rule id='child' extends='base'/>
            </Group>
            <Rule id='own' extends='base' severity='low' selected='true'/>
            <Rule id='loop' extends='loop'/>
            <Value id='v' abstract='true'><value selector='x'>1</value></Value>
            <Value id='w' extends='v'><value>2</value></Value>
          </Benchmark>";
        let benchmark = benchmark(&xml::parse(text.as_bytes()).unwrap()).unwrap();
        let shape: Vec<_> = benchmark
            .items
            .iter()
            .map(|item| (&*item.id, item.parent, item.end, item.selected))
            .collect();
        assert_eq!(
            shape,
            [
                ("g", None, 2, true),
                ("child", Some(0), 2, false),
                ("own", None, 3, true),
                ("loop", None, 4, true),
            ]
        );
        let rule = |id: &str| match &benchmark.item(id).unwrap().body {
            Body::Rule(rule) => (rule.severity, rule.checks.len()),
            Body::Group => panic!("a group"),
        };
        assert_eq!(rule("child"), (Severity::High, 1));
        assert_eq!(rule("own"), (Severity::Low, 1));
        let value = &benchmark.values["w"];
        assert!(value.choose(Some("x")).is_some());
        assert_eq!(benchmark.values.len(), 1);
    }
}
