//! Records on their way from producers to consumers: an embedded durable log, or Kafka.
//!
//! A producer reads what a feed offers ([`source`]) and puts records on a [`Stream`]; a consumer
//! polls them as a member of a group, applies them and commits. Delivery is at least once: what
//! was polled and not committed comes again, so whatever applies records must be idempotent. A
//! record that can never be applied goes to the dead letters with the reason.
//!
//! **Invariant:** no client of HTTP and no database. A batch that was produced is on disk (or with
//! Kafka: acknowledged by all replicas in sync) when `produce` returns; nothing is committed before
//! it was applied; what cannot be read is told and never passed over in silence.

pub mod bundle;
pub mod consume;
pub mod dead;
pub mod embedded;
pub mod fuzzing;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod open;
pub mod source;

pub use dead::{DeadLetter, Stage};
pub use embedded::Embedded;
pub use open::{Cleanup, Settings, open};

use sha2::{Digest as _, Sha256};
use std::path::PathBuf;

/// The largest message; the largest CVE record that was seen has 690 KB.
pub const MAX_MESSAGE: usize = 16 << 20;
/// The longest key.
pub const MAX_KEY: usize = 1024;
/// The most bytes that one poll answers with, beyond its first message.
pub const MAX_POLL: usize = 32 << 20;

/// What is put on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What the record is about, such as `cve/CVE-2024-3094`. Later messages of a key replace
    /// earlier ones when the stream is compacted.
    pub key: String,
    /// The record.
    pub bytes: Vec<u8>,
}

/// Where a message stands: within its partition, in the order of production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset {
    /// The partition; the embedded stream has one, 0.
    pub partition: i32,
    /// Its number there. Numbers may have gaps.
    pub number: u64,
}

/// A message as it comes to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where it stands.
    pub offset: Offset,
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What keeps a stream from doing its work.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The caller's fault: a message or a name that no stream takes.
    #[error("{0}")]
    Refused(String),
    /// Another process holds what only one may hold.
    #[error("{0} is in use by another process")]
    Busy(String),
    /// The file system.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A stored message is not what was written. The feeds are the truth: produce again.
    #[error("{} is damaged at byte {at}: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the damaged message begins.
        at: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The broker, or the way to it. May pass.
    #[error("Kafka: {0}")]
    Broker(String),
    /// The configuration's fault.
    #[error("{0}")]
    Config(String),
}

impl StreamError {
    /// Whether trying again later may help without anybody's doing.
    pub fn passing(&self) -> bool {
        matches!(self, Self::Broker(_) | Self::Busy(_))
    }
}

/// A stream of records with consumer groups. Calls block.
pub trait Stream: Send + Sync {
    /// Puts messages on the stream. When it returns, they are durable. After an error some of
    /// them may be on the stream: producing them again is right.
    fn produce(&self, batch: &[Message]) -> Result<(), StreamError>;

    /// The next messages for a group, at most `max`; none when it has read all for now. What was
    /// polled is polled again after [`Self::rewind`], or by the group's next member, unless it
    /// was committed.
    fn poll(&self, group: &str, max: usize) -> Result<Vec<Delivery>, StreamError>;

    /// The group has done with these messages and with all before them in their partitions.
    fn commit(&self, group: &str, done: &[Offset]) -> Result<(), StreamError>;

    /// Back to what the group committed.
    fn rewind(&self, group: &str) -> Result<(), StreamError>;

    /// How many messages are on the stream that the group has not committed.
    fn lag(&self, group: &str) -> Result<u64, StreamError>;

    /// Keeps what cannot be applied, with the reason; durable when it returns.
    fn dead_letter(&self, letter: &DeadLetter) -> Result<(), StreamError>;

    /// Dead letters that nobody has retired, oldest first, at most `max`.
    fn dead_letters(&self, max: usize) -> Result<Vec<(Offset, DeadLetter)>, StreamError>;

    /// Retires dead letters up to and including these.
    fn retire(&self, done: &[Offset]) -> Result<(), StreamError>;

    /// How many dead letters nobody has retired.
    fn dead_count(&self) -> Result<u64, StreamError>;

    /// Removes or compacts what all groups have read. Does nothing where a broker does it.
    fn tidy(&self) -> Result<(), StreamError>;
}

/// Half a SHA-256: two different files of one source, or keys of one log, will not share it.
pub(crate) type Short = [u8; 16];

pub(crate) fn short(bytes: &[u8]) -> Short {
    let digest = Sha256::digest(bytes);
    digest.first_chunk().copied().unwrap_or_default()
}

pub(crate) fn check(message: &Message) -> Result<(), StreamError> {
    if message.key.is_empty() || message.key.len() > MAX_KEY {
        return Err(StreamError::Refused(format!(
            "a key of {} bytes: 1 to {MAX_KEY} are taken",
            message.key.len()
        )));
    }
    if message.bytes.len() > MAX_MESSAGE {
        return Err(StreamError::Refused(format!(
            "{} has {} bytes: at most {MAX_MESSAGE} are taken",
            message.key,
            message.bytes.len()
        )));
    }
    Ok(())
}

/// Names of groups become file names and parts of topics.
pub(crate) fn check_group(group: &str) -> Result<(), StreamError> {
    let sane = (1..=64).contains(&group.len())
        && group
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if sane {
        Ok(())
    } else {
        Err(StreamError::Refused(format!(
            "{group:?} is no name of a group: small letters, digits and hyphens, at most 64"
        )))
    }
}
