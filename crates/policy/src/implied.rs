//! What a library holds beside templates and constraints: mutators, ExpansionTemplates,
//! Providers, and what says who must have signed images.

use crate::expansion::Expansions;
use crate::images;
use crate::library::Notice;
use crate::mutate::Mutators;
use crate::object::Object;
use crate::providers::Provider;

/// Mutators, ExpansionTemplates, Providers and image policies of a library.
#[derive(Debug, Clone, Default)]
pub(crate) struct Implied {
    pub mutators: Mutators,
    pub expansions: Expansions,
    pub providers: Vec<Provider>,
    /// As they were written: another stage reads them.
    pub images: Vec<Object>,
}

impl Implied {
    /// Whether an object is one of them.
    pub(crate) fn wants(object: &Object) -> bool {
        images::wants(object)
            || matches!(
                (object.group.as_str(), object.kind.as_str()),
                (
                    "mutations.gatekeeper.sh",
                    "Assign" | "AssignMetadata" | "ModifySet" | "AssignImage"
                ) | ("expansion.gatekeeper.sh", "ExpansionTemplate")
                    | ("externaldata.gatekeeper.sh", "Provider")
            )
    }

    /// From such objects. What cannot be used is left out, and said.
    pub(crate) fn of(objects: &[Object], notices: &mut Vec<Notice>) -> Self {
        let mut say = |kind: &str, name: &str, text: String| {
            let same = |o: &&Object| o.kind == kind && o.name == name;
            let place = objects.iter().find(same).map(|o| &o.location);
            notices.push(Notice {
                file: place.map(|p| p.file.clone()).unwrap_or_default(),
                line: place.map_or(1, |p| p.line),
                text,
            });
        };
        let mutators = Mutators::from_objects(objects);
        for fault in mutators.faults() {
            say(
                &fault.id.kind,
                &fault.id.name,
                format!("{fault}: it is not applied"),
            );
        }
        for (id, others) in mutators.conflicts() {
            let others: Vec<_> = others.iter().map(ToString::to_string).collect();
            let text = format!("{id} contradicts {}: it is not applied", others.join(", "));
            say(&id.kind, &id.name, text);
        }
        let expansions = Expansions::from_objects(objects);
        for (name, why) in expansions.faults() {
            let text = format!("ExpansionTemplate {name}: {why}: it expands nothing");
            say("ExpansionTemplate", name, text);
        }
        for name in expansions.circles() {
            let text =
                format!("ExpansionTemplate {name} feeds itself through others: it expands nothing");
            say("ExpansionTemplate", name, text);
        }
        let mut providers = Vec::new();
        for object in objects {
            match Provider::read(object) {
                Some(Ok(provider)) => providers.push(provider),
                Some(Err(why)) => {
                    let text = format!("Provider {}: {why}: it is not asked", object.name);
                    say("Provider", &object.name, text);
                }
                None => {}
            }
        }
        let images = objects.iter().filter(|o| images::wants(o)).cloned();
        Self {
            mutators,
            expansions,
            providers,
            images: images.collect(),
        }
    }
}
