//! Judges the matching by people's labels (anchore/vulnerability-match-labels), by path.
//!
//! `cargo run -p bartizan-vuln --example labels -- LABELS OSV_FOLDER…`. Labels name a package
//! without its ecosystem. Judged are those whose vulnerability and package an advisory of the
//! given feeds names together: chosen by label and feed alone, before anything is matched.
//! For Debian: versions with a Debian revision (a jar may bear a source package's name), in releases
//! that the feed holds. A Debian image's release is what most of its labelled versions say (`+deb12u1`).

use bartizan_model::{AssetUid, Component, Ecosystem, EcosystemKind, Purl};
use bartizan_vuln::Advisory;
use bartizan_vuln::feeds::osv;
use bartizan_vuln::matching::{AdvisoryIndex, Said, Standing, component};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

fn walk(folder: &Path, each: &mut dyn FnMut(&[u8])) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            walk(&path, each);
        } else if path.extension().is_some_and(|e| e == "json")
            && let Ok(bytes) = std::fs::read(&path)
        {
            each(&bytes);
        }
    }
}

struct Label {
    image: String,
    name: String,
    version: String,
    id: String,
    positive: bool,
}

fn label(bytes: &[u8]) -> Option<Label> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let text = |path: &str| {
        value
            .pointer(path)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    Some(Label {
        image: text("/image/exact").unwrap_or_default(),
        name: text("/package/name")?,
        version: text("/package/version")?,
        id: text("/vulnerability_id").or_else(|| text("/effective_cve"))?,
        positive: match text("/label")?.as_str() {
            "TP" => true,
            "FP" => false,
            _ => return None,
        },
    })
}

/// The release that a Debian version names.
fn release(version: &str) -> Option<String> {
    let (_, rest) = version.rsplit_once("deb")?;
    let (number, update) = rest.split_once('u')?;
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    (digits(number) && digits(update.get(..1)?)).then(|| number.to_owned())
}

fn purl(kind: EcosystemKind, name: &str, version: &str) -> Option<Purl> {
    let (namespace, name) = match kind {
        EcosystemKind::Debian => (Some("debian"), name),
        _ => name
            .rsplit_once('/')
            .map_or((None, name), |(a, b)| (Some(a), b)),
    };
    Purl::new(kind.purl_type(), namespace, name, Some(version)).ok()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((labels, feeds)) = arguments.split_first() else {
        eprintln!("LABELS OSV_FOLDER…");
        std::process::exit(2);
    };
    let (mut list, mut index) = (Vec::<Advisory>::new(), AdvisoryIndex::default());
    let mut named: HashMap<(String, String), HashSet<EcosystemKind>> = HashMap::new();
    let mut covered: HashSet<String> = HashSet::new();
    for folder in feeds {
        walk(Path::new(folder), &mut |bytes| {
            let Ok(advisory) = osv::parse(bytes, "osv") else {
                return;
            };
            let ids = advisory
                .aliases
                .iter()
                .chain(&advisory.upstream)
                .chain([&advisory.id]);
            for id in ids {
                for affected in &advisory.affected {
                    let key = (id.clone(), affected.package.clone());
                    named
                        .entry(key)
                        .or_default()
                        .insert(affected.ecosystem.kind);
                }
            }
            for affected in &advisory.affected {
                // By CVE, with what is not fixed: DSA and DLA alone are no coverage.
                if affected.ecosystem.kind == EcosystemKind::Debian
                    && advisory.id.starts_with("CVE-")
                {
                    covered.insert(affected.ecosystem.release.clone());
                }
            }
            index.add(list.len() as u32, &advisory);
            list.push(advisory);
        });
    }
    let mut judged = Vec::new();
    walk(Path::new(labels), &mut |bytes| judged.extend(label(bytes)));
    let mut releases: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for l in &judged {
        if let Some(release) = release(&l.version) {
            *releases
                .entry(l.image.clone())
                .or_default()
                .entry(release)
                .or_default() += 1;
        }
    }
    let Ok(target) = AssetUid::new("image:labels") else {
        return;
    };
    // found and labelled TP, found and FP, missed TP, rightly left FP, unknown.
    let mut tally: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    let mut seen = HashSet::new();
    for l in &judged {
        let Some(kinds) = named.get(&(l.id.clone(), l.name.clone())) else {
            continue;
        };
        for kind in kinds {
            let release = releases
                .get(&l.image)
                .and_then(|r| r.iter().max_by_key(|(_, n)| **n))
                .map(|(r, _)| r.clone());
            let release = match (kind, release) {
                (EcosystemKind::Debian, Some(r))
                    if l.id.starts_with("CVE-")
                        && l.version.contains('-')
                        && covered.contains(&r) =>
                {
                    r
                }
                (EcosystemKind::Debian, _) => continue,
                // Language packages are labelled by the registry's advisories.
                _ if l.id.starts_with("GHSA-") || l.id.starts_with("GO-") => String::new(),
                _ => continue,
            };
            if !seen.insert((
                l.image.clone(),
                l.name.clone(),
                l.version.clone(),
                l.id.clone(),
            )) {
                continue;
            }
            let Some(purl) = purl(*kind, &l.name, &l.version) else {
                continue;
            };
            let c = Component {
                purl,
                ecosystem: Ecosystem {
                    kind: *kind,
                    release,
                },
                source: None,
                licences: Vec::new(),
                found: Vec::new(),
                target: target.clone(),
            };
            let numbers = index.of(&c);
            let advisories = numbers.iter().filter_map(|n| list.get(*n as usize));
            let matches = component(&c, advisories, Said::default());
            let hit = matches.iter().find(|m| m.names.contains(&l.id));
            let counts = tally.entry(kind.as_str()).or_default();
            let slot = match (hit.map(|m| &m.standing), l.positive) {
                (Some(Standing::Affected), true) => 0,
                (Some(Standing::Affected), false) => 1,
                (None, true) => 2,
                (None, false) => 3,
                (Some(_), _) => 4,
            };
            if (slot == 1 || slot == 2) && std::env::var_os("SHOW").is_some() {
                println!(
                    "{slot} {kind:?} {} {} {} {}",
                    c.ecosystem, l.name, l.version, l.id
                );
            }
            if let Some(count) = counts.get_mut(slot) {
                *count += 1;
            }
        }
    }
    println!(
        "{} advisories of {} packages, {} labels",
        list.len(),
        index.packages(),
        judged.len()
    );
    for (kind, [tp, fp, missed, left, unknown]) in tally {
        let share = |a: usize, b: usize| a as f64 / (b.max(1)) as f64;
        println!(
            "{kind}: {} judged, precision {:.3}, recall {:.3}, everything flagged {:.3} \
             (found {tp}, wrongly {fp}, missed {missed}, rightly left {left}, unknown {unknown})",
            tp + fp + missed + left + unknown,
            share(tp, tp + fp),
            share(tp, tp + missed + unknown),
            share(tp + missed, tp + fp + missed + left),
        );
    }
}
