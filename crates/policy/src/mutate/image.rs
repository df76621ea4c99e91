//! The parts of an image reference that AssignImage sets: domain, path, and tag or digest.

/// What an AssignImage sets; empty is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parts {
    pub domain: String,
    pub path: String,
    /// With its `:` or `@`.
    pub tag: String,
}

impl Parts {
    /// Whether the parts can be told from each other once they are joined.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { domain, path, tag } = self;
        if domain.is_empty() && path.is_empty() && tag.is_empty() {
            return Err(
                "at least one of assignDomain, assignPath and assignTag must be set".into(),
            );
        }
        let alone = |domain: &str| split_domain(&format!("{domain}/")).0 == domain;
        if !(domain.is_empty() || is_domain(domain) && alone(domain)) {
            return Err(format!(
                "assignDomain {domain:?} is neither a full domain name nor localhost"
            ));
        }
        if !path.is_empty() && !is_path(path) {
            return Err(format!("assignPath {path:?} is no path of an image"));
        }
        if !(tag.is_empty() || is_tag(tag) || is_digest(tag)) {
            return Err(format!(
                "assignTag {tag:?} is no tag that begins with `:` and no digest that begins with `@`"
            ));
        }
        if domain.is_empty() && !split_domain(path).0.is_empty() {
            return Err(format!(
                "assignPath {path:?} begins like a domain: set assignDomain too"
            ));
        }
        Ok(())
    }

    /// The reference with these parts set.
    pub(crate) fn apply(&self, image: &str) -> String {
        let (domain, rest) = split_domain(image);
        let (path, tag) = rest.split_at(rest.find([':', '@']).unwrap_or(rest.len()));
        let or = |set: &'_ str, old: &'_ str| {
            let part = if set.is_empty() { old } else { set };
            part.to_owned()
        };
        let mut domain = or(&self.domain, domain);
        if !domain.is_empty() {
            domain.push('/');
        }
        domain + &or(&self.path, path) + &or(&self.tag, tag)
    }
}

/// What stands before the first slash is a domain when it looks like one.
fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => ("", name),
    }
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if port.is_some_and(|p| p.is_empty() || !p.chars().all(|c| c.is_ascii_digit())) {
        return false;
    }
    host == "localhost"
        || (host.starts_with(word)
            && host.ends_with(word)
            && host.contains('.')
            && host.chars().all(|c| word(c) || c == '-' || c == '.'))
}

/// Words of small letters and digits, between them one of `.` `_` `/`, two `_`, or `-`s.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut rest = text;
    loop {
        let after = rest.trim_start_matches(plain);
        if after.len() == rest.len() {
            return false;
        }
        if after.is_empty() {
            return true;
        }
        rest = after.trim_start_matches('-');
        if rest.len() == after.len() {
            let joint = after.strip_prefix("__");
            let Some(joint) = joint.or_else(|| after.strip_prefix(['.', '_', '/'])) else {
                return false;
            };
            rest = joint;
        }
    }
}

fn is_tag(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|tag| {
        tag.starts_with(word)
            && tag.len() <= 128
            && tag.chars().all(|c| word(c) || c == '.' || c == '-')
    })
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.strip_prefix('@').and_then(|d| d.split_once(':')) else {
        return false;
    };
    let name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(name)
        && hex.len() >= 32
        && hex.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(domain: &str, path: &str, tag: &str) -> Parts {
        Parts {
            domain: domain.into(),
            path: path.into(),
            tag: tag.into(),
        }
    }

    #[test]
    fn parts_are_replaced() {
        let sha = format!("@sha256:{}", "ab".repeat(32));
        for (set, image, wanted) in [
            (
                parts("a.b.c", "new/repo", ":latest"),
                "docker.io/old/nginx:v1",
                "a.b.c/new/repo:latest".to_owned(),
            ),
            (parts("a.b.c", "", ""), "nginx", "a.b.c/nginx".to_owned()),
            (
                parts("", "x", ""),
                "localhost:5000/nginx@sha256:12",
                "localhost:5000/x@sha256:12".to_owned(),
            ),
            (
                parts("", "", &sha),
                "repo/nginx:v1",
                format!("repo/nginx{sha}"),
            ),
            (parts("", "", ":v2"), "", ":v2".to_owned()),
            (
                parts("", "", ":v2"),
                "gcr.io/a/b:v1@sha256:12",
                "gcr.io/a/b:v2".to_owned(),
            ),
        ] {
            assert_eq!(set.apply(image), wanted);
        }
    }

    #[test]
    fn parts_are_checked() {
        let digest = "@sha256:abcde67890123456789abc345678901a";
        for good in [
            parts("localhost", "", ""),
            parts("localhost:80", "", ""),
            parts("a.b.c:5000", "", ""),
            parts("", "repo/app", ""),
            parts("", "a__b-c--d/e.f", ":v1.2"),
            parts("", "", digest),
            parts("a.b", "b.c/d", ""),
        ] {
            assert_eq!(good.check(), Ok(()), "{good:?}");
        }
        for bad in [
            parts("", "", ""),
            parts("notdomain", "", ""),
            parts("a.b:", "", ""),
            parts("a.b/", "", ""),
            parts("", "/repo", ""),
            parts("", "repo/", ""),
            parts("", "a//b", ""),
            parts("", "Repo", ""),
            parts("", "repo:latest", ""),
            parts("", "b.c/d", ""),
            parts("", "localhost/d", ""),
            parts("", "", "latest"),
            parts("", "", ":a:b"),
            parts("", "", "@sha256:abc"),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
