//! Objects, their names, and the kinds that a cluster serves.

use crate::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;

/// One kind of object that the API server serves at one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// The group; empty for the core.
    pub group: String,
    /// The version, such as `v1`.
    pub version: String,
    /// The kind, such as `Pod`.
    pub kind: String,
    /// The name in paths, such as `pods`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it: `list`, `watch`, `patch` and so on.
    pub verbs: Vec<String>,
    /// The parts that have paths of their own: `status`, `scale`.
    pub subresources: Vec<String>,
}

impl Resource {
    /// A resource with the usual verbs, for callers that know it without discovery.
    pub fn new(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
            verbs: [
                "create", "delete", "get", "list", "patch", "update", "watch",
            ]
            .map(str::to_owned)
            .to_vec(),
            subresources: Vec::new(),
        }
    }

    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether the server lets this be done with it.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// The path of all its objects, or of those in one namespace.
    pub(crate) fn path(&self, namespace: Option<&str>) -> Result<String, Error> {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", segment(&self.version)?)
        } else {
            format!(
                "/apis/{}/{}",
                segment(&self.group)?,
                segment(&self.version)?
            )
        };
        if let (true, Some(namespace)) = (self.namespaced, namespace) {
            path.push_str("/namespaces/");
            path.push_str(segment(namespace)?);
        }
        path.push('/');
        path.push_str(segment(&self.plural)?);
        Ok(path)
    }

    /// The path of one object, or of a part of it.
    pub(crate) fn path_of(&self, name: &Name, subresource: Option<&str>) -> Result<String, Error> {
        if self.namespaced && name.namespace.is_none() {
            return Err(Error::Rejected {
                code: 400,
                message: format!("{} {}: its namespace is not named", self.kind, name.name),
            });
        }
        let mut path = self.path(name.namespace.as_deref())?;
        path.push('/');
        path.push_str(segment(&name.name)?);
        if let Some(part) = subresource {
            path.push('/');
            path.push_str(segment(part)?);
        }
        Ok(path)
    }
}

/// A part of a path, as it is. Names come from objects that anybody may have written: one that
/// could lead elsewhere is refused, not escaped. What Kubernetes allows in a name is allowed.
fn segment(text: &str) -> Result<&str, Error> {
    let fits = !text.is_empty()
        && text.len() <= 512
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~:@!$'()*+,;=".contains(&b));
    if fits {
        Ok(text)
    } else {
        Err(Error::Rejected {
            code: 400,
            message: format!(
                "{:?} cannot stand in a path",
                text.chars().take(80).collect::<String>()
            ),
        })
    }
}

/// Which object of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Its namespace, where its kind has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Name {
    /// The name of an object of the whole cluster.
    pub fn of_cluster(name: &str) -> Self {
        Self {
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// The name of an object in a namespace.
    pub fn within(namespace: &str, name: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// An object as the API server sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Which it is.
    pub name: Name,
    /// Tells it from an earlier one of the same name; empty where the server sends none.
    pub uid: String,
    /// Its state's mark: opaque, to be compared for equality alone.
    pub resource_version: String,
    /// All of it, `apiVersion` and `kind` included.
    pub value: Value,
    /// Why `value` has nothing but the name: what it holds is then unknown, not empty.
    pub unread: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    metadata: HeadMeta,
}

#[derive(Deserialize)]
struct HeadMeta {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default, rename = "resourceVersion")]
    resource_version: Option<String>,
}

impl Object {
    /// Reads an object. In lists of built-in kinds the server leaves `apiVersion` and `kind` out;
    /// they are put back from `resource`.
    pub fn read(resource: &Resource, mut value: Value) -> Result<Self, Error> {
        let malformed = |what: &str| Error::Malformed(format!("{} without {what}", resource.kind));
        let fields = value.as_object_mut().ok_or_else(|| malformed("fields"))?;
        fields
            .entry("apiVersion")
            .or_insert_with(|| resource.api_version().into());
        fields
            .entry("kind")
            .or_insert_with(|| resource.kind.clone().into());
        let text = |field: &str| {
            let text = value.get("metadata")?.get(field)?.as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        let name = text("name").ok_or_else(|| malformed("metadata.name"))?;
        let namespace = if resource.namespaced {
            Some(text("namespace").ok_or_else(|| malformed("metadata.namespace"))?)
        } else {
            None
        };
        let uid = text("uid").unwrap_or_default();
        let resource_version = text("resourceVersion").unwrap_or_default();
        Ok(Self {
            name: Name { namespace, name },
            uid,
            resource_version,
            value,
            unread: None,
        })
    }

    /// An object whose name alone can be read, such as one that is nested too deep.
    pub(crate) fn unread(resource: &Resource, text: &str, why: &str) -> Result<Self, Error> {
        // Fields that are not asked for are skipped without recursion, however deep.
        let head: Head = serde_json::from_str(text)
            .map_err(|e| Error::Malformed(format!("{}: {e}", resource.kind)))?;
        let meta = head.metadata;
        let value = json!({"metadata": {
            "name": meta.name, "namespace": meta.namespace,
            "uid": meta.uid, "resourceVersion": meta.resource_version,
        }});
        Ok(Self {
            unread: Some(why.to_owned()),
            ..Self::read(resource, value)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pods() -> Resource {
        Resource::new("", "v1", "Pod", "pods", true)
    }

    #[test]
    fn paths_of_core_and_groups() {
        let roles = Resource::new(
            "rbac.authorization.k8s.io",
            "v1",
            "ClusterRole",
            "clusterroles",
            false,
        );
        assert_eq!(pods().path(None).unwrap(), "/api/v1/pods");
        assert_eq!(
            pods()
                .path_of(&Name::within("a", "b"), Some("status"))
                .unwrap(),
            "/api/v1/namespaces/a/pods/b/status"
        );
        assert_eq!(
            roles
                .path_of(&Name::of_cluster("system:node"), None)
                .unwrap(),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"
        );
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "a/b", "a%2fb", "a?b", "a#b", "ä", "a b"] {
            let path = pods().path_of(&Name::within("x", name), None);
            assert!(
                matches!(path, Err(Error::Rejected { .. })),
                "{name}: {path:?}"
            );
        }
        assert!(pods().path_of(&Name::of_cluster("x"), None).is_err());
    }

    #[test]
    fn items_of_lists_get_their_kind_back() {
        let item = json!({"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7"}});
        let object = Object::read(&pods(), item).unwrap();
        assert_eq!(object.value["kind"], "Pod");
        assert_eq!(object.value["apiVersion"], "v1");
        assert_eq!(object.resource_version, "7");
        assert!(Object::read(&pods(), json!({"metadata": {"name": "a"}})).is_err());
        assert!(Object::read(&pods(), json!([])).is_err());
    }
}
