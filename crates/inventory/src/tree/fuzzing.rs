//! Entry for fuzzing: any bytes, neither panic nor hang.

use super::{Layer, Layers, Side, Tree};
use crate::InventoryError;
use crate::image::Blobs;
use bartizan_model::Digest;
use std::io::Read;

struct Only<'b>(&'b [u8]);

impl Blobs for Only<'_> {
    fn named(&mut self) -> Result<Vec<u8>, InventoryError> {
        Ok(Vec::new())
    }

    fn blob(&mut self, _: &Digest) -> Result<Box<dyn Read + '_>, InventoryError> {
        Ok(Box::new(self.0))
    }

    fn side(&self) -> Side {
        Side::Packed
    }
}

/// A layer of an image, packed or not.
pub fn layer(bytes: &[u8]) {
    let mut blobs = Only(bytes);
    let layer = Layer {
        digest: Digest::of(bytes),
        size: None,
    };
    let mut tree = Layers::new(&mut blobs, vec![layer]);
    let mut read = 0;
    let mut unread = Vec::new();
    tree.visit(&|_| true, &mut |file| read += file.bytes.len(), &mut unread);
    let _ = tree.finish();
}
