//! libFuzzer entry of `scap_patterns`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("scap_patterns") {
        target(bytes);
    }
});
