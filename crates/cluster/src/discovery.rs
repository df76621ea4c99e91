//! Which kinds a cluster serves.

use crate::{Error, Resource};
use serde::Deserialize;

/// A group and version that the server names but cannot describe now, such as an aggregated API
/// whose own server is down. Its objects are unknown, not absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
    /// Why.
    pub why: String,
}

/// All kinds, each at every version that is served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovery {
    /// The kinds; within a group, the version that the server prefers comes first.
    pub resources: Vec<Resource>,
    /// What is missing.
    pub unserved: Vec<Unserved>,
}

impl Discovery {
    /// Each kind once, at the version that its server prefers.
    pub fn preferred(&self) -> impl Iterator<Item = &Resource> {
        let mut seen = std::collections::BTreeSet::new();
        self.resources
            .iter()
            .filter(move |r| seen.insert((r.group.as_str(), r.plural.as_str())))
    }

    /// A kind at the version that its server prefers.
    pub fn find(&self, group: &str, kind: &str) -> Option<&Resource> {
        self.resources
            .iter()
            .find(|r| r.group == group && r.kind == kind)
    }

    /// A kind at one version.
    pub fn find_at(&self, group: &str, version: &str, kind: &str) -> Option<&Resource> {
        self.resources
            .iter()
            .find(|r| r.group == group && r.version == version && r.kind == kind)
    }
}

/// The media types to ask for: everything in one answer, else the list of groups alone.
pub(crate) const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct GroupItem {
    metadata: Named,
    #[serde(default)]
    versions: Vec<VersionItem>,
}

#[derive(Deserialize)]
struct VersionItem {
    version: String,
    #[serde(default)]
    resources: Vec<ResourceItem>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
struct ResourceItem {
    resource: String,
    #[serde(rename = "responseKind", default)]
    kind: Option<KindItem>,
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    subresources: Vec<SubresourceItem>,
}

#[derive(Deserialize)]
struct KindItem {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct SubresourceItem {
    subresource: String,
}

#[derive(Deserialize)]
struct LegacyGroup {
    name: String,
    #[serde(default)]
    versions: Vec<LegacyVersion>,
    #[serde(rename = "preferredVersion", default)]
    preferred: Option<LegacyVersion>,
}

#[derive(Deserialize, PartialEq)]
struct LegacyVersion {
    version: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    items: Vec<GroupItem>,
    #[serde(default)]
    groups: Vec<LegacyGroup>,
    #[serde(default)]
    versions: Vec<String>,
}

/// What the document at `/api` or `/apis` says.
#[derive(Debug, PartialEq)]
pub(crate) enum Groups {
    /// All of it.
    Whole(Discovery),
    /// Groups and versions, each to be asked for.
    Named(Vec<(String, String)>),
}

/// Reads the document at `/api` or `/apis`.
pub(crate) fn groups(bytes: &[u8]) -> Result<Groups, Error> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|e| Error::Malformed(format!("discovery: {e}")))?;
    match document.kind.as_str() {
        "APIGroupDiscoveryList" => Ok(Groups::Whole(whole(document.items))),
        "APIVersions" => Ok(Groups::Named(
            document
                .versions
                .into_iter()
                .map(|v| (String::new(), v))
                .collect(),
        )),
        "APIGroupList" => Ok(Groups::Named(
            document.groups.into_iter().flat_map(named).collect(),
        )),
        other => Err(Error::Malformed(format!(
            "discovery of kind {:?}",
            other.chars().take(80).collect::<String>()
        ))),
    }
}

/// The versions of a group, the preferred one first.
fn named(group: LegacyGroup) -> Vec<(String, String)> {
    let (first, rest): (Vec<_>, Vec<_>) = group
        .versions
        .into_iter()
        .partition(|v| Some(v) == group.preferred.as_ref());
    first
        .into_iter()
        .chain(rest)
        .map(|v| (group.name.clone(), v.version))
        .collect()
}

