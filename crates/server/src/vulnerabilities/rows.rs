//! Records of feeds as rows of the store: what is shown in lists, and what is looked up by.

use bartizan_store::StoreError;
use bartizan_store::vulnerabilities::{Change, EpssRow, Figures, Flags, RecordKind, Row, Term};
use bartizan_vuln::feeds::cve::{CveRecord, CveState};
use bartizan_vuln::feeds::kev::KevEntry;
use bartizan_vuln::feeds::moment;
use bartizan_vuln::matching::Key;
use bartizan_vuln::vex::Vex;
use bartizan_vuln::{Advisory, Rating, Record, Reference};
use std::thread;

/// Fewer records than this are not worth a thread.
const WORTH_A_THREAD: usize = 32;

/// The changes that records are, in their order. Packing takes most of the time, so it is shared
/// among the processors.
pub fn changes(records: &[Record]) -> Result<Vec<Change>, StoreError> {
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    let share = records.len().div_ceil(threads).max(WORTH_A_THREAD);
    let parts: Vec<Result<Vec<Change>, StoreError>> = thread::scope(|scope| {
        let mut parts = records.chunks(share);
        let first = parts.next();
        let others: Vec<_> = parts.map(|part| scope.spawn(move || some(part))).collect();
        let mut done = vec![first.map_or(Ok(Vec::new()), some)];
        done.extend(others.into_iter().map(|other| {
            other
                .join()
                .unwrap_or_else(|_| Err(StoreError::Corrupt("a packing thread died".to_owned())))
        }));
        done
    });
    let mut all = Vec::with_capacity(records.len());
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

fn some(records: &[Record]) -> Result<Vec<Change>, StoreError> {
    records.iter().map(change).collect()
}

/// The change that a record is.
pub fn change(record: &Record) -> Result<Change, StoreError> {
    let figures = match record {
        Record::Cve(cve) => of_cve(cve),
        Record::Advisory(advisory) => of_advisory(advisory),
        Record::Kev(entry) => of_kev(entry),
        Record::Vex(vex) => of_vex(vex),
        Record::Epss {
            date,
            cve,
            score,
            percentile,
        } => {
            let day = moment(date).ok_or_else(|| {
                StoreError::Invalid(format!("the day of {cve}'s EPSS score is none: {date:?}"))
            })?;
            return Ok(Change::Epss(EpssRow {
                cve: cve.clone(),
                day,
                score: *score,
                percentile: *percentile,
            }));
        }
        Record::Withdrawn { source, at, .. } => {
            let kind = match source.as_str() {
                "cve" => RecordKind::Cve,
                "kev" => RecordKind::Kev,
                "vex" => RecordKind::Vex,
                "epss" => {
                    let why = "an EPSS score ages and is not withdrawn".to_owned();
                    return Err(StoreError::Invalid(why));
                }
                _ => RecordKind::Advisory,
            };
            return Ok(Change::Gone {
                key: record.key(),
                kind,
                at: *at,
            });
        }
    };
    let figures = Figures {
        changed: record.changed(),
        ..figures
    };
    Row::new(&record.key(), &record.encode(), figures).map(|row| Change::Put(Box::new(row)))
}

/// The score that counts: the highest, because what one side rates lower is not thereby safer.
pub fn score<'a>(ratings: impl IntoIterator<Item = &'a Rating>) -> Option<u8> {
    ratings
        .into_iter()
        .filter_map(Rating::value)
        .max()
        .map(|tenths| tenths.0)
}

/// Whether a reference is said to lead to an exploit.
pub fn is_exploit(reference: &Reference) -> bool {
    matches!(reference.kind.as_str(), "exploit" | "evidence")
}

/// The first line with something in it.
fn line(title: &str, text: &str) -> String {
    [title, text]
        .into_iter()
        .flat_map(str::lines)
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}

fn named(text: &str) -> bool {
    !text.is_empty() && !text.eq_ignore_ascii_case("n/a") && text != "-"
}

fn of_cve(cve: &CveRecord) -> Figures {
    let mut terms = Vec::new();
    for product in &cve.products {
        for name in [&product.product, &product.package] {
            if named(name) {
                terms.push(Term::Product(name.clone()));
            }
        }
        if named(&product.vendor) {
            terms.push(Term::Vendor(product.vendor.clone()));
        }
    }
    terms.extend(cve.cwes.iter().cloned().map(Term::Cwe));
    if cve.kev.is_some() {
        terms.push(Term::Kev(cve.id.clone()));
    }
    let exploitation = cve.ssvc.as_ref().map(|s| s.exploitation.as_str());
    Figures {
        kind: RecordKind::Cve,
        changed: None,
        published: cve.published.or(cve.reserved),
        score: score(&cve.ratings),
        flags: Flags {
            rejected: cve.state == CveState::Rejected,
            exploit: exploitation == Some("poc") || cve.references.iter().any(is_exploit),
            active: exploitation == Some("active"),
        },
        title: line(&cve.title, &cve.description),
        terms,
    }
}

