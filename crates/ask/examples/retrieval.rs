//! How well records are found: questions made of what GHSA says in one line, asked of records of
//! the CVE list, which somebody else wrote. Run by `cargo xtask conformance retrieval`.
//!
//! `retrieval CVE-FOLDER GHSA-FOLDER… [--model MINILM-FOLDER] [--sample N] [--keep INDEX-FOLDER]`

#![allow(
    clippy::indexing_slicing,
    reason = "a measurement may end by panicking"
)]

use bartizan_ask::question::Question;
use bartizan_ask::retrieve::{Mode, World, rank, retrieve};
use bartizan_ask::{Document, Filters, Index, own};
use bartizan_model::{TenantId, Timestamp};
use bartizan_vuln::feeds::{cve, osv};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Of a title or a sentence of the record; above it the question is taken for a copy.
const COPY: f64 = 0.5;
const RESAMPLES: usize = 2_000;

struct Asked {
    text: String,
    record: String,
    /// The share of the question's groups of three words that stand in the record at all.
    shared: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut folders = Vec::new();
    let (mut model, mut sample, mut keep) = (None, usize::MAX, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("a value is missing");
        match argument.as_str() {
            "--model" => model = Some(PathBuf::from(value()?)),
            "--sample" => sample = value()?.parse()?,
            "--keep" => keep = Some(PathBuf::from(value()?)),
            _ => folders.push(PathBuf::from(argument)),
        }
    }
    let (records, advisories) = folders.split_first().ok_or("which folders?")?;
    if advisories.is_empty() {
        return Err("at least one folder of GHSA records is needed".into());
    }

    let start = Instant::now();
    let mut documents = Vec::new();
    let mut unread = 0;
    each_file(records, &mut |path, bytes| {
        if !name(path).starts_with("CVE-") {
            return;
        }
        match cve::parse(bytes) {
            Ok(record) => documents.push(Document::of_cve(&record)),
            Err(_) => unread += 1,
        }
    })?;
    documents.sort_by(|a, b| a.id.cmp(&b.id));
    println!(
        "{} records of the CVE list in {:.1} s, {unread} not read",
        documents.len(),
        start.elapsed().as_secs_f64()
    );

    let (asked, copies, unread) = questions(advisories, &documents)?;
    println!(
        "{} questions of GHSA summaries; {copies} near-copies (Jaccard of 3-word shingles with the title or a sentence at least {COPY}) left out, {unread} not read",
        asked.len()
    );
    if asked.len() < 1_000 {
        return Err("fewer than 1,000 questions".into());
    }

    let temporary = std::env::temp_dir().join(format!("bartizan-retrieval-{}", std::process::id()));
    let folder = keep.clone().unwrap_or_else(|| temporary.clone());
    let start = Instant::now();
    let index = Index::build(&folder, &documents, None, "", &mut |what, share| {
        if share >= 1.0 {
            println!("{what} done after {:.1} s", start.elapsed().as_secs_f64());
        }
    })?;
    println!(
        "index of {} records in {:.1} s, {:.1} MB on disk",
        index.len(),
        start.elapsed().as_secs_f64(),
        size(&folder)? as f64 / 1e6
    );

    let none = Filters::default();
    let mut ranks: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let ways = [
        ("1 words (BM25)", Mode::Words),
        ("2 vectors", Mode::Likeness),
        ("3 hybrid", Mode::Both),
    ];
    for (way, mode) in ways {
        let start = Instant::now();
        let mut places = Vec::with_capacity(asked.len());
        for question in &asked {
            let found = rank(&index, &question.text, &none, mode, 100)?;
            places.push(place(&index, &found, &question.record)?);
        }
        println!(
            "{way}: {:.1} ms a question",
            start.elapsed().as_secs_f64() * 1000.0 / asked.len() as f64
        );
        ranks.insert(way, places);
    }
    let sampled: Vec<usize> = (0..asked.len())
        .step_by((asked.len() / sample.min(asked.len())).max(1))
        .collect();
    if let Some(folder) = &model {
        reranked(folder, &index, &asked, &sampled, &mut ranks)?;
    }

