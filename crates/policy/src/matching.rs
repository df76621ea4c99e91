//! Which objects a constraint looks at: Gatekeeper's `spec.match`.
//!
//! Follows Gatekeeper 3.23: a criterion that is not given matches everything; kinds match by
//! group and kind; `namespaces` and `excludedNamespaces` do not disqualify an object without
//! a namespace. Where a `namespaceSelector` needs labels of a Namespace that is not in the
//! input, Gatekeeper reports an error; here the answer is Unknown. The label
//! `kubernetes.io/metadata.name`, which Kubernetes sets on every Namespace, is always known.

use serde_json::Value;
use std::collections::BTreeMap;

/// The labels of the Namespaces in the input, by name.
pub(crate) type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// Whether a constraint looks at an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Yes,
    No,
    /// It cannot be told.
    Unknown(String),
}

/// What is matched.
pub(crate) struct Target<'a> {
    pub group: &'a str,
    pub kind: &'a str,
    pub namespace: &'a str,
    pub value: &'a Value,
    /// A Pod that was expanded from a workload.
    pub generated: bool,
}

/// A parsed `spec.match`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Match {
    kinds: Vec<(Vec<String>, Vec<String>)>,
    scope: String,
    namespaces: Vec<String>,
    excluded: Vec<String>,
    labels: Option<Selector>,
    namespace_labels: Option<Selector>,
    name: String,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Source {
    #[default]
    All,
    Original,
    Generated,
}

