//! Runners that ask for work wait here until there may be some: long polling, bounded, so that
//! those who wait never use up what requests may be at work at once.

use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

/// How often a waiting runner looks for what another process queued.
const POLL: Duration = Duration::from_secs(2);

/// The waiting room.
#[derive(Debug)]
pub struct Waiting {
    places: Semaphore,
    /// Changes when something is queued; true once the server stops.
    news: watch::Sender<bool>,
}

/// One runner's wait.
#[derive(Debug)]
pub struct Turn<'a> {
    place: Option<SemaphorePermit<'a>>,
    news: watch::Receiver<bool>,
    end: Instant,
}

impl Waiting {
    /// Half of what may be at work at once may wait.
    pub fn new(concurrency: usize) -> Self {
        Self {
            places: Semaphore::new(concurrency / 2),
            news: watch::Sender::new(false),
        }
    }

    /// Wakes all, as something was queued.
    pub fn wake(&self) {
        self.news.send_modify(|_| {});
    }

    /// Wakes all for good: the server stops.
    pub fn close(&self) {
        self.news.send_modify(|closed| *closed = true);
    }

    /// Takes a place, if there is one. What is queued from now on wakes.
    pub fn turn(&self, patience: Duration) -> Turn<'_> {
        Turn {
            place: self.places.try_acquire().ok(),
            news: self.news.subscribe(),
            end: Instant::now() + patience,
        }
    }
}

impl Turn<'_> {
    /// Waits until it is worth to look once more; false when the time is over, the server
    /// stops, or there was no place to wait.
    pub async fn more(&mut self) -> bool {
        let closed = *self.news.borrow();
        if self.place.is_none() || closed || Instant::now() >= self.end {
            return false;
        }
        let until = self.end.min(Instant::now() + POLL);
        // Either way somebody should look; that the room is gone is no news.
        let _ = tokio::time::timeout_at(until, self.news.changed()).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_and_bounded() {
        let room = Waiting::new(2);
        let mut first = room.turn(Duration::from_secs(60));
        // The only place is taken.
        assert!(!room.turn(Duration::from_secs(60)).more().await);
        let begun = Instant::now();
        // What came between looking and waiting is not lost.
        room.wake();
        assert!(first.more().await);
        let (woken, ()) = tokio::join!(first.more(), async { room.wake() });
        assert!(woken && begun.elapsed() < POLL);
        room.close();
        assert!(!first.more().await);
        drop(first);
        assert!(!room.turn(Duration::ZERO).more().await);
    }
}
