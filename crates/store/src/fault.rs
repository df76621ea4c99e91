//! Named write points, where a test may end the process to see that nothing is lost.

use std::sync::OnceLock;

/// Every point that [`point`] is called with, in the order of one import's life.
pub const WRITE_POINTS: &[&str] = &[
    "object.before_publish",
    "object.after_publish",
    "submit.before_commit",
    "submit.after_commit",
    "claim.after_commit",
    "import.begin.before_commit",
    "import.begin.after_commit",
    "import.chunk.before_commit",
    "import.chunk.after_commit",
    "import.finish.before_absences",
    "import.finish.before_commit",
    "import.finish.after_commit",
    "job.complete.before_commit",
    "job.complete.after_commit",
    "audit.append.before_commit",
    "audit.append.after_commit",
    "ledger.tile.before_write",
    "ledger.tile.after_write",
    "ledger.commit.before_commit",
    "ledger.commit.after_commit",
];

static HOOK: OnceLock<fn(&str)> = OnceLock::new();

/// Installs the hook of this process; the first one stays.
pub fn install(hook: fn(&str)) {
    let _ = HOOK.set(hook);
}

/// Calls the hook, if any. One atomic load otherwise.
pub fn point(name: &str) {
    debug_assert!(WRITE_POINTS.contains(&name), "unlisted write point {name}");
    if let Some(hook) = HOOK.get() {
        hook(name);
    }
}
