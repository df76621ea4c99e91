//! What lists need after an import, and what nobody must wait for.

use super::ImportSummary;
use crate::{Result, Store};

/// Results from which on an import is followed by new statistics, and what for.
const ANALYZE_FROM: u64 = 5_000;
const ANALYZE: &str = "ANALYZE assets, audit, checks, finding_counts, finding_words, findings, \
                       names, observations, results, scans, tallies";

/// Results from which on the words of new findings are moved into the index proper: every
/// search reads the list of pending ones from end to end.
const CLEAN_FROM: u64 = 100;
const CLEAN: &str = "SELECT gin_clean_pending_list('finding_words_gin')";

impl Store {
    /// Tidies up after an import, whose job has ended: what was imported stands, whatever
    /// becomes of this.
    pub async fn tidy(&self, summary: &ImportSummary) -> Result<()> {
        let results = summary.pass + summary.fail + summary.not_applicable + summary.unknown;
        if self.db().is_lite() {
            // Gives the writer's cache back; nobody needs it until the next import.
            return self.db().raw("PRAGMA shrink_memory").await;
        }
        if results >= CLEAN_FROM {
            self.db().raw(CLEAN).await?;
        }
        if results >= ANALYZE_FROM {
            // Lists must be fast at once, not when autovacuum gets round to it.
            self.db().raw(ANALYZE).await?;
        }
        Ok(())
    }
}
