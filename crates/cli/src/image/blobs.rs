//! An image of a registry as an inventory wants it: manifests, and layers as streams.

use super::registry::Hurried;
use bartizan_inventory::InventoryError;
use bartizan_inventory::image::Blobs;
use bartizan_model::Digest;
use bartizan_signature::{Absent, Material, Reference};
use std::io::Read;

/// An image of a registry.
pub struct Remote<'r> {
    registry: Hurried<'r>,
    image: Reference,
}

impl<'r> Remote<'r> {
    pub fn new(registry: Hurried<'r>, image: Reference) -> Self {
        Self { registry, image }
    }

    fn absent(&self, why: Absent) -> InventoryError {
        InventoryError::Absent(format!("{}: {why}", self.image))
    }
}

impl Blobs for Remote<'_> {
    fn named(&mut self) -> Result<Vec<u8>, InventoryError> {
        let told = self.registry.manifest(&self.image);
        told.map_err(|why| self.absent(why))
    }

    fn manifest(&mut self, digest: &Digest) -> Result<Vec<u8>, InventoryError> {
        let place = Reference {
            tag: None,
            digest: Some(digest.clone()),
            ..self.image.clone()
        };
        let told = self.registry.manifest(&place);
        told.map_err(|why| self.absent(why))
    }

    fn blob(&mut self, digest: &Digest) -> Result<Box<dyn Read + '_>, InventoryError> {
        let told = self.registry.stream(&self.image, digest);
        let stream = told.map_err(|why| self.absent(why))?;
        Ok(Box::new(stream))
    }
}
