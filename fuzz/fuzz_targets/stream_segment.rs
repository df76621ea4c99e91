//! libFuzzer entry of `stream_segment`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("stream_segment") {
        target(bytes);
    }
});
