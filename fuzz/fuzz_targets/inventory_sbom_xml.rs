//! libFuzzer entry of `inventory_sbom_xml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = bartizan_fuzz::target("inventory_sbom_xml") {
        target(bytes);
    }
});
