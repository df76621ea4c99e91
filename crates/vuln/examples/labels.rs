//! Judges the matching by people's labels (anchore/vulnerability-match-labels), by path.
//!
//! `cargo run -p bartizan-vuln --example labels -- LABELS SOURCES FEED_FOLDER… [IMAGE=FOLDER…]`. Feeds are
//! OSV records and Ubuntu's tracker. An inventory knows three things that labels lack, and that are given
//! beside them:
//!
//! - which source package a Debian package is built from: `SOURCES` has a line `binary<TAB>source` each;
//! - which packages of Python a package of the distribution owns, so that they are its alone: in images
//!   whose versions say Red Hat's release N, those whose `python3-NAME` AlmaLinux N names in this version;
//! - which `package.json` are an editor's extensions (`engines.vscode`) and no packages of npm: those
//!   under `FOLDER`, which is what images with `IMAGE` in their name carry, unpacked.
//!
//! What is owned and what is an extension is matched by nothing, whatever its label.
//!
//! What is judged is chosen by labels and feeds alone, before anything is matched, and written with
//! its size: every label, of either kind, of a package that the feeds cover. A label has no ecosystem,
//! so it is told by the id, the version and the image:
//!
//! - packages of Debian and Ubuntu, by CVE: in images whose release the feed covers (its records name
//!   it at least half as often as the release that is named most), with a version that has a revision
//!   of the distribution, where the feed knows the source package;
//! - packages of registries, by GHSA or Go id: where an advisory of the registry names the package.
//!
use bartizan_model::component::SourcePackage;
use bartizan_model::{AssetUid, Component, Ecosystem, EcosystemKind, Purl};
use bartizan_vuln::feeds::{osv, ubuntu as tracker};
use bartizan_vuln::matching::{AdvisoryIndex, Said, Standing, component};
use bartizan_vuln::{Advisory, Bound};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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

