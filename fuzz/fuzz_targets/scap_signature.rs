//! libFuzzer entry of `scap_signature`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("scap_signature") {
        target(bytes);
    }
});