fn of_advisory(advisory: &Advisory) -> Figures {
    let mut terms = vec![Term::Name(advisory.id.clone())];
    // Aliases name the same thing only where the advisory is about one thing.
    match advisory.upstream.as_slice() {
        bundled if bundled.len() > 1 => {
            let others = bundled.iter().chain(&advisory.aliases).cloned();
            terms.extend(others.map(Term::Upstream));
        }
        one => {
            let names = one.iter().chain(&advisory.aliases).cloned();
            terms.extend(names.map(Term::Name));
        }
    }
    for affected in &advisory.affected {
        let key = Key::of(affected.ecosystem.kind, &affected.package);
        let term = Term::Package(key.kind().as_str().to_owned(), key.name().to_owned());
        // An advisory names a package once for each release.
        if terms.last() != Some(&term) {
            terms.push(term);
        }
    }
    let of_packages = advisory.affected.iter().flat_map(|a| &a.severities);
    Figures {
        kind: RecordKind::Advisory,
        changed: None,
        published: advisory.published,
        score: score(advisory.severities.iter().chain(of_packages)),
        flags: Flags {
            rejected: advisory.withdrawn.is_some(),
            exploit: advisory.references.iter().any(is_exploit),
            active: false,
        },
        title: line(&advisory.summary, &advisory.details),
        terms,
    }
}

fn of_kev(entry: &KevEntry) -> Figures {
    Figures {
        kind: RecordKind::Kev,
        changed: None,
        published: moment(&entry.date_added),
        score: None,
        flags: Flags {
            active: true,
            ..Flags::default()
        },
        title: line(&entry.vulnerability_name, ""),
        terms: vec![Term::Kev(entry.cve.clone())],
    }
}

fn of_vex(vex: &Vex) -> Figures {
    Figures {
        kind: RecordKind::Vex,
        changed: None,
        published: vex.at,
        score: None,
        flags: Flags::default(),
        title: line(&vex.author, ""),
        terms: vex.vulnerability.iter().cloned().map(Term::Name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{Ecosystem, EcosystemKind};
    use bartizan_vuln::Affected;

    fn terms(advisory: &Advisory) -> Vec<Term> {
        of_advisory(advisory).terms
    }

    #[test]
    fn bundles_join_nothing_and_packages_are_folded() {
        let mut advisory = Advisory::new("DSA-1", "debian");
        advisory.aliases = vec!["DLA-1".into()];
        advisory.upstream = vec!["CVE-2024-0001".into()];
        for release in ["11", "12"] {
            let ecosystem = Ecosystem {
                kind: EcosystemKind::PyPi,
                release: release.to_owned(),
            };
            advisory
                .affected
                .push(Affected::new(ecosystem, "Ruamel.YAML"));
        }
        let name = |n: &str| Term::Name(n.to_owned());
        assert_eq!(
            terms(&advisory),
            [
                name("DSA-1"),
                name("CVE-2024-0001"),
                name("DLA-1"),
                Term::Package("PyPI".into(), "ruamel-yaml".into())
            ]
        );
        advisory.upstream.push("CVE-2024-0002".into());
        advisory.affected.clear();
        let upstream = |n: &str| Term::Upstream(n.to_owned());
        assert_eq!(
            terms(&advisory),
            [
                name("DSA-1"),
                upstream("CVE-2024-0001"),
                upstream("CVE-2024-0002"),
                upstream("DLA-1")
            ]
        );
    }

    #[test]
    fn the_highest_score_counts_and_words_have_none() {
        let of = |vectors: &[&str]| {
            let ratings: Vec<Rating> = vectors.iter().map(|v| Rating::of("", v, None)).collect();
            score(&ratings)
        };
        assert_eq!(of(&["high"]), None);
        assert_eq!(
            of(&[
                "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                "AV:N/AC:L/Au:N/C:C/I:C/A:C"
            ]),
            Some(100)
        );
    }

    #[test]
    fn many_records_keep_their_order() {
        let records: Vec<Record> = (0..500)
            .map(|n| Record::Withdrawn {
                source: "osv".into(),
                id: format!("X-{n}"),
                at: None,
            })
            .collect();
        let keys: Vec<String> = changes(&records)
            .unwrap()
            .into_iter()
            .map(|c| match c {
                Change::Gone { key, .. } => key,
                other => unreachable!("{other:?}"),
            })
            .collect();
        let want: Vec<String> = records.iter().map(Record::key).collect();
        assert_eq!(keys, want);
        let epss = Record::Withdrawn {
            source: "epss".into(),
            id: "CVE-2024-0001".into(),
            at: None,
        };
        assert!(change(&epss).is_err());
    }
}
