//! Threads that wait for registries, so that the threads that judge do not.
//!
//! A review whose images a policy looks at is judged in all else by a worker and ends here. Each
//! wait is bounded by the review's own time, the number of waits by the threads and the queue;
//! where that is full, images cannot be told. So registries that never answer hold up the reviews
//! that ask for their images, and no other.

use super::pool::{Judged, Task};
use bartizan_policy::admit::Undecided;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads; each costs little while it waits.
const THREADS: usize = 8;
/// Reviews that wait for a thread.
const QUEUE: usize = 256;

/// A review that is judged but for its images.
pub(super) struct Waiting {
    pub undecided: Box<Undecided>,
    pub task: Task,
    /// The digest of the policies.
    pub policies: Arc<str>,
}

/// The way to the threads. They end when every copy of it is gone.
#[derive(Clone)]
pub(super) struct Images {
    sender: SyncSender<Waiting>,
    pending: Arc<AtomicUsize>,
}

impl Images {
    /// Starts the threads.
    pub fn start(stack: usize) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let pending = Arc::new(AtomicUsize::new(0));
        for n in 0..THREADS {
            let (receiver, pending) = (Arc::clone(&receiver), Arc::clone(&pending));
            std::thread::Builder::new()
                .name(format!("admission-image-{n}"))
                .stack_size(stack)
                .spawn(move || work(&receiver, &pending))?;
        }
        Ok(Self { sender, pending })
    }

    /// Has the images judged, and the review answered.
    pub fn take(&self, waiting: Waiting) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) =
            self.sender.try_send(waiting)
        {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            answer(back, Duration::ZERO);
        }
    }

    /// Reviews that wait or are judged here.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }
}

fn work(receiver: &Mutex<Receiver<Waiting>>, pending: &AtomicUsize) {
    loop {
        let next = receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(waiting) = next else {
            return;
        };
        // Whoever waited is gone already.
        if !waiting.task.answer.is_closed() {
            let left = waiting
                .task
                .deadline
                .saturating_duration_since(Instant::now());
            // What is fetched at the last moment is still to be verified.
            let spare = (left / 10).min(Duration::from_millis(100));
            answer(waiting, left.saturating_sub(spare));
        }
        pending.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer(waiting: Waiting, time: Duration) {
    let Waiting {
        undecided,
        task,
        policies,
    } = waiting;
    let verdict = undecided.decide(&task.review, task.now, time);
    let _ = task.answer.send(Judged { verdict, policies });
}
