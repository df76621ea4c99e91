//! Where a SARIF result is: the asset, and the locus within it.
//!
//! **Asset.** The file of the first location, as a path from the root of what was scanned:
//! `file://` and a base that `originalUriBaseIds` names are taken away, percent-escapes are
//! decoded, `.` and `..` are resolved. The uid is `scope/file/path`. A result without a file
//! is about the scope as a whole.
//!
//! **Locus.** Lines move, so they are no identity. The locus is the first of
//! 1. the logical location (`logical:` and its qualified name),
//! 2. a fingerprint that the tool gives (`fingerprint:`): `primaryLocationLineHash`, then
//!    `fingerprints`, then partial ones whose name says that they are hashes,
//! 3. nothing.
//!
//! Results of one check on one asset that still share their locus are numbered in the order
//! of their lines: the first has no number, the second `#2` and so on. When one of several
//! such is fixed, the highest number is closed: the count is right, the numbers of those
//! below it in the file move up by one.

use super::budget::{Pairs, Text};
use super::schema::{ArtifactLocation, RawResult, Run};
use bartizan_model::Digest;

/// The longest path or locus; longer ones end in a hash of the whole.
const MAX: usize = 400;

/// The path of the result's file, empty where it has none.
pub(super) fn path(result: &RawResult, run: &Run) -> String {
    let artifact = result
        .locations
        .0
        .as_ref()
        .and_then(|l| l.physical_location.as_ref())
        .and_then(|p| p.artifact_location.as_ref());
    let Some(artifact) = artifact else {
        return String::new();
    };
    // A location may stand in the run's list of artifacts.
    let listed = || {
        let at = usize::try_from(artifact.index?).ok()?;
        run.artifacts.0.get(at)?.location.as_ref()
    };
    let artifact = match artifact.uri.get() {
        Some(_) => artifact,
        None => listed().unwrap_or(artifact),
    };
    let Some(uri) = artifact.uri.get() else {
        return String::new();
    };
    let uri = decode(&uri.replace('\\', "/"));
    if is_foreign(&uri) {
        return short(&uri);
    }
    let absolute = local(&uri);
    let path = match absolute {
        Some(path) => bases(&run.original_uri_base_ids)
            .filter_map(|base| path.strip_prefix(base.trim_end_matches('/')))
            .find(|rest| rest.starts_with('/'))
            .unwrap_or(path)
            .to_owned(),
        None => match relative_base(artifact, &run.original_uri_base_ids) {
            Some(base) => format!("{base}/{uri}"),
            None => uri.clone(),
        },
    };
    short(&resolve(&path))
}

/// What tells this result from others of the same check on the same asset, before numbers.
pub(super) fn locus(result: &RawResult) -> String {
    let logical = result
        .locations
        .0
        .as_ref()
        .and_then(|l| l.logical_locations.0.as_ref())
        .and_then(|l| l.fully_qualified_name.get().or_else(|| l.name.get()));
    if let Some(name) = logical {
        return short(&format!("logical:{name}"));
    }
    match fingerprint(result) {
        Some(value) => short(&format!("fingerprint:{value}")),
        None => String::new(),
    }
}

fn fingerprint(result: &RawResult) -> Option<&str> {
    let partial = &result.partial_fingerprints;
    let preferred = partial.get("primaryLocationLineHash").and_then(Text::get);
    let others = result.fingerprints.0.iter().chain(
        partial
            .0
            .iter()
            .filter(|(name, _)| is_fingerprint(name) && !name.contains("Column")),
    );
    preferred
        .into_iter()
        .chain(others.filter_map(|(_, value)| value.get()))
        // What semgrep writes where it was not signed in.
        .find(|value| *value != "requires login")
}

/// Whether a partial fingerprint is one by its name. gitleaks puts the commit's author, mail
/// address and message there, which neither identify a result nor are ours to keep.
pub(super) fn is_fingerprint(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["hash", "fingerprint", "similarity"]
        .iter()
        .any(|word| name.contains(word))
}

/// Whether it is an address elsewhere, such as `https:` or `pkg:`; a drive letter is none.
fn is_foreign(uri: &str) -> bool {
    match uri.split_once(':') {
        Some((scheme, rest)) => {
            scheme.len() > 1
                && !scheme.eq_ignore_ascii_case("file")
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                && (rest.starts_with("//") || matches!(scheme, "pkg" | "urn" | "docker" | "oci"))
        }
        None => false,
    }
}

