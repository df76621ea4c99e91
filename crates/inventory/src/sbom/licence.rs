//! Licences as SPDX knows them.

/// Identifiers that packages mostly declare; one that is not here is written as a name, never wrong.
const IDS: &[&str] = &[
    "0BSD",
    "AFL-2.1",
    "AGPL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CDDL-1.1",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "GFDL-1.3",
    "GPL-1.0-only",
    "GPL-1.0-or-later",
    "GPL-2.0",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ISC",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "MS-PL",
    "NCSA",
    "OFL-1.1",
    "OpenSSL",
    "PSF-2.0",
    "PostgreSQL",
    "Python-2.0",
    "Ruby",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "WTFPL",
    "X11",
    "ZPL-2.1",
    "Zlib",
    "bzip2-1.0.6",
    "curl",
];

/// Whether it is one identifier.
pub(super) fn is_id(text: &str) -> bool {
    IDS.binary_search(&text).is_ok()
}

/// Whether it is put together of identifiers by `AND` and `OR`.
pub(super) fn is_expression(text: &str) -> bool {
    let mut operand = true;
    let mut open = 0usize;
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut words = 0;
    for word in spaced.split_whitespace() {
        words += 1;
        match word {
            "(" if operand => open += 1,
            ")" if !operand && open > 0 => open -= 1,
            "AND" | "OR" if !operand => operand = true,
            id if operand && is_id(id) => operand = false,
            _ => return false,
        }
    }
    words > 0 && !operand && open == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_known() {
        assert!(IDS.is_sorted());
        for text in ["MIT", "MIT OR Apache-2.0", "(MIT OR Apache-2.0) AND Zlib"] {
            assert!(is_expression(text), "{text}");
        }
        for text in [
            "",
            "MIT OR",
            "MIT Apache-2.0",
            "(MIT",
            "GNU GPL",
            "AND",
            ")MIT(",
        ] {
            assert!(!is_expression(text), "{text}");
        }
    }
}
