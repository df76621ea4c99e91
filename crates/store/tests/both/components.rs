//! Components of assets: replaced atomically, found from both sides, marks that survive.

use crate::both;
use crate::world::*;
use bartizan_model::{Asset, AssetUid, Component, Ecosystem, Found, SourcePackage};
use bartizan_store::PageRequest;
use bartizan_store::components::*;

both!(
    replaced_and_found,
    matches_mark_their_holders,
    the_same_again_writes_nothing,
    many_assets_at_once,
    a_scope_takes_its_inventories_along,
);

fn asset(name: &str) -> ComponentAsset {
    ComponentAsset {
        asset: Asset {
            uid: AssetUid::new(format!("host:{name}")).unwrap(),
            kind: "Host".into(),
            name: name.into(),
            namespace: String::new(),
        },
        scope: format!("host:{name}"),
        source: "test".into(),
        unread: vec!["/a.jar: broken".into()],
    }
}

fn row(purl: &str, ecosystem: &str, source: Option<(&str, &str)>, path: &str) -> ComponentRow {
    let component = Component {
        purl: purl.parse().unwrap(),
        ecosystem: Ecosystem::parse(ecosystem),
        source: source.map(|(name, version)| SourcePackage {
            name: name.into(),
            version: version.into(),
        }),
        licences: vec!["MIT".into()],
        found: vec![Found {
            path: path.into(),
            layer: None,
        }],
        target: AssetUid::new("host:a").unwrap(),
    };
    let kind = component.ecosystem.kind.as_str().to_owned();
    let mut keys = vec![(kind.clone(), component.name().into_owned())];
    keys.extend(
        component
            .source
            .iter()
            .map(|s| (kind.clone(), s.name.clone())),
    );
    ComponentRow { component, keys }
}

fn key(ecosystem: &str, name: &str) -> (String, String) {
    (ecosystem.into(), name.into())
}

async fn replaced_and_found(world: World) {
    let t = &world.tenant;
    let zlib = row(
        "pkg:deb/debian/zlib1g@1.2-3",
        "Debian:12",
        Some(("zlib", "1.2-3")),
        "/dpkg",
    );
    let left = row(
        "pkg:npm/left-pad@1.0.0",
        "npm",
        None,
        "/srv/package-lock.json",
    );
    let first = t
        .replace_components(&asset("a"), &[zlib.clone(), left.clone()], at(1))
        .await
        .unwrap();
    assert_eq!((first.added, first.removed, first.fresh), (2, 0, 2));
    let second = t
        .replace_components(&asset("b"), std::slice::from_ref(&zlib), at(1))
        .await
        .unwrap();
    assert_eq!((second.added, second.fresh), (1, 0));
    // By the source's name and the own one; another ecosystem's is another package.
    for (keys, expected) in [
        (vec![key("Debian", "zlib")], 1),
        (vec![key("Debian", "zlib1g"), key("npm", "left-pad")], 2),
        (vec![key("npm", "zlib")], 0),
    ] {
        assert_eq!(
            t.components_with(&keys).await.unwrap().len(),
            expected,
            "{keys:?}"
        );
    }
    let parts = t.components_with(&[key("Debian", "zlib")]).await.unwrap();
    let holders = t.holders(&[parts[0].id]).await.unwrap();
    assert_eq!(holders.len(), 2);
    assert_eq!(holders[0].found[0].path, "/dpkg");
    // Upgraded: the old one goes, the other stays.
    let newer = row(
        "pkg:deb/debian/zlib1g@1.2-4",
        "Debian:12",
        Some(("zlib", "1.2-4")),
        "/dpkg",
    );
    let third = t
        .replace_components(&asset("a"), &[newer, left], at(2))
        .await
        .unwrap();
    assert_eq!((third.added, third.removed, third.kept), (1, 1, 1));
    let (kept, now) = t
        .components_of(&asset("a").asset.uid)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.asset, asset("a"));
    let purls: Vec<String> = now.iter().map(|p| p.component.purl.to_string()).collect();
    assert_eq!(
        purls,
        ["pkg:deb/debian/zlib1g@1.2-4", "pkg:npm/left-pad@1.0.0"]
    );
    assert_eq!(now[1].component.found[0].path, "/srv/package-lock.json");
    assert_eq!(now[1].component.licences, ["MIT"]);
    // Another tenant sees none of it.
    let other = world
        .store
        .create_tenant(&bartizan_model::TenantId::new("other").unwrap(), at(0))
        .await
        .unwrap();
    assert!(
        other
            .components_of(&asset("a").asset.uid)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        other
            .components_with(&[key("Debian", "zlib")])
            .await
            .unwrap()
            .is_empty()
    );
    // An asset does not move between scopes.
    let mut moved = asset("a");
    moved.scope = "cluster:prod".into();
    assert!(t.replace_components(&moved, &[], at(3)).await.is_err());
    let page = t.component_assets(&PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 2);
    assert!(t.forget_components(&asset("a").asset.uid).await.unwrap());
    assert_eq!(t.tidy_components().await.unwrap(), 2);
    // What was taken away is gone for whoever asks, and stays until its findings are closed.
    let uid = asset("a").asset.uid;
    let there = async || t.components_of(&uid).await.unwrap().is_some();
    assert!(!there().await);
    assert!(!t.forget_components(&uid).await.unwrap());
    let page = t.component_assets(&PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(t.component_assets_by_id(&[kept.id]).await.unwrap().len(), 1);
    let marks = t.pending_components().await.unwrap();
    assert!(marks.iter().any(|m| m.asset == kept.id));
    t.settle_components(&[], &[], &marks).await.unwrap();
    assert!(
        t.component_assets_by_id(&[kept.id])
            .await
            .unwrap()
            .is_empty()
    );
    // And comes back.
    t.replace_components(&asset("a"), std::slice::from_ref(&zlib), at(4))
        .await
        .unwrap();
    assert!(there().await);
    assert!(t.forget_components(&uid).await.unwrap());
    t.replace_components(&asset("a"), &[], at(5)).await.unwrap();
    assert!(there().await);
}

