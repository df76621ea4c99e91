//! dpkg: stanzas of `status` and of `status.d/*`.

use crate::broken;

/// The most packages of one file.
const MAX_PACKAGES: usize = 500_000;
/// The longest field that is kept.
const MAX_FIELD: usize = 4096;

/// A package of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// `Package`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Architecture`.
    pub architecture: String,
    /// Name and version of the source package, where the stanza names one.
    pub source: Option<(String, String)>,
    /// Whether it is unpacked at least: what is removed, with or without its configuration, is not.
    pub installed: bool,
}

/// What a file of stanzas holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// All packages, in the file's order.
    pub packages: Vec<Package>,
    /// Stanzas that are no package's, by their line, and why.
    pub broken: Vec<(usize, &'static str)>,
}

/// Reads stanzas. A stanza without a status, as in `status.d`, is installed.
pub fn status(text: &[u8]) -> Status {
    let mut all = Status::default();
    let mut one = Stanza::default();
    let mut number = 0;
    for line in text.split(|byte| *byte == b'\n') {
        number += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            if one.any && all.packages.len() >= MAX_PACKAGES {
                let why = "there are more packages than 500,000";
                broken(&mut all.broken, number, why);
                return all;
            }
            std::mem::take(&mut one).end(&mut all, number);
            continue;
        }
        one.line(line);
    }
    one.end(&mut all, number);
    all
}

#[derive(Default)]
struct Stanza<'a> {
    any: bool,
    name: &'a [u8],
    state: Option<&'a [u8]>,
    architecture: &'a [u8],
    version: &'a [u8],
    source: &'a [u8],
}

impl<'a> Stanza<'a> {
    fn line(&mut self, line: &'a [u8]) {
        self.any = true;
        // Most lines are of descriptions and lists: told by their first letter.
        let Some(first) = line.first() else { return };
        if !matches!(first.to_ascii_lowercase(), b'p' | b's' | b'a' | b'v') {
            return;
        }
        let Some(colon) = line.iter().take(20).position(|byte| *byte == b':') else {
            return;
        };
        let (field, value) = line.split_at_checked(colon).unwrap_or((line, b""));
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        for (name, place) in [
            (b"package".as_slice(), &mut self.name),
            (b"architecture", &mut self.architecture),
            (b"version", &mut self.version),
            (b"source", &mut self.source),
        ] {
            if field.eq_ignore_ascii_case(name) {
                *place = value;
                return;
            }
        }
        if field.eq_ignore_ascii_case(b"status") {
            self.state = Some(value);
        }
    }

    fn end(self, all: &mut Status, line: usize) {
        if !self.any {
            return;
        }
        let text = |bytes: &[u8]| {
            let short = bytes.len() <= MAX_FIELD;
            let text = std::str::from_utf8(bytes).ok().filter(|_| short);
            text.map(str::to_owned)
        };
        let (Some(name), Some(version), Some(architecture), Some(source)) = (
            text(self.name),
            text(self.version),
            text(self.architecture),
            text(self.source),
        ) else {
            broken(&mut all.broken, line, "a field is no text or too long");
            return;
        };
        let installed = match self.state {
            None => true,
            Some(state) => {
                let mut words = state.split(u8::is_ascii_whitespace);
                let last = words.rfind(|word| !word.is_empty()).unwrap_or_default();
                !matches!(last, b"" | b"not-installed" | b"config-files")
            }
        };
        if name.is_empty() {
            broken(&mut all.broken, line, "a stanza without a package's name");
            return;
        }
        if version.is_empty() {
            // What was never installed has none.
            if installed {
                let why = "an installed package without a version";
                broken(&mut all.broken, line, why);
            }
            return;
        }
        let source = (!source.is_empty()).then(|| match source.split_once(" (") {
            Some((name, version)) => (
                name.trim().to_owned(),
                version.trim_end_matches(')').trim().to_owned(),
            ),
            None => (source.clone(), version.clone()),
        });
        all.packages.push(Package {
            name,
            version,
            architecture,
            source,
            installed,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_states_and_sources() {
        let text = b"Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\n\
            Source: zlib (1:1.2)\nVersion: 1:1.2+b1\nDescription: x\n Version: 9\n\n\n\
            Package: libc6\nStatus: hold ok half-configured\nVersion: 2.36\nSource: glibc\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
            Package: never\nStatus: unknown ok not-installed\n\n\
            Version: 3\n\nPackage: odd\nStatus: install ok installed\n\npackage: base-files\nversion: 12";
        let all = status(text);
        let names: Vec<(&str, bool)> = all
            .packages
            .iter()
            .map(|p| (p.name.as_str(), p.installed))
            .collect();
        assert_eq!(
            names,
            [
                ("zlib1g", true),
                ("libc6", true),
                ("gone", false),
                ("base-files", true)
            ]
        );
        let source = |at: usize| all.packages[at].source.clone();
        assert_eq!(source(0), Some(("zlib".into(), "1:1.2".into())));
        assert_eq!(source(1), Some(("glibc".into(), "2.36".into())));
        assert_eq!(source(3), None);
        assert_eq!(all.broken.len(), 2, "{:?}", all.broken);
    }
}
