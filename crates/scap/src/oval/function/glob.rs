//! `glob_to_regex`: a path pattern (glob(7)) as a Perl-compatible one.

/// The pattern that matches what the glob matches. With `noescape` a backslash is a character
/// like others.
pub(super) fn to_regex(glob: &str, noescape: bool) -> Result<String, String> {
    let mut regex = String::with_capacity(glob.len() + 2);
    regex.push('^');
    let mut characters = glob.chars();
    // A name's first dot is matched by nothing but a dot.
    let mut at_start = true;
    let mut after_slash = false;
    while let Some(character) = characters.next() {
        match character {
            '/' => regex.push('/'),
            '?' if at_start => regex.push_str("[^./]"),
            '?' => regex.push_str("[^/]"),
            '*' if at_start => regex.push_str("(?=[^.])[^/]*"),
            '*' => regex.push_str("[^/]*"),
            '.' | '|' | '^' | '(' | ')' | '{' | '}' | '+' | '$' => {
                regex.push('\\');
                regex.push(character);
            }
            '[' => {
                regex.push('[');
                class(&mut characters, noescape, &mut regex)
                    .ok_or_else(|| format!("glob has no ']' at its end: {glob}"))?;
            }
            '\\' if noescape => regex.push_str(r"\\"),
            '\\' => match characters.next() {
                Some(special @ ('?' | '*' | '[' | ']')) => {
                    regex.push('\\');
                    regex.push(special);
                }
                // Not an escape: the backslash itself.
                Some(other) => {
                    regex.push_str(r"\\");
                    regex.push(other);
                }
                None => regex.push_str(r"\\"),
            },
            other => regex.push(other),
        }
        // The second of two slashes starts no name, as in OpenSCAP.
        after_slash = character == '/' && !after_slash;
        at_start = after_slash;
    }
    regex.push('$');
    Ok(regex)
}

/// The rest of a class behind its `[`; None when it has no end.
fn class(characters: &mut std::str::Chars<'_>, noescape: bool, regex: &mut String) -> Option<()> {
    match characters.next()? {
        '!' => regex.push('^'),
        // A `]` here is one of the class.
        first => regex.push(first),
    }
    loop {
        match characters.next()? {
            '\\' if noescape => regex.push_str(r"\\"),
            ']' => {
                regex.push(']');
                return Some(());
            }
            other => regex.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oval::compare::Pattern;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (glob, regex, plain) in [
            ("list.?", r"^list\.[^/]$", None),
            ("project.*", r"^project\.[^/]*$", None),
            ("*old", r"^(?=[^.])[^/]*old$", None),
            ("type*.[ch]", r"^type[^/]*\.[ch]$", None),
            ("*.*", r"^(?=[^.])[^/]*\.[^/]*$", None),
            ("?", "^[^./]$", None),
            (r"\*", r"^\*$", Some(r"^\\[^/]*$")),
            (r"\?", r"^\?$", Some(r"^\\[^/]$")),
            (r"\[a\]", r"^\[a\]$", Some(r"^\\[a\\]$")),
            (r"\a", r"^\\a$", Some(r"^\\a$")),
            (
                r"x[[:digit:]]\*",
                r"^x[[:digit:]]\*$",
                Some(r"^x[[:digit:]]\\[^/]*$"),
            ),
            ("", "^$", None),
            ("\\", r"^\\$", None),
            ("~/files/*.txt", r"^~/files/(?=[^.])[^/]*\.txt$", None),
            (".*.conf", r"^\.[^/]*\.conf$", None),
            ("docs/?b", "^docs/[^./]b$", None),
            ("xy/??z", "^xy/[^./][^/]z$", None),
            ("a//*", "^a//[^/]*$", None),
            ("/[!a-c]x", "^/[^a-c]x$", None),
            ("[]a]", "^[]a]$", None),
            ("a{1}(b)|c+^$", r"^a\{1\}\(b\)\|c\+\^\$$", None),
        ] {
            assert_eq!(to_regex(glob, false).unwrap(), regex, "{glob}");
            assert_eq!(
                to_regex(glob, true).unwrap(),
                plain.unwrap_or(regex),
                "{glob}"
            );
        }
        for glob in ["[ab", "[", "a/[!", "[]"] {
            assert!(to_regex(glob, false).is_err(), "{glob}");
            assert!(to_regex(glob, true).is_err(), "{glob}");
        }
    }

    fn matches(glob: &str, path: &str) -> bool {
        Pattern::new(&to_regex(glob, false).unwrap())
            .unwrap()
            .is_match(path.as_bytes())
            .unwrap()
    }

    #[test]
    fn paths() {
        assert!(matches("/etc/rsyslog.d/*.conf", "/etc/rsyslog.d/50-a.conf"));
        assert!(!matches("/etc/rsyslog.d/*.conf", "/etc/rsyslog.d/.a.conf"));
        assert!(!matches("/etc/*.conf", "/etc/a/b.conf"));
        assert!(!matches("/etc/*.conf", "/etc/a_conf"));
    }

    proptest! {
        /// A name without special characters matches itself and no other.
        #[test]
        fn literal_names(
            name in r"[a-zA-Z0-9 .|^(){}+$/_é,;:~#-]{0,20}",
            other in r"[a-z.|/$]{0,3}",
        ) {
            prop_assert!(matches(&name, &name));
            prop_assert_eq!(matches(&name, &other), name == other);
        }

        /// Special characters that are escaped are literal.
        #[test]
        fn escaped_names(name in r"[a-c*?/.\[\]]{0,10}") {
            let glob: String = name
                .chars()
                .flat_map(|c| "*?[]".contains(c).then_some('\\').into_iter().chain([c]))
                .collect();
            prop_assert!(matches(&glob, &name));
        }

        /// Stars match any name, but not a hidden one and not two.
        #[test]
        fn stars(name in "[a-z0-9_-][a-z0-9_.-]{0,10}") {
            let (path, hidden) = (format!("/x/{name}.conf"), format!("/x/.{name}.conf"));
            let deeper = format!("/x/y/{name}.conf");
            prop_assert!(matches("/x/*.conf", &path));
            prop_assert!(!matches("/x/*.conf", &hidden));
            prop_assert!(!matches("/x/*.conf", &deeper));
            prop_assert!(matches("/x/*/*.conf", &deeper));
        }
    }
}
