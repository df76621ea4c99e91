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

    /// Who judges by the library's image policies, and vets new ones. The same as before where they
    /// are the same: the cluster changes all the time. What of the cluster is broken is left out and
    /// said; a broken one of a folder is an error.
    pub(super) fn judge(
        &self,
        library: &Library,
        faults: &mut BTreeMap<String, String>,
    ) -> Result<Arc<Judge>> {
        let root = self.signatures.root()?;
        let trust = self.signatures.trust(root.as_deref())?;
        let objects = library.image_policies();
        let of = identity(objects, root.as_deref());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| made.of == of) {
            faults.extend(made.faults.clone());
            return Ok(Arc::clone(&made.judge));
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
        *made = Some(Made {
            of,
            judge: Arc::clone(&judge),
            faults: left_out,
        });
        Ok(judge)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_policy::LibraryBuilder;

    fn policy(name: &str, glob: &str) -> String {
        format!(
            r#"{{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
            "metadata": {{"name": "{name}"}}, "spec": {{"images": [{{"glob": "{glob}"}}],
            "authorities": [{{"static": {{"action": "fail"}}}}]}}}}"#
        )
    }

    fn library(files: &[(&str, String)]) -> Library {
        let mut builder = LibraryBuilder::new();
        for (name, text) in files {
            builder.add("test", name, text.as_bytes()).unwrap();
        }
        builder.build().unwrap()
    }

    #[test]
    fn what_is_broken_in_a_cluster_is_left_out_and_of_a_folder_an_error() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let signatures = Signatures {
            trusted_root: None,
            registry_config: None,
            registry_mirror: Vec::new(),
        };
        let sources = ImageSources {
            registry: signatures.registry().unwrap(),
            signatures,
            failure: Failure::Closed,
            made: Mutex::default(),
        };
        let told = |library: &Library| {
            let mut faults = BTreeMap::new();
            let made = sources.judge(library, &mut faults);
            let faults: Vec<String> = faults.into_values().collect();
            (made.map_err(|e| e.to_string()), faults)
        };
        let (made, faults) = told(&library(&[]));
        assert!(made.unwrap().is_empty() && faults.is_empty());
        let in_cluster = "cluster/ClusterImagePolicy/a.json";
        let mixed = library(&[
            ("a.json", policy("a", "**")),
            (in_cluster, policy("a", "ghcr.io/**")),
            ("cluster/ClusterImagePolicy/b.json", policy("b", "")),
        ]);
        for _ in 0..2 {
            let (made, faults) = told(&mixed);
            assert!(!made.unwrap().is_empty());
            assert_eq!(faults.len(), 2, "{faults:?}");
            assert!(faults[0].starts_with(&format!("{in_cluster}:1: ")));
        }
        // The same are the same judge, with all that it knows; others are not.
        let (one, two) = (told(&mixed).0.unwrap(), told(&mixed).0.unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        let other = library(&[("a.json", policy("a", "ghcr.io/**"))]);
        assert!(!Arc::ptr_eq(&one, &told(&other).0.unwrap()));
        let broken = library(&[("a.json", policy("a", "")), (in_cluster, policy("b", "**"))]);
        let why = told(&broken).0.err().unwrap();
        assert!(why.starts_with("a.json:1: "), "{why}");
    }
}
