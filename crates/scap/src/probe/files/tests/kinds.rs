//! Links, hashes, filters and values of variables.

use super::*;
use crate::probe::Keep;

#[test]
fn links_and_hashes() {
    let system = tree();
    system.link("/etc/self", "self");
    let ctx = Context::new(&system);
    let link = |path: &str| collect(&ctx, "symlink", &query(&[&format!("filepath={path}")], &[]));
    assert_eq!(
        link("/etc/link.conf").items[0].text("canonical_path"),
        Some("/etc/a.conf")
    );
    assert_eq!(link("/etc/a.conf").flag, Flag::DoesNotExist);
    assert_eq!(link("/etc/none").flag, Flag::DoesNotExist);
    assert_eq!(link("/etc/gone").flag, Flag::Error);
    assert_eq!(link("/etc/self").flag, Flag::Error);
    let hash = collect(
        &ctx,
        "filehash58",
        &query(&["filepath=/etc/link.conf", "hash_type!MD5"], &[]),
    );
    assert_eq!(hash.items.len(), 5);
    assert_eq!(
        hash.items[0].text("hash"),
        Some("11f6ad8ec52a2984abaafd7c3b516503785c2072")
    );
    let both = collect(&ctx, "filehash", &query(&["filepath=/etc/a.conf"], &[]));
    assert_eq!(
        both.items[0].text("md5"),
        Some("9dd4e461268c8034f5c8564e155c67a6")
    );
}

#[test]
fn filters_run_before_items_pile_up() {
    let system = tree();
    let ctx = Context::new(&system);
    let mut query = query(&["path=/", "filename~."], &[DOWN]);
    query.keep = Keep::new(|item, _| item.text("filename") == Some("g.conf"));
    let collected = collect(&ctx, "file", &query);
    // Through the link, too.
    assert_eq!(collected.items.len(), 2);
}

#[test]
fn values_of_variables_are_places_to_begin_at() {
    let system = tree();
    let ctx = Context::new(&system);
    let mut query = query(
        &["path=/etc", "filename~conf"],
        &[DOWN, ("recurse", "directories")],
    );
    query.entities[0].values = vec!["/etc/d".into(), "/etc/d/e".into(), "/etc/d".into()];
    query.entities[0].var_check = Check::AtLeastOne;
    let items = collect(&ctx, "file", &query).items;
    assert_eq!(items.len(), 2);
    query.entities[0].var_check = Check::All;
    assert_eq!(collect(&ctx, "file", &query).flag, Flag::DoesNotExist);
}
