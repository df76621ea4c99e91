//! systemd's units from the text of `systemctl show --all '*'`: blocks of `Key=Value` lines
//! with an empty line between units.

use super::Unit;

/// The most units and the most properties of all of them together.
const MAX_UNITS: usize = 200_000;
const MAX_PROPERTIES: usize = 8_000_000;

/// The properties that are arrays of strings on D-Bus and are written with spaces between.
const LISTS: &[&str] = &[
    "After",
    "Before",
    "BindsTo",
    "BoundBy",
    "ConflictedBy",
    "Conflicts",
    "ConsistsOf",
    "Documentation",
    "DropInPaths",
    "JoinsNamespaceOf",
    "Markers",
    "Names",
    "OnFailure",
    "OnFailureOf",
    "OnSuccess",
    "OnSuccessOf",
    "PartOf",
    "PropagatesReloadTo",
    "PropagatesStopTo",
    "ReloadPropagatedFrom",
    "RequiredBy",
    "Requires",
    "RequiresMountsFor",
    "Requisite",
    "RequisiteOf",
    "SliceOf",
    "StopPropagatedFrom",
    "TriggeredBy",
    "Triggers",
    "UpheldBy",
    "Upholds",
    "WantedBy",
    "Wants",
    "WantsMountsFor",
];

/// Units with their properties, values as D-Bus has them where that is told apart.
pub fn parse_show(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut properties: Vec<(String, Vec<String>)> = Vec::new();
    let mut total = 0usize;
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            let properties = std::mem::take(&mut properties);
            let name = properties
                .iter()
                .find(|(key, _)| key == "Id")
                .and_then(|(_, values)| values.first().cloned());
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                units.push(Unit { name, properties });
            }
            if units.len() >= MAX_UNITS {
                break;
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        total += 1;
        if total > MAX_PROPERTIES {
            break;
        }
        let values: Vec<String> = if LISTS.contains(&key) {
            value.split_whitespace().map(unescaped).collect()
        } else {
            vec![scalar(key, value)]
        };
        match properties.iter_mut().find(|(known, _)| known == key) {
            // A property that is shown on many lines is a list.
            Some((_, known)) => known.extend(values),
            None => properties.push((key.to_owned(), values)),
        }
    }
    units
}

/// As `systemctl` writes booleans of D-Bus: `yes` and `no`.
fn scalar(key: &str, value: &str) -> String {
    // These are strings on D-Bus, whatever they say.
    let string = matches!(
        key,
        "Id" | "Following"
            | "Description"
            | "LoadState"
            | "ActiveState"
            | "SubState"
            | "FreezerState"
            | "UnitFileState"
            | "UnitFilePreset"
            | "FragmentPath"
            | "SourcePath"
    );
    match value {
        "yes" if !string => "true".into(),
        "no" if !string => "false".into(),
        other => other.to_owned(),
    }
}

/// Undoes the quoting of list elements that have a space or a quote in them.
fn unescaped(word: &str) -> String {
    match word
        .strip_prefix('"')
        .and_then(|word| word.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_lists() {
        let text = "Id=a.service\nNames=a.service b.service\nWants=\nCanStart=yes\nDescription=no\nExecStart={ path=/a ; x=1 }\n\n\nnonsense\nId=c.mount\nRequires=-.mount\n\nDescription=without id\n";
        let units = parse_show(text);
        assert_eq!(units.len(), 2);
        let values = |unit: usize, key: &str| {
            units[unit]
                .properties
                .iter()
                .find(|(known, _)| known == key)
                .map(|(_, values)| values.clone())
        };
        assert_eq!(units[0].name, "a.service");
        assert_eq!(
            values(0, "Names").unwrap(),
            ["a.service".to_owned(), "b.service".to_owned()]
        );
        assert_eq!(values(0, "Wants").unwrap(), Vec::<String>::new());
        assert_eq!(values(0, "CanStart").unwrap(), ["true".to_owned()]);
        assert_eq!(values(0, "Description").unwrap(), ["no".to_owned()]);
        assert_eq!(
            values(0, "ExecStart").unwrap(),
            ["{ path=/a ; x=1 }".to_owned()]
        );
        assert_eq!(values(1, "Requires").unwrap(), ["-.mount".to_owned()]);
    }
}
