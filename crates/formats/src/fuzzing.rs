//! Entry points for fuzzers: each takes any bytes and must neither panic nor hang.

use crate::{report, sarif, xccdf};
use bartizan_model::{ScanId, Scope, Timestamp};

/// Reads bytes as a report; what is read must survive being written and read again.
pub fn report(bytes: &[u8]) {
    let limits = report::Limits {
        max_line: 1 << 16,
        max_lines: 10_000,
    };
    let Ok(read) = report::read_report(bytes, limits) else {
        return;
    };
    let Ok((written, _)) = report::write_report(Vec::new(), &read) else {
        return;
    };
    let again = report::read_report(written.as_slice(), report::Limits::default()).ok();
    assert_eq!(again, Some(read), "a report changed by writing and reading");
}

/// Reads bytes as SARIF; the reports must be ones that a report reader accepts.
pub fn sarif(bytes: &[u8]) {
    let (Ok(scope), Ok(scan)) = (Scope::parse("repository:fuzz"), ScanId::new("fuzz")) else {
        return;
    };
    let mut options = sarif::Options::new(scope, scan, Timestamp::from_micros(0));
    options.max_bytes = 1 << 20;
    options.max_results = 10_000;
    let Ok(reading) = sarif::read(bytes, &options) else {
        return;
    };
    for report in reading.reports {
        let Ok((written, _)) = report::write_report(Vec::new(), &report) else {
            continue;
        };
        let again = report::read_report(written.as_slice(), report::Limits::default()).ok();
        assert_eq!(again, Some(report), "a SARIF report that cannot be stored");
    }
}

/// Reads bytes as XCCDF results or an ARF; the reports must be ones that a report reader
/// accepts.
pub fn xccdf(bytes: &[u8]) {
    let Ok(scan) = ScanId::new("fuzz") else {
        return;
    };
    let mut options = xccdf::Options::new(None, scan, Timestamp::from_micros(0));
    options.max_bytes = 1 << 20;
    options.max_results = 10_000;
    let Ok(reading) = xccdf::read(bytes, &options) else {
        return;
    };
    for report in reading.reports {
        let Ok((written, _)) = report::write_report(Vec::new(), &report) else {
            continue;
        };
        let again = report::read_report(written.as_slice(), report::Limits::default()).ok();
        assert_eq!(again, Some(report), "an XCCDF report that cannot be stored");
    }
}
