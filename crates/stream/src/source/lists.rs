//! The lists by which the makers of feeds say what there is: pure readers, bounded.

use super::SourceError;
use bartizan_model::Timestamp;
use bartizan_vuln::feeds::moment;
use serde::Deserialize;

/// The largest list.
pub const MAX_LIST: usize = 64 << 20;
/// The most entries.
const MAX_ENTRIES: usize = 1_000_000;

/// An asset of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its name: a hint, nothing more.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Its SHA-256, where published.
    pub sha256: Option<String>,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
}

impl Asset {
    /// Whether its name says that it holds all records.
    pub fn is_baseline(&self) -> bool {
        self.name.contains("all_CVEs")
    }
}

#[derive(Deserialize)]
struct Release {
    #[serde(default)]
    assets: Vec<RawAsset>,
}

#[derive(Deserialize)]
struct RawAsset {
    name: String,
    browser_download_url: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
}

fn unreadable(what: &str, why: impl ToString) -> SourceError {
    SourceError::Unreadable {
        what: what.to_owned(),
        why: why.to_string(),
    }
}

/// The archives of a page of releases.
pub fn releases(bytes: &[u8]) -> Result<Vec<Asset>, SourceError> {
    let releases: Vec<Release> =
        serde_json::from_slice(bytes).map_err(|e| unreadable("the list of releases", e))?;
    let assets = releases.into_iter().flat_map(|release| release.assets);
    Ok(assets
        .filter(|asset| asset.name.ends_with(".zip"))
        .take(MAX_ENTRIES)
        .map(|asset| Asset {
            sha256: asset
                .digest
                .and_then(|d| d.strip_prefix("sha256:").map(str::to_owned)),
            updated: [asset.updated_at, asset.created_at]
                .into_iter()
                .flatten()
                .find_map(|at| moment(&at)),
            name: asset.name,
            url: asset.browser_download_url,
        })
        .collect())
}

/// A line of `modified_id.csv` (`moment,id`) or of `changes.csv` (`"path","moment"`): what, and when.
/// Lines that are neither are left out and counted.
pub fn changes(bytes: &[u8]) -> (Vec<(String, Timestamp)>, usize) {
    let mut found = Vec::new();
    let mut strange = 0;
    for line in bytes.split(|b| *b == b'\n').take(MAX_ENTRIES) {
        let line = String::from_utf8_lossy(line.get(..line.len().min(2000)).unwrap_or_default());
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let fields = line.split_once(',');
        let fields = fields.map(|(a, b)| (a.trim().trim_matches('"'), b.trim().trim_matches('"')));
        let entry = fields.and_then(|(a, b)| match (moment(a), moment(b)) {
            (Some(at), None) => Some((b, at)),
            (None, Some(at)) => Some((a, at)),
            _ => None,
        });
        match entry.filter(|(path, _)| is_relative(path)) {
            Some((path, at)) => found.push((path.to_owned(), at)),
            None => strange += 1,
        }
    }
    (found, strange)
}

/// Whether a path stays below the address where it was found.
pub fn is_relative(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 500
        && !path.starts_with('/')
        && path
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"?#\\%\"'<>".contains(&b))
        && !path.contains("://")
        && path.split('/').all(|part| part != ".." && part != ".")
}

/// What a page links to, below itself.
pub fn links(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut found: Vec<String> = text
        .split("href=")
        .skip(1)
        .take(MAX_ENTRIES)
        .filter_map(|rest| {
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (link, _) = rest.get(1..)?.split_once(quote)?;
            let link = link.strip_prefix("./").unwrap_or(link);
            is_relative(link).then(|| link.to_owned())
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_away_is_no_link() {
        let page = br#"<a href="v3.20/">v3.20/</a> <a href='main.json'>x</a> <a href="../">up</a>
            <a href="/etc">root</a> <a href="https://elsewhere/x.json">x</a> <a href="a%2e%2e/x.json">"#;
        assert_eq!(links(page), ["main.json", "v3.20/"]);
    }

    #[test]
    fn both_orders_of_changes() {
        let (found, strange) = changes(
            b"2024-10-24T01:02:03.5Z,GHSA-1\n\"2023/a.json\",\"2023-01-02T03:04:05+00:00\"\n2024-01-01,../x\nnonsense\n",
        );
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["GHSA-1", "2023/a.json"]);
        assert_eq!(strange, 2);
    }

    #[test]
    fn releases_with_and_without_digests() {
        let page = br#"[{"tag_name":"cve_2024-10-24_1200Z","assets":[
            {"name":"2024-10-24_all_CVEs_at_midnight.zip.zip","browser_download_url":"https://a/b.zip","digest":"sha256:ab","updated_at":"2024-10-24T00:30:00Z"},
            {"name":"notes.txt","browser_download_url":"https://a/n"}]},{"tag_name":"x"}]"#;
        let found = releases(page).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].is_baseline());
        assert_eq!(found[0].sha256.as_deref(), Some("ab"));
        assert!(releases(b"{}").is_err());
    }
}
