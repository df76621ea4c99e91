//! apk: `lib/apk/db/installed`, blocks of lines that begin with a letter and a colon.

use crate::broken;

/// The most packages of one file.
const MAX_PACKAGES: usize = 200_000;
/// The longest field that is kept.
const MAX_FIELD: usize = 4096;

/// An installed package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// `P`.
    pub name: String,
    /// `V`.
    pub version: String,
    /// `A`.
    pub architecture: String,
    /// `o`: the name of what it was built from; of the same version.
    pub origin: Option<String>,
    /// `L`.
    pub licence: Option<String>,
}

/// What the database holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// All packages, in the file's order.
    pub packages: Vec<Package>,
    /// What is broken, by the line where its block ends, and why.
    pub broken: Vec<(usize, &'static str)>,
}

/// Reads the database.
pub fn installed(text: &[u8]) -> Installed {
    let mut all = Installed::default();
    let mut one = Block::default();
    let lines = text.split(|byte| *byte == b'\n').chain([b"".as_slice()]);
    for (line, number) in lines.zip(1..) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            if one.any && all.packages.len() >= MAX_PACKAGES {
                let why = "there are more packages than 200,000";
                broken(&mut all.broken, number, why);
                return all;
            }
            std::mem::take(&mut one).end(&mut all, number);
            continue;
        }
        one.line(line);
    }
    all
}

#[derive(Default)]
struct Block<'a> {
    any: bool,
    name: &'a [u8],
    version: &'a [u8],
    architecture: &'a [u8],
    origin: &'a [u8],
    licence: &'a [u8],
}

impl<'a> Block<'a> {
    fn line(&mut self, line: &'a [u8]) {
        self.any = true;
        let (Some(key), Some(b':')) = (line.first(), line.get(1)) else {
            return;
        };
        let place = match key {
            b'P' => &mut self.name,
            b'V' => &mut self.version,
            b'A' => &mut self.architecture,
            b'o' => &mut self.origin,
            b'L' => &mut self.licence,
            _ => return,
        };
        *place = line.get(2..).unwrap_or_default().trim_ascii();
    }

    fn end(self, all: &mut Installed, line: usize) {
        if !self.any {
            return;
        }
        let text = |bytes: &[u8]| {
            let text = (bytes.len() <= MAX_FIELD).then(|| std::str::from_utf8(bytes));
            text?.ok().map(str::to_owned)
        };
        let some = |text: String| (!text.is_empty()).then_some(text);
        let (Some(name), Some(version), Some(architecture), Some(origin)) = (
            text(self.name),
            text(self.version),
            text(self.architecture),
            text(self.origin),
        ) else {
            let why = "a field is no text or too long";
            return broken(&mut all.broken, line, why);
        };
        if name.is_empty() || version.is_empty() {
            let why = "a block without a package's name or version";
            return broken(&mut all.broken, line, why);
        }
        let licence = text(self.licence);
        if licence.is_none() {
            // No advisory asks for it: the package stands.
            let why = "the licence is no text or too long";
            broken(&mut all.broken, line, why);
        }
        all.packages.push(Package {
            name,
            version,
            architecture,
            origin: some(origin),
            licence: licence.and_then(some),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let text = b"C:Q1\nP:musl-utils\nV:1.2.5-r0\nA:x86_64\nL:MIT AND BSD-2-Clause\no:musl\nF:bin\nR:ldd\n\n\
            P:noversion\n\nP:busybox\nV:1.36.1-r29\n";
        let Installed {
            packages: all,
            broken,
        } = installed(text);
        assert_eq!((all.len(), broken.len()), (2, 1));
        assert_eq!(all[0].origin.as_deref(), Some("musl"));
        assert_eq!(all[0].licence.as_deref(), Some("MIT AND BSD-2-Clause"));
        assert_eq!(all[1].name, "busybox");
        assert_eq!(all[1].origin, None);
    }

    #[test]
    fn what_cannot_be_read_is_broken_and_says_why() {
        let long = "x".repeat(5_000);
        let text = format!("P:a\nV:1\no:{long}\n\nP:b\nV:1\nL:{long}\n\nP:c\nV:1\n");
        let mut text = text.into_bytes();
        text.extend(b"\nP:d\nV:1\no:\xff\n");
        let told = installed(&text);
        let names: Vec<&str> = told.packages.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(
            told.broken,
            [
                (4, "a field is no text or too long"),
                (8, "the licence is no text or too long"),
                (15, "a field is no text or too long"),
            ]
        );
    }

    #[test]
    fn floods_are_cut_and_said() {
        let told = installed("P:a\nV:1\n\n".repeat(MAX_PACKAGES + 2).as_bytes());
        assert_eq!(told.packages.len(), MAX_PACKAGES);
        let why = "there are more packages than 200,000";
        assert_eq!(told.broken, [(3 * MAX_PACKAGES + 3, why)]);
        let told = installed(&b"x\n\n".repeat(50_000));
        assert_eq!(told.broken.len(), crate::MAX_BROKEN + 1);
        let last = "more is broken from here on, untold";
        assert_eq!(told.broken.last().map(|b| b.1), Some(last));
    }
}
