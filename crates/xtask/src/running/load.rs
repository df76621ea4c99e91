//! A closed load: so many callers, each sends its next request when the last is answered.

use super::wire::{Target, Version};
use anyhow::{Context, Result};
use hyper::body::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What to send.
#[derive(Clone)]
pub struct Load {
    /// Where.
    pub target: Target,
    /// How it is carried; as `target` says.
    pub version: Version,
    /// The path and query.
    pub path: String,
    /// TLS connections.
    pub connections: usize,
    /// Callers on each; more than one with HTTP/2 alone.
    pub callers: usize,
    /// Sent first and not counted.
    pub warm: Duration,
    /// Counted.
    pub counted: Duration,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub struct Told {
    /// Requests that were answered 200.
    pub answered: u64,
    /// Others.
    pub failed: u64,
    /// Seconds counted.
    pub seconds: f64,
    /// Microseconds from before sending to the last byte, in order.
    pub micros: Vec<u32>,
    /// CPU seconds of this process while counted.
    pub own_cpu: f64,
    /// CPU seconds of the server while counted.
    pub server_cpu: f64,
}

impl Told {
    /// Milliseconds under which this share of answers came.
    pub fn at(&self, share: f64) -> f64 {
        let place = (self.micros.len() as f64 * share) as usize;
        let place = place.min(self.micros.len().saturating_sub(1));
        self.micros.get(place).map_or(0.0, |m| f64::from(*m) / 1e3)
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds.max(1e-9)
    }
}

/// Sends `bodies` round and round; `server` is the process whose CPU time is told.
pub fn run(load: &Load, bodies: &[Bytes], server: u32) -> Result<Told> {
    // One thread: the server has the rest of the machine.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now() + load.warm;
        let end = begin + load.counted;
        let mut callers = Vec::new();
        for _ in 0..load.connections {
            let connection = load.target.connect().await?;
            for _ in 1..load.callers {
                let shared = connection.share().context("HTTP/1.1 has one caller")?;
                callers.push(caller(load, shared, bodies, &next, begin, end));
            }
            callers.push(caller(load, connection, bodies, &next, begin, end));
        }
        let clock = async {
            tokio::time::sleep_until(begin.into()).await;
            let before = (cpu("self")?, cpu(&server.to_string())?);
            tokio::time::sleep_until(end.into()).await;
            let after = (cpu("self")?, cpu(&server.to_string())?);
            Ok::<_, anyhow::Error>((after.0 - before.0, after.1 - before.1))
        };
        let (all, cpu) = tokio::join!(futures_all(callers), clock);
        let (own_cpu, server_cpu) = cpu?;
        let mut told = Told {
            seconds: load.counted.as_secs_f64(),
            own_cpu,
            server_cpu,
            ..Told::default()
        };
        for part in all {
            let (micros, failed) = part?;
            told.answered += micros.len() as u64;
            told.failed += failed;
            told.micros.extend(micros);
        }
        told.micros.sort_unstable();
        Ok(told)
    })
}

async fn futures_all<T>(all: Vec<tokio::task::JoinHandle<T>>) -> Vec<Result<T>> {
    let mut done = Vec::new();
    for one in all {
        done.push(one.await.map_err(anyhow::Error::from));
    }
    done
}

type Part = (Vec<u32>, u64);

fn caller(
    load: &Load,
    mut connection: super::wire::Connection,
    bodies: &[Bytes],
    next: &Arc<AtomicUsize>,
    begin: Instant,
    end: Instant,
) -> tokio::task::JoinHandle<Part> {
    let (load, next, bodies) = (load.clone(), Arc::clone(next), bodies.to_vec());
    tokio::spawn(async move {
        let (mut micros, mut failed) = (Vec::new(), 0);
        while Instant::now() < end {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(body) = bodies.get(at % bodies.len().max(1)) else {
                break;
            };
            let sent = Instant::now();
            let told = connection.post(&load.path, body.clone()).await;
            let done = Instant::now();
            if !matches!(told, Ok((200, _))) {
                failed += 1;
                match load.target.connect().await {
                    Ok(fresh) => connection = fresh,
                    Err(_) => break,
                }
            } else if sent >= begin && done <= end {
                micros.push(u32::try_from((done - sent).as_micros()).unwrap_or(u32::MAX));
            }
        }
        (micros, failed)
    })
}

/// CPU seconds of a process, user and system.
pub fn cpu(process: &str) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in brackets, may hold blanks.
    let (_, rest) = stat.rsplit_once(')').context("no stat")?;
    let ticks: f64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux that we run on.
    Ok(ticks / 100.0)
}
