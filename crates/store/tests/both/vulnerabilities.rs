//! Vulnerabilities: current records, their versions, look-ups, lists, scores and feeds.

use crate::both;
use crate::world::*;
use bartizan_model::Timestamp;
use bartizan_store::PageRequest;
use bartizan_store::vulnerabilities::*;

both!(
    a_record_and_its_versions,
    terms_follow_the_current_version,
    advisories_are_found_by_package_and_name,
    withdrawals_leave_history,
    scores_and_feeds,
    hostile_records,
    many_at_once,
    names_of_several,
);

pub fn figures(kind: RecordKind, changed: Option<i64>) -> Figures {
    Figures {
        kind,
        changed: changed.map(at),
        published: Some(at(1_000)),
        score: None,
        flags: Flags::default(),
        title: String::new(),
        terms: Vec::new(),
    }
}

pub fn put(key: &str, bytes: &str, figures: Figures) -> Change {
    Change::Put(Box::new(Row::new(key, bytes.as_bytes(), figures).unwrap()))
}

pub fn cve(n: u32, changed: i64, text: &str) -> Change {
    put(
        &format!("cve/CVE-2024-{n:04}"),
        text,
        figures(RecordKind::Cve, Some(changed)),
    )
}

pub async fn ids(w: &World, filter: VulnerabilityFilter, sort: VulnerabilitySort) -> Vec<String> {
    let v = w.store.vulnerabilities();
    let mut found = Vec::new();
    let mut page = PageRequest {
        cursor: None,
        limit: 2,
    };
    loop {
        let got = v.search(&filter, sort, &page).await.unwrap();
        found.extend(got.items.into_iter().map(|r| r.id));
        page.cursor = got.next_cursor;
        if page.cursor.is_none() {
            return found;
        }
    }
}

async fn a_record_and_its_versions(w: World) {
    let v = w.store.vulnerabilities();
    let first = v.apply(vec![cve(1, 10, "one")], at(100)).await.unwrap();
    assert_eq!((first.inserted, first.offered()), (1, 1));
    let again = v.apply(vec![cve(1, 10, "one")], at(101)).await.unwrap();
    assert_eq!((again.unchanged, again.offered()), (1, 1));
    let place = v.latest().await.unwrap();
    let newer = v.apply(vec![cve(1, 30, "three")], at(102)).await.unwrap();
    assert_eq!(newer.changed, 1);
    let older = v.apply(vec![cve(1, 20, "two")], at(103)).await.unwrap();
    assert_eq!(older.stale, 1);
    let known = v
        .apply(vec![cve(1, 20, "two"), cve(1, 10, "one")], at(104))
        .await
        .unwrap();
    assert_eq!(known.stale, 2);
    let now = v.cve("CVE-2024-0001").await.unwrap().unwrap();
    assert_eq!(now.bytes.as_deref(), Some(&b"three"[..]));
    assert_eq!(now.changed, Some(at(30)));
    let versions = v.versions("cve/CVE-2024-0001").await.unwrap();
    let texts: Vec<_> = versions
        .iter()
        .map(|v| String::from_utf8(v.bytes.clone().unwrap()).unwrap())
        .collect();
    assert_eq!(texts, ["one", "two", "three"], "by the moment of change");
    assert_eq!(versions[1].applied, at(103));
    // Who follows sees the change of the current version once, and not the older one.
    let changed = v.changed_since(place, 10).await.unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].key, "cve/CVE-2024-0001");
    assert_eq!(v.latest().await.unwrap(), changed[0].seq);
    // The same moment: what came later counts. In one batch, too.
    let both = vec![cve(1, 30, "four"), cve(1, 30, "five")];
    assert_eq!(v.apply(both, at(105)).await.unwrap().changed, 2);
    let now = v.cve("CVE-2024-0001").await.unwrap().unwrap();
    assert_eq!(now.bytes.as_deref(), Some(&b"five"[..]));
    let held = v.held("cve/", "", 10).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].digest, Some(digest(b"five")));
    assert!(v.held("cve/", &held[0].key, 10).await.unwrap().is_empty());
    assert!(v.cve("CVE-2024-9999").await.unwrap().is_none());
    assert_eq!(v.count(RecordKind::Cve).await.unwrap(), 1);
}

