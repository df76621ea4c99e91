//! Results written: XCCDF TestResult, OVAL results, ARF, our report.
