//! The OVAL language: content as types, values compared, definitions evaluated.

pub mod characteristics;
pub mod compare;
pub mod evaluate;
pub mod function;
pub mod item;
pub mod model;
pub mod outcome;
pub mod parse;
