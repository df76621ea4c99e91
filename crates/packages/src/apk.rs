//! apk: `lib/apk/db/installed`, blocks of lines that begin with a letter and a colon.

use crate::broken;

/// The most packages of one file.
const MAX_PACKAGES: usize = 200_000;
/// The longest field that is kept.
const MAX_FIELD: usize = 4096;
/// Paths together may have so many bytes for each byte of the list: a folder stands there once.
const MAX_GROWTH: usize = 16;

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
    /// What it brought: `F` and `R`.
    pub files: Vec<File>,
}

/// A file of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Relative to the root.
    pub path: String,
    /// `Z`: `Q1` and a SHA-1 in base64; empty where there is none.
    pub sum: String,
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
    let mut left = text.len().saturating_mul(MAX_GROWTH);
    let lines = text.split(|byte| *byte == b'\n').chain([b"".as_slice()]);
    for (line, number) in lines.zip(1..) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            if one.any && all.packages.len() >= MAX_PACKAGES {
                let why = "there are more packages than 200,000";
                broken(&mut all.broken, number, why);
                return all;
            }
            std::mem::take(&mut one).end(&mut all, number, &mut left);
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
    folder: &'a [u8],
    /// Folder, name and sum.
    files: Vec<[&'a [u8]; 3]>,
}

impl<'a> Block<'a> {
    fn line(&mut self, line: &'a [u8]) {
        self.any = true;
        let (Some(key), Some(b':')) = (line.first(), line.get(1)) else {
            return;
        };
        let value = line.get(2..).unwrap_or_default().trim_ascii();
        let place = match key {
            b'F' => &mut self.folder,
            b'R' => return self.files.push([self.folder, value, b""]),
            b'Z' => match self.files.last_mut() {
                Some([_, _, sum]) => sum,
                None => return,
            },
            b'P' => &mut self.name,
            b'V' => &mut self.version,
            b'A' => &mut self.architecture,
            b'o' => &mut self.origin,
            b'L' => &mut self.licence,
            _ => return,
        };
        *place = value;
    }

    fn end(self, all: &mut Installed, line: usize, left: &mut usize) {
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
        let mut files = Vec::new();
        for [folder, file, sum] in self.files {
            // A name that is no text is none of a list of packages.
            let (Some(folder), Some(file), Some(sum)) = (text(folder), text(file), text(sum))
            else {
                continue;
            };
            let path = match folder.as_str() {
                "" => file,
                _ => format!("{folder}/{file}"),
            };
            let Some(rest) = left.checked_sub(path.len()) else {
                let why = "paths are longer than a list of this size has them";
                broken(&mut all.broken, line, why);
                break;
            };
            *left = rest;
            files.push(File { path, sum });
        }
        all.packages.push(Package {
            name,
            version,
            architecture,
            origin: some(origin),
            licence: licence.and_then(some),
            files,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let text = b"C:Q1\nP:musl-utils\nV:1.2.5-r0\nA:x86_64\nL:MIT AND BSD-2-Clause\no:musl\nF:bin\nR:ldd\na:0:0:755\nZ:Q1x=\nR:y\n\n\
            P:noversion\n\nP:busybox\nV:1.36.1-r29\n";
        let Installed {
            packages: all,
            broken,
        } = installed(text);
        assert_eq!((all.len(), broken.len()), (2, 1));
        assert_eq!(all[0].origin.as_deref(), Some("musl"));
        assert_eq!(all[0].licence.as_deref(), Some("MIT AND BSD-2-Clause"));
        let file = |path: &str, sum: &str| File {
            path: path.into(),
            sum: sum.into(),
        };
        assert_eq!(all[0].files, [file("bin/ldd", "Q1x="), file("bin/y", "")]);
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
        let text = format!("P:a\nV:1\nF:{}\n{}", "d".repeat(4000), "R:x\n".repeat(5000));
        let told = installed(text.as_bytes());
        assert_eq!(told.packages[0].files.len(), text.len() * MAX_GROWTH / 4002);
        assert_eq!(told.broken.len(), 1);
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
