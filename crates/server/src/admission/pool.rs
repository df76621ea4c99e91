//! Threads that judge, each with its own compiled policies and its own bounded queue, so that
//! no lock is shared where reviews pass.
//!
//! New policies are compiled on a thread of their own, once for each worker, and left at the
//! worker's door; it takes them between two reviews. So a review is judged by one set, whole.

use super::images::{Images, Waiting};
use super::policies::Loaded;
use super::{Config, PodSecurity};
use bartizan_model::Timestamp;
use bartizan_policy::admit::{AdmitOptions, Renewed};
use bartizan_policy::{Admitter, Review, Verdict};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Bytes of stack of a thread that evaluates policies.
const STACK: usize = 16 << 20;

/// A review on its way.
pub struct Task {
    /// What is asked.
    pub review: Arc<Review>,
    /// The time that policies see.
    pub now: Timestamp,
    /// When an answer must be there.
    pub deadline: Instant,
    /// Where it goes.
    pub answer: oneshot::Sender<Judged>,
}

/// A verdict and the policies that it is by.
#[derive(Debug)]
pub struct Judged {
    /// What was found.
    pub verdict: Verdict,
    /// The digest of the policies.
    pub policies: Arc<str>,
}

/// Compiled policies for one worker.
struct Ready {
    admitter: Admitter,
    digest: Arc<str>,
}

/// What the pool and one worker share.
struct Door {
    pending: AtomicUsize,
    /// Whether something waits at the door.
    left: AtomicBool,
    next: Mutex<Next>,
}

/// What waits at a worker's door.
#[derive(Default)]
struct Next {
    ready: Option<Box<Ready>>,
    /// Another world for the policies that were left here last.
    renewed: Option<Box<Renewed>>,
}

struct Worker {
    sender: SyncSender<Task>,
    door: Arc<Door>,
}

impl Worker {
    fn leave(&self, what: impl FnOnce(&mut Next)) {
        let mut next = self
            .door
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        what(&mut next);
        self.door.left.store(true, Ordering::Release);
    }
}

/// The threads.
pub struct Pool {
    workers: Vec<Worker>,
    images: Images,
    options: AdmitOptions,
    pod_security: Option<Arc<PodSecurity>>,
    generation: AtomicU64,
    /// The digest of the policies that were compiled last.
    compiled: Mutex<Option<Arc<str>>>,
    stopped: Arc<AtomicBool>,
}

impl Pool {
    /// Starts the threads, without policies.
    pub fn start(config: &Config) -> Result<Self, std::io::Error> {
        let stopped = Arc::new(AtomicBool::new(false));
        let images = Images::start(STACK)?;
        let mut workers = Vec::new();
        for n in 0..config.workers.max(1) {
            let (sender, tasks) = sync_channel(config.queue.max(1));
            let door = Arc::new(Door {
                pending: AtomicUsize::new(0),
                left: AtomicBool::new(false),
                next: Mutex::default(),
            });
            let (at, stop) = (Arc::clone(&door), Arc::clone(&stopped));
            let images = images.clone();
            std::thread::Builder::new()
                .name(format!("admission-{n}"))
                .stack_size(STACK)
                .spawn(move || work(&tasks, &at, &stop, &images))?;
            workers.push(Worker { sender, door });
        }
        Ok(Self {
            workers,
            images,
            options: AdmitOptions {
                budget: config.budget,
                failure: config.failure,
            },
            pod_security: config.pod_security.clone(),
            generation: AtomicU64::new(0),
            compiled: Mutex::default(),
            stopped,
        })
    }

