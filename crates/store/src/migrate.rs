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
    Step {
        sqlite: include_str!("../migrations/sqlite/0003_scope_first.sql"),
        postgres: include_str!("../migrations/postgres/0003_scope_first.sql"),
    },
    Step {
        sqlite: include_str!("../migrations/sqlite/0004_systems.sql"),
        postgres: include_str!("../migrations/postgres/0004_systems.sql"),
    },
    Step {
        sqlite: include_str!("../migrations/sqlite/0005_decisions.sql"),
        postgres: include_str!("../migrations/postgres/0005_decisions.sql"),
    },
    Step {
        sqlite: include_str!("../migrations/sqlite/0006_counted.sql"),
        postgres: include_str!("../migrations/postgres/0006_counted.sql"),
    },
    Step {
        sqlite: include_str!("../migrations/sqlite/0007_vulnerabilities.sql"),
        postgres: include_str!("../migrations/postgres/0007_vulnerabilities.sql"),
    },
    Step {
        sqlite: include_str!("../migrations/sqlite/0008_components.sql"),
        postgres: include_str!("../migrations/postgres/0008_components.sql"),
    },
    Step {
        sqlite: include_str!("../migrations/sqlite/0009_following.sql"),
        postgres: include_str!("../migrations/postgres/0009_following.sql"),
    },
];

/// The newest schema that this program knows.
pub(crate) const KNOWN: i64 = STEPS.len() as i64;

/// A number that no other program on the same PostgreSQL is likely to lock: "bartizan".
const LOCK: i64 = 0x6261_7274_697a_616e;

/// Refuses a schema that is not the newest, and writes nothing.
pub(crate) async fn require(db: &Db) -> Result<()> {
    let row = db
        .opt("SELECT MAX(version) FROM schema_version", vec![])
        .await?;
    let found = match row {
        Some(row) => row.opt_int(0)?.unwrap_or(0),
        None => 0,
    };
    refuse_newer(found)?;
    if found < KNOWN {
        return Err(StoreError::OlderSchema {
            found,
            known: KNOWN,
        });
    }
    Ok(())
}

fn refuse_newer(found: i64) -> Result<()> {
    if found > KNOWN {
        return Err(StoreError::NewerSchema {
            found,
            known: KNOWN,
        });
    }
    Ok(())
}

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
    refuse_newer(found)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{FindingFilter, FindingSort};
    use crate::{Config, PageRequest, Store};
    use bartizan_model::{TenantId, Timestamp};

    /// The schema grows from the first with its rows, and a newer one is refused.
    async fn grows_and_refuses(config: Config) {
        let now = Timestamp::from_micros(0);
        let old = Store::open_at(&config, 1).await.unwrap();
        for sql in [
            "INSERT INTO tenants VALUES (1, 'default', 0)",
            "INSERT INTO scopes VALUES (1, 1, 'cluster:prod', 0)",
            "INSERT INTO names (tenant, sort, name, id) VALUES (1, 0, 'shop', 1), (1, 1, 'Pod', 2)",
            "INSERT INTO assets VALUES (1, 1, 'cluster:prod//Pod/shop/web', 1, 2, 1, 'web')",
            "INSERT INTO checks VALUES (1, 1, 'rego/x/a', 'No root', '', 3, '', '[]')",
            "INSERT INTO finding_counts VALUES (1, 1, 1, 0, 3, 1)",
        ] {
            old.db().exec(sql, vec![]).await.unwrap();
        }
        old.db()
            .exec(
                "INSERT INTO findings (id, tenant, key, scope, chk, asset, asset_uid, ns, kind, \
                 locus, status, severity, message, first_seen, changed) VALUES \
                 ($1, 1, $2, 1, 1, 1, 'cluster:prod//Pod/shop/web', 1, 2, '', 0, 3, \
                 'runs as root', 5, 5)",
                args![(1_i64 << 32) + 1, vec![1_u8; 21]],
            )
            .await
            .unwrap();
        old.close().await;
        // Who only reads does not migrate what somebody else may be using.
        let error = Store::open_to_read(&config).await.unwrap_err();
        assert!(
            matches!(error, StoreError::OlderSchema { found: 1, .. }),
            "{error}"
        );
        let new = Store::open(&config, now).await.unwrap();
        Store::open_to_read(&config).await.unwrap().close().await;
        let tenant = new.tenant(&TenantId::default_tenant()).await.unwrap();
        let filter = FindingFilter {
            q: Some("Root Web".into()),
            ..FindingFilter::default()
        };
        let page = tenant
            .findings(&filter, FindingSort::Asset, &PageRequest::default())
            .await
            .unwrap();
        let messages: Vec<&str> = page.page.items.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(messages, ["runs as root"]);
        new.db()
            .exec("INSERT INTO schema_version VALUES ($1)", args![KNOWN + 1])
            .await
            .unwrap();
        new.close().await;
        let error = Store::open(&config, now).await.unwrap_err();
        assert!(
            matches!(error, StoreError::NewerSchema { found, known } if found == known + 1),
            "{error}"
        );
    }

    #[tokio::test]
    async fn grows_and_refuses_sqlite() {
        let folder = tempfile::tempdir().unwrap();
        grows_and_refuses(Config::embedded(folder.path().join("data"))).await;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            for (path, mode) in [("data", 0o700), ("data/bartizan.db", 0o600)] {
                let meta = std::fs::metadata(folder.path().join(path)).unwrap();
                assert_eq!(meta.permissions().mode() & 0o777, mode, "{path}");
            }
        }
    }

    #[tokio::test]
    async fn grows_and_refuses_postgres() {
        let Ok(server) = std::env::var("BARTIZAN_TEST_POSTGRES") else {
            eprintln!("skipped grows_and_refuses_postgres: BARTIZAN_TEST_POSTGRES is not set");
            return;
        };
        let pool = sqlx::PgPool::connect(&server).await.unwrap();
        let name = format!("migrate_{}", std::process::id());
        let run = async |sql: String| {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&pool)
                .await
                .unwrap();
        };
        run(format!("CREATE DATABASE {name}")).await;
        let (root, _) = server.rsplit_once('/').unwrap();
        let folder = tempfile::tempdir().unwrap();
        grows_and_refuses(Config {
            database: format!("{root}/{name}"),
            objects: folder.path().display().to_string(),
            data_folder: None,
            connections: 2,
        })
        .await;
        run(format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
}
