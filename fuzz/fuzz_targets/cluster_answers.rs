//! libFuzzer entry of `cluster_answers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("cluster_answers") {
        target(bytes);
    }
});