    /// Compiles a set for every worker and leaves it at their doors. Takes its time: call it
    /// where that does no harm.
    pub fn replace(&self, loaded: &Loaded, now: Timestamp) -> u64 {
        let digest: Arc<str> = loaded.library.digest().to_string().into();
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        // Providers, exceptions and image policies are part of the policies: what has the same
        // digest differs in what is known of the cluster and in what images are verified by.
        if compiled.as_ref() == Some(&digest) {
            self.renew(loaded, now);
            return self.generation();
        }
        // All are compiled before the first is handed out: workers change as one, nearly.
        let mut made: Vec<Box<Ready>> = Vec::new();
        for _ in &self.workers {
            let world = Arc::clone(&loaded.world);
            let mut admitter = Admitter::new(&loaded.library, world, self.options, now);
            if let Some(providers) = &loaded.providers {
                admitter.ask_providers(Arc::clone(providers));
            }
            if let Some(images) = &loaded.images {
                admitter.ask_images(Arc::clone(images));
            }
            if let Some(configuration) = &self.pod_security {
                admitter.judge_pod_security(Arc::clone(configuration));
            }
            made.push(Box::new(Ready {
                admitter,
                digest: Arc::clone(&digest),
            }));
        }
        for (worker, ready) in self.workers.iter().zip(made) {
            worker.leave(|next| {
                *next = Next {
                    ready: Some(ready),
                    renewed: None,
                }
            });
        }
        // Not before: a set whose compilation panicked is no set to renew.
        *compiled = Some(digest);
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The policies are the same, the cluster is another.
    fn renew(&self, loaded: &Loaded, now: Timestamp) {
        for worker in &self.workers {
            let world = Arc::clone(&loaded.world);
            let mut renewed = Renewed::new(&loaded.library, world, self.options, now);
            if let Some(images) = &loaded.images {
                renewed.ask_images(Arc::clone(images));
            }
            worker.leave(|next| next.renewed = Some(Box::new(renewed)));
        }
    }

    /// How many sets there were.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Hands a review to the worker with the least to do; back when all are full.
    pub fn submit(&self, mut task: Task) -> Result<(), Task> {
        let mut order: Vec<&Worker> = self.workers.iter().collect();
        order.sort_by_key(|worker| worker.door.pending.load(Ordering::Relaxed));
        for worker in order {
            worker.door.pending.fetch_add(1, Ordering::Relaxed);
            match worker.sender.try_send(task) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                    worker.door.pending.fetch_sub(1, Ordering::Relaxed);
                    task = back;
                }
            }
        }
        Err(task)
    }

    /// Reviews that wait or are judged.
    pub fn active(&self) -> usize {
        let pending = self.workers.iter().map(|w| &w.door.pending);
        let pending: usize = pending.map(|p| p.load(Ordering::Relaxed)).sum();
        pending + self.images.pending()
    }

    /// Lets the threads end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Does work that may take long on a thread of its own, behind all who answer: of lower priority,
/// and with a stack that compiling policies fits into. None where it panicked.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    const NICE: i32 = 10;
    let (done, told) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new()
        .name("admission-load".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Linux takes it as this thread's alone; without the right to it, it is as before.
            let _best_effort = rustix::process::setpriority_process(None, NICE);
            let _entered = runtime.enter();
            let _ = done.send(work());
        });
    if let Err(error) = thread {
        tracing::error!(%error, "a thread for policies cannot be started");
    }
    told.await.ok()
}

fn work(tasks: &Receiver<Task>, door: &Door, stopped: &AtomicBool, images: &Images) {
    let mut ready: Option<Box<Ready>> = None;
    while !stopped.load(Ordering::Relaxed) {
        // Policies are taken up also while nothing is asked, so that old ones do not stay.
        let task = match tasks.recv_timeout(Duration::from_millis(250)) {
            Ok(task) => Some(task),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if door.left.swap(false, Ordering::Acquire) {
            let next =
                std::mem::take(&mut *door.next.lock().unwrap_or_else(PoisonError::into_inner));
            ready = next.ready.or(ready);
            if let (Some(ready), Some(renewed)) = (&mut ready, next.renewed) {
                ready.admitter.renew(*renewed);
            }
        }
        let Some(task) = task else {
            continue;
        };
        if let Some(ready) = &mut ready {
            judge(ready, task, images);
        }
        door.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

fn judge(ready: &mut Ready, task: Task, images: &Images) {
    // Whoever waited is gone already: the answer was given by the failure setting.
    if task.answer.is_closed() {
        return;
    }
    let deadline = task.deadline;
    let mut remaining = || deadline.saturating_duration_since(Instant::now());
    let (review, policies) = (Arc::clone(&task.review), Arc::clone(&ready.digest));
    let admitter = &mut ready.admitter;
    match admitter.admit_but_images(&review, task.now, &mut remaining) {
        Ok(verdict) => {
            let _ = task.answer.send(Judged { verdict, policies });
        }
        Err(undecided) => images.take(Waiting {
            undecided,
            task,
            policies,
        }),
    }
}
