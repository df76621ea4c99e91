//! Frameworks, controls, mapping and scores: a pure function of outcomes.
//!
//! **Invariant:** no I/O, no clock. Unknown is never a pass, an accepted failure is no
//! pass, and what was not looked at is not assessed. The rules are in [`score`].

pub mod frameworks;
pub mod fuzzing;
pub mod lint;
pub mod mapping;
pub mod score;

pub use frameworks::{FrameworkError, Loaded, load};
pub use lint::{Lint, lint};
pub use mapping::Mapping;
pub use score::{ControlPosture, FrameworkPosture, Tally, evaluate};
