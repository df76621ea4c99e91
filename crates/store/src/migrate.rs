//! Embedded migrations, forward only. A database newer than the program is refused.

use crate::db::{Db, args};
use crate::{Result, StoreError};

/// One step, in both dialects.
struct Step {
    sqlite: &'static str,
    postgres: &'static str,
}

/// The steps; a step's version is its place, from 1. Never edit a step that was released.
const STEPS: &[Step] = &[
    Step {
        sqlite: include_str!("../migrations/sqlite/0001_base.sql"),
        postgres: include_str!("../migrations/postgres/0001_base.sql"),
    },
    Step {
        sqlite: include_str!("../migrations/sqlite/0002_orders.sql"),
        postgres: include_str!("../migrations/postgres/0002_orders.sql"),
    },
];

/// The newest schema that this program knows.
pub(crate) const KNOWN: i64 = STEPS.len() as i64;

/// A number that no other program on the same PostgreSQL is likely to lock: "bartizan".
const LOCK: i64 = 0x6261_7274_697a_616e;

/// Brings the schema up to `target`, all in one transaction.
pub(crate) async fn migrate(db: &Db, target: i64) -> Result<()> {
    let mut tx = db.begin().await?;
    if !tx.is_lite() {
        // Two servers starting together: the second waits, then finds nothing to do.
        tx.all(
            "SELECT 1::bigint FROM (SELECT pg_advisory_xact_lock($1)) l",
            args![LOCK],
        )
        .await?;
    }
    tx.raw("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        .await?;
    let found = match tx
        .opt(
            "SELECT COALESCE(MAX(version), 0) FROM schema_version",
            vec![],
        )
        .await?
    {
        Some(row) => row.int(0)?,
        None => 0,
    };
    if found > KNOWN {
        return Err(StoreError::NewerSchema {
            found,
            known: KNOWN,
        });
    }
    for (version, step) in (1..).zip(STEPS) {
        if version <= found || version > target {
            continue;
        }
        tx.raw(if tx.is_lite() {
            step.sqlite
        } else {
            step.postgres
        })
        .await?;
        tx.exec(
            "INSERT INTO schema_version (version) VALUES ($1)",
            args![version],
        )
        .await?;
    }
    tx.commit().await
}