fn whole(items: Vec<GroupItem>) -> Discovery {
    let mut found = Discovery::default();
    for group in items {
        let name = group.metadata.name;
        for version in group.versions {
            if version.freshness == "Stale" {
                found.unserved.push(Unserved {
                    group: name.clone(),
                    version: version.version.clone(),
                    why: "its server does not answer; the list of its kinds is old".to_owned(),
                });
            }
            found
                .resources
                .extend(version.resources.into_iter().filter_map(|item| {
                    let kind = item.kind.map(|k| k.kind).filter(|k| !k.is_empty())?;
                    Some(Resource {
                        group: name.clone(),
                        version: version.version.clone(),
                        kind,
                        plural: item.resource,
                        namespaced: item.scope == "Namespaced",
                        verbs: item.verbs,
                        subresources: item
                            .subresources
                            .into_iter()
                            .map(|s| s.subresource)
                            .collect(),
                    })
                }));
        }
    }
    found
}

#[derive(Deserialize)]
struct LegacyList {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    resources: Vec<LegacyResource>,
}

#[derive(Deserialize)]
struct LegacyResource {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: Vec<String>,
}

/// Reads the kinds of one group and version, as servers before 1.27 describe them.
pub(crate) fn resources(group: &str, version: &str, bytes: &[u8]) -> Result<Vec<Resource>, Error> {
    let list: LegacyList = serde_json::from_slice(bytes)
        .map_err(|e| Error::Malformed(format!("discovery of {group}/{version}: {e}")))?;
    if list.kind != "APIResourceList" {
        return Err(Error::Malformed(format!(
            "discovery of {group}/{version} is no list"
        )));
    }
    let (parts, wholes): (Vec<_>, Vec<_>) = list
        .resources
        .into_iter()
        .partition(|r| r.name.contains('/'));
    Ok(wholes
        .into_iter()
        .map(|r| Resource {
            subresources: parts
                .iter()
                .filter_map(|p| p.name.split_once('/'))
                .filter(|(of, _)| *of == r.name)
                .map(|(_, part)| part.to_owned())
                .collect(),
            group: group.to_owned(),
            version: version.to_owned(),
            kind: r.kind,
            plural: r.name,
            namespaced: r.namespaced,
            verbs: r.verbs,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_in_one_document() {
        let bytes = br#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[
          {"metadata":{"name":"apps"},"versions":[{"version":"v1","freshness":"Current","resources":[
            {"resource":"deployments","responseKind":{"group":"","version":"","kind":"Deployment"},
             "scope":"Namespaced","singularResource":"deployment","verbs":["list","watch"],
             "subresources":[{"subresource":"scale","responseKind":{"kind":"Scale"},"verbs":["get"]}]}]}]},
          {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale"}]}]}"#;
        let Groups::Whole(found) = groups(bytes).unwrap() else {
            panic!()
        };
        let deployments = found.find("apps", "Deployment").unwrap();
        assert!(deployments.namespaced && deployments.can("watch") && !deployments.can("delete"));
        assert_eq!(deployments.subresources, ["scale"]);
        assert_eq!(found.unserved[0].group, "metrics.k8s.io");
    }

    #[test]
    fn an_old_server_names_groups_the_preferred_version_first() {
        let bytes = br#"{"kind":"APIGroupList","groups":[{"name":"x","versions":[
          {"groupVersion":"x/v1","version":"v1"},{"groupVersion":"x/v2","version":"v2"}],
          "preferredVersion":{"groupVersion":"x/v2","version":"v2"}}]}"#;
        let named = ["v2", "v1"]
            .map(|v| ("x".to_owned(), v.to_owned()))
            .to_vec();
        assert_eq!(groups(bytes), Ok(Groups::Named(named)));
        let core = groups(br#"{"kind":"APIVersions","versions":["v1"]}"#);
        assert_eq!(
            core,
            Ok(Groups::Named(vec![(String::new(), "v1".to_owned())]))
        );
    }

    #[test]
    fn an_old_servers_kinds_with_their_parts() {
        let bytes = br#"{"kind":"APIResourceList","groupVersion":"v1","resources":[
          {"name":"pods","kind":"Pod","namespaced":true,"verbs":["list"]},
          {"name":"pods/status","kind":"Pod","namespaced":true,"verbs":["get"]}]}"#;
        let found = resources("", "v1", bytes).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subresources, ["status"]);
    }

    #[test]
    fn what_is_no_discovery_is_malformed_not_empty() {
        for bytes in [&b"{}"[..], b"[]", b"<html>"] {
            assert!(matches!(groups(bytes), Err(Error::Malformed(_))));
            assert!(matches!(
                resources("", "v1", bytes),
                Err(Error::Malformed(_))
            ));
        }
    }
}
