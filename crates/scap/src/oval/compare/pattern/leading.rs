//! Patterns that begin with `.*` where `.` matches a line's end, too.
//!
//! Such a pattern matches where the search begins or nowhere, and the `.*` takes as much as it
//! can: so what follows it is looked for from the text's end. PCRE does the same, step by step,
//! and runs into its limit of steps on a long text.

/// What follows a leading `.*`; None where the pattern is not of this kind, or perhaps not.
pub fn rest(body: &str) -> Option<&str> {
    let rest = body.strip_prefix(".*")?;
    // A quantifier's quantifier; what moves the match or reads the pattern in another way.
    let other = [r"\K", r"\Q", r"\G", "(?#", "(*", "(?R)", "(?0)"];
    let is_other = rest.starts_with(['?', '+', '*', '{'])
        || other.iter().any(|sign| rest.contains(sign))
        || extended(rest);
    (!is_other && !alternates(rest)).then_some(rest)
}

/// Whether an option's group may turn comments on.
fn extended(body: &str) -> bool {
    body.split("(?").skip(1).any(|group| {
        let options = group.split([')', ':']).next().unwrap_or_default();
        options.contains('x') && options.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    })
}

/// Whether there is a `|` outside of groups.
fn alternates(body: &str) -> bool {
    let mut depth = 0usize;
    let mut characters = body.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            '[' => {
                // A bracket that comes first is a member of the class.
                let mut first = true;
                while let Some(member) = characters.next() {
                    match member {
                        '\\' => drop(characters.next()),
                        '^' if first => continue,
                        ']' if !first => break,
                        _ => {}
                    }
                    first = false;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::rest;

    #[test]
    fn only_what_is_surely_of_this_kind() {
        for (pattern, found) in [
            (r".*\n[^#]*(A\s+\d+)\s*\n", Some(r"\n[^#]*(A\s+\d+)\s*\n")),
            (".*(?:^|\n)x", Some("(?:^|\n)x")),
            (".*[]|]a", Some("[]|]a")),
            (r".*[^]\]|]a\|", Some(r"[^]\]|]a\|")),
            (".*", Some("")),
            (".*a|b", None),
            (".*?a", None),
            (".*+a", None),
            (".*{2}a", None),
            (r".*a\Kb", None),
            (".*(?x)a # |", None),
            (".*(?i-x:a)", None),
            (".*(?i)a", Some("(?i)a")),
            ("a.*", None),
        ] {
            assert_eq!(rest(pattern), found, "{pattern}");
        }
    }
}
