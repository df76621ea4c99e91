//! XCCDF 1.2 (and 1.1): benchmarks, profiles, tailoring, evaluation and scores.
//!
//! Where the specification leaves room, and in a few places where it does not, the behaviour
//! is OpenSCAP 1.3.7's: results must agree rule by rule. Those places say so.

pub mod evaluate;
pub mod model;
pub mod outcome;
pub mod parse;
pub mod plan;
mod platform;
mod score;
pub mod script;
pub mod select;
pub mod tailoring;

mod check;
mod inherit;
