//! The images of a heap's objects, judged by the ClusterImagePolicies of the heap. `gator` knows
//! nothing of them; a violation has the shape that those of constraints have.

use super::{Checked, Checker, Violated, at};
use crate::images::{Images, Pictured, Pointed};
use crate::object::Object;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Who judges, for how long each object, and the policies as they were written.
pub(super) struct Seeing {
    images: Arc<dyn Images + Send + Sync>,
    time: Duration,
    written: BTreeMap<String, Value>,
}

impl Checker {
    /// Who judges images, and what time there is for those of one object; nobody where this is not
    /// said.
    pub fn ask_images(&mut self, images: Arc<dyn Images + Send + Sync>, time: Duration) {
        let ours = self.objects.iter().filter(|o| crate::images::wants(o));
        let written = ours.map(|o| (o.name.clone(), o.value.clone())).collect();
        self.seeing = Some(Seeing {
            images,
            time,
            written,
        });
    }

    pub(super) fn images(&self, object: &Object, checked: &mut Checked) {
        let Some(seeing) = &self.seeing else {
            return;
        };
        let Some(pictured) = subject(&object.value).and_then(Pictured::of) else {
            return;
        };
        if !seeing.images.look_at(&pictured) {
            return;
        }
        if pictured.too_many() {
            let why = "it has too many images to judge";
            return checked.untold.push(at(object, why));
        }
        for pointed in seeing.images.judge(&pictured, seeing.time) {
            let message = format!("{}: {}", pointed.image, pointed.why);
            if pointed.untold {
                let why = format!("ClusterImagePolicy {}: {message}", pointed.policy);
                checked.untold.push(at(object, &why));
            } else {
                checked
                    .violations
                    .push(seeing.violated(object, pointed, message));
            }
        }
    }
}

/// What an object would bring: itself, or what a review lets in.
fn subject(value: &Value) -> Option<&Value> {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or("");
    if text("/kind") != "AdmissionReview" || !text("/apiVersion").starts_with("admission.k8s.io/") {
        return Some(value);
    }
    let lets_in = matches!(text("/request/operation"), "CREATE" | "UPDATE");
    value.pointer("/request/object").filter(|_| lets_in)
}

impl Seeing {
    fn violated(&self, object: &Object, pointed: Pointed, message: String) -> Violated {
        let action = if pointed.warns { "warn" } else { "deny" };
        Violated {
            message,
            details: json!({"image": pointed.image, "path": pointed.path}),
            constraint: self
                .written
                .get(&pointed.policy)
                .cloned()
                .unwrap_or_default(),
            action: action.to_owned(),
            scoped: Vec::new(),
            object: object.value.clone(),
            file: object.location.file.clone(),
            line: object.locate(parent(&pointed.path)).line,
        }
    }
}

/// The container of an image: lines are known of containers.
fn parent(path: &str) -> &str {
    path.strip_suffix(".image").unwrap_or(path)
}