async fn terms_follow_the_current_version(w: World) {
    let v = w.store.vulnerabilities();
    let with = |changed: i64, published: i64, terms: Vec<Term>| {
        let mut f = figures(RecordKind::Cve, Some(changed));
        f.published = Some(at(published));
        f.terms = terms;
        put("cve/CVE-2024-0001", &format!("at {changed}"), f)
    };
    let by = |product: &str| VulnerabilityFilter {
        product: Some(product.into()),
        ..Default::default()
    };
    let sort = VulnerabilitySort::Published;
    v.apply(
        vec![with(
            1,
            5,
            vec![Term::Product("Old".into()), Term::Cwe("CWE-1".into())],
        )],
        at(1),
    )
    .await
    .unwrap();
    assert_eq!(ids(&w, by("oLD"), sort).await, ["CVE-2024-0001"]);
    v.apply(vec![with(2, 6, vec![Term::Product("new".into())])], at(2))
        .await
        .unwrap();
    assert!(ids(&w, by("old"), sort).await.is_empty());
    assert_eq!(ids(&w, by("NEW"), sort).await, ["CVE-2024-0001"]);
    assert_eq!(
        ids(&w, VulnerabilityFilter::default(), sort).await,
        ["CVE-2024-0001"],
        "once, though its date changed"
    );
    // Back to what it was: the same terms may come again.
    v.apply(vec![with(3, 5, vec![Term::Product("old".into())])], at(3))
        .await
        .unwrap();
    assert_eq!(ids(&w, by("old"), sort).await, ["CVE-2024-0001"]);
    assert!(ids(&w, by("new"), sort).await.is_empty());
}

async fn advisories_are_found_by_package_and_name(w: World) {
    let v = w.store.vulnerabilities();
    let advisory = |key: &str, changed: i64, terms: Vec<Term>| {
        let mut f = figures(RecordKind::Advisory, Some(changed));
        f.terms = terms;
        put(
            &format!("advisory/{key}"),
            &format!("{key} at {changed}"),
            f,
        )
    };
    let name = |n: &str| Term::Name(n.into());
    let package = |e: &str, n: &str| Term::Package(e.into(), n.into());
    v.apply(
        vec![
            advisory(
                "osv/GHSA-a",
                1,
                vec![name("GHSA-a"), name("CVE-1"), package("npm", "left-pad")],
            ),
            advisory(
                "osv/PYSEC-a",
                1,
                vec![name("PYSEC-a"), name("GHSA-a"), package("PyPI", "left-pad")],
            ),
            advisory(
                "debian/DSA-1",
                1,
                vec![
                    name("DSA-1"),
                    Term::Upstream("CVE-1".into()),
                    Term::Upstream("CVE-2".into()),
                    package("Debian", "left-pad"),
                ],
            ),
            put("vex/CVE-1/x", "vex", {
                let mut f = figures(RecordKind::Vex, Some(1));
                f.terms = vec![name("CVE-1")];
                f
            }),
        ],
        at(1),
    )
    .await
    .unwrap();
    let keys = |found: Vec<Stored>| found.into_iter().map(|s| s.key).collect::<Vec<_>>();
    assert_eq!(
        keys(
            v.advisories_for(&[("npm", "left-pad"), ("npm", "none")])
                .await
                .unwrap()
        ),
        ["advisory/osv/GHSA-a"]
    );
    for (ecosystem, is) in [("npm", true), ("PyPI", true), ("np", false), ("Go", false)] {
        assert_eq!(v.speaks_of(ecosystem).await.unwrap(), is, "{ecosystem}");
    }
    let mut names = v.names("CVE-1").await.unwrap();
    names.sort();
    assert_eq!(
        names,
        ["CVE-1", "GHSA-a", "PYSEC-a"],
        "a bundle joins nothing"
    );
    assert_eq!(
        keys(v.advisories_of(&names).await.unwrap()),
        [
            "advisory/debian/DSA-1",
            "advisory/osv/GHSA-a",
            "advisory/osv/PYSEC-a"
        ]
    );
    assert_eq!(keys(v.vex_of(&names).await.unwrap()), ["vex/CVE-1/x"]);
    // The advisory drops its package: it is still found by it, and by the new one.
    v.apply(
        vec![advisory(
            "osv/GHSA-a",
            2,
            vec![name("GHSA-a"), package("npm", "pad")],
        )],
        at(2),
    )
    .await
    .unwrap();
    for package in ["left-pad", "pad"] {
        let found = v.advisories_for(&[("npm", package)]).await.unwrap();
        assert_eq!(
            found[0].bytes.as_deref(),
            Some(&b"osv/GHSA-a at 2"[..]),
            "{package}"
        );
    }
    let packages = v
        .packages_of(&["advisory/osv/GHSA-a".to_owned()])
        .await
        .unwrap();
    let packages: Vec<_> = packages.iter().map(|(e, p)| format!("{e} {p}")).collect();
    assert_eq!(packages, ["npm left-pad", "npm pad"]);
    assert_eq!(v.names("CVE-1").await.unwrap(), ["CVE-1"]);
}