#[derive(Debug, Clone, PartialEq)]
struct Selector {
    needs: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Match {
    /// Reads `spec.match`; the error names the field.
    pub(crate) fn parse(value: Option<&Value>) -> Result<Self, String> {
        let Some(value) = value.filter(|v| !v.is_null()) else {
            return Ok(Self::default());
        };
        let map = value.as_object().ok_or("spec.match is no mapping")?;
        let mut this = Self::default();
        for (key, value) in map {
            if value.is_null() {
                continue;
            }
            match key.as_str() {
                "kinds" => {
                    for item in value.as_array().ok_or("spec.match.kinds is no list")? {
                        this.kinds.push((
                            strings(item.get("apiGroups"), "spec.match.kinds[].apiGroups")?,
                            strings(item.get("kinds"), "spec.match.kinds[].kinds")?,
                        ));
                    }
                }
                "scope" => this.scope = text(value, "spec.match.scope")?,
                "namespaces" => this.namespaces = strings(Some(value), "spec.match.namespaces")?,
                "excludedNamespaces" => {
                    this.excluded = strings(Some(value), "spec.match.excludedNamespaces")?;
                }
                "labelSelector" => this.labels = Some(Selector::parse(value, "labelSelector")?),
                "namespaceSelector" => {
                    this.namespace_labels = Some(Selector::parse(value, "namespaceSelector")?);
                }
                "name" => this.name = text(value, "spec.match.name")?,
                "source" => {
                    this.source = match value.as_str() {
                        Some("" | "All") => Source::All,
                        Some("Original") => Source::Original,
                        Some("Generated") => Source::Generated,
                        _ => {
                            return Err(
                                "spec.match.source is none of All, Original, Generated".into()
                            );
                        }
                    };
                }
                other => return Err(format!("spec.match.{other} is not known")),
            }
        }
        Ok(this)
    }

    /// Its groups and kinds; empty for all.
    pub(crate) fn kinds(&self) -> &[(Vec<String>, Vec<String>)] {
        &self.kinds
    }

    /// Whether labels of the object's namespace decide.
    pub(crate) fn by_namespace(&self) -> bool {
        self.namespace_labels.is_some()
    }

    /// Whether any object of this group and kind can match: for the index.
    pub(crate) fn wants(&self, group: &str, kind: &str) -> bool {
        let in_list = |list: &[String], item: &str| {
            list.is_empty() || list.iter().any(|x| x == "*" || x == item)
        };
        self.kinds.is_empty()
            || self
                .kinds
                .iter()
                .any(|(groups, kinds)| in_list(groups, group) && in_list(kinds, kind))
    }

    /// Whether any object of this namespace, group and kind can match; for the index. The
    /// namespace is empty where there is none.
    pub(crate) fn reaches(&self, group: &str, kind: &str, namespace: &str) -> bool {
        let is_namespace = kind == "Namespace" && group.is_empty();
        let in_place = is_namespace || self.namespace_fits(namespace);
        let in_scope = match self.scope.as_str() {
            "Cluster" => is_namespace || namespace.is_empty(),
            "Namespaced" => !is_namespace && !namespace.is_empty(),
            _ => true,
        };
        in_place && in_scope && self.wants(group, kind)
    }

    fn namespace_fits(&self, namespace: &str) -> bool {
        namespace.is_empty()
            || ((self.namespaces.is_empty()
                || self.namespaces.iter().any(|w| wildcard(w, namespace)))
                && !self.excluded.iter().any(|w| wildcard(w, namespace)))
    }

    /// Whether the constraint looks at `target`.
    pub(crate) fn test(&self, target: &Target<'_>, namespaces: &Namespaces) -> Verdict {
        let is_namespace = target.kind == "Namespace" && target.group.is_empty();
        let meta = |field: &str| {
            let metadata = target.value.get("metadata");
            metadata
                .and_then(|m| m.get(field))
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let namespace = if is_namespace {
            meta("name")
        } else {
            target.namespace
        };
        let scope_fits = match self.scope.as_str() {
            "Cluster" => is_namespace || target.namespace.is_empty(),
            "Namespaced" => !is_namespace && !target.namespace.is_empty(),
            // A misspelt scope matches everything, as in Gatekeeper.
            _ => true,
        };
        let source_fits = match self.source {
            Source::All => true,
            Source::Original => !target.generated,
            Source::Generated => target.generated,
        };
        let namespace_fits = self.namespace_fits(namespace);
        let name_fits = self.name.is_empty()
            || wildcard(&self.name, meta("name"))
            || (self.name.ends_with('*') && wildcard(&self.name, meta("generateName")));
        if !(self.wants(target.group, target.kind)
            && scope_fits
            && source_fits
            && namespace_fits
            && name_fits)
        {
            return Verdict::No;
        }
        if let Some(selector) = &self.labels {
            let labels = target.value.get("metadata").and_then(|m| m.get("labels"));
            let label = |key: &str| labels.and_then(|l| l.get(key)).and_then(Value::as_str);
            if selector.test(|key| Known::of(label(key))) == Some(false) {
                return Verdict::No;
            }
        }
        self.namespace_verdict(target, namespace, is_namespace, namespaces)
    }

    fn namespace_verdict(
        &self,
        target: &Target<'_>,
        namespace: &str,
        is_namespace: bool,
        namespaces: &Namespaces,
    ) -> Verdict {
        const NAME_LABEL: &str = "kubernetes.io/metadata.name";
        let Some(selector) = &self.namespace_labels else {
            return Verdict::Yes;
        };
        if namespace.is_empty() {
            return Verdict::Yes;
        }
        let own;
        let labels = if is_namespace {
            own = labels_of(target.value);
            Some(&own)
        } else {
            namespaces.get(namespace)
        };
        let told = selector.test(|key| match labels.and_then(|l| l.get(key)) {
            Some(value) => Known::Is(value.clone()),
            None if key == NAME_LABEL => Known::Is(namespace.to_owned()),
            None if labels.is_some() => Known::Absent,
            None => Known::Untold,
        });
        match told {
            Some(true) => Verdict::Yes,
            Some(false) => Verdict::No,
            None => Verdict::Unknown(format!(
                "its constraint selects by labels of the Namespace {namespace:?}, which is not known"
            )),
        }
    }
}

enum Known {
    Is(String),
    Absent,
    Untold,
}

impl Known {
    fn of(value: Option<&str>) -> Self {
        value.map_or(Self::Absent, |v| Self::Is(v.to_owned()))
    }
}

/// The labels of an object; values that are no text are left out, as no API server takes them.
pub(crate) fn labels_of(value: &Value) -> BTreeMap<String, String> {
    let labels = value.get("metadata").and_then(|m| m.get("labels"));
    labels
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
        .collect()
}

impl Selector {
    fn parse(value: &Value, field: &str) -> Result<Self, String> {
        let place = |what: &str| format!("spec.match.{field}{what}");
        let map = value.as_object().ok_or_else(|| place(" is no mapping"))?;
        let mut needs = Vec::new();
        for (key, value) in map {
            match key.as_str() {
                "matchLabels" => {
                    for (label, wanted) in value.as_object().into_iter().flatten() {
                        let wanted = text(wanted, &place(".matchLabels"))?;
                        needs.push(Requirement::In(label.clone(), vec![wanted]));
                    }
                }
                "matchExpressions" => {
                    for item in value.as_array().into_iter().flatten() {
                        let key = item.get("key").and_then(Value::as_str).unwrap_or_default();
                        let values =
                            strings(item.get("values"), &place(".matchExpressions[].values"))?;
                        let key = key.to_owned();
                        needs.push(
                            match (
                                item.get("operator").and_then(Value::as_str),
                                values.is_empty(),
                            ) {
                                (Some("In"), false) => Requirement::In(key, values),
                                (Some("NotIn"), false) => Requirement::NotIn(key, values),
                                (Some("Exists"), true) => Requirement::Exists(key),
                                (Some("DoesNotExist"), true) => Requirement::Absent(key),
                                _ => {
                                    return Err(place(
                                        ".matchExpressions[] has no valid operator and values",
                                    ));
                                }
                            },
                        );
                    }
                }
                other => return Err(place(&format!(".{other} is not known"))),
            }
        }
        Ok(Self { needs })
    }

    /// All requirements over labels that may be untold: false as soon as one is false.
    fn test(&self, label: impl Fn(&str) -> Known) -> Option<bool> {
        let mut told = true;
        for need in &self.needs {
            let holds = |value: Option<&String>| match need {
                Requirement::In(_, all) => value.is_some_and(|v| all.contains(v)),
                Requirement::NotIn(_, all) => !value.is_some_and(|v| all.contains(v)),
                Requirement::Exists(_) => value.is_some(),
                Requirement::Absent(_) => value.is_none(),
            };
            let (Requirement::In(key, _)
            | Requirement::NotIn(key, _)
            | Requirement::Exists(key)
            | Requirement::Absent(key)) = need;
            match label(key) {
                Known::Untold => told = false,
                Known::Is(value) if !holds(Some(&value)) => return Some(false),
                Known::Absent if !holds(None) => return Some(false),
                _ => {}
            }
        }
        told.then_some(true)
    }
}

/// Gatekeeper's wildcard: an asterisk at the front, at the end, or both.
pub(crate) fn wildcard(pattern: &str, candidate: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => candidate.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(suffix), None) => candidate.ends_with(suffix),
        (None, Some(prefix)) => candidate.starts_with(prefix),
        (None, None) => pattern == candidate,
    }
}