async fn a_scope_takes_its_inventories_along(world: World) {
    use bartizan_model::Outcome::Fail;
    let t = &world.tenant;
    let a = row("pkg:npm/a@1.0.0", "npm", None, "/a");
    let mut inside = asset("x");
    inside.asset.uid = AssetUid::new("cluster:prod//Image//x").unwrap();
    inside.scope = "cluster:prod".into();
    let put = async || {
        t.replace_many(
            &[
                (&inside, std::slice::from_ref(&a)),
                (&asset("y"), std::slice::from_ref(&a)),
            ],
            at(1),
        )
        .await
        .unwrap()
    };
    put().await;
    world
        .import(&said("s1", "prod", 1, &[("check", "x", Fail)]))
        .await;
    let page = t.component_assets(&PageRequest::default()).await.unwrap();
    let x = page.items.iter().find(|k| k.asset == inside).unwrap().id;
    let hit = Hit {
        asset: x,
        vulnerability: "CVE-2026-0001".into(),
        locus: "pkg:npm/a".into(),
        digest: Hit::digest("x"),
    };
    t.settle_components(std::slice::from_ref(&hit), &[], &[])
        .await
        .unwrap();
    t.delete_scope(&scope("prod"), &act("ana", 1))
        .await
        .unwrap();
    assert!(t.component_hits(&[x]).await.unwrap().is_empty());
    assert!(t.components_of(&inside.asset.uid).await.unwrap().is_none());
    let marks = t.pending_components().await.unwrap();
    assert!(!marks.is_empty() && marks.iter().all(|m| m.asset != x));
    let parts = t.components_with(&[key("npm", "a")]).await.unwrap();
    assert_eq!(t.holders(&[parts[0].id]).await.unwrap().len(), 1);
    // The same inventory again is a new one, of which nothing was reported yet.
    let again = put().await;
    assert_eq!((again.added, again.kept), (1, 1));
    let marks = t.pending_components().await.unwrap();
    assert_eq!(marks.len(), 2);
}

