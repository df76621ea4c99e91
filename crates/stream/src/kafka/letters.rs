//! Dead letters as messages: the record as it came, the rest in headers that any tool shows.

use super::{Kafka, WAIT, told};
use crate::{DeadLetter, Offset, StreamError};
use rdkafka::consumer::Consumer;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::{Offset as Position, TopicPartitionList};
use std::time::{Duration, Instant};

/// Who retires dead letters.
pub(super) const GROUP: &str = "dead-letters";
/// The header with the reason in words, and the one with all of the letter's head as JSON.
const REASON: &str = "reason";
const HEAD: &str = "bartizan";

/// The headers of a letter.
pub(super) fn headers(letter: &DeadLetter) -> Result<OwnedHeaders, StreamError> {
    let head = serde_json::to_string(letter).map_err(|e| StreamError::Refused(e.to_string()))?;
    Ok(OwnedHeaders::new()
        .insert(Header {
            key: REASON,
            value: Some(&letter.reason),
        })
        .insert(Header {
            key: HEAD,
            value: Some(&head),
        }))
}

fn letter(message: &impl Message) -> Result<DeadLetter, StreamError> {
    let headers = message.headers();
    let head = headers
        .iter()
        .flat_map(|headers| headers.iter())
        .find(|header| header.key == HEAD)
        .and_then(|header| header.value)
        .ok_or_else(|| StreamError::Refused("a dead letter without a head".to_owned()))?;
    let mut letter: DeadLetter = serde_json::from_slice(head)
        .map_err(|e| StreamError::Refused(format!("a dead letter's head: {e}")))?;
    letter.bytes = message.payload().unwrap_or_default().to_vec();
    Ok(letter)
}

/// Letters that nobody has retired.
pub(super) fn list(kafka: &Kafka, max: usize) -> Result<Vec<(Offset, DeadLetter)>, StreamError> {
    let topic = kafka.dead_topic();
    let stands = kafka.stands(&topic, GROUP)?;
    let mut from = TopicPartitionList::new();
    let left = super::left(&stands);
    for (partition, next, _) in stands {
        from.add_partition_offset(&topic, partition, Position::Offset(next))
            .map_err(told)?;
    }
    let reader = kafka.consumer(GROUP)?;
    reader.assign(&from).map_err(told)?;
    let mut found = Vec::new();
    let until = Instant::now() + WAIT;
    while (found.len() as u64) < left && found.len() < max && Instant::now() < until {
        match reader.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => {
                found.push((super::delivery(&message).offset, letter(&message)?));
            }
            Some(Err(error)) => return Err(told(error)),
        }
    }
    if (found.len() as u64) < left && found.len() < max {
        return Err(StreamError::Broker(format!(
            "{} of {left} dead letters came in time",
            found.len()
        )));
    }
    Ok(found)
}
