//! libFuzzer entry of `packages_dpkg`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("packages_dpkg") {
        target(bytes);
    }
});
