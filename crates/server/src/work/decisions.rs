//! Admission decisions as they are stored, for whoever watches.

use bartizan_model::audit::Decision;
use bartizan_store::decisions::DecisionRow;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

/// Decisions that a slow watcher may be behind before it misses some.
const BEHIND: usize = 4_096;

/// The live stream; decisions of the default tenant, the only one that is asked.
#[derive(Debug)]
pub struct Live {
    sender: Sender<Arc<DecisionRow>>,
    closed: CancellationToken,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            sender: channel(BEHIND).0,
            closed: CancellationToken::new(),
        }
    }
}

impl Live {
    /// Tells watchers of a stored batch.
    pub fn tell(&self, first: i64, decisions: &[Decision]) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        for (seq, decision) in (first..).zip(decisions) {
            let decision = decision.clone();
            let _ = self.sender.send(Arc::new(DecisionRow { seq, decision }));
        }
    }

    /// Watches from now on.
    pub fn watch(&self) -> (Receiver<Arc<DecisionRow>>, CancellationToken) {
        (self.sender.subscribe(), self.closed.clone())
    }

    /// Ends all watching, so that the server can stop.
    pub fn close(&self) {
        self.closed.cancel();
    }
}
