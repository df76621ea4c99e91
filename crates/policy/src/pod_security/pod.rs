//! A Pod as far as the standards look at it.
//!
//! The fields have the types of Kubernetes' API. What has another type is no Pod, and the error
//! says so: the API server would not have taken it either. Null stands for what is not given.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Metadata and spec of a Pod or of a workload's template.
#[derive(Debug, Default)]
pub(crate) struct Pod<'a> {
    pub annotations: BTreeMap<&'a str, &'a str>,
    pub spec: Spec<'a>,
}

impl<'a> Pod<'a> {
    /// Reads a Pod.
    pub fn read(metadata: &'a Value, spec: &'a Value) -> Result<Self, String> {
        let metadata: Metadata<'a> = object(metadata).map_err(|e| format!("metadata: {e}"))?;
        let spec = object(spec).map_err(|e| format!("spec: {e}"))?;
        let annotations = metadata.annotations;
        Ok(Self { annotations, spec })
    }

    /// Init containers, containers, ephemeral containers: the order in all messages.
    pub fn containers(&self) -> impl Iterator<Item = &Container<'a>> {
        let spec = &self.spec;
        let first = spec.init_containers.iter().chain(&spec.containers);
        first.chain(&spec.ephemeral_containers)
    }

    /// Names of the containers for which a question is answered with yes.
    pub fn named(&self, is: impl Fn(&Container<'a>) -> bool) -> Vec<&'a str> {
        let such = self.containers().filter(|c| is(c));
        such.map(|c| c.name).collect()
    }

    /// Whether the Pod says that it is for Windows.
    pub fn on_windows(&self) -> bool {
        self.spec.os.name == "windows"
    }

    /// Whether its users are not those of the node: it has a user namespace of its own.
    pub fn has_own_users(&self) -> bool {
        self.spec.host_users == Some(false)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow, deserialize_with = "given")]
    annotations: BTreeMap<&'a str, &'a str>,
}

/// `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec<'a> {
    #[serde(borrow, deserialize_with = "list")]
    pub containers: Vec<Container<'a>>,
    #[serde(deserialize_with = "list")]
    pub init_containers: Vec<Container<'a>>,
    #[serde(deserialize_with = "list")]
    pub ephemeral_containers: Vec<Container<'a>>,
    #[serde(deserialize_with = "list")]
    pub volumes: Vec<Volume<'a>>,
    #[serde(deserialize_with = "object")]
    pub security_context: PodContext<'a>,
    #[serde(deserialize_with = "object")]
    pub os: Named<'a>,
    #[serde(deserialize_with = "given")]
    pub runtime_class_name: &'a str,
    pub host_users: Option<bool>,
    #[serde(deserialize_with = "given")]
    pub host_network: bool,
    #[serde(rename = "hostPID", deserialize_with = "given")]
    pub host_pid: bool,
    #[serde(rename = "hostIPC", deserialize_with = "given")]
    pub host_ipc: bool,
}

/// `spec.securityContext`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodContext<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub app_armor_profile: Option<Profile<'a>>,
    #[serde(deserialize_with = "maybe")]
    pub seccomp_profile: Option<Profile<'a>>,
    #[serde(deserialize_with = "object")]
    pub se_linux_options: SeLinux<'a>,
    #[serde(deserialize_with = "object")]
    pub windows_options: Windows,
    pub run_as_non_root: Option<bool>,
    pub run_as_user: Option<i64>,
    #[serde(deserialize_with = "list")]
    pub sysctls: Vec<Named<'a>>,
}

/// A container of any of the three lists.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container<'a> {
    #[serde(deserialize_with = "given")]
    pub name: &'a str,
    #[serde(deserialize_with = "given")]
    pub image: &'a str,
    #[serde(borrow, deserialize_with = "object")]
    pub security_context: ContainerContext<'a>,
    #[serde(deserialize_with = "list")]
    pub ports: Vec<Port>,
    #[serde(deserialize_with = "object")]
    pub liveness_probe: Handler<'a>,
    #[serde(deserialize_with = "object")]
    pub readiness_probe: Handler<'a>,
    #[serde(deserialize_with = "object")]
    pub startup_probe: Handler<'a>,
    #[serde(deserialize_with = "object")]
    pub lifecycle: Lifecycle<'a>,
}

/// `securityContext` of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerContext<'a> {
    #[serde(borrow, deserialize_with = "maybe")]
    pub app_armor_profile: Option<Profile<'a>>,
    #[serde(deserialize_with = "maybe")]
    pub seccomp_profile: Option<Profile<'a>>,
    #[serde(deserialize_with = "object")]
    pub se_linux_options: SeLinux<'a>,
    #[serde(deserialize_with = "object")]
    pub windows_options: Windows,
    #[serde(deserialize_with = "object")]
    pub capabilities: Capabilities<'a>,
    pub privileged: Option<bool>,
    pub allow_privilege_escalation: Option<bool>,
    pub proc_mount: Option<&'a str>,
    pub run_as_non_root: Option<bool>,
    pub run_as_user: Option<i64>,
}

