//! Which requests a policy or a binding looks at.

use super::{Request, list, strings, text};
use serde_json::Value;

/// `matchConstraints` of a policy, or `matchResources` of a binding.
#[derive(Debug, Default)]
pub(super) struct Match {
    namespaces: Selector,
    objects: Selector,
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    exact: bool,
}

#[derive(Debug)]
struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    scope: Scope,
}

#[derive(Debug, PartialEq, Eq)]
enum Scope {
    All,
    Cluster,
    Namespaced,
}

/// How a rule fits a request.
#[derive(Debug, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// Only by another version or group of the same resource, which may or may not be served.
    Perhaps,
}

impl Match {
    pub(super) fn read(value: Option<&Value>) -> Result<Self, String> {
        let Some(value) = value.filter(|v| !v.is_null()) else {
            return Ok(Self::default());
        };
        let rules = |field: &str| -> Result<Vec<Rule>, String> {
            let all = list(value, field)?.iter();
            all.map(|rule| Rule::read(rule).map_err(|why| format!("{field}: {why}")))
                .collect()
        };
        Ok(Self {
            namespaces: Selector::read(value.get("namespaceSelector"))?,
            objects: Selector::read(value.get("objectSelector"))?,
            rules: rules("resourceRules")?,
            excluded: rules("excludeResourceRules")?,
            exact: match text(value, "matchPolicy")? {
                None | Some("Equivalent") => false,
                Some("Exact") => true,
                Some(other) => return Err(format!("matchPolicy {other:?} is not known")),
            },
        })
    }

    /// Whether there is any rule.
    pub(super) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether any request about a resource may be looked at; for indexes.
    pub(super) fn reaches(&self, group: &str, resource: &str, sub: &str, operation: &str) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| {
            listed(&rule.operations, operation)
                && rule.names_resource(resource, sub)
                && (listed(&rule.groups, group) || rule.moved(group, resource))
        })
    }

    /// Whether the request is looked at; the error says why that is not known.
    pub(super) fn test(&self, request: &Request<'_>) -> Result<bool, String> {
        let namespaces = self.namespace(request);
        if namespaces == Ok(false) {
            return Ok(false);
        }
        let selected = |object: &Value| !object.is_null() && self.objects.test(object);
        if !self.objects.is_empty() && !selected(request.object) && !selected(request.old_object) {
            return Ok(false);
        }
        if self.any(&self.excluded, request)? {
            return Ok(false);
        }
        if self.has_rules() && !self.any(&self.rules, request)? {
            return Ok(false);
        }
        namespaces
    }

    fn namespace(&self, request: &Request<'_>) -> Result<bool, String> {
        let name = request.namespace();
        if self.namespaces.is_empty() || (name.is_empty() && !request.is_namespace()) {
            return Ok(true);
        }
        let own = request.is_namespace() && matches!(request.operation(), "CREATE" | "UPDATE");
        let object = if own {
            request.object
        } else {
            request.namespace
        };
        if object.is_null() {
            return Err(format!("the Namespace {name:?} is not known"));
        }
        Ok(self.namespaces.test(object))
    }

    fn any(&self, rules: &[Rule], request: &Request<'_>) -> Result<bool, String> {
        let mut perhaps = false;
        for rule in rules {
            match rule.fit(request) {
                Fit::Yes => return Ok(true),
                Fit::No => {}
                Fit::Perhaps => perhaps = true,
            }
        }
        if perhaps && !self.exact {
            return Err(format!(
                "a rule names another version of {}, to which the object is not converted here",
                request.text(&["resource", "resource"])
            ));
        }
        Ok(false)
    }
}

impl Rule {
    fn read(rule: &Value) -> Result<Self, String> {
        Ok(Self {
            operations: strings(rule, "operations")?,
            groups: strings(rule, "apiGroups")?,
            versions: strings(rule, "apiVersions")?,
            resources: strings(rule, "resources")?,
            names: strings(rule, "resourceNames")?,
            scope: match text(rule, "scope")? {
                None | Some("*") => Scope::All,
                Some("Cluster") => Scope::Cluster,
                Some("Namespaced") => Scope::Namespaced,
                Some(other) => return Err(format!("scope {other:?} is not known")),
            },
        })
    }

