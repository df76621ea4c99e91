//! Results written: XCCDF TestResult, OVAL results, ARF, our report.

pub mod arf;
pub mod convert;
pub mod fragment;
pub mod oval;
pub mod summary;
pub mod testresult;
mod words;
mod xml;

pub use xml::Xml;
