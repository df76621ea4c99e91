//! Each feed's health: when it was last tried, when it last succeeded, what it brought.

use super::Vulnerabilities;
use crate::Result;
use crate::db::{Val, args};
use bartizan_model::Timestamp;

/// One attempt at a feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedRun {
    /// The feed.
    pub name: String,
    /// The latest moment of change among its records; none leaves what is known.
    pub newest: Option<Timestamp>,
    /// Records that it offered.
    pub offered: u64,
    /// Records that were new or changed.
    pub applied: u64,
    /// Records that could not be read.
    pub refused: u64,
    /// Why it failed; none when it succeeded.
    pub error: Option<String>,
}

/// A feed's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow {
    /// The feed.
    pub name: String,
    /// The last attempt.
    pub tried: Timestamp,
    /// The last attempt that succeeded.
    pub succeeded: Option<Timestamp>,
    /// The latest moment of change that any of its records states.
    pub newest: Option<Timestamp>,
    /// Records that the last attempt offered.
    pub offered: u64,
    /// Records that the last attempt changed.
    pub applied: u64,
    /// Records that the last attempt could not read.
    pub refused: u64,
    /// Why the last attempt failed; empty when it succeeded.
    pub error: String,
}

impl Vulnerabilities {
    /// Notes an attempt. A later one never loses to an earlier one.
    pub async fn note_feed(&self, run: &FeedRun, at: Timestamp) -> Result<()> {
        let error: String = run
            .error
            .as_deref()
            .unwrap_or("")
            .chars()
            .take(500)
            .collect();
        let succeeded = run.error.is_none().then_some(at);
        self.db()
            .exec(
                "INSERT INTO vuln_feeds (name, tried, succeeded, newest, offered, applied, \
                 refused, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (name) DO UPDATE SET tried = excluded.tried, \
                 succeeded = COALESCE(excluded.succeeded, vuln_feeds.succeeded), \
                 newest = CASE WHEN excluded.newest > COALESCE(vuln_feeds.newest, excluded.newest - 1) \
                 THEN excluded.newest ELSE vuln_feeds.newest END, \
                 offered = excluded.offered, applied = excluded.applied, \
                 refused = excluded.refused, error = excluded.error \
                 WHERE excluded.tried >= vuln_feeds.tried",
                args![
                    run.name.as_str(),
                    at,
                    succeeded,
                    run.newest,
                    run.offered,
                    run.applied,
                    run.refused,
                    Val::from(error)
                ],
            )
            .await?;
        Ok(())
    }

    /// All feeds that were ever tried, by name.
    pub async fn feeds(&self) -> Result<Vec<FeedRow>> {
        self.db()
            .all(
                "SELECT name, tried, succeeded, newest, offered, applied, refused, error \
                 FROM vuln_feeds ORDER BY name",
                vec![],
            )
            .await?
            .iter()
            .map(|row| {
                Ok(FeedRow {
                    name: row.text(0)?,
                    tried: row.time(1)?,
                    succeeded: row.opt_time(2)?,
                    newest: row.opt_time(3)?,
                    offered: row.count(4)?,
                    applied: row.count(5)?,
                    refused: row.count(6)?,
                    error: row.text(7)?,
                })
            })
            .collect()
    }
}
