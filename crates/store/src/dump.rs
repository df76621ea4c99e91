//! The end state as text, to compare two of them.

use crate::audit::id_text;
use crate::db::args;
use crate::findings::change::key_text;
use crate::{Result, TenantStore};
use std::fmt::Write as _;

impl TenantStore {
    /// Canonical text of observations, results, findings, counters, scans and audit entries,
    /// one line each in the order of what the world knows them by, without what differs between
    /// two runs of the same (numbers inside, leases, salts, attempts, import times), to compare
    /// two end states. Meant for tests and `doctor` commands: it holds all of it in memory.
    pub async fn dump_state(&self) -> Result<String> {
        if !self.db().is_lite() {
            // The joins below touch all rows; without statistics their order is a guess.
            self.db().raw("ANALYZE").await?;
        }
        let mut lines = Vec::new();
        let queries = [
            (
                "scan",
                "SELECT c.uid || '|' || n.name || '|' || c.source_version || '|' || s.uid || '|' \
                 || CAST(c.complete AS TEXT) || '|' || CAST(c.stale AS TEXT) || '|' \
                 || CAST(c.started AS TEXT) || '|' || CAST(c.finished AS TEXT) || '|' \
                 || CAST(c.pass AS TEXT) || '|' || CAST(c.fail AS TEXT) || '|' \
                 || CAST(c.not_applicable AS TEXT) || '|' || CAST(c.unknown AS TEXT) || '|' \
                 || c.artifact || '|' || c.content FROM scans c \
                 JOIN scopes s ON s.tenant = c.tenant AND s.id = c.scope \
                 JOIN names n ON n.tenant = c.tenant AND n.id = c.source WHERE c.tenant = $1",
            ),
            (
                "observation",
                "SELECT a.uid || '|' || o.kind || '|' || o.digest || '|' || o.body || '|' \
                 || COALESCE(o.file, '') || '|' || COALESCE(CAST(o.line AS TEXT), '') || '|' \
                 || COALESCE(CAST(o.col AS TEXT), '') || '|' || COALESCE(sc.uid, '') \
                 FROM observations o JOIN assets a ON a.tenant = o.tenant AND a.id = o.asset \
                 LEFT JOIN scans sc ON sc.tenant = o.tenant AND sc.id = o.scan \
                 WHERE o.tenant = $1",
            ),
            (
                "result",
                "SELECT c.uid || '|' || a.uid || '|' || r.locus || '|' \
                 || CAST(r.outcome AS TEXT) || '|' || COALESCE(r.why, '') || '|' || r.message \
                 || '|' || COALESCE(r.evidence, '') || '|' || COALESCE(r.file, '') || '|' \
                 || COALESCE(CAST(r.line AS TEXT), '') || '|' || COALESCE(r.said_by, '') || '|' \
                 || COALESCE(r.said_why, '') || '|' || COALESCE(sc.uid, '') FROM results r \
                 JOIN checks c ON c.tenant = r.tenant AND c.id = r.chk \
                 JOIN assets a ON a.tenant = r.tenant AND a.id = r.asset \
                 LEFT JOIN scans sc ON sc.tenant = r.tenant AND sc.id = r.scan \
                 WHERE r.tenant = $1",
            ),
            (
                "tally",
                "SELECT s.uid || '|' || c.uid || '|' || CAST(t.pass AS TEXT) || '|' \
                 || CAST(t.fail AS TEXT) || '|' || CAST(t.accepted AS TEXT) || '|' \
                 || CAST(t.false_positive AS TEXT) || '|' || CAST(t.not_applicable AS TEXT) \
                 || '|' || CAST(t.unknown AS TEXT) FROM tallies t \
                 JOIN scopes s ON s.tenant = t.tenant AND s.id = t.scope \
                 JOIN checks c ON c.tenant = t.tenant AND c.id = t.chk WHERE t.tenant = $1",
            ),
            (
                "count",
                "SELECT s.uid || '|' || c.uid || '|' || CAST(t.status AS TEXT) || '|' \
                 || CAST(t.severity AS TEXT) || '|' || CAST(t.n AS TEXT) FROM finding_counts t \
                 JOIN scopes s ON s.tenant = t.tenant AND s.id = t.scope \
                 JOIN checks c ON c.tenant = t.tenant AND c.id = t.chk \
                 WHERE t.tenant = $1 AND t.n <> 0",
            ),
        ];
        for (kind, sql) in queries {
            for row in &self.db().all(sql, args![self.t]).await? {
                lines.push(format!("{kind} {}", row.text(0)?));
            }
        }
        for row in &self
            .db()
            .all(
                "SELECT f.key, CAST(f.status AS TEXT) || '|' || CAST(f.severity AS TEXT) || '|' \
                 || f.message || '|' || CAST(f.first_seen AS TEXT) || '|' \
                 || CAST(f.changed AS TEXT) || '|' || COALESCE(f.owner, '') || '|' \
                 || COALESCE(f.reason, '') || '|' || COALESCE(CAST(f.expires AS TEXT), '') || '|' \
                 || COALESCE(CAST(f.seen AS TEXT), '') FROM findings f WHERE f.tenant = $1",
                args![self.t],
            )
            .await?
        {
            lines.push(format!(
                "finding {}|{}",
                key_text(&row.blob(0)?),
                row.text(1)?
            ));
        }
        for row in &self
            .db()
            .all(
                "SELECT entry, CAST(at AS TEXT) || '|' || actor || '|' || action || '|' \
                 || subject || '|' || detail FROM audit WHERE tenant = $1",
                args![self.t],
            )
            .await?
        {
            lines.push(format!("audit {}|{}", id_text(&row.blob(0)?), row.text(1)?));
        }
        lines.sort_unstable();
        let mut out = String::new();
        for line in lines {
            let _ = writeln!(out, "{}", line.replace('\n', "\\n"));
        }
        Ok(out)
    }
}
