//! Which stream: told by an address and settings.

use crate::{Embedded, Stream, StreamError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What becomes of messages that all groups have read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cleanup {
    /// They are removed: the store holds them.
    #[default]
    Delete,
    /// The last of each key stays, so that a new group sees the current state of everything.
    Compact,
}

/// How a stream is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes after which an embedded log begins a new segment.
    pub segment_bytes: u64,
    /// What becomes of messages that were read.
    pub cleanup: Cleanup,
    /// Properties of Kafka's client, such as `security.protocol`: from a file, never from arguments.
    pub kafka: BTreeMap<String, String>,
    /// Partitions of a topic that has to be created.
    pub partitions: i32,
    /// Replicas of a topic that has to be created; -1 is the broker's own default.
    pub replicas: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            cleanup: Cleanup::default(),
            kafka: BTreeMap::new(),
            partitions: 4,
            replicas: -1,
        }
    }
}

/// Where a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine.
    Folder(PathBuf),
    /// Brokers and a topic.
    Kafka {
        /// `host:port`, several with commas.
        brokers: String,
        /// The topic of records; `TOPIC.dead-letters` is beside it.
        topic: String,
    },
}

/// The topic where none is named.
pub const TOPIC: &str = "bartizan.cve";

impl Address {
    /// `kafka://HOST:PORT[,HOST:PORT…][/TOPIC]`, or a folder.
    pub fn parse(text: &str) -> Result<Self, StreamError> {
        let Some(rest) = text.strip_prefix("kafka://") else {
            if text.contains("://") {
                return Err(StreamError::Config(format!(
                    "{text:?} is no stream: give a folder, or kafka://HOST:PORT/TOPIC"
                )));
            }
            return Ok(Self::Folder(PathBuf::from(text)));
        };
        let (brokers, topic) = rest.split_once('/').unwrap_or((rest, ""));
        let topic = if topic.is_empty() { TOPIC } else { topic };
        let sane = topic
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && topic.len() <= 200;
        if brokers.is_empty() || !sane {
            return Err(StreamError::Config(format!(
                "{text:?} is no address of Kafka: write kafka://HOST:PORT/TOPIC"
            )));
        }
        Ok(Self::Kafka {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
        })
    }
}

/// Opens a stream.
pub fn open(address: &Address, settings: &Settings) -> Result<Arc<dyn Stream>, StreamError> {
    match address {
        Address::Folder(folder) => Ok(Arc::new(Embedded::open(folder, settings)?)),
        Address::Kafka { brokers, topic } => kafka(brokers, topic, settings),
    }
}

#[cfg(feature = "kafka")]
fn kafka(brokers: &str, topic: &str, settings: &Settings) -> Result<Arc<dyn Stream>, StreamError> {
    Ok(Arc::new(crate::kafka::Kafka::open(
        brokers, topic, settings,
    )?))
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &str, _: &str, _: &Settings) -> Result<Arc<dyn Stream>, StreamError> {
    Err(StreamError::Config(
        "this build has no Kafka: build with `cargo build -p bartizan-cli --features kafka`"
            .to_owned(),
    ))
}

/// Properties from a file: `name=value` lines, `#` begins a comment. Secrets stand here and not in
/// arguments, which everyone on a machine can see.
pub fn properties(path: &Path) -> Result<BTreeMap<String, String>, StreamError> {
    let text = std::fs::read_to_string(path).map_err(|source| StreamError::File {
        path: path.to_owned(),
        source,
    })?;
    let mut found = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(StreamError::Config(format!(
                "{}:{}: not a property: write name=value",
                path.display(),
                index + 1
            )));
        };
        found.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(
            Address::parse("data/stream").unwrap(),
            Address::Folder("data/stream".into())
        );
        assert_eq!(
            Address::parse("kafka://a:1,b:2").unwrap(),
            Address::Kafka {
                brokers: "a:1,b:2".into(),
                topic: TOPIC.into()
            }
        );
        assert_eq!(
            Address::parse("kafka://a:1/x.y").unwrap(),
            Address::Kafka {
                brokers: "a:1".into(),
                topic: "x.y".into()
            }
        );
        for bad in ["kafka://", "kafka://a:1/x y", "nats://a"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
