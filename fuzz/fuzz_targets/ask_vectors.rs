//! libFuzzer entry of `ask_vectors`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("ask_vectors") {
        target(bytes);
    }
});
