//! The facts of a chunk.

use super::Import;
use crate::Result;
use crate::bulk::Bulk;
use crate::db::{Tx, args};
use bartizan_model::Observation;
use std::collections::{BTreeMap, HashMap};

/// Writes the facts that are new or differ from what is stored.
pub(super) async fn write(
    import: &Import,
    tx: &mut Tx,
    facts: Vec<(u128, Observation)>,
) -> Result<()> {
    let t = import.store.t;
    // The last of several facts of a kind about an asset stays.
    let mut newest: BTreeMap<(i64, String), (u128, Observation)> = BTreeMap::new();
    for (id, fact) in facts {
        let asset = import.caches.asset(&fact.asset.uid)?.id;
        newest.insert((asset, fact.kind.clone()), (id, fact));
    }
    let mut stored = HashMap::new();
    if !import.fresh {
        let mut bulk = Bulk::new("iiit");
        for (asset, kind) in newest.keys() {
            bulk.push(args![t, import.scope, *asset, kind.as_str()]);
        }
        let rows = bulk
            .run(
                tx,
                "WITH v(tenant, scope, asset, kind) AS (",
                ") SELECT o.asset, o.kind, o.digest, o.file, o.line, o.col, o.source FROM v \
                 JOIN observations o ON o.tenant = v.tenant AND o.scope = v.scope \
                 AND o.asset = v.asset AND o.kind = v.kind",
            )
            .await?;
        for row in &rows {
            stored.insert(
                (row.int(0)?, row.text(1)?),
                (
                    row.text(2)?,
                    row.opt_text(3)?,
                    row.opt_int(4)?,
                    row.opt_int(5)?,
                    row.int(6)?,
                ),
            );
        }
    }
    let mut write = Bulk::new("iiitittiiitb");
    for ((asset, kind), (id, fact)) in newest {
        let location = fact.location.as_ref();
        let row = (
            fact.digest.to_string(),
            location.map(|l| l.file.clone()),
            location.map(|l| i64::from(l.line)),
            location.and_then(|l| l.column).map(i64::from),
            import.source,
        );
        if stored.get(&(asset, kind.clone())) == Some(&row) {
            continue;
        }
        let (digest, file, line, col, source) = row;
        write.push(args![
            t,
            import.scope,
            asset,
            kind,
            source,
            digest,
            serde_json::to_string(&fact.body)?,
            line,
            col,
            import.scan,
            file,
            id.to_be_bytes().to_vec()
        ]);
    }
    write
        .run(
            tx,
            "INSERT INTO observations (tenant, scope, asset, kind, source, digest, body, line, \
             col, scan, file, seen)",
            "ON CONFLICT (tenant, scope, asset, kind) DO UPDATE SET source = excluded.source, \
             digest = excluded.digest, body = excluded.body, line = excluded.line, \
             col = excluded.col, scan = excluded.scan, file = excluded.file",
        )
        .await?;
    Ok(())
}
