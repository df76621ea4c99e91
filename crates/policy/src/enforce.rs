//! What a violation leads to, and where: enforcement actions over enforcement points.
//!
//! An action that is not scoped holds at every point. Under `scoped`, a point that no entry
//! names is not asked at all. A point may be given several actions; all of them happen.

use bartizan_model::Severity;
use serde_json::Value;

/// Where constraints are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// `validation.gatekeeper.sh`: the webhook.
    Webhook,
    /// `audit.gatekeeper.sh`: what is there already.
    Audit,
    /// `gator.gatekeeper.sh`: manifests, before they go anywhere.
    Gator,
    /// `vap.k8s.io`: the API server itself, by a generated ValidatingAdmissionPolicy.
    Vap,
}

impl Point {
    /// Its name in `scopedEnforcementActions`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "validation.gatekeeper.sh",
            Self::Audit => "audit.gatekeeper.sh",
            Self::Gator => "gator.gatekeeper.sh",
            Self::Vap => "vap.k8s.io",
        }
    }

    fn known(name: &str) -> bool {
        let all = [Self::Webhook, Self::Audit, Self::Gator, Self::Vap];
        name == "*" || all.iter().any(|point| point.name() == name)
    }
}

/// What a violation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is recorded.
    Dryrun,
    /// The user is warned.
    Warn,
    /// The request is denied.
    Deny,
}

impl Action {
    /// The word in a constraint.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dryrun => "dryrun",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Dryrun, Self::Warn, Self::Deny]
            .into_iter()
            .find(|action| action.word() == word)
    }

    /// The severity that it stands for where none is given.
    pub(crate) fn severity(self) -> Severity {
        match self {
            Self::Deny => Severity::Medium,
            Self::Warn => Severity::Low,
            Self::Dryrun => Severity::Info,
        }
    }
}

/// A constraint's `enforcementAction` and `scopedEnforcementActions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actions {
    /// The same everywhere.
    Plain(Action),
    /// A word that Gatekeeper does not know: its webhook passes over such a constraint's
    /// violations, its audit reports them.
    Unknown,
    /// By point: its name or `*`, and what happens there.
    Scoped(Vec<(String, Action)>),
}

impl Actions {
    /// Reads a constraint's spec; what is doubtful comes back as a remark.
    pub(crate) fn read(spec: Option<&Value>) -> (Self, Option<String>) {
        let at = |field: &str| spec.and_then(|s| s.get(field));
        let word = at("enforcementAction")
            .and_then(Value::as_str)
            .unwrap_or("");
        match word {
            "" => (Self::Plain(Action::Deny), None),
            "scoped" => Self::scoped(at("scopedEnforcementActions")),
            word => match Action::parse(word) {
                Some(action) => (Self::Plain(action), None),
                None => (
                    Self::Unknown,
                    Some(format!(
                        "enforcementAction {word:?} is not known: audits take it as deny, \
                         admission records its violations and denies nothing for them"
                    )),
                ),
            },
        }
    }

