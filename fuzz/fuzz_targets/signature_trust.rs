//! libFuzzer entry of `signature_trust`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("signature_trust") {
        target(bytes);
    }
});