async fn matches_mark_their_holders(world: World) {
    let t = &world.tenant;
    let a = row("pkg:npm/a@1.0.0", "npm", None, "/a");
    for name in ["x", "y"] {
        t.replace_components(&asset(name), std::slice::from_ref(&a), at(1))
            .await
            .unwrap();
    }
    t.replace_components(&asset("z"), &[], at(1)).await.unwrap();
    let marks = t.pending_components().await.unwrap();
    assert_eq!(marks.len(), 3);
    assert!(marks.iter().all(|m| m.vulnerability.is_empty()));
    t.settle_components(&[], &[], &marks).await.unwrap();
    assert!(t.pending_components().await.unwrap().is_empty());
    let parts = t.unmatched(10).await.unwrap();
    assert_eq!(parts.len(), 1);
    let said = |body: &str| {
        vec![Matched {
            part: parts[0].id,
            rows: vec![MatchRow {
                vulnerability: "CVE-2026-0001".into(),
                body: body.into(),
            }],
        }]
    };
    // Nothing may be said of who has what was never matched, nor of who is marked later.
    let newest = t.newest_mark().await.unwrap();
    assert_eq!(t.unsettled_assets(newest).await.unwrap().len(), 2);
    assert_eq!(t.record_matches(&said("{}"), 7).await.unwrap(), 1);
    assert_eq!(t.unsettled_assets(newest).await.unwrap().len(), 2);
    let newest = t.newest_mark().await.unwrap();
    assert!(t.unsettled_assets(newest).await.unwrap().is_empty());
    for (of, at) in [(Cursor::Records, 7), (Cursor::Epss, 3)] {
        assert_eq!(t.match_cursor(of).await.unwrap(), 0);
        t.set_match_cursor(of, at).await.unwrap();
        assert_eq!(t.match_cursor(of).await.unwrap(), at);
    }
    assert_eq!(t.match_cursor(Cursor::Records).await.unwrap(), 7);
    assert!(t.unmatched(10).await.unwrap().is_empty());
    let marks = t.pending_components().await.unwrap();
    assert_eq!(marks.len(), 2);
    assert!(marks.iter().all(|m| m.vulnerability == "CVE-2026-0001"));
    // What comes while one works is not lost with what was done.
    assert_eq!(t.record_matches(&said("{\"b\":1}"), 8).await.unwrap(), 1);
    let hit = Hit {
        asset: marks[0].asset,
        vulnerability: "CVE-2026-0001".into(),
        locus: "pkg:npm/a".into(),
        digest: Hit::digest("x"),
    };
    t.settle_components(std::slice::from_ref(&hit), &[], &marks)
        .await
        .unwrap();
    assert_eq!(t.pending_components().await.unwrap().len(), 2);
    assert_eq!(
        t.component_hits(&[hit.asset]).await.unwrap(),
        vec![hit.clone()]
    );
    let page = t
        .affected("CVE-2026-0001", &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2);
    assert_eq!(page.items[0].body, "{\"b\":1}");
    let burdens = t.component_burdens(5, None).await.unwrap();
    assert_eq!(
        (burdens.len(), burdens[0].assets, burdens[0].said.len()),
        (1, 2, 1)
    );
    let far = t.component_burdens(5, Some("host:none")).await.unwrap();
    assert!(far.is_empty(), "{far:?}");
    looked_at(t, parts[0].id).await;
    let names = ["CVE-2026-0001".to_owned()];
    assert_eq!(
        Vec::from_iter(t.parts_hit_any(&names).await.unwrap()),
        [parts[0].id]
    );
    let matches = async |only| t.matches_of(&[parts[0].id], only).await.unwrap().len();
    assert_eq!(matches(Some("CVE-2026-0001")).await, 1);
    assert_eq!(matches(Some("CVE-2026-0002")).await, 0);
    // Withdrawn: the match goes, the holders are told.
    let none = vec![Matched {
        part: parts[0].id,
        rows: vec![],
    }];
    let marks = t.pending_components().await.unwrap();
    t.settle_components(&[], std::slice::from_ref(&hit), &marks)
        .await
        .unwrap();
    assert!(t.component_hits(&[hit.asset]).await.unwrap().is_empty());
    assert_eq!(t.record_matches(&none, 9).await.unwrap(), 1);
    assert_eq!(t.pending_components().await.unwrap().len(), 2);
    assert!(t.matched_parts(&[hit.asset]).await.unwrap().is_empty());
}

