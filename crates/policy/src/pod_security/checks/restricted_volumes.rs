//! Volumes may only be of kinds that bring nothing of the node and need no driver of its kernel.
//!
//! Looks at `spec.volumes[*]`.
//! Allows `configMap`, `csi`, `downwardAPI`, `emptyDir`, `ephemeral`, `image`,
//! `persistentVolumeClaim`, `projected` and `secret`. A volume without any source is allowed: the
//! API server makes an `emptyDir` of it. A source that nobody knows is not.
//! Asked instead of `hostPathVolumes`.
//!
//! Versions: v1.0.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, plural, quoted};
use super::super::pod::{Pod, Volume};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "restrictedVolumes",
    level: Level::Restricted,
    title: "Kinds of volumes",
    fix: "Use a kind of volume that is allowed, such as a persistentVolumeClaim.",
    forms: &[Form {
        since: 0,
        judge,
        replaces: Some("hostPathVolumes"),
    }],
    source: include_str!("restricted_volumes.rs"),
};

const ALLOWED: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The others by name, in the order in which the first one found is reported.
const KNOWN: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

fn kind(volume: &Volume<'_>) -> &'static str {
    let known = KNOWN.iter().find(|kind| volume.sources.contains(kind));
    known.copied().unwrap_or("unknown")
}

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let volumes = pod.spec.volumes.iter();
    let harmless =
        |v: &Volume<'_>| v.sources.is_empty() || v.sources.iter().any(|s| ALLOWED.contains(s));
    let bad: Vec<_> = volumes.filter(|v| !harmless(v)).collect();
    if bad.is_empty() {
        return None;
    }
    let kinds: BTreeSet<_> = bad.iter().map(|v| kind(v)).collect();
    let detail = format!(
        "{} {} {} {} {}",
        plural("volume", "volumes", bad.len()),
        quoted(bad.iter().map(|v| v.name)),
        plural("uses", "use", bad.len()),
        plural(
            "restricted volume type",
            "restricted volume types",
            kinds.len()
        ),
        quoted(kinds)
    );
    Forbidden::new("restricted volume types", detail)
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn only_harmless_kinds() {
        let spec = json!({"volumes": [
            {"name": "a", "emptyDir": {}},
            {"name": "b", "nfs": {}},
            {"name": "c", "hostPath": {}},
            {"name": "d"},
            {"name": "e", "image": {}},
            {"name": "f", "brandNew": {}},
        ]});
        assert_eq!(
            detail(&CHECK, 0, spec).unwrap(),
            "volumes \"b\", \"c\", \"f\" use restricted volume types \"hostPath\", \
             \"nfs\", \"unknown\""
        );
    }
}