/// The path of a `file:` address or an absolute path, beginning with a slash.
fn local(uri: &str) -> Option<&str> {
    let bytes = uri.as_bytes();
    let path = match uri.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("file:") => {
            let rest = uri.get(5..).unwrap_or_default();
            match rest.strip_prefix("//") {
                // The part before the next slash is a host.
                Some(after) => after
                    .find('/')
                    .and_then(|at| after.get(at..))
                    .unwrap_or("/"),
                None => rest,
            }
        }
        _ => uri,
    };
    let drive = bytes.get(1) == Some(&b':') && bytes.first().is_some_and(u8::is_ascii_alphabetic);
    (path.starts_with('/') || drive).then_some(path)
}

fn bases(ids: &Pairs<Option<ArtifactLocation>>) -> impl Iterator<Item = &str> {
    ids.0
        .iter()
        .filter_map(|(_, base)| base.as_ref()?.uri.get())
        .filter_map(local)
        .filter(|base| base.len() > 1)
}

fn relative_base<'a>(
    artifact: &ArtifactLocation,
    ids: &'a Pairs<Option<ArtifactLocation>>,
) -> Option<&'a str> {
    let base = ids.get(artifact.uri_base_id.get()?)?.as_ref()?;
    let uri = base.uri.get()?;
    (local(uri).is_none() && !is_foreign(uri)).then_some(uri)
}

fn decode(uri: &str) -> String {
    let bytes = uri.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| uri.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| uri.to_owned())
}

fn resolve(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Printable and bounded, as ids must be.
pub(super) fn short(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if clean.len() <= MAX {
        return clean;
    }
    let hash = Digest::of(clean.as_bytes());
    let hash = hash.as_str().get(7..23).unwrap_or_default();
    let mut end = MAX - 20;
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{hash}", clean.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(location: &str, bases: &str) -> String {
        let (path, _) = super::super::budget::within(1 << 20, || {
            let run = format!(
                r#"{{"tool":{{"driver":{{"name":"t"}}}},"originalUriBaseIds":{bases},
                "artifacts":[{{"location":{{"uri":"listed.tf"}}}}],
                "results":[{{"locations":[{{"physicalLocation":{{"artifactLocation":{location}}}}}]}}]}}"#
            );
            let run: Run = serde_json::from_str(&run).unwrap();
            path(&run.results.as_ref().unwrap().0[0], &run)
        });
        path
    }

    #[test]
    fn paths_are_those_of_the_scanned_tree() {
        let cases = [
            (r#"{"uri":"src/a.tf"}"#, "{}", "src/a.tf"),
            (r#"{"uri":"./src//a.tf"}"#, "{}", "src/a.tf"),
            (r#"{"uri":"../../src/a.tf"}"#, "{}", "src/a.tf"),
            (r#"{"uri":"src\\a.tf"}"#, "{}", "src/a.tf"),
            (r#"{"uri":"src/a%20b.tf"}"#, "{}", "src/a b.tf"),
            (r#"{"uri":"src/100%.tf"}"#, "{}", "src/100%.tf"),
            (
                r#"{"uri":"file:///work/repo/a.tf"}"#,
                r#"{"R":{"uri":"file:///work/repo/"}}"#,
                "a.tf",
            ),
            (
                r#"{"uri":"/work/repo2/a.tf"}"#,
                r#"{"R":{"uri":"file:///work/repo/"}}"#,
                "work/repo2/a.tf",
            ),
            (
                r#"{"uri":"a.tf","uriBaseId":"R"}"#,
                r#"{"R":{"uri":"file:///"}}"#,
                "a.tf",
            ),
            (
                r#"{"uri":"a.tf","uriBaseId":"R"}"#,
                r#"{"R":{"uri":"infra/"}}"#,
                "infra/a.tf",
            ),
            (r#"{"uri":"a.tf","uriBaseId":"X"}"#, "null", "a.tf"),
            (r#"{"index":0}"#, "{}", "listed.tf"),
            (
                r#"{"uri":"https://example.org/x"}"#,
                "{}",
                "https://example.org/x",
            ),
            (r#"{"uri":"a\u0007b"}"#, "{}", "a\u{fffd}b"),
            ("{}", "{}", ""),
        ];
        for (location, bases, expected) in cases {
            assert_eq!(at(location, bases), expected, "{location} {bases}");
        }
    }

    #[test]
    fn long_texts_stay_distinct() {
        let long = "é".repeat(300);
        let (a, b) = (short(&format!("{long}a")), short(&format!("{long}b")));
        assert!(a.len() <= MAX && b.len() <= MAX);
        assert_ne!(a, b);
    }
}
