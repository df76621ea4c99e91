//! What changed in the records of a vulnerability, version by version and between two dates.

use bartizan_model::Timestamp;
use bartizan_store::vulnerabilities::Version;
use bartizan_store::{Store, StoreError};
use bartizan_vuln::difference::{Difference, between};
use bartizan_vuln::feeds::cve::is_cve;
use serde_json::Value;

/// The most records whose versions are told.
const MAX_RECORDS: usize = 100;

/// One version of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The record's key.
    pub record: String,
    /// When it changed, by its own word, else when it was applied here.
    pub at: Timestamp,
    /// When it was applied here.
    pub applied: Timestamp,
    /// The first version that is held.
    pub first: bool,
    /// The feed withdrew the record.
    pub withdrawn: bool,
    /// Against the version before it.
    pub difference: Difference,
}

/// What changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The versions of that time, the oldest first.
    pub entries: Vec<Entry>,
    /// Per record: from what held at the beginning to what held at the end.
    pub net: Vec<(String, Difference)>,
    /// There are more records than are told.
    pub more: bool,
}

fn at(version: &Version) -> Timestamp {
    version.changed.unwrap_or(version.applied)
}

fn value(version: Option<&Version>) -> Result<Value, StoreError> {
    let Some(bytes) = version.and_then(|v| v.bytes.as_ref()) else {
        return Ok(Value::Object(serde_json::Map::new()));
    };
    let value: Value = serde_json::from_slice(bytes)?;
    // The kind of the record stands around it, which is no field.
    Ok(match value {
        Value::Object(map) if map.len() == 1 => map.into_values().next().unwrap_or_default(),
        other => other,
    })
}

/// The changes from `from` on (else from the beginning) until before `to` (else until now); `None`
/// when nobody names the vulnerability.
pub async fn history(
    store: &Store,
    id: &str,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Option<History>, StoreError> {
    let known = store.vulnerabilities();
    let mut keys = Vec::new();
    if is_cve(id) {
        keys.extend([format!("cve/{id}"), format!("kev/{id}")]);
    }
    let advisories = known.advisories_of(&[id.to_owned()]).await?;
    keys.extend(advisories.into_iter().map(|stored| stored.key));
    let mut history = History {
        more: keys.len() > MAX_RECORDS,
        ..History::default()
    };
    let mut found = false;
    for key in keys.into_iter().take(MAX_RECORDS) {
        let versions = known.versions(&key).await?;
        found |= !versions.is_empty();
        let mut before: Option<&Version> = None;
        let (mut start, mut end): (Option<&Version>, Option<&Version>) = (None, None);
        for version in &versions {
            let moment = at(version);
            if to.is_some_and(|to| moment >= to) {
                break;
            }
            if from.is_some_and(|from| moment < from) {
                start = Some(version);
            } else {
                history.entries.push(Entry {
                    record: key.clone(),
                    at: moment,
                    applied: version.applied,
                    first: before.is_none(),
                    withdrawn: version.bytes.is_none(),
                    // Of the first version everything is new, which tells nothing.
                    difference: match before {
                        None => Difference::default(),
                        Some(_) => between(&value(before)?, &value(Some(version))?),
                    },
                });
            }
            before = Some(version);
            end = before;
        }
        if let (Some(start), Some(end)) = (start, end)
            && start != end
        {
            history
                .net
                .push((key, between(&value(Some(start))?, &value(Some(end))?)));
        }
    }
    history
        .entries
        .sort_by(|a, b| (a.at, &a.record).cmp(&(b.at, &b.record)));
    Ok(found.then_some(history))
}
