//! libFuzzer entry of `policy_yaml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("policy_yaml") {
        target(bytes);
    }
});
