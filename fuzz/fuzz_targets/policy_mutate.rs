//! libFuzzer entry of `policy_mutate`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("policy_mutate") {
        target(bytes);
    }
});
