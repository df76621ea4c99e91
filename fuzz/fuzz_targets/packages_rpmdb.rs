//! libFuzzer entry of `packages_rpmdb`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("packages_rpmdb") {
        target(bytes);
    }
});