/// What two assets with one hit component come to, from every side.
async fn looked_at(t: &bartizan_store::TenantStore, part: i64) {
    const CVE: &str = "CVE-2026-0001";
    for (scope, assets) in [(None, 2), (Some("host:x"), 1), (Some("host:none"), 0)] {
        let there = usize::from(assets > 0);
        let present = t.present(scope, None, 9).await.unwrap();
        assert_eq!(present.len(), there, "{scope:?}");
        if let Some(row) = present.first() {
            let after = (row.vulnerability.clone(), row.part);
            assert!(t.present(scope, Some(&after), 9).await.unwrap().is_empty());
        }
        let said = t.said_about(&[CVE, "CVE-1"], scope).await.unwrap();
        assert_eq!(said.len(), there, "{scope:?}");
        assert_eq!(said.iter().map(|s| s.assets).sum::<u64>(), assets);
        let with = t.assets_with(&[CVE], scope).await.unwrap();
        assert_eq!(with.get(CVE).copied().unwrap_or_default(), assets);
        assert_eq!(t.held(&[part], scope).await.unwrap().len() as u64, assets);
        let names = t.inventory_names(scope).await.unwrap();
        assert!(names.len() as u64 >= assets, "{names:?}");
    }
    let names = t.inventory_names(None).await.unwrap();
    let ids: Vec<i64> = names.iter().map(|n| n.id).collect();
    let counts = t.component_counts(&ids).await.unwrap();
    assert!(counts.values().all(|n| *n > 0), "{counts:?}");
    let matches = t.matches_in(ids[0]).await.unwrap();
    assert_eq!(matches.get(&part).map(Vec::len), Some(1), "{matches:?}");
    let parts = t.parts(&[part]).await.unwrap();
    let package = parts[0].component.purl.package();
    let of = t.parts_of_package(&package).await.unwrap();
    assert!(of.iter().any(|p| p.id == part), "{of:?}");
    // Another package whose name begins the same is another.
    let shorter = package.to_string();
    let shorter = shorter[..shorter.len() - 1].parse();
    if let Ok(shorter) = shorter {
        assert!(t.parts_of_package(&shorter).await.unwrap().is_empty());
    }
    let mut page = PageRequest {
        cursor: None,
        limit: 1,
    };
    let first = t.holder_page(&[part], None, &page).await.unwrap();
    page.cursor = first.next_cursor.clone();
    assert!(page.cursor.is_some());
    let second = t.holder_page(&[part], None, &page).await.unwrap();
    assert_ne!(first.items[0].asset.id, second.items[0].asset.id);
    assert_eq!(second.next_cursor, None);
    let none = t.holder_page(&[], None, &page).await.unwrap();
    assert!(none.items.is_empty());
}

async fn the_same_again_writes_nothing(world: World) {
    let t = &world.tenant;
    let rows = [row("pkg:npm/a@1.0.0", "npm", None, "/a")];
    t.replace_components(&asset("x"), &rows, at(1))
        .await
        .unwrap();
    let again = t
        .replace_components(&asset("x"), &rows, at(2))
        .await
        .unwrap();
    assert_eq!(
        (again.added, again.removed, again.kept, again.fresh),
        (0, 0, 1, 0)
    );
    // Nor is it derived again; what else could not be read is.
    let marks = t.pending_components().await.unwrap();
    t.settle_components(&[], &[], &marks).await.unwrap();
    assert!(!t.has_pending_components().await.unwrap());
    let put = async |asset: &ComponentAsset, path: &str| {
        let rows = [row("pkg:npm/a@1.0.0", "npm", None, path)];
        t.replace_components(asset, &rows, at(3)).await.unwrap();
        t.has_pending_components().await.unwrap()
    };
    assert!(!put(&asset("x"), "/a").await);
    assert!(put(&asset("x"), "/b").await, "it stands elsewhere");
    let marks = t.pending_components().await.unwrap();
    t.settle_components(&[], &[], &marks).await.unwrap();
    let mut whole = asset("x");
    whole.unread.clear();
    assert!(put(&whole, "/b").await);
    let twice = [(&asset("x"), &rows[..]), (&asset("x"), &rows[..])];
    assert!(t.replace_many(&twice, at(3)).await.is_err());
}

async fn many_assets_at_once(world: World) {
    let t = &world.tenant;
    let rows: Vec<ComponentRow> = (0..300)
        .map(|n| row(&format!("pkg:npm/p{n}@1.0.0"), "npm", None, "/lock"))
        .collect();
    let assets: Vec<ComponentAsset> = (0..20).map(|n| asset(&n.to_string())).collect();
    let all: Vec<(&ComponentAsset, &[ComponentRow])> =
        assets.iter().map(|a| (a, &rows[..])).collect();
    let done = t.replace_many(&all, at(1)).await.unwrap();
    assert_eq!((done.added, done.fresh), (6_000, 300));
    let keys: Vec<(String, String)> = (0..300).map(|n| key("npm", &format!("p{n}"))).collect();
    let parts = t.components_with(&keys).await.unwrap();
    assert_eq!(parts.len(), 300);
    let ids: Vec<i64> = parts.iter().map(|p| p.id).collect();
    assert_eq!(t.holders(&ids).await.unwrap().len(), 6_000);
}