/// A profile of seccomp or AppArmor.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Profile<'a> {
    #[serde(rename = "type", deserialize_with = "given")]
    pub kind: &'a str,
}

/// `seLinuxOptions`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SeLinux<'a> {
    #[serde(rename = "type", deserialize_with = "given")]
    pub kind: &'a str,
    #[serde(deserialize_with = "given")]
    pub user: &'a str,
    #[serde(deserialize_with = "given")]
    pub role: &'a str,
}

/// `windowsOptions`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Windows {
    pub host_process: Option<bool>,
}

/// `capabilities`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Capabilities<'a> {
    #[serde(borrow, deserialize_with = "given")]
    pub add: Vec<&'a str>,
    #[serde(borrow, deserialize_with = "given")]
    pub drop: Vec<&'a str>,
}

/// Something of which only the name matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Named<'a> {
    #[serde(deserialize_with = "given")]
    pub name: &'a str,
}

/// A port of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Port {
    #[serde(deserialize_with = "given")]
    pub host_port: i32,
}

/// A probe, or what is run when a container starts or stops.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Handler<'a> {
    #[serde(borrow, deserialize_with = "object")]
    pub http_get: Target<'a>,
    #[serde(deserialize_with = "object")]
    pub tcp_socket: Target<'a>,
}

/// Where a handler connects to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Target<'a> {
    #[serde(deserialize_with = "given")]
    pub host: &'a str,
}

/// `lifecycle`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Lifecycle<'a> {
    #[serde(borrow, deserialize_with = "object")]
    pub post_start: Handler<'a>,
    #[serde(deserialize_with = "object")]
    pub pre_stop: Handler<'a>,
}

/// A volume: its name, and which sources it has.
#[derive(Debug, Default)]
pub(crate) struct Volume<'a> {
    pub name: &'a str,
    pub sources: Vec<&'a str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Volume<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Volume<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a volume")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Volume<'de>, A::Error> {
                let mut volume = Volume::default();
                while let Some(field) = map.next_key::<&'de str>()? {
                    if field == "name" {
                        volume.name = map.next_value::<Option<&str>>()?.unwrap_or_default();
                    } else if map.next_value::<Option<Strict<Source>>>()?.is_some() {
                        volume.sources.push(field);
                    }
                }
                Ok(volume)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// What a volume comes from; only that it is an object.
#[derive(Default)]
struct Source;

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// A value written as an object: what is derived would take a list of its fields as well.
struct Strict<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Object(PhantomData)).map(Self)
    }
}

/// A plain value or its default.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

/// An object or none.
fn maybe<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    Option::<Strict<T>>::deserialize(d).map(|o| o.map(|s| s.0))
}

/// An object or its default.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    maybe(d).map(Option::unwrap_or_default)
}

/// A list of objects; empty where there is none.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    let all = Option::<Vec<Strict<T>>>::deserialize(d)?;
    Ok(all.into_iter().flatten().map(|s| s.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_not_given() {
        let spec = json!({
            "containers": [{"name": "a", "securityContext": null, "ports": [{"hostPort": null}]}],
            "securityContext": {"seccompProfile": null, "sysctls": null},
            "volumes": [{"name": "v", "hostPath": null, "emptyDir": {}}],
            "hostPID": null,
            "nobody": {"knows": "this"},
        });
        let pod = Pod::read(&Value::Null, &spec).unwrap();
        assert_eq!(pod.named(|_| true), ["a"]);
        assert_eq!(pod.spec.volumes[0].sources, ["emptyDir"]);
        assert!(!pod.spec.host_pid && pod.spec.security_context.seccomp_profile.is_none());
    }

    #[test]
    fn another_type_is_no_pod() {
        for spec in [
            json!([]),
            json!("x"),
            json!({"containers": {}}),
            json!({"containers": [["a"]]}),
            json!({"containers": [{"securityContext": [true]}]}),
            json!({"containers": [{"securityContext": {"privileged": "true"}}]}),
            json!({"containers": [{"ports": [{"hostPort": 80.5}]}]}),
            json!({"hostNetwork": 1}),
            json!({"volumes": [{"name": "v", "emptyDir": "x"}]}),
            json!({"securityContext": {"sysctls": [1]}}),
        ] {
            assert!(Pod::read(&Value::Null, &spec).is_err(), "{spec}");
        }
        assert!(Pod::read(&json!({"annotations": {"a": 1}}), &Value::Null).is_err());
    }
}