    fn fit(&self, request: &Request<'_>) -> Fit {
        let cluster = request.is_namespace() || request.namespace().is_empty();
        let scope = match self.scope {
            Scope::All => true,
            Scope::Cluster => cluster,
            Scope::Namespaced => !cluster,
        };
        let names =
            self.names.is_empty() || self.names.iter().any(|n| n == request.text(&["name"]));
        let resource = request.text(&["resource", "resource"]);
        let resources = self.names_resource(resource, request.text(&["subResource"]));
        if !(scope && names && resources && listed(&self.operations, request.operation())) {
            return Fit::No;
        }
        let group = request.text(&["resource", "group"]);
        let group_fits = listed(&self.groups, group);
        if group_fits && listed(&self.versions, request.text(&["resource", "version"])) {
            return Fit::Yes;
        }
        if group_fits || self.moved(group, resource) {
            Fit::Perhaps
        } else {
            Fit::No
        }
    }

    fn names_resource(&self, resource: &str, sub: &str) -> bool {
        self.resources.iter().any(|wanted| {
            let (res, rest) = wanted.split_once('/').unwrap_or((wanted, ""));
            (res == "*" || res == resource) && (rest == "*" || rest == sub)
        })
    }

    /// Whether it names the resource by another group that has it, too.
    fn moved(&self, group: &str, resource: &str) -> bool {
        let mut same = MOVED.iter().filter(|(name, _)| *name == resource);
        same.any(|(_, groups)| {
            groups.contains(&group) && groups.iter().any(|other| listed(&self.groups, other))
        })
    }
}

fn listed(list: &[String], item: &str) -> bool {
    list.iter().any(|x| x == "*" || x == item)
}

/// Resources that are the same in several groups.
const MOVED: [(&str, &[&str]); 6] = [
    ("daemonsets", &["apps", "extensions"]),
    ("deployments", &["apps", "extensions"]),
    ("events", &["", "events.k8s.io"]),
    ("ingresses", &["extensions", "networking.k8s.io"]),
    ("networkpolicies", &["extensions", "networking.k8s.io"]),
    ("replicasets", &["apps", "extensions"]),
];

/// A selector of labels; without requirements it selects everything.
#[derive(Debug, Default)]
pub(super) struct Selector {
    needs: Vec<(String, Need)>,
}

#[derive(Debug)]
enum Need {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    pub(super) fn read(value: Option<&Value>) -> Result<Self, String> {
        let mut needs = Vec::new();
        let Some(value) = value.filter(|v| !v.is_null()) else {
            return Ok(Self::default());
        };
        let labels = value.get("matchLabels").and_then(Value::as_object);
        for (key, wanted) in labels.into_iter().flatten() {
            let wanted = wanted
                .as_str()
                .ok_or("matchLabels holds something that is no text")?;
            needs.push((key.clone(), Need::In(vec![wanted.to_owned()])));
        }
        for entry in list(value, "matchExpressions")? {
            let key = text(entry, "key")?.ok_or("matchExpressions[].key is missing")?;
            let values = strings(entry, "values")?;
            let need = match (text(entry, "operator")?, values.is_empty()) {
                (Some("In"), false) => Need::In(values),
                (Some("NotIn"), false) => Need::NotIn(values),
                (Some("Exists"), true) => Need::Exists,
                (Some("DoesNotExist"), true) => Need::Absent,
                _ => return Err("matchExpressions[] has no valid operator and values".into()),
            };
            needs.push((key.to_owned(), need));
        }
        Ok(Self { needs })
    }

    fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// Whether it selects an object, by the labels of its metadata.
    pub(super) fn test(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|m| m.get("labels"));
        self.needs.iter().all(|(key, need)| {
            let value = labels.and_then(|l| l.get(key)).and_then(Value::as_str);
            match need {
                Need::In(all) => value.is_some_and(|v| all.iter().any(|x| x == v)),
                Need::NotIn(all) => !value.is_some_and(|v| all.iter().any(|x| x == v)),
                Need::Exists => value.is_some(),
                Need::Absent => value.is_none(),
            }
        })
    }
}
