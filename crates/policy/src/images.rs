//! Images of Pods and Pod templates, and who judges them by their signatures.
//!
//! This crate asks through [`Images`] and verifies nothing itself: signatures are fetched from a
//! registry and judged by another stage.

use crate::admit::Failure;
use crate::expand::template_path;
use crate::object::Object;
use crate::review::{Operation, Review};
use serde_json::Value;
use std::time::Duration;

/// The engine and content of the check that images fail.
pub(crate) const CHECK: (&str, &str, &str) = ("image", "sigstore", "clusterimagepolicy");

/// An object whose images are judged.
#[derive(Debug, Clone)]
pub struct Pictured<'o> {
    /// Its API group.
    pub group: &'o str,
    /// Its version.
    pub version: &'o str,
    /// Its resource, in the plural.
    pub resource: String,
    /// All of it.
    pub object: &'o Value,
    /// Its images: the path in the object, and the name that stands there.
    pub images: Vec<(String, &'o str)>,
}

/// What is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointed {
    /// The policy that says so.
    pub policy: String,
    /// Where the policy stands, `file:line`.
    pub policy_at: String,
    /// Where the image stands in the object.
    pub path: String,
    /// The image.
    pub image: String,
    /// Whether the policy only warns.
    pub warns: bool,
    /// Whether it could not be told, in place of being wrong.
    pub untold: bool,
    /// Why.
    pub why: String,
}

/// Whether an object says who must have signed images, or by what that is verified.
pub(crate) fn wants(object: &Object) -> bool {
    is_policy(&object.group, &object.kind)
}

pub(crate) fn is_policy(group: &str, kind: &str) -> bool {
    group == "policy.sigstore.dev" && matches!(kind, "ClusterImagePolicy" | "TrustRoot")
}

/// Judges images by their signatures.
pub trait Images {
    /// Whether there is any policy.
    fn any(&self) -> bool;

    /// Says of an object that is about to become a policy what one should hear; the error is why
    /// it cannot be one.
    fn vet(&self, object: &Value) -> Result<Vec<String>, String>;

    /// Whether any policy looks at one of the images; cheap.
    fn look_at(&self, about: &Pictured<'_>) -> bool;

    /// What is answered where it cannot be told. The registry that gives no answer is named by
    /// whoever asks for the image, so that this is no matter of how policies fail in general.
    fn failure(&self) -> Failure;

    /// What is wrong with the images of an object. An implementation ends within the time; what
    /// it has no time for is untold.
    fn judge(&self, about: &Pictured<'_>, time: Duration) -> Vec<Pointed>;
}

/// More images of one object are not asked for one by one.
const MOST: usize = 500;

impl<'o> Pictured<'o> {
    /// The images of an object; none where it has none.
    pub fn of(object: &'o Value) -> Option<Self> {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or("");
        let (api, kind) = (text("apiVersion"), text("kind"));
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        let path = match (group, kind) {
            ("", "Pod") => "spec".to_owned(),
            _ => format!("{}.spec", template_path(group, kind)?),
        };
        let spec = path
            .split('.')
            .try_fold(object, |value, field| value.get(field))?;
        let mut images = Vec::new();
        for field in ["initContainers", "containers", "ephemeralContainers"] {
            for (at, container) in list(spec, field) {
                if let Some(image) = container.get("image").and_then(Value::as_str) {
                    images.push((format!("{path}.{field}[{at}].image"), image));
                }
            }
        }
        for (at, volume) in list(spec, "volumes") {
            let image = volume.pointer("/image/reference").and_then(Value::as_str);
            if let Some(image) = image.filter(|i| !i.is_empty()) {
                images.push((format!("{path}.volumes[{at}].image.reference"), image));
            }
        }
        (!images.is_empty()).then(|| Self {
            group,
            version,
            resource: format!("{}s", kind.to_lowercase()),
            object,
            images,
        })
    }

    /// The images that a review would let in. As in policy-controller nothing is asked of what
    /// goes, of a status, and of a workload that becomes smaller.
    pub(crate) fn of_review(review: &'o Review) -> Option<Self> {
        let asked = matches!(review.operation, Operation::Create | Operation::Update);
        let status = matches!(review.sub_resource.as_str(), "status" | "scale");
        let leaving = review.object.pointer("/metadata/deletionTimestamp");
        if !asked || status || leaving.is_some_and(|t| !t.is_null()) || shrinks(review) {
            return None;
        }
        Self::of(&review.object)
    }

    /// Whether there are so many images that no time is enough.
    pub(crate) fn too_many(&self) -> bool {
        self.images.len() > MOST
    }
}

fn list<'v>(spec: &'v Value, field: &str) -> impl Iterator<Item = (usize, &'v Value)> {
    let all = spec.get(field).and_then(Value::as_array);
    all.into_iter().flatten().enumerate()
}

/// Whether an update lowers the replicas and changes no image.
fn shrinks(review: &Review) -> bool {
    let replicas = |value: &Value| value.pointer("/spec/replicas").and_then(Value::as_u64);
    let names = |value| Pictured::of(value).map(|p| p.images);
    let smaller = replicas(&review.object)
        .zip(replicas(&review.old_object))
        .is_some_and(|(new, old)| new < old);
    smaller && names(&review.object) == names(&review.old_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn images_of_pods_and_templates() {
        let spec = json!({
            "initContainers": [{"image": "a"}], "containers": [{"image": "b"}, {"name": "none"}],
            "volumes": [{"name": "v"}, {"image": {"reference": "c"}}]
        });
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
        let images = Pictured::of(&pod).unwrap().images;
        let paths: Vec<_> = images
            .iter()
            .map(|(path, image)| format!("{path}={image}"))
            .collect();
        assert_eq!(
            paths,
            [
                "spec.initContainers[0].image=a",
                "spec.containers[0].image=b",
                "spec.volumes[1].image.reference=c"
            ]
        );
        let job = json!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}
        });
        let job = Pictured::of(&job).unwrap();
        assert_eq!(
            (job.group, job.version, job.resource.as_str()),
            ("batch", "v1", "cronjobs")
        );
        assert_eq!(
            job.images[1].0,
            "spec.jobTemplate.spec.template.spec.containers[0].image"
        );
        assert!(Pictured::of(&json!({"apiVersion": "v1", "kind": "ConfigMap"})).is_none());
        assert!(Pictured::of(&json!([])).is_none());
    }
}
