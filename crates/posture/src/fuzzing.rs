//! Entry points for fuzzers: each takes any bytes and must neither panic nor hang.

use bartizan_model::Timestamp;

/// Reads bytes as a framework file and scores it with nothing known.
pub fn framework(bytes: &[u8]) {
    let Ok(loaded) = crate::load("fuzz", bytes) else {
        return;
    };
    let posture = crate::evaluate(&loaded.framework, &[], &[], Timestamp::from_micros(0));
    assert_eq!(posture.counts.passed, 0, "a pass without a result");
    crate::lint(&loaded.framework, &[]);
}
