//! systemd's units: their properties and what they depend on.

use super::{not_collected, wanted};
use crate::oval::item::{Collected, Item};
use crate::probe::{Context, Query};
use crate::system::Unit;
use std::collections::{HashMap, HashSet};

/// Units by all of their names: the place in the list.
pub type Index = HashMap<String, usize>;

/// The properties of the D-Bus interface `org.freedesktop.systemd1.Unit`, sorted: OpenSCAP
/// asks no other. Arrays of structures and of bytes are left out, as they have no text.
const UNIT_PROPERTIES: &[&str] = &[
    "AccessSELinuxContext",
    "ActiveEnterTimestamp",
    "ActiveEnterTimestampMonotonic",
    "ActiveExitTimestamp",
    "ActiveExitTimestampMonotonic",
    "ActiveState",
    "After",
    "AllowIsolate",
    "AssertResult",
    "AssertTimestamp",
    "AssertTimestampMonotonic",
    "Before",
    "BindsTo",
    "BoundBy",
    "CanClean",
    "CanFreeze",
    "CanIsolate",
    "CanLiveMount",
    "CanReload",
    "CanStart",
    "CanStop",
    "CollectMode",
    "ConditionResult",
    "ConditionTimestamp",
    "ConditionTimestampMonotonic",
    "ConflictedBy",
    "Conflicts",
    "ConsistsOf",
    "DebugInvocation",
    "DefaultDependencies",
    "Description",
    "Documentation",
    "DropInPaths",
    "FailureAction",
    "FailureActionExitStatus",
    "Following",
    "FragmentPath",
    "FreezerState",
    "Id",
    "IgnoreOnIsolate",
    "InactiveEnterTimestamp",
    "InactiveEnterTimestampMonotonic",
    "InactiveExitTimestamp",
    "InactiveExitTimestampMonotonic",
    "JobRunningTimeoutUSec",
    "JobTimeoutAction",
    "JobTimeoutRebootArgument",
    "JobTimeoutUSec",
    "JoinsNamespaceOf",
    "LoadState",
    "Markers",
    "Names",
    "NeedDaemonReload",
    "OnFailure",
    "OnFailureJobMode",
    "OnFailureOf",
    "OnSuccess",
    "OnSuccessJobMode",
    "OnSuccessOf",
    "PartOf",
    "Perpetual",
    "PropagatesReloadTo",
    "PropagatesStopTo",
    "RebootArgument",
    "RefuseManualStart",
    "RefuseManualStop",
    "ReloadPropagatedFrom",
    "RequiredBy",
    "Requires",
    "RequiresMountsFor",
    "Requisite",
    "RequisiteOf",
    "SliceOf",
    "SourcePath",
    "StartLimitAction",
    "StartLimitBurst",
    "StartLimitIntervalUSec",
    "StateChangeTimestamp",
    "StateChangeTimestampMonotonic",
    "StopPropagatedFrom",
    "StopWhenUnneeded",
    "SubState",
    "SuccessAction",
    "SuccessActionExitStatus",
    "SurviveFinalKillSignal",
    "Transient",
    "TriggeredBy",
    "Triggers",
    "UnitFilePreset",
    "UnitFileState",
    "UpheldBy",
    "Upholds",
    "WantedBy",
    "Wants",
    "WantsMountsFor",
];

/// The units, or the answer where systemd cannot be asked.
fn units<'a>(ctx: &Context<'a>) -> Result<&'a [Unit], Collected> {
    ctx.system.units().map_err(|error| {
        let message = format!("systemd cannot be asked: {error}");
        if ctx.system.is_live() {
            Collected::error(message)
        } else {
            not_collected(message)
        }
    })
}

/// `systemdunitproperty_object`: an item a property, with a value for each element of a list.
pub fn property(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let units = match units(ctx) {
        Ok(units) => units,
        Err(answer) => return Ok(answer),
    };
    let mut items = Vec::new();
    for unit in units {
        if !wanted(query, ctx, "unit", &unit.name)? {
            continue;
        }
        for (property, values) in &unit.properties {
            if values.is_empty()
                || UNIT_PROPERTIES.binary_search(&property.as_str()).is_err()
                || !wanted(query, ctx, "property", property)?
            {
                continue;
            }
            let mut item = Item::new()
                .string("unit", unit.name.as_str())
                .string("property", property.as_str());
            for value in values {
                item = item.string("value", value.as_str());
            }
            items.push(item);
        }
    }
    Ok(Collected::complete(items))
}

