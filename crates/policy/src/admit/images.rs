//! The images of what is reviewed, judged as part of the review.

use super::{Admitter, Excepted, Explain, Forms, Found, Remaining, Untold};
use crate::enforce::Action;
use crate::images::{CHECK, Images, Pictured};
use crate::review::Review;
use bartizan_model::{CheckUid, Severity, Timestamp};
use std::sync::Arc;

impl Admitter {
    /// Who judges images; nobody where this is not said.
    pub fn ask_images(&mut self, images: Arc<dyn Images + Send + Sync>) {
        self.images = Some(images);
    }

    pub(super) fn images(
        &self,
        review: &Review,
        forms: &Forms<'_>,
        now: Timestamp,
        remaining: &mut Remaining<'_>,
        found: &mut Found,
    ) {
        let Some(images) = self.images.as_ref().filter(|images| images.any()) else {
            return;
        };
        let Some(pictured) = Pictured::of_review(review) else {
            return;
        };
        let (engine, content, rule) = CHECK;
        let Ok(uid) = CheckUid::of(engine, content, rule) else {
            return;
        };
        let untold = |constraint: String, denies, why| Untold {
            policy: Some(uid.clone()),
            constraint,
            denies,
            why,
        };
        if pictured.too_many() {
            let why = "the object has too many images to judge".to_owned();
            return found.untold.push(untold(String::new(), true, why));
        }
        found.evaluated += 1;
        for pointed in images.judge(&pictured, remaining()) {
            let message = format!("{}: {}", pointed.image, pointed.why);
            if pointed.untold {
                found
                    .untold
                    .push(untold(pointed.policy, !pointed.warns, message));
                continue;
            }
            let action = if pointed.warns {
                Action::Warn
            } else {
                Action::Deny
            };
            let covers = |e: &&crate::except::Exception| {
                let namespaces = self.world.namespaces();
                e.covers(&uid, &pointed.policy, &forms.targets, namespaces, now)
            };
            let exception = self.library.exceptions.iter().find(covers);
            found.explains.push(Explain {
                policy: uid.clone(),
                kind: "ClusterImagePolicy".into(),
                constraint: pointed.policy.clone(),
                actions: vec![action.word()],
                severity: if pointed.warns {
                    Severity::Medium
                } else {
                    Severity::High
                },
                message,
                path: Some(pointed.path),
                actual: Some(pointed.image),
                expected: Some("an image that is signed as the policy asks".into()),
                remediation: "Sign the image as the policy asks, or use one that is.".into(),
                template_at: pointed.policy_at.clone(),
                constraint_at: pointed.policy_at,
                exception: exception.map(|e| Excepted {
                    name: e.name.clone(),
                    owner: e.owner.clone(),
                    reason: e.reason.clone(),
                }),
            });
        }
    }
}
