//! What an index keeps, finds, and does with a broken file.

use super::*;
use crate::Kind;
use bartizan_vuln::{Advisory, Tenths};

fn document(id: &str, title: &str, text: &str) -> Document {
    let mut d = Document::new(id, Kind::Cve, "test");
    d.title = title.to_owned();
    d.text = text.to_owned();
    d.products = vec![title.split(' ').next_back().unwrap().to_owned()];
    d
}

fn records() -> Vec<Document> {
    vec![
        document(
            "CVE-2024-0001",
            "Overflow in rocket",
            "A buffer overflow in rocket runs code.",
        ),
        document(
            "CVE-2024-0002",
            "XSS in kettle",
            "Cross-site scripting in kettle's pages.",
        ),
        document(
            "CVE-2024-0003",
            "Leak in teapot",
            "The teapot shows passwords in its logs.",
        ),
    ]
}

#[test]
fn changes_are_found_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::build(folder.path(), &records(), None, "7", &mut |_, _| {}).unwrap();
    assert_eq!(index.len(), 3);
    let none = Filters::default();
    let first = |i: &Index, q: &str| {
        let by_words = i.by_words(q, &none, 3).unwrap()[0].0;
        let vector = i.vector(q).unwrap();
        let by_likeness = i.by_likeness(&vector, &none, 3).unwrap()[0].0;
        assert_eq!(by_likeness, by_words, "{q}");
        i.get(by_words).unwrap().unwrap().id
    };
    assert_eq!(first(&index, "teapot passwords"), "CVE-2024-0003");
    let changes = [
        Change::Put(Box::new(document(
            "CVE-2024-0004",
            "Loop in samovar",
            "The samovar never ends a loop.",
        ))),
        Change::Put(Box::new(document(
            "CVE-2024-0003",
            "Leak in jug",
            "The jug writes keys to disk.",
        ))),
        Change::Remove("CVE-2024-0001".to_owned()),
    ];
    index.apply(&changes, "8").unwrap();
    index.apply(&changes, "8").unwrap();
    drop(index);
    let index = Index::open(folder.path(), None).unwrap();
    assert_eq!((index.len(), index.meta().cursor.as_str()), (3, "8"));
    assert_eq!(
        first(&index, "endless loop of the samovar"),
        "CVE-2024-0004"
    );
    assert_eq!(first(&index, "keys on disk by jug"), "CVE-2024-0003");
    assert!(
        index
            .by_words("rocket overflow", &none, 3)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        index.named(&["cve-2024-0002".to_owned()], 5).unwrap().len(),
        1
    );
    assert_eq!(index.of_product("Kettle").unwrap(), 1);
    assert!(!Index::exists(&folder.path().join("nowhere")));
}

#[test]
fn a_tracker_and_the_list_keep_a_record_each() {
    let mut tracked = Advisory::new("CVE-2024-0001", "debian-tracker");
    tracked.details = "The rocket of bookworm is not affected.".to_owned();
    let tracked = Document::of_advisory(&tracked);
    let folder = tempfile::tempdir().unwrap();
    let index = Index::build(folder.path(), &records(), None, "1", &mut |_, _| {}).unwrap();
    // In a chunk of its own, as a feed brings it.
    index
        .apply(&[Change::Put(Box::new(tracked.clone()))], "2")
        .unwrap();
    assert_eq!(index.len(), 4);
    let name = ["CVE-2024-0001".to_owned()];
    let mut both = index.named(&name, 5).unwrap();
    both.sort_by(|a, b| a.id.cmp(&b.id));
    let ids: Vec<&str> = both.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(ids, ["CVE-2024-0001", "debian-tracker:CVE-2024-0001"]);
    let none = Filters::default();
    for (text, id) in [
        ("overflow runs code", &both[0].id),
        ("bookworm", &tracked.id),
    ] {
        let key = index.by_words(text, &none, 1).unwrap()[0].0;
        assert_eq!(&index.get(key).unwrap().unwrap().id, id);
    }
    index
        .apply(&[Change::Remove(tracked.id.clone())], "3")
        .unwrap();
    assert_eq!(index.named(&name, 5).unwrap(), [records().remove(0)]);
}

