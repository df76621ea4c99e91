//! The cluster changes, the policies do not: what reads the inventory is compiled again, beside
//! the path of reviews, and taken up between two of them.

use super::{AdmitOptions, Admitter};
use crate::images::Images;
use crate::library::Library;
use crate::unit::Unit;
use crate::world::World;
use bartizan_model::Timestamp;
use std::sync::Arc;

/// Another world for one admitter of the same library.
pub struct Renewed {
    world: Arc<World>,
    /// By place among the policies.
    units: Vec<(usize, Result<Unit, String>)>,
    images: Option<Arc<dyn Images + Send + Sync>>,
}

impl Renewed {
    /// Compiles what reads the inventory; takes its time.
    pub fn new(
        library: &Library,
        world: Arc<World>,
        options: AdmitOptions,
        now: Timestamp,
    ) -> Self {
        let inventory = world.shared();
        let readers = library.policies.iter().enumerate();
        let readers = readers.filter(|(_, policy)| policy.template.inventory);
        let unit = |(at, policy): (usize, &crate::library::Policy)| {
            let unit = Unit::new(&policy.template, inventory, now, options.budget);
            (at, unit)
        };
        let units = readers.map(unit).collect();
        Self {
            world,
            units,
            images: None,
        }
    }

    /// Who judges images from then on; without, whoever did.
    pub fn ask_images(&mut self, images: Arc<dyn Images + Send + Sync>) {
        self.images = Some(images);
    }
}

impl Admitter {
    /// Judges by another world from now on; it must have been made of the same library.
    pub fn renew(&mut self, renewed: Renewed) {
        self.world = renewed.world;
        self.namespaces.clear();
        for (at, unit) in renewed.units {
            if let Some(place) = self.units.get_mut(at) {
                *place = unit;
            }
        }
        self.renew_images(renewed.images);
    }
}
