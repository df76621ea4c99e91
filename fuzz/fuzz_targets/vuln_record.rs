//! libFuzzer entry of `vuln_record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("vuln_record") {
        target(bytes);
    }
});
