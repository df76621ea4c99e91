//! Entries for fuzzing: any bytes, neither panic nor hang.

use crate::Scheme;
use crate::feeds::{alpine, csaf, cve, debian, epss, kev, openvex, osv, rustsec, ubuntu};
use bartizan_model::EcosystemKind;

/// CVE records.
pub fn cve(bytes: &[u8]) {
    let _ = cve::parse(bytes);
}

/// OSV as JSON and YAML, and the distributions' own formats.
pub fn advisories(bytes: &[u8]) {
    let _ = osv::parse(bytes, "fuzz");
    let _ = osv::parse_yaml(bytes, "fuzz");
    let _ = rustsec::parse(bytes);
    let _ = alpine::parse(bytes, EcosystemKind::Alpine);
    let _ = debian::parse(bytes);
    let _ = ubuntu::parse(bytes);
}

/// KEV and EPSS.
pub fn scores(bytes: &[u8]) {
    let _ = kev::parse(bytes);
    let _ = epss::parse(bytes);
}

/// CSAF and OpenVEX.
pub fn statements(bytes: &[u8]) {
    let _ = csaf::parse(bytes);
    let _ = openvex::parse(bytes);
}

/// What a stream gives back.
pub fn record(bytes: &[u8]) {
    if let Ok(record) = crate::Record::decode(bytes) {
        assert_eq!(
            crate::Record::decode(&record.encode()).as_ref(),
            Ok(&record)
        );
        assert!(!record.key().is_empty());
        let _ = record.changed();
    }
}

/// Two versions, separated by a line's end, in every order.
pub fn versions(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (a, b) = text.split_once('\n').unwrap_or((text, text));
    for kind in EcosystemKind::ALL {
        let scheme = Scheme::of(*kind);
        let there = scheme.compare(a, b);
        assert_eq!(there, scheme.compare(b, a).map(std::cmp::Ordering::reverse));
    }
}
