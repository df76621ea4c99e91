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
    if key.ends_with("USec")
        && let Some(span) = microseconds(value)
    {
        return span.to_string();
    }
    match value {
        "yes" if !string => "true".into(),
        "no" if !string => "false".into(),
        other => other.to_owned(),
    }
}

/// A time span as `systemctl` writes it (`1min 30s`), as D-Bus has it.
fn microseconds(span: &str) -> Option<u64> {
    if span == "infinity" {
        return Some(u64::MAX);
    }
    let mut total = 0f64;
    for part in span.split_whitespace() {
        let digits = part.find(|character: char| character.is_ascii_alphabetic());
        let (number, unit) = part.split_at_checked(digits.unwrap_or(part.len()))?;
        let unit = match unit {
            "" | "us" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "min" => 60e6,
            "h" => 3_600e6,
            "d" => 86_400e6,
            "w" => 604_800e6,
            "month" => 2_629_800e6,
            "y" => 31_557_600e6,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
    }
    // Spans are far below the 53 bits where a float is exact.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (!span.is_empty()).then_some(total.round() as u64)
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
    fn spans() {
        assert_eq!(scalar("JobTimeoutUSec", "infinity"), u64::MAX.to_string());
        assert_eq!(scalar("StartLimitIntervalUSec", "1min 30.5s"), "90500000");
        assert_eq!(scalar("JobTimeoutUSec", "0"), "0");
        assert_eq!(scalar("JobTimeoutUSec", "soon"), "soon");
        assert_eq!(scalar("JobTimeoutUSec", ""), "");
    }

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
