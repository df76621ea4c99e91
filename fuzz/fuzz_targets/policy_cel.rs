//! libFuzzer entry of `policy_cel`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("policy_cel") {
        target(bytes);
    }
});
