//! Framework files: YAML, read strictly.

use bartizan_model::{Digest, Framework};
use std::collections::BTreeSet;

/// The largest framework file. NIST 800-53 with all enhancements takes under 1 MiB.
pub const MAX_BYTES: usize = 8 << 20;

/// A framework and the digest of the bytes that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The framework.
    pub framework: Framework,
    /// SHA-256 of the file.
    pub digest: Digest,
}

/// Why a framework file is refused: always a fault of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("framework file {file}: {fault}")]
pub struct FrameworkError {
    /// The file's name as given.
    pub file: String,
    /// What is wrong.
    pub fault: FrameworkFault,
}

/// What is wrong with a framework file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameworkFault {
    /// Over [`MAX_BYTES`].
    #[error("it has {0} bytes, more than the {MAX_BYTES} allowed")]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("byte {0} is not UTF-8")]
    NotUtf8(usize),
    /// Not YAML, or not the fields of a framework; the text names line, column and field.
    #[error("{0}")]
    Yaml(String),
    /// Two controls have the same id.
    #[error("control {0} is defined twice")]
    DuplicateControl(String),
    /// It has no control.
    #[error("field controls is empty")]
    NoControls,
    /// A field holds something that cannot be meant.
    #[error("field {field}: {why}")]
    Field {
        /// The path, such as `controls[AC-6].checks[0]`.
        field: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// Reads a framework file; `file` is its name for messages.
pub fn load(file: &str, bytes: &[u8]) -> Result<Loaded, FrameworkError> {
    let digest = Digest::of(bytes);
    parse(bytes)
        .map(|framework| Loaded { framework, digest })
        .map_err(|fault| FrameworkError {
            file: file.to_owned(),
            fault,
        })
}

fn parse(bytes: &[u8]) -> Result<Framework, FrameworkFault> {
    if bytes.len() > MAX_BYTES {
        return Err(FrameworkFault::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| FrameworkFault::NotUtf8(error.valid_up_to() + 1))?;
    let framework: Framework = serde_saphyr::from_str(text).map_err(|error| {
        let full = error.to_string();
        let text = full.strip_prefix("error: ").unwrap_or(&full);
        FrameworkFault::Yaml(text.chars().take(1000).collect())
    })?;
    check(&framework)?;
    Ok(framework)
}

fn check(framework: &Framework) -> Result<(), FrameworkFault> {
    let field = |field: String, why| Err(FrameworkFault::Field { field, why });
    for (name, value) in [
        ("title", &framework.title),
        ("version", &framework.version),
        ("source", &framework.source),
    ] {
        if let Some(why) = wrong(value, false) {
            return field(name.to_owned(), why);
        }
    }
    if framework.controls.is_empty() {
        return Err(FrameworkFault::NoControls);
    }
    let mut seen = BTreeSet::new();
    for control in &framework.controls {
        let id = &control.id;
        if !seen.insert(id) {
            return Err(FrameworkFault::DuplicateControl(id.to_string()));
        }
        if let Some(why) = wrong(&control.title, false) {
            return field(format!("controls[{id}].title"), why);
        }
        if let Some(why) = wrong(&control.group, true) {
            return field(format!("controls[{id}].group"), why);
        }
        let mut patterns = BTreeSet::new();
        for (at, pattern) in control.checks.iter().enumerate() {
            let why = if pattern.trim() != pattern || pattern.is_empty() {
                Some("a pattern must not be empty nor begin or end with a space")
            } else if !patterns.insert(pattern) {
                Some("the same pattern stands here twice")
            } else {
                wrong(pattern, false)
            };
            if let Some(why) = why {
                return field(format!("controls[{id}].checks[{at}]"), why);
            }
        }
    }
    Ok(())
}

/// What is wrong with one line of text.
fn wrong(value: &str, may_be_empty: bool) -> Option<&'static str> {
    if value.trim().is_empty() && !may_be_empty {
        Some("it is empty")
    } else if value.len() > 1000 {
        Some("it is longer than 1,000 bytes")
    } else if value.chars().any(char::is_control) {
        Some("it contains a control character")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "id: nist-800-53-r5\ntitle: NIST SP 800-53\nversion: '5.1.1'\nsource: NIST\ncontrols:\n- id: AC-6(9)\n  title: Log use of privileged functions\n  group: Access Control\n  checks:\n  - rego/bartizan/k8spsp*\n  guidance: ''\n";

    #[test]
    fn a_good_file_is_read() {
        let loaded = load("f.yaml", GOOD.as_bytes()).unwrap();
        assert_eq!(loaded.digest, Digest::of(GOOD.as_bytes()));
        assert_eq!(loaded.framework.controls[0].id.as_str(), "AC-6(9)");
        assert_eq!(
            loaded.framework.controls[0].checks,
            ["rego/bartizan/k8spsp*"]
        );
    }

    #[test]
    fn a_bad_file_is_refused_with_its_place() {
        let control = "- id: AC-6(9)\n  title: t\n";
        let bomb = format!(
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n{GOOD}"
        );
        let cases: Vec<String> = [
            "".to_owned(),
            "id: x\n".to_owned(),
            GOOD.replace("source:", "sourec:"),
            GOOD.replace("id: nist-800-53-r5", "id: 'nist 800'"),
            GOOD.replace("title: NIST SP 800-53", "title: ' '"),
            GOOD.replace("  title: Log", "  titel: Log"),
            format!("{GOOD}{control}"),
            format!(
                "{}[]\n",
                GOOD.split("controls:").next().unwrap().to_owned() + "controls: "
            ),
            GOOD.replace("- rego/bartizan/k8spsp*", "- ' rego'"),
            GOOD.replace("- rego/bartizan/k8spsp*", "- a\n  - a"),
            GOOD.replace("- rego/bartizan/k8spsp*", "- \"a\\u0007\""),
            format!("{GOOD}title: again\n"),
            bomb,
            format!("{}{}", "[".repeat(5000), GOOD),
        ]
        .iter()
        .map(|text| load("f.yaml", text.as_bytes()).unwrap_err().to_string())
        .map(|text| text.lines().next().unwrap_or_default().to_owned())
        .collect();
        insta::assert_snapshot!(cases.join("\n"), @r##"
framework file f.yaml: unexpected end of input at line 1, column 1
framework file f.yaml: line 1 column 1: missing field `title`
framework file f.yaml: line 4 column 1: unknown field `sourec`, expected one of id, title, version, source, controls
framework file f.yaml: line 1 column 5: framework id "nist 800" is not valid: only letters, digits, '-', '_' and '.' are allowed
framework file f.yaml: field title: it is empty
framework file f.yaml: line 7 column 3: unknown field `titel`, expected one of id, title, group, checks, guidance
framework file f.yaml: control AC-6(9) is defined twice
framework file f.yaml: field controls is empty
framework file f.yaml: field controls[AC-6(9)].checks[0]: a pattern must not be empty nor begin or end with a space
framework file f.yaml: field controls[AC-6(9)].checks[1]: the same pattern stands here twice
framework file f.yaml: field controls[AC-6(9)].checks[0]: it contains a control character
framework file f.yaml: line 12 column 1: duplicate mapping key: title, set DuplicateKeyPolicy in Options if acceptable
framework file f.yaml: line 1 column 1: unknown field `a`, expected one of id, title, version, source, controls
framework file f.yaml: line 1 column 256: recursion limit exceeded
"##);
        let error = load("f.yaml", b"id: \xff").unwrap_err();
        assert_eq!(error.fault, FrameworkFault::NotUtf8(5));
        let error = load("f.yaml", &vec![b'#'; MAX_BYTES + 1]).unwrap_err();
        assert_eq!(error.fault, FrameworkFault::TooLarge(MAX_BYTES + 1));
    }

    #[test]
    fn the_shipped_frameworks_load_and_every_manual_control_has_guidance() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/frameworks");
        let mut loaded = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "yaml") {
                continue;
            }
            let name = path.display().to_string();
            let framework = load(&name, &std::fs::read(&path).unwrap())
                .unwrap()
                .framework;
            let silent: Vec<String> = crate::lint(&framework, &[])
                .into_iter()
                .filter(|doubt| matches!(doubt, crate::Lint::NoGuidance { .. }))
                .map(|doubt| doubt.to_string())
                .collect();
            assert_eq!(silent, Vec::<String>::new(), "{name}");
            loaded += 1;
        }
        assert!(loaded >= 3);
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..150_usize) {
            crate::fuzzing::framework(&bytes);
            let mut mixed = GOOD.as_bytes().to_vec();
            mixed.splice(at..at + 1, bytes);
            crate::fuzzing::framework(&mixed);
        }
    }
}
