//! apk: `lib/apk/db/installed`, blocks of lines that begin with a letter and a colon.

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

/// Reads the database; beside the packages, how many blocks have no name or no version.
pub fn installed(text: &[u8]) -> (Vec<Package>, usize) {
    let (mut all, mut broken) = (Vec::new(), 0);
    let mut one = Package::default();
    let mut any = false;
    for line in text.split(|byte| *byte == b'\n').chain([b"".as_slice()]) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            if any {
                let package = std::mem::take(&mut one);
                match package.name.is_empty() || package.version.is_empty() {
                    true => broken += 1,
                    false if all.len() < MAX_PACKAGES => all.push(package),
                    false => broken += 1,
                }
            }
            any = false;
            continue;
        }
        any = true;
        let (Some(key), Some(b':')) = (line.first(), line.get(1)) else {
            continue;
        };
        let value = line.get(2..).unwrap_or_default().trim_ascii();
        if !b"PVAoL".contains(key) || value.len() > MAX_FIELD {
            continue;
        }
        let Ok(value) = std::str::from_utf8(value) else {
            continue;
        };
        let some = (!value.is_empty()).then(|| value.to_owned());
        match key {
            b'P' => one.name = value.to_owned(),
            b'V' => one.version = value.to_owned(),
            b'A' => one.architecture = value.to_owned(),
            b'o' => one.origin = some,
            _ => one.licence = some,
        }
    }
    (all, broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let text = b"C:Q1\nP:musl-utils\nV:1.2.5-r0\nA:x86_64\nL:MIT AND BSD-2-Clause\no:musl\nF:bin\nR:ldd\n\n\
            P:noversion\n\nP:busybox\nV:1.36.1-r29\n";
        let (all, broken) = installed(text);
        assert_eq!((all.len(), broken), (2, 1));
        assert_eq!(all[0].origin.as_deref(), Some("musl"));
        assert_eq!(all[0].licence.as_deref(), Some("MIT AND BSD-2-Clause"));
        assert_eq!(all[1].name, "busybox");
        assert_eq!(all[1].origin, None);
    }
}
