//! The images of what is reviewed, judged as the last part of the review.
//!
//! Who judges them may wait for a registry. Everything else is judged before, so that what waits
//! can be taken to another thread, see [`Admitter::admit_but_images`].

use super::{Admitter, Excepted, Explain, Failure, Forms, Found, Untold, Verdict};
use crate::enforce::Action;
use crate::images::{self, CHECK, Images, Pictured, Pointed};
use crate::library::Library;
use crate::review::{Operation, Review};
use crate::world::World;
use bartizan_model::{CheckUid, Severity, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Who judges images, and the policies and the world around it.
pub(super) struct Seeing {
    images: Arc<dyn Images + Send + Sync>,
    library: Library,
    world: Arc<World>,
    failure: Failure,
}

/// A review of which everything is judged but its images. It can be taken to another thread.
pub struct Undecided {
    found: Found,
    seeing: Arc<Seeing>,
}

const _: () = {
    const fn send<T: Send>() {}
    send::<Undecided>();
};

impl Admitter {
    /// Who judges images; nobody where this is not said.
    pub fn ask_images(&mut self, images: Arc<dyn Images + Send + Sync>) {
        self.seeing = Some(Arc::new(Seeing {
            images,
            library: self.library.clone(),
            world: Arc::clone(&self.world),
            failure: self.options.failure,
        }));
    }

    /// Takes up the world, or another judge, for images.
    pub(super) fn renew_images(&mut self, images: Option<Arc<dyn Images + Send + Sync>>) {
        let known = self.seeing.as_ref().map(|s| Arc::clone(&s.images));
        if let Some(images) = images.or(known) {
            self.ask_images(images);
        }
    }

    /// Warnings where the object itself says who must have signed; the error is why it cannot be
    /// used.
    pub(super) fn vet_images(&self, review: &Review) -> Result<Vec<String>, String> {
        let changes = matches!(review.operation, Operation::Create | Operation::Update);
        let ours = images::is_policy(&review.kind.group, &review.kind.kind);
        match &self.seeing {
            Some(seeing) if ours && changes && review.sub_resource.is_empty() => {
                seeing.images.vet(&review.object)
            }
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn decide(&self, review: &Review, found: Found) -> Result<Verdict, Box<Undecided>> {
        let wanted = |seeing: &&Arc<Seeing>| {
            if !seeing.images.any() {
                return false;
            }
            let pictured = Pictured::of_review(review);
            pictured.is_some_and(|pictured| seeing.images.look_at(&pictured))
        };
        let Some(seeing) = self.seeing.as_ref().filter(wanted) else {
            return Ok(found.verdict(self.options.failure));
        };
        let seeing = Arc::clone(seeing);
        Err(Box::new(Undecided { found, seeing }))
    }
}

impl Undecided {
    /// Judges the images within the time, and so the review.
    pub fn decide(self, review: &Review, now: Timestamp, time: Duration) -> Verdict {
        let Self { mut found, seeing } = self;
        if let Err(why) = seeing.judge(review, now, time, &mut found) {
            return Verdict::unknown(why, Failure::Closed);
        }
        found.verdict(seeing.failure)
    }
}

impl Seeing {
    /// The error says why the review cannot be matched at all.
    fn judge(
        &self,
        review: &Review,
        now: Timestamp,
        time: Duration,
        found: &mut Found,
    ) -> Result<(), String> {
        let Some(pictured) = Pictured::of_review(review) else {
            return Ok(());
        };
        let (engine, content, rule) = CHECK;
        let uid = CheckUid::of(engine, content, rule).map_err(|e| e.to_string())?;
        let forms = Forms::of(review)?;
        let untold = |constraint: String, denies, why| Untold {
            policy: Some(uid.clone()),
            constraint,
            denies,
            why,
        };
        let closed = self.images.failure() == Failure::Closed;
        if pictured.too_many() {
            let why = "the object has too many images to judge".to_owned();
            found.untold.push(untold(String::new(), true, why));
            found.closed |= closed;
            return Ok(());
        }
        found.evaluated += 1;
        for pointed in self.images.judge(&pictured, time) {
            if pointed.untold {
                let message = format!("{}: {}", pointed.image, pointed.why);
                found.closed |= closed && !pointed.warns;
                found
                    .untold
                    .push(untold(pointed.policy, !pointed.warns, message));
                continue;
            }
            let covers = |e: &&crate::except::Exception| {
                let namespaces = self.world.namespaces();
                e.covers(&uid, &pointed.policy, &forms.targets, namespaces, now)
            };
            let exception = self.library.exceptions.iter().find(covers);
            let exception = exception.map(|e| Excepted {
                name: e.name.clone(),
                owner: e.owner.clone(),
                reason: e.reason.clone(),
            });
            found
                .explains
                .push(explain(uid.clone(), pointed, exception));
        }
        Ok(())
    }
}

fn explain(policy: CheckUid, pointed: Pointed, exception: Option<Excepted>) -> Explain {
    let (action, severity) = match pointed.warns {
        true => (Action::Warn, Severity::Medium),
        false => (Action::Deny, Severity::High),
    };
    Explain {
        policy,
        kind: "ClusterImagePolicy".into(),
        constraint: pointed.policy,
        actions: vec![action.word()],
        severity,
        message: format!("{}: {}", pointed.image, pointed.why),
        path: Some(pointed.path),
        actual: Some(pointed.image),
        expected: Some("an image that is signed as the policy asks".into()),
        remediation: "Sign the image as the policy asks, or use one that is.".into(),
        template_at: pointed.policy_at.clone(),
        constraint_at: pointed.policy_at,
        exception,
    }
}
