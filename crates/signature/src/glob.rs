//! Patterns of image names, as policy-controller has them: `*` stops at a slash, `**` does not.

use crate::reference::Reference;
use regex::Regex;

/// A pattern.
#[derive(Debug, Clone)]
pub(crate) struct Glob(Regex);

impl Glob {
    /// Compiles; the error says why it is none.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let text = match text {
            "*/*" => "index.docker.io/*/*",
            "*" => "index.docker.io/library/*",
            other => other,
        };
        let good = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '/' | '*' | '.' | '@')
        };
        if text.is_empty() || text.len() > 1_000 || !text.chars().all(good) {
            return Err(format!("the glob {text:?} is malformed"));
        }
        let pattern = regex::escape(text)
            .replace(r"\*\*", ".*")
            .replace(r"\*", "[^/]*");
        let regex = Regex::new(&format!("^{pattern}$"));
        Ok(Self(regex.map_err(|e| format!("the glob {text:?}: {e}"))?))
    }

    /// Whether it fits the whole name, or the name as it was written.
    pub(crate) fn fits(&self, reference: &Reference, written: &str) -> bool {
        self.0.is_match(&reference.to_string()) || self.0.is_match(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_the_default_registry() {
        let fits = |glob: &str, image: &str| {
            let reference = Reference::parse(image).unwrap();
            Glob::new(glob).unwrap().fits(&reference, image)
        };
        for (glob, image, want) in [
            ("index.docker.io/library/foo:*", "foo", true),
            ("index.docker.io/*/*", "foo", true),
            ("index.docker.**", "me/app", true),
            ("foo", "foo", true),
            ("*", "foo", true),
            ("*", "me/app", false),
            ("*/*", "me/app", true),
            ("ghcr.io/*", "ghcr.io/me/app", false),
            ("ghcr.io/**", "ghcr.io/me/app", true),
            ("ghcr.io/me/app:v1.?", "ghcr.io/me/app:v1.2", false),
        ] {
            if glob.contains('?') {
                assert!(Glob::new(glob).is_err());
                continue;
            }
            assert_eq!(fits(glob, image), want, "{glob} {image}");
        }
        assert!(Glob::new("").is_err());
    }
}
