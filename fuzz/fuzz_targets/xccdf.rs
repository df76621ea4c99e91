//! libFuzzer entry of `xccdf`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("xccdf") {
        target(bytes);
    }
});
