//! Threads that judge objects, each with its own compiled policies.

use bartizan_cluster::audit::Task;
use bartizan_model::{AssetUid, CheckUid, Observation, Timestamp};
use bartizan_policy::scan::observe;
use bartizan_policy::{Audited, Auditor, Budget, Library, Object, World};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::UnboundedSender;

/// Objects that may wait for one thread.
const QUEUE: usize = 64;

/// By what is judged. A worker takes a new one up between two objects.
#[derive(Clone)]
pub struct Epoch {
    /// The policies, and a number that differs when they do.
    pub library: (u64, Library),
    /// The cluster, likewise.
    pub world: (u64, Arc<World>),
}

/// One object on its way.
pub struct Job {
    /// Which, under which policies.
    pub task: Task,
    /// Its asset.
    pub asset: AssetUid,
    /// All of it; an error says why it cannot be read.
    pub object: Result<Object, String>,
    /// The time that policies see.
    pub now: Timestamp,
}

/// What became of it.
pub struct Judged {
    /// Which, under which policies.
    pub task: Task,
    /// Its asset.
    pub asset: AssetUid,
    /// What is stored of it; none where it cannot be read.
    pub observation: Option<Observation>,
    /// What was found, or why nothing could be.
    pub audited: Result<Audited, String>,
}

/// The threads. They end when this is dropped.
pub struct Judges {
    workers: Vec<SyncSender<Job>>,
    epoch: Arc<Mutex<Epoch>>,
    next: usize,
}

impl Judges {
    /// Starts them.
    pub fn start(
        threads: usize,
        budget: Budget,
        epoch: Epoch,
        done: &UnboundedSender<Judged>,
    ) -> std::io::Result<Self> {
        let epoch = Arc::new(Mutex::new(epoch));
        let mut workers = Vec::new();
        for n in 0..threads.max(1) {
            let (sender, jobs) = sync_channel(QUEUE);
            let (epoch, done) = (Arc::clone(&epoch), done.clone());
            std::thread::Builder::new()
                .name(format!("audit-{n}"))
                .stack_size(16 << 20)
                .spawn(move || work(&jobs, &epoch, budget, &done))?;
            workers.push(sender);
        }
        Ok(Self {
            workers,
            epoch,
            next: 0,
        })
    }

    /// From now on it is judged by this.
    pub fn set(&self, epoch: Epoch) {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = epoch;
    }

    /// Hands an object to a thread; back when all have enough to do.
    pub fn submit(&mut self, mut job: Job) -> Result<(), Box<Job>> {
        for _ in 0..self.workers.len() {
            self.next = self.next.wrapping_add(1);
            let Some(worker) = self.workers.get(self.next % self.workers.len()) else {
                break;
            };
            match worker.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => job = back,
            }
        }
        Err(Box::new(job))
    }
}

fn work(
    jobs: &Receiver<Job>,
    epoch: &Mutex<Epoch>,
    budget: Budget,
    done: &UnboundedSender<Judged>,
) {
    let mut held: Option<(u64, u64, Auditor)> = None;
    while let Ok(job) = jobs.recv() {
        let now = epoch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (library, world) = (now.library.0, now.world.0);
        held = Some(match held.take() {
            Some((l, w, auditor)) if l == library && w == world => (l, w, auditor),
            Some((l, _, mut auditor)) if l == library => {
                auditor.renew(now.world.1, job.now);
                (l, world, auditor)
            }
            _ => {
                let made = Auditor::new(&now.library.1, now.world.1, budget, job.now);
                (library, world, made)
            }
        });
        let Some((_, _, auditor)) = &mut held else {
            continue;
        };
        let Job {
            task,
            asset,
            object,
            now,
        } = job;
        let (observation, audited) = match object {
            Err(why) => (None, Err(why)),
            Ok(object) => {
                let mut observation = observe(asset.clone(), &object);
                observation.location = None;
                let wanted = |check: &CheckUid| task.policies.iter().any(|p| p == check.as_str());
                let audited = auditor.judge(&asset, &object, now, &wanted);
                (Some(observation), Ok(audited))
            }
        };
        let judged = Judged {
            task,
            asset,
            observation,
            audited,
        };
        if done.send(judged).is_err() {
            return;
        }
    }
}