#[test]
fn a_row_that_was_not_written_to_its_end_does_not_shift_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::build(folder.path(), &records(), None, "1", &mut |_, _| {}).unwrap();
    let dense = folder.path().join(DENSE);
    let torn = |bytes: &[u8]| {
        let mut file = fs::OpenOptions::new().append(true).open(&dense).unwrap();
        file.write_all(bytes).unwrap();
    };
    torn(&[7; 100]);
    // Whoever else opens it changes nothing under the one who writes it.
    let before = fs::read(&dense).unwrap();
    Index::open(folder.path(), None).unwrap();
    assert_eq!(fs::read(&dense).unwrap(), before);
    let more = document("CVE-2024-0004", "Loop in samovar", "It never ends a loop.");
    index.apply(&[Change::Put(Box::new(more))], "2").unwrap();
    torn(&[7; 200]);
    let index = Index::open(folder.path(), None).unwrap();
    assert_eq!(index.len(), 4);
    let vector = index.vector("endless loop of the samovar").unwrap();
    let near = index.by_likeness(&vector, &Filters::default(), 1).unwrap()[0].0;
    assert_eq!(index.get(near).unwrap().unwrap().id, "CVE-2024-0004");
}

#[test]
fn what_lacks_a_file_is_broken_and_what_is_discarded_is_gone() {
    let built = || {
        let folder = tempfile::tempdir().unwrap();
        Index::build(folder.path(), &records(), None, "1", &mut |_, _| {}).unwrap();
        folder
    };
    for spoil in [
        |folder: &Path| fs::remove_file(folder.join(WORDS)),
        |folder: &Path| fs::remove_file(folder.join(DENSE)),
        |folder: &Path| fs::remove_file(folder.join(TERMS).join("meta.json")),
        |folder: &Path| fs::write(folder.join(TERMS).join("meta.json"), "{"),
        |folder: &Path| fs::remove_dir_all(folder.join(TERMS)),
        |folder: &Path| fs::write(folder.join(META), "{}"),
    ] {
        let folder = built();
        spoil(folder.path()).unwrap();
        let opened = Index::open(folder.path(), None);
        assert!(matches!(opened, Err(AskError::Broken { .. })));
    }
    let folder = built();
    assert_eq!(Index::meta_of(folder.path()).unwrap().cursor, "1");
    Index::discard(folder.path()).unwrap();
    Index::discard(folder.path()).unwrap();
    assert!(!Index::exists(folder.path()));
    assert!(Index::meta_of(folder.path()).is_err());
}

#[test]
fn filters_alone_give_what_is_exploited_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut worst = records();
    for (document, score) in worst.iter_mut().zip([98, 50, 70]) {
        document.score = Some(Tenths(score));
    }
    worst[1].exploited = true;
    let index = Index::build(folder.path(), &worst, None, "1", &mut |_, _| {}).unwrap();
    // A segment without a single score.
    let unrated = document("CVE-2024-0004", "Loop in samovar", "It never ends a loop.");
    index.apply(&[Change::Put(Box::new(unrated))], "2").unwrap();
    let found = index.by_filters(&Filters::default(), 9).unwrap();
    let ids: Vec<String> = found
        .into_iter()
        .map(|key| index.get(key).unwrap().unwrap().id)
        .collect();
    assert_eq!(
        ids,
        [
            "CVE-2024-0002",
            "CVE-2024-0001",
            "CVE-2024-0003",
            "CVE-2024-0004"
        ]
    );
    let bands = Filters {
        bands: vec![(1, 59), (90, 100)],
        ..Filters::default()
    };
    assert_eq!(index.by_filters(&bands, 9).unwrap().len(), 2);
}