/// Which Ubuntu an image is: each release has a C library and a systemd of its own, and its updates
/// often name it. Those between two long-term ones stand here too, so that none passes for another.
fn ubuntu(source: &str, version: &str) -> Option<String> {
    const CARRIED: [(&str, &str, &str); 26] = [
        ("glibc", "2.23-", "16.04"),
        ("glibc", "2.24-", "16.10"),
        ("glibc", "2.26-", "17.10"),
        ("glibc", "2.27-", "18.04"),
        ("glibc", "2.28-", "18.10"),
        ("glibc", "2.29-", "19.04"),
        ("glibc", "2.30-", "19.10"),
        ("glibc", "2.31-", "20.04"),
        ("glibc", "2.32-", "20.10"),
        ("glibc", "2.33-", "21.04"),
        ("glibc", "2.34-", "21.10"),
        ("glibc", "2.35-", "22.04"),
        ("systemd", "229-", "16.04"),
        ("systemd", "231-", "16.10"),
        ("systemd", "232-", "17.04"),
        ("systemd", "234-", "17.10"),
        ("systemd", "237-", "18.04"),
        ("systemd", "239-", "18.10"),
        ("systemd", "240-", "19.04"),
        ("systemd", "242-", "19.10"),
        ("systemd", "245.4-", "20.04"),
        ("systemd", "246.6-", "20.10"),
        ("systemd", "247.3-", "21.04"),
        ("systemd", "248.3-", "21.10"),
        ("systemd", "249.11-", "22.04"),
        ("systemd", "251.4-", "22.10"),
    ];
    let carried = CARRIED
        .iter()
        .find(|(package, begin, _)| *package == source && version.starts_with(begin))
        .map(|(_, _, release)| *release);
    // `2.34-0.1ubuntu9.20.04.1`, `8.4.0-1ubuntu1~18.04`
    let said = || {
        let (_, update) = version.split_once("ubuntu")?;
        let known = CARRIED.iter().map(|(_, _, release)| *release);
        known.into_iter().find(|release| {
            update
                .split_once(release)
                .is_some_and(|(before, _)| before.ends_with(['.', '~']))
        })
    };
    let release = carried.or_else(said)?;
    let long_term = matches!(release, "16.04" | "18.04" | "20.04" | "22.04");
    Some(format!("{release}{}", if long_term { ":LTS" } else { "" }))
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

/// The release of Red Hat's distribution that a version names: `1.24.2-5.el8_9.2`.
fn enterprise(version: &str) -> Option<String> {
    let (_, rest) = version.split_once(".el")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// Names and versions of an editor's extensions in a folder.
fn extensions(folder: &Path) -> HashSet<(String, String)> {
    let mut found = HashSet::new();
    walk(folder, &mut |bytes| {
        let read = serde_json::from_slice::<Value>(bytes).ok();
        found.extend(read.and_then(|value| {
            value.pointer("/engines/vscode")?;
            let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
            Some((text("name")?, text("version")?))
        }));
    });
    found
}

fn purl(kind: EcosystemKind, name: &str, version: &str) -> Option<Purl> {
    let (namespace, name) = match kind {
        EcosystemKind::Debian => (Some("debian"), name),
        EcosystemKind::Ubuntu => (Some("ubuntu"), name),
        _ => name
            .rsplit_once('/')
            .map_or((None, name), |(a, b)| (Some(a), b)),
    };
    Purl::new(kind.purl_type(), namespace, name, Some(version)).ok()
}

/// The feeds, and what they cover.
#[derive(Default)]
struct Feeds {
    list: Vec<Advisory>,
    index: AdvisoryIndex,
    /// Packages of each family.
    packages: HashMap<String, BTreeSet<EcosystemKind>>,
    /// Records by CVE of each release of a distribution.
    releases: BTreeMap<Ecosystem, usize>,
    /// Release, name and version of packages of Python that AlmaLinux has packages of.
    pythons: HashSet<(String, String, String)>,
}

impl Feeds {
    fn read(&mut self, folder: &Path) {
        walk(folder, &mut |bytes| {
            let tracked = tracker::parse(bytes)
                .ok()
                .filter(|a| !a.affected.is_empty());
            let Some(advisory) = tracked.or_else(|| osv::parse(bytes, "osv").ok()) else {
                return;
            };
            let mut named = BTreeSet::new();
            for affected in &advisory.affected {
                let kind = affected.ecosystem.kind;
                self.packages
                    .entry(affected.package.to_string())
                    .or_default()
                    .insert(kind);
                // By CVE, with what is not fixed: DSA and DLA alone are no coverage.
                if kind.is_distribution() && advisory.id.starts_with("CVE-") {
                    named.insert(affected.ecosystem.clone());
                }
                if kind == EcosystemKind::AlmaLinux
                    && let Some(name) = affected.package.strip_prefix("python3-")
                {
                    self.pythons
                        .extend(affected.ranges.iter().filter_map(|span| {
                            let Some(Bound::Fixed(fixed)) = &span.end else {
                                return None;
                            };
                            let (version, _) = fixed.split_once('-')?;
                            Some((enterprise(fixed)?, name.to_owned(), version.to_owned()))
                        }));
                }
            }
            for ecosystem in named {
                *self.releases.entry(ecosystem).or_default() += 1;
            }
            self.index.add(self.list.len() as u32, &advisory);
            self.list.push(advisory);
        });
    }

    fn covers(&self, ecosystem: &Ecosystem) -> bool {
        let of_kind = |e: &&Ecosystem| e.kind == ecosystem.kind;
        let most = self
            .releases
            .keys()
            .filter(of_kind)
            .filter_map(|e| self.releases.get(e))
            .max();
        let own = self.releases.get(ecosystem).copied().unwrap_or_default();
        most.is_some_and(|most| own * 2 >= *most)
    }

    fn knows(&self, kind: EcosystemKind, package: &str) -> bool {
        self.packages
            .get(package)
            .is_some_and(|kinds| kinds.contains(&kind))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [labels, sources, folders @ ..] = arguments.as_slice() else {
        eprintln!("LABELS SOURCES FEED_FOLDER… [IMAGE=FOLDER…]");
        std::process::exit(2);
    };
    let sources = std::fs::read_to_string(sources).unwrap_or_else(|error| {
        eprintln!("{sources}: {error}");
        std::process::exit(2);
    });
    let mut feeds = Feeds::default();
    let mut carried = Vec::new();
    for folder in folders {
        match folder.split_once('=') {
            Some((image, folder)) => carried.push((image, extensions(Path::new(folder)))),
            None => feeds.read(Path::new(folder)),
        }
    }
    let sources: HashMap<&str, &str> = sources.lines().filter_map(|l| l.split_once('\t')).collect();
    let mut all = Vec::new();
    walk(Path::new(labels), &mut |bytes| all.extend(label(bytes)));
    // Each image's distribution, by what most of its labelled versions say. Red Hat's is judged by no
    // feed here; it stands under AlmaLinux, which is built from it.
    let mut said: BTreeMap<&str, BTreeMap<Ecosystem, usize>> = BTreeMap::new();
    for l in &all {
        let source = sources.get(l.name.as_str()).copied().unwrap_or(&l.name);
        let debian = release(&l.version).map(|r| (EcosystemKind::Debian, r));
        let ubuntu = ubuntu(source, &l.version)
            .filter(|_| l.version.contains("ubuntu"))
            .map(|r| (EcosystemKind::Ubuntu, r));
        let red_hat = enterprise(&l.version).map(|r| (EcosystemKind::AlmaLinux, r));
        if let Some((kind, release)) = ubuntu.or(debian).or(red_hat) {
            let images = said.entry(&l.image).or_default();
            *images.entry(Ecosystem { kind, release }).or_default() += 1;
        }
    }
    let of_image: BTreeMap<&str, Ecosystem> = said
        .into_iter()
        .filter_map(|(image, all)| Some((image, all.into_iter().max_by_key(|(_, n)| *n)?.0)))
        .collect();
    let Ok(target) = AssetUid::new("image:labels") else {
        return;
    };
    // The list, before anything is matched.
    let mut list: Vec<(&Label, Component)> = Vec::new();
    let (mut seen, mut packages) = (HashSet::new(), BTreeSet::new());
    for l in &all {
        let source = sources.get(l.name.as_str()).copied().unwrap_or(&l.name);
        let registry = l.id.starts_with("GHSA-") || l.id.starts_with("GO-");
        let distribution = of_image.get(l.image.as_str()).filter(|e| {
            let revision = l.version.rsplit_once('-').map(|(_, revision)| revision);
            let revised = revision.is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
                && !l.version.contains(".el");
            l.id.starts_with("CVE-") && revised && feeds.covers(e) && feeds.knows(e.kind, source)
        });
        let kinds = feeds.packages.get(&l.name).into_iter().flatten();
        let registries: Vec<_> = kinds
            .filter(|kind| registry && !kind.is_distribution())
            .map(|kind| Ecosystem::of(*kind))
            .collect();
        for ecosystem in distribution.into_iter().cloned().chain(registries) {
            let Some(purl) = purl(ecosystem.kind, &l.name, &l.version) else {
                continue;
            };
            if !seen.insert((&l.image, &l.name, &l.version, &l.id, ecosystem.clone())) {
                continue;
            }
            packages.insert((ecosystem.clone(), l.name.clone(), l.version.clone()));
            let source = ecosystem.kind.is_distribution().then(|| SourcePackage {
                name: source.to_owned(),
                version: l.version.clone(),
            });
            list.push((
                l,
                Component {
                    purl,
                    ecosystem,
                    source,
                    licences: Vec::new(),
                    found: Vec::new(),
                    target: target.clone(),
                },
            ));
        }
    }
    println!(
        "{} advisories of {} packages; of {} labels {} are judged, of {} packages",
        feeds.list.len(),
        feeds.index.packages(),
        all.len(),
        list.len(),
        packages.len()
    );
    // found and labelled TP, found and FP, missed TP, rightly left FP, unknown.
    let mut tally: BTreeMap<String, [usize; 5]> = BTreeMap::new();
    let mut others = 0;
    for (l, c) in &list {
        let owned = c.ecosystem.kind == EcosystemKind::PyPi
            && of_image.get(l.image.as_str()).is_some_and(|image| {
                image.kind == EcosystemKind::AlmaLinux
                    && feeds.pythons.contains(&(
                        image.release.clone(),
                        l.name.clone(),
                        l.version.clone(),
                    ))
            });
        let extension = c.ecosystem.kind == EcosystemKind::Npm
            && carried.iter().any(|(image, extensions)| {
                l.image.contains(image) && extensions.contains(&(l.name.clone(), l.version.clone()))
            });
        let numbers = if owned || extension {
            others += 1;
            Vec::new()
        } else {
            feeds.index.of(c)
        };
        let advisories = numbers.iter().filter_map(|n| feeds.list.get(*n as usize));
        let matches = component(c, advisories, Said::default());
        let hit = matches.iter().find(|m| m.names.contains(&l.id));
        let slot = match (hit.map(|m| &m.standing), l.positive) {
            (Some(Standing::Affected), true) => 0,
            (Some(Standing::Affected), false) => 1,
            (None, true) => 2,
            (None, false) => 3,
            (Some(_), _) => 4,
        };
        if std::env::var_os("SHOW").is_some() {
            let because = hit
                .map(|m| format!("{} {:?}", m.because, m.state))
                .unwrap_or_default();
            println!(
                "{slot} {} {} {} {} {because}",
                c.ecosystem, l.name, l.version, l.id
            );
        }
        for key in ["all", c.ecosystem.kind.as_str()] {
            let counts = tally.entry(key.to_owned()).or_default();
            if let Some(count) = counts.get_mut(slot) {
                *count += 1;
            }
        }
    }
    println!("{others} of them are owned by a distribution or are an editor's extensions");
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