async fn withdrawals_leave_history(w: World) {
    let v = w.store.vulnerabilities();
    let gone = |n: u32, when: Option<i64>| Change::Gone {
        key: format!("cve/CVE-2024-{n:04}"),
        kind: RecordKind::Cve,
        at: when.map(at),
    };
    v.apply(
        vec![cve(1, 10, "one"), cve(2, 10, "two"), gone(3, Some(50))],
        at(1),
    )
    .await
    .unwrap();
    let applied = v
        .apply(vec![gone(1, None), gone(2, Some(5))], at(2))
        .await
        .unwrap();
    assert_eq!((applied.changed, applied.stale), (1, 1));
    assert_eq!(v.cve("CVE-2024-0001").await.unwrap().unwrap().bytes, None);
    assert!(
        v.cve("CVE-2024-0002")
            .await
            .unwrap()
            .unwrap()
            .bytes
            .is_some()
    );
    let left = ids(
        &w,
        VulnerabilityFilter::default(),
        VulnerabilitySort::Published,
    )
    .await;
    assert_eq!(left, ["CVE-2024-0002"]);
    let versions = v.versions("cve/CVE-2024-0001").await.unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[1].bytes, None);
    assert_eq!(
        v.apply(vec![gone(1, None)], at(3)).await.unwrap().unchanged,
        1
    );
    // What is older than the withdrawal does not come back; what is newer does.
    v.apply(vec![cve(3, 40, "old"), cve(1, 11, "again")], at(4))
        .await
        .unwrap();
    assert_eq!(v.cve("CVE-2024-0003").await.unwrap().unwrap().bytes, None);
    assert!(
        v.cve("CVE-2024-0001")
            .await
            .unwrap()
            .unwrap()
            .bytes
            .is_some()
    );
    let left = ids(
        &w,
        VulnerabilityFilter::default(),
        VulnerabilitySort::Published,
    )
    .await;
    assert_eq!(left, ["CVE-2024-0002", "CVE-2024-0001"]);
}

async fn scores_and_feeds(w: World) {
    let v = w.store.vulnerabilities();
    let score = |day: i64, score: f32| {
        Change::Epss(EpssRow {
            cve: "CVE-2024-0001".into(),
            day: at(day),
            score,
            percentile: 1.0,
        })
    };
    let applied = v
        .apply(vec![score(2, 0.2), score(1, 0.1)], at(9))
        .await
        .unwrap();
    assert_eq!((applied.inserted, applied.stale), (1, 1));
    assert_eq!(v.apply(vec![score(1, 0.1)], at(9)).await.unwrap().stale, 1);
    assert_eq!(
        v.apply(vec![score(2, 0.2)], at(9)).await.unwrap().unchanged,
        1
    );
    assert_eq!(
        v.apply(vec![score(3, 0.3)], at(9)).await.unwrap().changed,
        1
    );
    let held = v
        .epss(&["CVE-2024-0001".into(), "CVE-2024-0002".into()])
        .await
        .unwrap();
    assert_eq!((held.len(), held[0].day), (1, at(3)));
    assert!((held[0].score - 0.3).abs() < 1e-5);
    // Who follows sees what moved, and not what trembled.
    let since = async |seq| v.epss_since(seq, 10).await.unwrap();
    let moved = since(0).await;
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0].1, "CVE-2024-0001");
    v.apply(vec![score(4, 0.3004)], at(9)).await.unwrap();
    assert!(since(moved[0].0).await.is_empty());
    v.apply(vec![score(5, 0.3012)], at(9)).await.unwrap();
    assert_eq!(since(moved[0].0).await.len(), 1);
    let run = |newest: Option<i64>, error: Option<&str>| FeedRun {
        name: "cve".into(),
        newest: newest.map(at),
        offered: 5,
        applied: 3,
        refused: 1,
        error: error.map(str::to_owned),
    };
    v.note_feed(&run(Some(90), None), at(100)).await.unwrap();
    v.note_feed(&run(None, Some("no route")), at(200))
        .await
        .unwrap();
    v.note_feed(&run(Some(80), None), at(150)).await.unwrap();
    let feeds = v.feeds().await.unwrap();
    assert_eq!(feeds.len(), 1);
    assert_eq!(
        (feeds[0].tried, feeds[0].succeeded),
        (at(200), Some(at(100)))
    );
    assert_eq!(
        (feeds[0].newest, feeds[0].error.as_str()),
        (Some(at(90)), "no route")
    );
}

