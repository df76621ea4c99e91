//! What an artifact says of itself: `pom.properties`, `MANIFEST.MF`, the name of its file.

use super::Coordinates;
use std::collections::BTreeMap;

/// How much is known of an artifact.
pub(super) enum Told {
    /// All.
    Whole(Coordinates),
    /// The group is a guess.
    Guessed(Coordinates),
    /// Not even its name or version.
    Nothing,
}

/// Reads `pom.properties`.
pub(super) fn pom(text: &str) -> Option<Coordinates> {
    let mut fields = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', '!'])) {
        if let Some((key, value)) = line.split_once(['=', ':']) {
            fields.insert(key.trim(), value.trim());
        }
    }
    let field = |key| {
        let value = fields.get(key).copied()?;
        // What a build did not fill in.
        (!value.is_empty() && !value.contains("${")).then(|| value.to_owned())
    };
    Some(Coordinates {
        group: field("groupId")?,
        artifact: field("artifactId")?,
        version: field("version")?,
    })
}

/// `name-1.2.3.jar`: the version begins at the first `-` before a digit.
pub(super) fn named(file: &str) -> Option<(String, String)> {
    let stem = file.rsplit_once('.')?.0;
    let at = stem.match_indices('-').find(|(at, _)| {
        stem.get(at + 1..)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let (at, _) = at?;
    let (name, version) = (stem.get(..at)?, stem.get(at + 1..)?);
    (!name.is_empty()).then(|| (name.to_owned(), version.to_owned()))
}

/// Puts together what the manifest and the name of the file tell.
pub(super) fn artifact(manifest: &str, named: Option<&(String, String)>) -> Told {
    let fields = main_section(manifest);
    let field = |keys: &[&str]| {
        keys.iter()
            .filter_map(|key| fields.get(&key.to_ascii_lowercase()))
            .find(|value| !value.is_empty() && !value.contains("${"))
            .cloned()
    };
    let symbolic = field(&["Bundle-SymbolicName"]);
    let symbolic = symbolic.and_then(|name| name.split(';').next().map(|n| n.trim().to_owned()));
    let title = field(&["Implementation-Title", "Bundle-Name"]).filter(|t| is_artifact(t));
    let artifact = named.map(|(name, _)| name.clone()).or(title);
    let version = named.map(|(_, version)| version.clone()).or_else(|| {
        field(&[
            "Implementation-Version",
            "Bundle-Version",
            "Specification-Version",
        ])
        .and_then(|v| v.split_whitespace().next().map(str::to_owned))
    });
    let (Some(artifact), Some(version)) = (artifact, version) else {
        return Told::Nothing;
    };
    let vendor =
        field(&["Implementation-Vendor-Id"]).filter(|id| id.contains('.') && is_artifact(id));
    let group = known(&artifact)
        .map(str::to_owned)
        .or(vendor)
        .or_else(|| symbolic.and_then(|symbolic| group_of(&symbolic, &artifact)));
    match group {
        Some(group) => Told::Whole(Coordinates {
            group,
            artifact,
            version,
        }),
        None => Told::Guessed(Coordinates {
            group: artifact.clone(),
            artifact,
            version,
        }),
    }
}

/// Whether a text is spelled as groups and artifacts are.
pub(super) fn is_artifact(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Attributes before the first empty line, by lower-case names; a line that begins with a space goes
/// on with the one before.
fn main_section(manifest: &str) -> BTreeMap<String, String> {
    const MOST: usize = 10_000;
    let mut fields = BTreeMap::new();
    let mut last: Option<(String, String)> = None;
    for line in manifest.lines().take(MOST) {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            break;
        }
        if let (Some(more), Some((_, value))) = (line.strip_prefix(' '), last.as_mut()) {
            value.push_str(more);
            continue;
        }
        fields.extend(last.take());
        last = line
            .split_once(':')
            .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    fields.extend(last);
    fields
}

/// `org.apache.commons.commons-lang3` or `org.apache.commons.lang3` of `commons-lang3`.
fn group_of(symbolic: &str, artifact: &str) -> Option<String> {
    if !symbolic.contains('.') || !is_artifact(symbolic) {
        return None;
    }
    let whole = symbolic
        .strip_suffix(artifact)
        .and_then(|g| g.strip_suffix('.'));
    let last = || {
        let (group, last) = symbolic.rsplit_once('.')?;
        artifact.ends_with(last).then_some(group)
    };
    whole.or_else(last).map(str::to_owned)
}

/// Groups of what is widespread, vulnerable now and then, and says nothing of its group.
fn known(artifact: &str) -> Option<&'static str> {
    const EXACT: [(&str, &str); 12] = [
        ("spring-core", "org.springframework"),
        ("spring-beans", "org.springframework"),
        ("spring-context", "org.springframework"),
        ("spring-context-support", "org.springframework"),
        ("spring-expression", "org.springframework"),
        ("spring-aop", "org.springframework"),
        ("spring-jdbc", "org.springframework"),
        ("spring-tx", "org.springframework"),
        ("spring-web", "org.springframework"),
        ("spring-webmvc", "org.springframework"),
        ("spring-webflux", "org.springframework"),
        ("spring-messaging", "org.springframework"),
    ];
    const PREFIXES: [(&str, &str); 5] = [
        ("spring-boot", "org.springframework.boot"),
        ("spring-security-", "org.springframework.security"),
        ("spring-data-", "org.springframework.data"),
        ("tomcat-embed-", "org.apache.tomcat.embed"),
        ("tomcat-", "org.apache.tomcat"),
    ];
    let exact = EXACT.iter().find(|(name, _)| *name == artifact);
    let prefix = || {
        PREFIXES
            .iter()
            .find(|(start, _)| artifact.starts_with(start))
    };
    exact.or_else(prefix).map(|(_, group)| *group)
}
