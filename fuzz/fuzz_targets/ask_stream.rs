//! libFuzzer entry of `ask_stream`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("ask_stream") {
        target(bytes);
    }
});