/// `systemdunitdependency_object`: an item a unit, with all that it requires and wants.
pub fn dependency(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let units = match units(ctx) {
        Ok(units) => units,
        Err(answer) => return Ok(answer),
    };
    let index = ctx.tables.units.get_or_init(|| index(units));
    let mut items = Vec::new();
    for unit in units {
        if wanted(query, ctx, "unit", &unit.name)? {
            let mut item = Item::new().string("unit", unit.name.as_str());
            for name in dependencies(&unit.name, units, index) {
                item = item.string("dependency", name);
            }
            items.push(item);
        }
    }
    Ok(Collected::complete(items))
}

fn index(units: &[Unit]) -> Index {
    let mut index = Index::new();
    for (place, unit) in units.iter().enumerate() {
        for name in values(unit, "Names") {
            index.entry(name.clone()).or_insert(place);
        }
        index.insert(unit.name.clone(), place);
    }
    index
}

fn values<'a>(unit: &'a Unit, property: &str) -> &'a [String] {
    unit.properties
        .iter()
        .find(|(known, _)| known == property)
        .map_or(&[], |(_, values)| values.as_slice())
}

/// In the order of a walk into targets, and into nothing else, as `systemctl
/// list-dependencies` walks.
fn dependencies<'a>(name: &str, units: &'a [Unit], index: &Index) -> Vec<&'a str> {
    let next = |name: &str| -> Vec<&'a str> {
        let Some(unit) = index.get(name).and_then(|place| units.get(*place)) else {
            return Vec::new();
        };
        if !name.ends_with(".target") {
            return Vec::new();
        }
        let names = values(unit, "Requires").iter();
        let names = names.chain(values(unit, "Wants"));
        names
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .rev()
            .collect()
    };
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    // The next is at the end. No recursion: content and units bound nothing.
    let mut open = next(name);
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            found.push(name);
            open.extend(next(name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::collect;
    use super::UNIT_PROPERTIES;
    use crate::oval::item::Flag;
    use crate::system::Rooted;
    use crate::system::units::parse_show;

    const SHOW: &str = "Id=multi-user.target\nNames=multi-user.target runlevel3.target\nRequires=basic.target\nWants=ssh.service cron.service\nActiveState=active\nAllowIsolate=yes\n\nId=basic.target\nNames=basic.target\nRequires=sysinit.target\nWants=multi-user.target\nActiveState=active\n\nId=ssh.service\nNames=ssh.service sshd.service\nRequires=system.slice\nActiveState=inactive\nExecStart=x\nWants=\n";

    fn system() -> Rooted {
        Rooted::new("/nowhere".into(), true).with_units(Box::new(|| Ok(parse_show(SHOW))))
    }

    #[test]
    fn properties() {
        assert!(UNIT_PROPERTIES.is_sorted());
        let get = |unit, property| {
            collect(
                &system(),
                "systemdunitproperty",
                &[("unit", unit), ("property", property)],
            )
        };
        let found = get("multi-user.target", "Wants");
        let values: Vec<&str> = found.items[0].named("value").map(|v| &*v.text).collect();
        assert_eq!(values, ["ssh.service", "cron.service"]);
        let found = get("multi-user.target", "AllowIsolate");
        assert_eq!(found.items[0].text("value"), Some("true"));
        assert_eq!(get("ssh.service", "Wants").flag, Flag::DoesNotExist);
        assert_eq!(get("ssh.service", "ExecStart").flag, Flag::DoesNotExist);
        assert_eq!(get("sshd.service", "ActiveState").flag, Flag::DoesNotExist);
    }

    #[test]
    fn dependencies() {
        let get = |unit| collect(&system(), "systemdunitdependency", &[("unit", unit)]);
        let found = get("multi-user.target");
        let values: Vec<&str> = found.items[0]
            .named("dependency")
            .map(|v| &*v.text)
            .collect();
        assert_eq!(
            values,
            [
                "basic.target",
                "sysinit.target",
                "multi-user.target",
                "ssh.service",
                "cron.service"
            ]
        );
        let found = get("ssh.service");
        assert_eq!(found.items[0].named("dependency").count(), 0);
    }

    #[test]
    fn no_systemd() {
        for (live, flag) in [(true, Flag::Error), (false, Flag::NotCollected)] {
            let system = Rooted::new("/nowhere".into(), live);
            let found = collect(&system, "systemdunitdependency", &[("unit", "a")]);
            assert_eq!(found.flag, flag);
        }
    }
}