    println!(
        "\n{:<16} {:>6} {:>24} {:>24}",
        "", "n", "recall@10 [95 %]", "MRR [95 %]"
    );
    for (way, places) in &ranks {
        print_row(way, places);
    }
    println!(
        "\nquestions that share little wording with their record (at most 0.2 of their shingles)"
    );
    for (way, places) in ranks.iter().filter(|(_, p)| p.len() == asked.len()) {
        let some: Vec<usize> = (0..places.len())
            .filter(|i| asked[*i].shared <= 0.2)
            .map(|i| places[i])
            .collect();
        print_row(way, &some);
    }
    println!("\nhybrid less the other, of the same questions [95 % of {RESAMPLES} resamples]");
    let mut better = true;
    for other in [ways[0].0, ways[1].0] {
        for (what, of) in [
            ("recall@10", recall as fn(usize) -> f64),
            ("MRR", reciprocal),
        ] {
            let differences: Vec<f64> = ranks[ways[2].0]
                .iter()
                .zip(&ranks[other])
                .map(|(h, o)| of(*h) - of(*o))
                .collect();
            let (mean, low, high) = bootstrap(&differences);
            println!("  {what:<10} against {other:<16} {mean:+.4} [{low:+.4}, {high:+.4}]");
            better &= mean > 0.0;
        }
    }

    relevance(&index, &asked)?;
    if keep.is_none() {
        std::fs::remove_dir_all(&temporary)?;
    }
    if !better {
        return Err("hybrid is not better than either".into());
    }
    println!("\nhybrid is better than either");
    Ok(())
}

#[cfg(feature = "rerank")]
fn reranked(
    folder: &Path,
    index: &Index,
    asked: &[Asked],
    sampled: &[usize],
    ranks: &mut BTreeMap<&str, Vec<usize>>,
) -> Result<(), Box<dyn Error>> {
    let model = bartizan_ask::rerank::MiniLm::open(folder)?;
    let start = Instant::now();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for i in sampled {
        let question = &asked[*i];
        let found = rank(index, &question.text, &Filters::default(), Mode::Both, 100)?;
        before.push(place(index, &found, &question.record)?);
        let found = bartizan_ask::retrieve::reranked(index, &question.text, found, &model)?;
        after.push(place(index, &found, &question.record)?);
    }
    println!(
        "4 re-ranked: {:.2} s a question (the best 50 read by MiniLM)",
        start.elapsed().as_secs_f64() / sampled.len().max(1) as f64
    );
    ranks.insert("4 re-ranked", after);
    ranks.insert("4 its questions, hybrid", before);
    Ok(())
}

#[cfg(not(feature = "rerank"))]
fn reranked(
    _: &Path,
    _: &Index,
    _: &[Asked],
    _: &[usize],
    _: &mut BTreeMap<&str, Vec<usize>>,
) -> Result<(), Box<dyn Error>> {
    Err("built without the feature rerank".into())
}

/// Whether it is noticed that nothing is there to say, and not noticed where something is.
fn relevance(index: &Index, asked: &[Asked]) -> Result<(), Box<dyn Error>> {
    const BESIDE: [&str; 16] = [
        "how do I bake sourdough bread",
        "what is the capital of Mongolia",
        "who won the football world cup in 1954",
        "translate good morning to Portuguese",
        "what is the weather like in Lisbon tomorrow",
        "recommend a novel about whales",
        "how many calories has an avocado",
        "when does the last tram leave the station",
        "write a poem about autumn leaves",
        "which planets have rings",
        "how long should I boil an egg",
        "what colour were Napoleon's horses",
        "best hiking boots for wide feet",
        "how do I prune apple trees in winter",
        "what does a violin bow consist of",
        "symptoms of vitamin D deficiency",
    ];
    let tenant = TenantId::default_tenant();
    let world = World {
        index,
        rerank: None,
        own: &own::Nothing,
        tenant: &tenant,
    };
    let now = Timestamp::parse("2026-01-01T00:00:00Z")?;
    let empty = |text: &str| -> Result<bool, Box<dyn Error>> {
        Ok(retrieve(world, &Question::read(text, now)?, 8)?
            .hits
            .is_empty())
    };
    let mut refused = 0;
    for text in BESIDE {
        if empty(text)? {
            refused += 1;
        } else {
            println!("  found something for: {text}");
        }
    }
    let mut silent = 0;
    for question in asked {
        silent += usize::from(empty(&question.text)?);
    }
    println!(
        "\nnothing relevant: said of {refused} of {} questions beside the matter, and of {silent} of the {} real ones",
        BESIDE.len(),
        asked.len()
    );
    Ok(())
}

