//! Reads public copies of feeds by path and tells what could not be read, and why.
//!
//! `cargo run -p bartizan-vuln --example feeds -- FORMAT FOLDER [FORMAT FOLDER]…` where FORMAT is
//! `cve`, `osv`, `pypa`, `rustsec`, `kev`, `csaf`, `openvex`, `secdb`, `debian` or `ubuntu`.

use bartizan_model::EcosystemKind;
use bartizan_vuln::Advisory;
use bartizan_vuln::feeds::{
    FeedError, alpine, csaf, cve, debian, kev, openvex, osv, rustsec, ubuntu,
};
use bartizan_vuln::rating::Rating;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Tally {
    files: usize,
    bytes: usize,
    records: usize,
    packages: usize,
    ratings: usize,
    unscored: usize,
    contradicting: usize,
    unread_versions: BTreeMap<String, usize>,
    spent: Duration,
    failed: BTreeMap<String, Vec<PathBuf>>,
}

impl Tally {
    fn rate(&mut self, ratings: &[Rating]) {
        self.ratings += ratings.len();
        self.unscored += ratings.iter().filter(|r| r.score.is_none()).count();
        self.contradicting += ratings.iter().filter(|r| r.contradicts()).count();
    }

    fn take(&mut self, advisory: &Advisory) {
        self.records += 1;
        self.packages += advisory.affected.len();
        self.rate(&advisory.severities);
        for affected in &advisory.affected {
            for span in &affected.ranges {
                let ends = span.end.as_ref().map(|e| match e {
                    bartizan_vuln::Bound::Fixed(v) | bartizan_vuln::Bound::LastAffected(v) => v,
                });
                for version in span.introduced.iter().chain(ends) {
                    if !affected.scheme.reads(version) {
                        let key = format!("{:?} {version:.40}", affected.scheme);
                        *self.unread_versions.entry(key).or_default() += 1;
                    }
                }
            }
        }
    }
}

fn walk(folder: &Path, ends: &[&str], found: &mut Vec<PathBuf>) {
    if folder.is_file() {
        found.push(folder.to_owned());
        return;
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|n| n != ".git") {
                walk(&path, ends, found);
            }
        } else if ends.iter().any(|e| path.to_string_lossy().ends_with(e)) {
            found.push(path);
        }
    }
}

fn read(format: &str, path: &Path, bytes: &[u8], tally: &mut Tally) -> Result<(), FeedError> {
    let start = Instant::now();
    let advisories = match format {
        "cve" => {
            let record = cve::parse(bytes)?;
            tally.spent += start.elapsed();
            tally.records += 1;
            tally.packages += record.products.len();
            tally.rate(&record.ratings);
            let name = path.file_stem().map(|n| n.to_string_lossy().into_owned());
            if name.as_deref() != Some(record.id.as_str()) {
                println!("  {}: the record is {}", path.display(), record.id);
            }
            return Ok(());
        }
        "osv" => vec![osv::parse(bytes, "osv")?],
        "pypa" => vec![osv::parse_yaml(bytes, "pypa")?],
        "rustsec" => vec![rustsec::parse(bytes)?],
        "secdb" => alpine::parse(bytes, EcosystemKind::Alpine)?,
        "debian" => debian::parse(bytes)?,
        "ubuntu" => vec![ubuntu::parse(bytes)?],
        "csaf" => {
            let csaf = csaf::parse(bytes)?;
            tally.packages += csaf.statements.len();
            vec![csaf.advisory]
        }
        "kev" => {
            tally.records += kev::parse(bytes)?.len();
            Vec::new()
        }
        "openvex" => {
            tally.records += openvex::parse(bytes)?.len();
            Vec::new()
        }
        other => {
            eprintln!("{other} is no format");
            std::process::exit(2);
        }
    };
    tally.spent += start.elapsed();
    for advisory in &advisories {
        tally.take(advisory);
    }
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let [format, folder] = pair else {
            eprintln!("FORMAT FOLDER, in pairs");
            std::process::exit(2);
        };
        let ends: &[&str] = match format.as_str() {
            "rustsec" => &[".md"],
            "pypa" => &[".yaml"],
            _ => &[".json"],
        };
        let mut files = Vec::new();
        walk(Path::new(folder), ends, &mut files);
        let mut tally = Tally::default();
        for path in files {
            let Ok(bytes) = std::fs::read(&path) else {
                tally
                    .failed
                    .entry("cannot be opened".into())
                    .or_default()
                    .push(path);
                continue;
            };
            tally.files += 1;
            tally.bytes += bytes.len();
            if let Err(error) = read(format, &path, &bytes, &mut tally) {
                let why: String = error.why.chars().filter(|c| !c.is_ascii_digit()).collect();
                tally.failed.entry(why).or_default().push(path);
            }
        }
        let seconds = tally.spent.as_secs_f64().max(1e-9);
        let failed: usize = tally.failed.values().map(Vec::len).sum();
        println!(
            "{format} {folder}: {} files, {:.1} MB, {} records, {} packages or products, {failed} not read; \
             {:.2} s of reading, {:.0} records/s, {:.0} MB/s; {} ratings, {} without a score, {} contradicting",
            tally.files,
            tally.bytes as f64 / 1e6,
            tally.records,
            tally.packages,
            seconds,
            tally.records as f64 / seconds,
            tally.bytes as f64 / 1e6 / seconds,
            tally.ratings,
            tally.unscored,
            tally.contradicting,
        );
        for (why, paths) in &tally.failed {
            println!(
                "  {} not read: {why}; such as {}",
                paths.len(),
                paths
                    .first()
                    .map_or_else(String::new, |p| p.display().to_string())
            );
        }
        let unread: usize = tally.unread_versions.values().sum();
        if unread > 0 {
            println!("  {unread} bounds of spans have no order (those components are Unknown):");
            for (version, count) in tally.unread_versions.iter().take(8) {
                println!("    {count} × {version}");
            }
        }
    }
}