    fn scoped(entries: Option<&Value>) -> (Self, Option<String>) {
        let mut all = Vec::new();
        let mut remark = None;
        let entries = entries.and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let word = entry.get("action").and_then(Value::as_str).unwrap_or("");
            let Some(action) = Action::parse(word) else {
                remark = Some(format!("the scoped action {word:?} is not known: left out"));
                continue;
            };
            let points = entry.get("enforcementPoints").and_then(Value::as_array);
            for point in points.into_iter().flatten() {
                let name = point.get("name").and_then(Value::as_str).unwrap_or("");
                if Point::known(name) {
                    all.push((name.to_owned(), action));
                } else {
                    remark = Some(format!("the enforcement point {name:?} is not known"));
                }
            }
        }
        (Self::Scoped(all), remark)
    }

    /// Gatekeeper's word in metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Plain(action) => action.word(),
            Self::Unknown => "unrecognized",
            Self::Scoped(_) => "scoped",
        }
    }

    /// Whether Gatekeeper takes a constraint's spec when it is applied; the error names the field.
    pub(crate) fn vet(spec: Option<&Value>) -> Result<(), String> {
        let at = |field: &str| spec.and_then(|s| s.get(field)).filter(|v| !v.is_null());
        let word = |value: &Value, field: &str| {
            let told = value.as_str().map(str::to_owned);
            told.ok_or_else(|| format!("spec.{field} is no text"))
        };
        let action = at("enforcementAction");
        let action = action.map_or(Ok(String::new()), |v| word(v, "enforcementAction"))?;
        if !(action.is_empty() || action == "scoped" || Action::parse(&action).is_some()) {
            return Err(format!(
                "spec.enforcementAction {action:?} is none of deny, dryrun, warn, scoped"
            ));
        }
        if action != "scoped" {
            return Ok(());
        }
        let entries = at("scopedEnforcementActions");
        let entries = entries.map_or(Some(&[][..]), |e| e.as_array().map(Vec::as_slice));
        let entries = entries.ok_or("spec.scopedEnforcementActions is no list")?;
        for (i, entry) in entries.iter().enumerate() {
            let field = format!("scopedEnforcementActions[{i}]");
            let action = entry.get("action").unwrap_or(&Value::Null);
            let action = word(action, &format!("{field}.action"))?;
            if Action::parse(&action).is_none() {
                return Err(format!(
                    "spec.{field}.action {action:?} is none of deny, dryrun, warn"
                ));
            }
            let points = entry.get("enforcementPoints").and_then(Value::as_array);
            for (j, point) in points.into_iter().flatten().enumerate() {
                let name = point.get("name").and_then(Value::as_str).unwrap_or("");
                if !Point::known(name) {
                    return Err(format!(
                        "spec.{field}.enforcementPoints[{j}].name {name:?} is not known"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What happens at a point, the worst last; nothing where it is not asked there.
    pub(crate) fn at(&self, point: Point) -> Vec<Action> {
        match self {
            Self::Plain(action) => vec![*action],
            Self::Unknown if point == Point::Webhook => vec![Action::Dryrun],
            Self::Unknown => vec![Action::Deny],
            Self::Scoped(entries) => {
                let ours = |name: &str| name == "*" || name == point.name();
                let mut all: Vec<_> = entries
                    .iter()
                    .filter(|(name, _)| ours(name))
                    .map(|(_, action)| *action)
                    .collect();
                all.sort();
                all.dedup();
                all
            }
        }
    }

    pub(crate) fn unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(spec: &Value, point: Point) -> Vec<&'static str> {
        let (actions, _) = Actions::read(Some(spec));
        actions.at(point).iter().map(|a| a.word()).collect()
    }

    #[test]
    fn plain_actions_hold_everywhere() {
        for (spec, wanted) in [
            (json!({}), "deny"),
            (json!({"enforcementAction": ""}), "deny"),
            (json!({"enforcementAction": "warn"}), "warn"),
            (json!({"enforcementAction": "dryrun"}), "dryrun"),
        ] {
            for point in [Point::Webhook, Point::Audit, Point::Gator, Point::Vap] {
                assert_eq!(at(&spec, point), [wanted]);
            }
        }
    }

    #[test]
    fn scoped_actions_hold_where_they_are_scoped_to() {
        let spec = json!({"enforcementAction": "scoped", "scopedEnforcementActions": [
            {"action": "deny", "enforcementPoints": [{"name": "validation.gatekeeper.sh"}]},
            {"action": "warn", "enforcementPoints": [{"name": "*"}]},
            {"action": "warn", "enforcementPoints": [{"name": "validation.gatekeeper.sh"}]},
            {"action": "shout", "enforcementPoints": [{"name": "audit.gatekeeper.sh"}]}
        ]});
        assert_eq!(at(&spec, Point::Webhook), ["warn", "deny"]);
        assert_eq!(at(&spec, Point::Audit), ["warn"]);
        let only = json!({"enforcementAction": "scoped", "scopedEnforcementActions": [
            {"action": "deny", "enforcementPoints": [{"name": "vap.k8s.io"}]}]});
        assert!(at(&only, Point::Webhook).is_empty());
        assert_eq!(at(&only, Point::Vap), ["deny"]);
    }

    #[test]
    fn an_unknown_action_is_said_and_denies_nothing() {
        let spec = json!({"enforcementAction": "block"});
        assert_eq!(at(&spec, Point::Webhook), ["dryrun"]);
        assert_eq!(at(&spec, Point::Audit), ["deny"]);
        assert!(Actions::read(Some(&spec)).1.is_some());
    }
}
