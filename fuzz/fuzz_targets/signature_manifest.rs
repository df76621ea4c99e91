//! libFuzzer entry of `signature_manifest`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("signature_manifest") {
        target(bytes);
    }
});