fn questions(
    folders: &[PathBuf],
    documents: &[Document],
) -> Result<(Vec<Asked>, usize, usize), Box<dyn Error>> {
    let by_id: BTreeMap<&str, &Document> = documents
        .iter()
        .filter(|d| !d.withdrawn)
        .map(|d| (d.id.as_str(), d))
        .collect();
    let mut seen = BTreeSet::new();
    let (mut asked, mut copies, mut unread) = (Vec::new(), 0, 0);
    for folder in folders {
        each_file(folder, &mut |path, bytes| {
            if !name(path).starts_with("GHSA-") {
                return;
            }
            let Ok(advisory) = osv::parse(bytes, "ghsa") else {
                unread += 1;
                return;
            };
            if advisory.withdrawn.is_some()
                || advisory.summary.is_empty()
                || !seen.insert(advisory.id.clone())
            {
                return;
            }
            let text = without_ids(&advisory.summary);
            for document in advisory.cves().filter_map(|c| by_id.get(c)) {
                let mine = shingles(&text);
                let sentences = document.text.split(['\n', '.', '!', '?']);
                let like = std::iter::once(document.title.as_str())
                    .chain(bartizan_ask::words::sentences(&document.text))
                    .chain(sentences)
                    .map(|s| jaccard(&mine, &shingles(s)))
                    .fold(0.0, f64::max);
                if like >= COPY {
                    copies += 1;
                    continue;
                }
                let all = shingles(&format!("{}\n{}", document.title, document.text));
                asked.push(Asked {
                    shared: mine.iter().filter(|s| all.contains(*s)).count() as f64
                        / mine.len().max(1) as f64,
                    text: text.clone(),
                    record: document.id.clone(),
                });
            }
        })?;
    }
    asked.sort_by(|a, b| (&a.text, &a.record).cmp(&(&b.text, &b.record)));
    Ok((asked, copies, unread))
}

fn without_ids(text: &str) -> String {
    text.split_whitespace()
        .filter(|w| {
            let upper = w.to_uppercase();
            !upper.contains("CVE-") && !upper.contains("GHSA-")
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn shingles(text: &str) -> BTreeSet<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect();
    if words.len() < 3 {
        return BTreeSet::from([words.join(" ")]);
    }
    words.windows(3).map(|w| w.join(" ")).collect()
}

fn jaccard(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let both = a.intersection(b).count() as f64;
    both / (a.union(b).count().max(1)) as f64
}

/// The place of a record, from 1; far away where it is not among them.
fn place(index: &Index, found: &[(u64, f32)], record: &str) -> Result<usize, Box<dyn Error>> {
    for (i, (key, _)) in found.iter().enumerate() {
        if index.get(*key)?.is_some_and(|d| d.id == record) {
            return Ok(i + 1);
        }
    }
    Ok(usize::MAX)
}

fn recall(place: usize) -> f64 {
    f64::from(u8::from(place <= 10))
}

fn reciprocal(place: usize) -> f64 {
    if place == usize::MAX {
        0.0
    } else {
        1.0 / place as f64
    }
}

fn print_row(way: &str, places: &[usize]) {
    let show = |of: fn(usize) -> f64| {
        let values: Vec<f64> = places.iter().map(|p| of(*p)).collect();
        let (mean, low, high) = bootstrap(&values);
        format!("{mean:.3} [{low:.3}, {high:.3}]")
    };
    println!(
        "{way:<28} {:>6} {:>24} {:>24}",
        places.len(),
        show(recall),
        show(reciprocal)
    );
}

/// The mean, and where 95 % of the means of resamples lie.
fn bootstrap(values: &[f64]) -> (f64, f64, f64) {
    let n = values.len().max(1);
    let mean = values.iter().sum::<f64>() / n as f64;
    let mut state = 7u64;
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut sum = 0.0;
            for _ in 0..n {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                sum += values
                    .get((state >> 33) as usize % n)
                    .copied()
                    .unwrap_or(0.0);
            }
            sum / n as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    (
        mean,
        means[RESAMPLES / 40],
        means[RESAMPLES - 1 - RESAMPLES / 40],
    )
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default()
}

fn each_file(folder: &Path, take: &mut dyn FnMut(&Path, &[u8])) -> Result<(), Box<dyn Error>> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            each_file(&path, take)?;
        } else if path.extension().is_some_and(|e| e == "json") {
            take(&path, &std::fs::read(&path)?);
        }
    }
    Ok(())
}

fn size(folder: &Path) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.path().is_dir() {
            size(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(sum)
}
