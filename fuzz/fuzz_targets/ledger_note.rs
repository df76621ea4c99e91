//! libFuzzer entry of `ledger_note`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("ledger_note") {
        target(bytes);
    }
});
