//! Matches in the words of tables and of other tools' formats.

use super::{Kept, results};
use bartizan_model::{Component, Digest, Purl};
use bartizan_report::software::{Row, Standing};
use bartizan_vuln::matching;

/// One vulnerability of one component.
pub fn row(component: &Component, kept: &Kept) -> Row {
    let matched = &kept.matched;
    Row {
        component: component.clone(),
        vulnerability: matched.vulnerability.clone(),
        names: matched.names.clone(),
        title: kept.title.clone(),
        severity: kept.severity,
        score: kept.score.map(|s| s.0),
        fixed: matched.fixed.clone(),
        urgency: results::level(&kept.priority).to_owned(),
        reasons: kept.priority.reasons.clone(),
        references: kept.references.clone(),
        standing: match &matched.standing {
            matching::Standing::Affected => Standing::Affected,
            matching::Standing::Unknown { why } => Standing::Unknown { why: why.clone() },
            matching::Standing::Excused { by, why } => Standing::Excused {
                by: by.clone(),
                why: why.clone(),
            },
        },
    }
}

/// The purl of an image by its name in a registry. What only lies on a disk has none.
pub fn purl(kind: &str, name: &str, digest: Option<&Digest>) -> Option<Purl> {
    let (host, _) = name.split_once('/')?;
    if kind != "Image" || host.starts_with('.') || !host.contains(['.', ':']) {
        return None;
    }
    let (place, named) = match name.split_once('@') {
        Some((place, digest)) => (place, Some(digest)),
        None => (name, None),
    };
    let (place, tag) = match place.rsplit_once(':') {
        Some((place, tag)) if !tag.contains('/') => (place, Some(tag)),
        _ => (place, None),
    };
    let digest = digest.map(Digest::as_str).or(named);
    let last = place.rsplit('/').next()?;
    let purl = Purl::new("oci", None, last, digest).ok()?;
    let purl = purl.with("repository_url", place).ok()?;
    match tag {
        Some(tag) => purl.with("tag", tag).ok(),
        None => Some(purl),
    }
}

/// All that is said of components, the most urgent first.
pub fn rows(components: &[Component], kept: &[Vec<Kept>]) -> Vec<Row> {
    let mut all: Vec<(&Component, &Kept)> = components
        .iter()
        .zip(kept)
        .flat_map(|(component, kept)| kept.iter().map(move |one| (component, one)))
        .collect();
    all.sort_by(|(a, x), (b, y)| {
        y.priority
            .order()
            .cmp(&x.priority.order())
            .then_with(|| x.matched.vulnerability.cmp(&y.matched.vulnerability))
            .then_with(|| a.cmp(b))
    });
    all.into_iter().map(|(c, k)| row(c, k)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_registries_have_purls() {
        let digest = Digest::of(b"x");
        let hex = digest.as_str();
        for (name, wanted) in [
            (
                "ghcr.io/me/app:v1".to_owned(),
                format!("pkg:oci/app@{hex}?repository_url=ghcr.io/me/app&tag=v1"),
            ),
            (
                format!("localhost:5000/app@{hex}"),
                format!("pkg:oci/app@{hex}?repository_url=localhost:5000/app"),
            ),
        ] {
            let wanted: Purl = wanted.parse().unwrap();
            assert_eq!(purl("Image", &name, Some(&digest)), Some(wanted), "{name}");
        }
        for name in [
            "shop.tar",
            "./build/shop.tar",
            "build/shop.tar",
            "/srv/x.y/z",
        ] {
            assert_eq!(purl("Image", name, None), None, "{name}");
        }
        assert_eq!(purl("Folder", "ghcr.io/me/app", None), None);
    }
}
