//! libFuzzer entry of `report`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("report") {
        target(bytes);
    }
});
