//! Results written: XCCDF TestResult, OVAL results, ARF, our report.

pub mod arf;
mod collected;
pub mod convert;
pub mod fragment;
pub mod oval;
mod secret;
pub mod testresult;
mod words;
mod xml;

pub use xml::Xml;
