//! Vulnerabilities: what feeds say, in which order versions stand, what it means for a component.
//!
//! Bytes of a feed become an [`Advisory`], a [`feeds::cve::CveRecord`] or statements of VEX;
//! [`matching`] holds components against advisories, [`priority`] puts the matches in one order.
//!
//! **Invariant:** no I/O, no clock, no database. What cannot be read or compared is Unknown and
//! says why; it is never "not affected".

pub mod advisory;
pub mod difference;
pub mod feeds;
pub mod fuzzing;
pub mod matching;
pub mod priority;
pub mod rating;
pub mod reconcile;
pub mod record;
pub mod versions;
pub mod vex;

pub use advisory::{Advisory, Affected, Bound, Reference, Span, State};
pub use rating::{Rating, Tenths};
pub use record::Record;
pub use versions::Scheme;
