//! Results written: XCCDF TestResult, OVAL results, ARF, our report.

pub mod arf;
pub mod benchmark;
mod collected;
pub mod convert;
pub mod fragment;
pub mod oval;
mod secret;
pub mod summary;
mod tailoring;
pub mod testresult;
mod variables;
mod words;
mod xml;

pub use xml::Xml;
