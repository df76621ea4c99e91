//! The formats that this crate reads, as one list.
//!
//! Adding a format touches three places: its module, the `mod` line in `lib.rs`, and its
//! line here. A test refuses a module that is not listed.

/// A format that can be read.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// The module's name, and the `kind` parameter of the artifact API.
    pub name: &'static str,
    /// Its media types; the first is the one that is written.
    pub media_types: &'static [&'static str],
    /// Whether the first bytes of an artifact (a kilobyte or more) look like this format.
    pub sniff: fn(&[u8]) -> bool,
}

/// All formats, by name.
pub const FORMATS: &[Format] = &[
    Format {
        name: "report",
        media_types: &[crate::report::MEDIA_TYPE],
        sniff: crate::report::sniff,
    },
    Format {
        name: "sarif",
        media_types: &[crate::sarif::MEDIA_TYPE],
        sniff: crate::sarif::sniff,
    },
    Format {
        name: "xccdf",
        media_types: &[crate::xccdf::MEDIA_TYPE, crate::xccdf::ARF_MEDIA_TYPE],
        sniff: crate::xccdf::sniff,
    },
];

impl Format {
    /// The format of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|f| f.name == name)
    }

    /// The format of a `Content-Type` value; parameters such as `charset` are ignored.
    pub fn by_media_type(value: &str) -> Option<&'static Self> {
        let bare = value.split(';').next().unwrap_or_default().trim();
        FORMATS
            .iter()
            .find(|f| f.media_types.iter().any(|m| m.eq_ignore_ascii_case(bare)))
    }

    /// The format that the first bytes look like.
    pub fn by_content(first: &[u8]) -> Option<&'static Self> {
        FORMATS.iter().find(|f| (f.sniff)(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_registered() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let mut modules: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
            .filter(|name| !["lib", "registry", "fuzzing"].contains(&name.as_str()))
            .collect();
        modules.sort();
        let names: Vec<&str> = FORMATS.iter().map(|f| f.name).collect();
        assert_eq!(names, modules);
    }

    #[test]
    fn found_by_name_type_and_content() {
        let name = |f: Option<&'static Format>| f.map(|f| f.name);
        assert_eq!(name(Format::by_name("sarif")), Some("sarif"));
        assert_eq!(name(Format::by_name("xml")), None);
        assert_eq!(
            name(Format::by_media_type(
                "Application/SARIF+json; charset=utf-8"
            )),
            Some("sarif")
        );
        assert_eq!(
            name(Format::by_media_type(
                "application/vnd.bartizan.report+ndjson"
            )),
            Some("report")
        );
        assert_eq!(name(Format::by_media_type("text/plain")), None);
        assert_eq!(
            name(Format::by_content(
                br#"{"header":{"format":"bartizan.report","version":1"#
            )),
            Some("report")
        );
        assert_eq!(
            name(Format::by_content(
                b"\xef\xbb\xbf{\n \"version\": \"2.1.0\",\n \"runs\": ["
            )),
            Some("sarif")
        );
        assert_eq!(
            name(Format::by_content(
                b"<?xml version=\"1.0\"?>\n<TestResult xmlns=\"http://checklists.nist.gov/xccdf/1.2\""
            )),
            Some("xccdf")
        );
        assert_eq!(
            name(Format::by_media_type("application/arf+xml")),
            Some("xccdf")
        );
        assert_eq!(name(Format::by_content(b"<html>")), None);
        assert_eq!(name(Format::by_content(b"PK\x03\x04")), None);
    }
}
