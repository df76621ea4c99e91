//! Who judges images at the webhook. Image policies come with the others, from folders and from
//! the cluster; the trusted root is a file that is looked at again as they are.

use super::Admission;
use crate::content::FROM_CLUSTER;
use crate::image::arguments::Signatures;
use crate::image::judge::{Judge, Source};
use crate::image::registry::Registry;
use anyhow::Result;
use bartizan_model::Digest;
use bartizan_policy::{Failure, Library, Object};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What judges of images are made of.
pub(super) struct ImageSources {
    pub signatures: Signatures,
    /// One for all that follow each other: what it knows stays known.
    registry: Arc<Registry>,
    failure: Failure,
    made: Mutex<Option<Made>>,
}

/// The judge that was made last, by everything that it was made of.
struct Made {
    of: Digest,
    judge: Arc<Judge>,
    faults: BTreeMap<String, String>,
}

impl ImageSources {
    pub(super) fn of(options: &Admission) -> Result<Self> {
        Ok(Self {
            signatures: options.signatures.clone(),
            registry: options.signatures.registry()?,
            failure: options.image_failure.into(),
            made: Mutex::default(),
        })
    }

    /// Who judges by the library's image policies; nobody where there are none. The same as before
    /// where they are the same: the cluster changes all the time. What of the cluster is broken is
    /// left out and said; a broken one of a folder is an error.
    pub(super) fn judge(
        &self,
        library: &Library,
        faults: &mut BTreeMap<String, String>,
    ) -> Result<Option<Arc<Judge>>> {
        let root = self.signatures.root()?;
        let trust = self.signatures.trust(root.as_deref())?;
        let objects = library.image_policies();
        if objects.is_empty() {
            return Ok(None);
        }
        let of = identity(objects, root.as_deref());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| made.of == of) {
            faults.extend(made.faults.clone());
            return Ok(used(&made.judge));
        }
        let mut left_out: BTreeMap<String, String> = BTreeMap::new();
        let judge = loop {
            let good = |o: &&Object| !left_out.contains_key(&o.location.file);
            let source = Source::Registry(Arc::clone(&self.registry));
            let objects = objects.iter().filter(good);
            match Judge::of(objects, trust.clone(), source, self.failure) {
                Ok((judge, said)) => {
                    for line in said {
                        tracing::warn!("{line}");
                    }
                    break Arc::new(judge);
                }
                Err(broken) => {
                    let ours = broken.file.starts_with(FROM_CLUSTER);
                    let new = !left_out.contains_key(&broken.file);
                    if !(ours && new) {
                        return Err(broken.into());
                    }
                    left_out.insert(broken.file.clone(), broken.to_string());
                }
            }
        };
        faults.extend(left_out.clone());
        let told = used(&judge);
        *made = Some(Made {
            of,
            judge,
            faults: left_out,
        });
        Ok(told)
    }
}

fn used(judge: &Arc<Judge>) -> Option<Arc<Judge>> {
    (!judge.is_empty()).then(|| Arc::clone(judge))
}

/// Of the objects, where they stand, and the trusted root.
fn identity(objects: &[Object], root: Option<&[u8]>) -> Digest {
    let mut all = String::new();
    for object in objects {
        let place = &object.location;
        all.push_str(&format!("{}:{} {}\n", place.file, place.line, object.value));
    }
    all.push_str(root.map(Digest::of).as_ref().map_or("", Digest::as_str));
    Digest::of(all.as_bytes())
}