async fn hostile_records(w: World) {
    let v = w.store.vulnerabilities();
    let mut f = figures(RecordKind::Cve, Some(i64::MAX / 2_000_000));
    f.published = Some(Timestamp::from_micros(i64::MIN));
    f.score = Some(255);
    f.title = "\0\u{202e}'; DROP TABLE vuln_records; --\n".repeat(50);
    f.terms = vec![
        Term::Product("\0".into()),
        Term::Product("x".repeat(100_000)),
        Term::Vendor("ﬃ'\"".into()),
        Term::Package("npm\u{1f}".into(), "../../etc".into()),
    ];
    let long = "x".repeat(100_000);
    let body = format!("{{\"a\":\"{}\"}}", "\\u0000é".repeat(200_000));
    v.apply(vec![put("cve/CVE-2024-0001", &body, f)], at(1))
        .await
        .unwrap();
    let stored = v.cve("CVE-2024-0001").await.unwrap().unwrap();
    assert_eq!(stored.bytes.as_deref(), Some(body.as_bytes()));
    for product in [long.as_str(), "\0"] {
        let filter = VulnerabilityFilter {
            product: Some(product.into()),
            ..Default::default()
        };
        let found = ids(&w, filter, VulnerabilitySort::Published).await;
        assert_eq!(found, ["CVE-2024-0001"]);
    }
    // A name that everything shares does not run away.
    let all = (0..300)
        .map(|n| {
            let mut f = figures(RecordKind::Advisory, Some(1));
            f.terms = vec![Term::Name("shared".into()), Term::Name(format!("ID-{n}"))];
            put(&format!("advisory/x/ID-{n}"), &n.to_string(), f)
        })
        .collect();
    v.apply(all, at(1)).await.unwrap();
    assert!(v.names("shared").await.unwrap().len() <= 64);
    let shared = v.named_together(&["shared".into()]).await.unwrap();
    assert!(shared.len() == 1 && shared[0].len() <= 301);
}

/// What is joined over several steps is together, the others stand alone.
async fn names_of_several(w: World) {
    let v = w.store.vulnerabilities();
    let joins = [["A", "B"], ["C", "D"], ["B", "C"], ["E", "F"]];
    let all = joins.map(|names| {
        let mut f = figures(RecordKind::Advisory, Some(1));
        f.terms = names.map(|n| Term::Name(n.into())).into();
        put(&format!("advisory/x/{}", names.concat()), "{}", f)
    });
    v.apply(all.into(), at(1)).await.unwrap();
    let asked = ["D", "A", "E", "Z"].map(str::to_owned);
    let groups = v.named_together(&asked).await.unwrap();
    let mut groups: Vec<String> = groups
        .into_iter()
        .map(|group| Vec::from_iter(group).concat())
        .collect();
    groups.sort();
    assert_eq!(groups, ["ABCD", "EF", "Z"]);
}

/// More rows than one statement carries, new and changed.
async fn many_at_once(w: World) {
    let v = w.store.vulnerabilities();
    let all = |changed: i64| -> Vec<Change> {
        (0..1_000)
            .map(|n| {
                let mut f = figures(RecordKind::Cve, Some(changed));
                f.published = Some(at(i64::from(n)));
                f.terms = vec![Term::Product(format!("p{}", (i64::from(n) + changed) % 10))];
                put(
                    &format!("cve/CVE-2024-{n:04}"),
                    &format!("{n} {changed}"),
                    f,
                )
            })
            .collect()
    };
    assert_eq!(v.apply(all(1), at(1)).await.unwrap().inserted, 1_000);
    assert_eq!(v.apply(all(1), at(2)).await.unwrap().unchanged, 1_000);
    assert_eq!(v.apply(all(2), at(3)).await.unwrap().changed, 1_000);
    let filter = VulnerabilityFilter {
        product: Some("p2".into()),
        ..Default::default()
    };
    let found = v
        .search(
            &filter,
            VulnerabilitySort::Published,
            &PageRequest {
                cursor: None,
                limit: 1_000,
            },
        )
        .await
        .unwrap();
    assert_eq!(found.items.len(), 100);
    assert_eq!(found.items[0].id, "CVE-2024-0990");
    let mut seq = 0;
    let mut count = 0;
    loop {
        let changed = v.changed_since(seq, 300).await.unwrap();
        let Some(last) = changed.last() else { break };
        seq = last.seq;
        count += changed.len();
    }
    assert_eq!(count, 1_000);
}