fn text(value: &Value, field: &str) -> Result<String, String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{field} is no text"))
}

fn strings(value: Option<&Value>, field: &str) -> Result<Vec<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|v| text(v, field)).collect(),
        Some(_) => Err(format!("{field} is no list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(rule: Value, group: &str, kind: &str, object: Value) -> Verdict {
        let namespaces = Namespaces::from([(
            "prod".to_owned(),
            BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
        )]);
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or("")
            .to_owned();
        let target = Target {
            group,
            kind,
            namespace: &namespace,
            value: &object,
            generated: false,
        };
        Match::parse(Some(&rule))
            .unwrap()
            .test(&target, &namespaces)
    }

    fn pod(rule: Value, metadata: Value) -> Verdict {
        verdict(rule, "", "Pod", json!({"metadata": metadata}))
    }

    use Verdict::{No, Unknown, Yes};

    #[test]
    fn kinds_scope_and_source() {
        let kinds = json!({"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}, {"apiGroups": ["apps"], "kinds": ["*"]}]});
        assert_eq!(pod(kinds.clone(), json!({})), Yes);
        assert_eq!(verdict(kinds.clone(), "apps", "Deployment", json!({})), Yes);
        assert_eq!(verdict(kinds, "batch", "Job", json!({})), No);
        assert_eq!(
            pod(json!({"scope": "Namespaced"}), json!({"namespace": "a"})),
            Yes
        );
        assert_eq!(
            pod(json!({"scope": "Cluster"}), json!({"namespace": "a"})),
            No
        );
        assert_eq!(pod(json!({"scope": "Namespaced"}), json!({})), No);
        assert_eq!(
            verdict(json!({"scope": "Cluster"}), "", "Namespace", json!({})),
            Yes
        );
        assert_eq!(pod(json!({"source": "Generated"}), json!({})), No);
        assert_eq!(pod(json!({"source": "Original"}), json!({})), Yes);
    }

    #[test]
    fn namespaces_and_names() {
        let rule = json!({"namespaces": ["prod", "dev-*", "*-eu", "*mid*"], "excludedNamespaces": ["dev-x*"]});
        for (namespace, wanted) in [
            ("prod", Yes),
            ("dev-1", Yes),
            ("dev-x1", No),
            ("shop-eu", Yes),
            ("amidst", Yes),
            ("test", No),
            ("", Yes),
        ] {
            assert_eq!(
                pod(rule.clone(), json!({"namespace": namespace})),
                wanted,
                "{namespace}"
            );
        }
        assert_eq!(
            verdict(rule, "", "Namespace", json!({"metadata": {"name": "test"}})),
            No
        );
        assert_eq!(pod(json!({"name": "web-*"}), json!({"name": "web-1"})), Yes);
        assert_eq!(
            pod(json!({"name": "web-*"}), json!({"generateName": "web-"})),
            Yes
        );
        assert_eq!(
            pod(json!({"name": "web"}), json!({"generateName": "web"})),
            No
        );
    }

    #[test]
    fn selectors() {
        let rule = json!({"labelSelector": {"matchLabels": {"a": "1"}, "matchExpressions": [
            {"key": "b", "operator": "In", "values": ["x", "y"]},
            {"key": "c", "operator": "NotIn", "values": ["z"]},
            {"key": "d", "operator": "Exists"},
            {"key": "e", "operator": "DoesNotExist"}
        ]}});
        let good = json!({"a": "1", "b": "y", "d": ""});
        assert_eq!(pod(rule.clone(), json!({"labels": good})), Yes);
        for (key, value) in [("a", "2"), ("b", "z"), ("c", "z"), ("e", "")] {
            let mut labels = good.clone();
            labels[key] = json!(value);
            assert_eq!(pod(rule.clone(), json!({"labels": labels})), No, "{key}");
        }
        assert!(
            Match::parse(Some(
                &json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}})
            ))
            .is_err()
        );
    }

    #[test]
    fn a_namespace_that_is_not_there_is_never_a_silent_pass() {
        let gold = json!({"namespaceSelector": {"matchLabels": {"tier": "gold"}}});
        assert_eq!(pod(gold.clone(), json!({"namespace": "prod"})), Yes);
        assert_eq!(
            pod(gold.clone(), json!({"namespace": "gone"})),
            Unknown(
                "its constraint selects by labels of the Namespace \"gone\", which is not known"
                    .into()
            )
        );
        assert_eq!(pod(gold.clone(), json!({})), Yes);
        assert_eq!(
            verdict(gold, "", "Namespace", json!({"metadata": {"name": "x"}})),
            No
        );
        let named = json!({"namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]}});
        assert_eq!(pod(named.clone(), json!({"namespace": "gone"})), Yes);
        assert_eq!(pod(named, json!({"namespace": "kube-system"})), No);
    }
}
