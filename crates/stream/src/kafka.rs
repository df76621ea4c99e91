//! Apache Kafka as the stream: a compacted topic keyed by record, so that a new consumer sees the
//! current state of everything, and beside it a topic of dead letters.
//!
//! The producer is idempotent and waits for all replicas in sync; consumers are members of a group,
//! share the partitions and commit by hand, after their records were applied: at least once.

mod letters;

use crate::open::Settings;
use crate::{
    DeadLetter, Delivery, MAX_MESSAGE, MAX_POLL, Message, Offset, Stream, StreamError, check,
    check_group,
};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{Offset as Position, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a broker is given time for.
const WAIT: Duration = Duration::from_secs(20);
/// How long a batch may take until it counts as failed.
const DELIVERY: Duration = Duration::from_secs(120);
/// How long a poll waits for its first message, and for each further one.
const FIRST: Duration = Duration::from_millis(500);
const MORE: Duration = Duration::from_millis(20);
/// A message with its key and headers.
const MAX_BYTES: usize = MAX_MESSAGE + (1 << 20);
/// For how long every version of a record stays, so that a consumer that is late sees its history.
const HISTORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Brokers and a topic.
pub struct Kafka {
    config: ClientConfig,
    topic: String,
    producer: Mutex<Option<BaseProducer<Reports>>>,
    members: Mutex<BTreeMap<String, Arc<BaseConsumer<Quiet>>>>,
    /// Never members: they ask how far a group is.
    observers: Mutex<BTreeMap<String, Arc<BaseConsumer<Quiet>>>>,
}

/// Logs at the level that fits: a broker that is away is no error of ours.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka");
    }
}

impl ConsumerContext for Quiet {}

fn log(level: RDKafkaLogLevel, fac: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(fac, message, "Kafka");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::warn!(fac, message, "Kafka"),
        _ => tracing::debug!(fac, message, "Kafka"),
    }
}

/// Counts what became of the messages of a batch.
#[derive(Default)]
struct Batch {
    delivered: AtomicUsize,
    failed: AtomicUsize,
    why: Mutex<Option<String>>,
}

struct Reports;

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        match result {
            Ok(_) => {
                batch.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                batch.failed.fetch_add(1, Ordering::Relaxed);
                let mut why = batch.why.lock().unwrap_or_else(PoisonError::into_inner);
                why.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// What the client says, without values of properties: a password may be among them.
fn told(error: KafkaError) -> StreamError {
    match error {
        KafkaError::ClientConfig(_, why, name, _) => {
            StreamError::Config(format!("Kafka: the property {name}: {why}"))
        }
        other => StreamError::Broker(other.to_string()),
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kafka {
    /// Connects, and creates the topics where they are absent.
    pub fn open(brokers: &str, topic: &str, settings: &Settings) -> Result<Self, StreamError> {
        let mut config = ClientConfig::new();
        config.set("client.id", "bartizan");
        for (name, value) in &settings.kafka {
            config.set(name, value);
        }
        config.set("bootstrap.servers", brokers);
        config.set("message.max.bytes", MAX_BYTES.to_string());
        let kafka = Self {
            config,
            topic: topic.to_owned(),
            producer: Mutex::default(),
            members: Mutex::default(),
            observers: Mutex::default(),
        };
        kafka.create(topic, settings.partitions, settings.replicas, &compacted())?;
        let kept = [
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", "-1".to_owned()),
        ];
        kafka.create(&kafka.dead_topic(), 1, settings.replicas, &kept)?;
        Ok(kafka)
    }

    fn dead_topic(&self) -> String {
        format!("{}.dead-letters", self.topic)
    }

    fn create(
        &self,
        topic: &str,
        partitions: i32,
        replicas: i32,
        properties: &[(&str, String)],
    ) -> Result<(), StreamError> {
        if !self.partitions(topic)?.is_empty() {
            return Ok(());
        }
        let admin: AdminClient<DefaultClientContext> = self.config.create().map_err(told)?;
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas));
        let largest = MAX_BYTES.to_string();
        new = new.set("max.message.bytes", &largest);
        for (name, value) in properties {
            new = new.set(name, value);
        }
        let options = AdminOptions::new()
            .operation_timeout(Some(WAIT))
            .request_timeout(Some(WAIT));
        let made = block_on(admin.create_topics([&new], &options)).map_err(told)?;
        for one in made {
            match one {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(StreamError::Broker(format!(
                        "the topic {topic} was not made: {code}"
                    )));
                }
            }
        }
        // The brokers tell each other of it in their own time.
        let begun = Instant::now();
        while self.partitions(topic)?.is_empty() {
            if begun.elapsed() > WAIT {
                return Err(StreamError::Broker(format!(
                    "the topic {topic} does not appear"
                )));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn partitions(&self, topic: &str) -> Result<Vec<i32>, StreamError> {
        let observer = self.observer("observer")?;
        let metadata = observer.fetch_metadata(Some(topic), WAIT).map_err(told)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found.map_or_else(Vec::new, |found| {
            found
                .partitions()
                .iter()
                .map(|partition| partition.id())
                .collect()
        }))
    }

    fn consumer(&self, group: &str) -> Result<BaseConsumer<Quiet>, StreamError> {
        let mut config = self.config.clone();
        config
            .set("group.id", format!("bartizan-{group}"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            .set("max.poll.interval.ms", "900000")
            .set("fetch.message.max.bytes", MAX_BYTES.to_string())
            .set("fetch.max.bytes", (2 * MAX_BYTES).to_string())
            // What is fetched ahead stays within bounds.
            .set("queued.max.messages.kbytes", "65536");
        config.create_with_context(Quiet).map_err(told)
    }

    fn observer(&self, group: &str) -> Result<Arc<BaseConsumer<Quiet>>, StreamError> {
        let mut observers = guard(&self.observers);
        if let Some(found) = observers.get(group) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(self.consumer(group)?);
        observers.insert(group.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    fn member(&self, group: &str) -> Result<Arc<BaseConsumer<Quiet>>, StreamError> {
        check_group(group)?;
        let mut members = guard(&self.members);
        if let Some(found) = members.get(group) {
            return Ok(Arc::clone(found));
        }
        let made = self.consumer(group)?;
        made.subscribe(&[&self.topic]).map_err(told)?;
        let made = Arc::new(made);
        members.insert(group.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    fn list(&self, topic: &str) -> Result<TopicPartitionList, StreamError> {
        let mut list = TopicPartitionList::new();
        for partition in self.partitions(topic)? {
            list.add_partition(topic, partition);
        }
        Ok(list)
    }

    /// For each partition: where the group goes on, and where the topic ends.
    fn stands(&self, topic: &str, group: &str) -> Result<Vec<(i32, i64, i64)>, StreamError> {
        let observer = self.observer(group)?;
        let committed = observer
            .committed_offsets(self.list(topic)?, WAIT)
            .map_err(told)?;
        let mut found = Vec::new();
        for element in committed.elements() {
            let (low, high) = observer
                .fetch_watermarks(topic, element.partition(), WAIT)
                .map_err(told)?;
            let next = match element.offset() {
                Position::Offset(next) => next.max(low),
                _ => low,
            };
            found.push((element.partition(), next, high));
        }
        Ok(found)
    }

    /// Sends and waits until all replicas in sync have it.
    fn send(
        &self,
        topic: &str,
        messages: &[(&str, &[u8], Option<OwnedHeaders>)],
    ) -> Result<(), StreamError> {
        let mut slot = guard(&self.producer);
        let producer = match slot.take() {
            Some(producer) => producer,
            None => self.producer()?,
        };
        let batch = Arc::new(Batch::default());
        let until = Instant::now() + DELIVERY;
        for (key, bytes, headers) in messages {
            let mut record = BaseRecord::with_opaque_to(topic, Arc::clone(&batch))
                .key(*key)
                .payload(*bytes);
            if let Some(headers) = headers {
                record = record.headers(headers.clone());
            }
            while let Err((error, back)) = producer.send(record) {
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if !full || Instant::now() > until {
                    return Err(told(error));
                }
                producer.poll(Duration::from_millis(100));
                record = back;
            }
            producer.poll(Duration::ZERO);
        }
        let flushed = producer.flush(until.saturating_duration_since(Instant::now()) + WAIT);
        let delivered = batch.delivered.load(Ordering::Relaxed);
        if flushed.is_ok() && delivered == messages.len() {
            *slot = Some(producer);
            return Ok(());
        }
        // This producer is not used again: after a fatal error it never delivers anything.
        let why = guard(&batch.why).take();
        let why = why
            .or_else(|| flushed.err().map(|e| e.to_string()))
            .unwrap_or_else(|| "no answer".to_owned());
        Err(StreamError::Broker(format!(
            "{delivered} of {} messages were taken: {why}",
            messages.len()
        )))
    }

    fn producer(&self) -> Result<BaseProducer<Reports>, StreamError> {
        let mut config = self.config.clone();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "zstd")
            .set("linger.ms", "5")
            .set("message.timeout.ms", DELIVERY.as_millis().to_string())
            .set("queue.buffering.max.kbytes", "65536");
        config.create_with_context(Reports).map_err(told)
    }
}

fn compacted() -> [(&'static str, String); 2] {
    [
        ("cleanup.policy", "compact".to_owned()),
        ("min.compaction.lag.ms", HISTORY.as_millis().to_string()),
    ]
}

/// Waits for a future; the client's own threads drive it.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

fn delivery(message: &impl rdkafka::Message) -> Delivery {
    Delivery {
        offset: Offset {
            partition: message.partition(),
            number: u64::try_from(message.offset()).unwrap_or_default(),
        },
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        bytes: message.payload().unwrap_or_default().to_vec(),
    }
}

/// What a commit says: after the last message of each partition.
fn after(topic: &str, done: &[Offset]) -> Result<TopicPartitionList, StreamError> {
    let mut last: BTreeMap<i32, u64> = BTreeMap::new();
    for offset in done {
        let next = last.entry(offset.partition).or_default();
        *next = (*next).max(offset.number + 1);
    }
    let mut list = TopicPartitionList::new();
    for (partition, next) in last {
        let next = Position::Offset(i64::try_from(next).unwrap_or(i64::MAX));
        list.add_partition_offset(topic, partition, next)
            .map_err(told)?;
    }
    Ok(list)
}

/// How many messages a group has before it, of all partitions.
fn left(stands: &[(i32, i64, i64)]) -> u64 {
    let of = |(_, next, high): &(i32, i64, i64)| u64::try_from(high - next).unwrap_or_default();
    stands.iter().map(of).sum()
}

impl Stream for Kafka {
    fn produce(&self, batch: &[Message]) -> Result<(), StreamError> {
        for message in batch {
            check(message)?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let messages: Vec<_> = batch
            .iter()
            .map(|message| (message.key.as_str(), message.bytes.as_slice(), None))
            .collect();
        self.send(&self.topic, &messages)
    }

    fn poll(&self, group: &str, max: usize) -> Result<Vec<Delivery>, StreamError> {
        let member = self.member(group)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        while found.len() < max && bytes < MAX_POLL {
            let wait = if found.is_empty() { FIRST } else { MORE };
            match member.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    bytes += message.payload().map_or(0, <[u8]>::len);
                    found.push(delivery(&message));
                }
                // What came before the trouble is handed on; the trouble comes again.
                Some(Err(_)) if !found.is_empty() => break,
                Some(Err(error)) => return Err(told(error)),
            }
        }
        Ok(found)
    }

    fn commit(&self, group: &str, done: &[Offset]) -> Result<(), StreamError> {
        if done.is_empty() {
            return Ok(());
        }
        let list = after(&self.topic, done)?;
        let member = self.member(group)?;
        member.commit(&list, CommitMode::Sync).map_err(told)
    }

    fn rewind(&self, group: &str) -> Result<(), StreamError> {
        let member = self.member(group)?;
        let mut assigned = member.assignment().map_err(told)?;
        if assigned.count() == 0 {
            return Ok(());
        }
        let committed = member.committed(WAIT).map_err(told)?;
        for element in committed.elements() {
            let to = match element.offset() {
                Position::Offset(next) => Position::Offset(next),
                _ => Position::Beginning,
            };
            assigned
                .set_partition_offset(&self.topic, element.partition(), to)
                .map_err(told)?;
        }
        member
            .seek_partitions(assigned, WAIT)
            .map(drop)
            .map_err(told)
    }

    fn lag(&self, group: &str) -> Result<u64, StreamError> {
        check_group(group)?;
        Ok(left(&self.stands(&self.topic, group)?))
    }

    fn dead_letter(&self, letter: &DeadLetter) -> Result<(), StreamError> {
        let headers = letters::headers(letter)?;
        self.send(
            &self.dead_topic(),
            &[(letter.key.as_str(), letter.bytes.as_slice(), Some(headers))],
        )
    }

    fn dead_letters(&self, max: usize) -> Result<Vec<(Offset, DeadLetter)>, StreamError> {
        letters::list(self, max)
    }

    fn retire(&self, done: &[Offset]) -> Result<(), StreamError> {
        if done.is_empty() {
            return Ok(());
        }
        let list = after(&self.dead_topic(), done)?;
        let observer = self.observer(letters::GROUP)?;
        observer.commit(&list, CommitMode::Sync).map_err(told)
    }

    fn dead_count(&self) -> Result<u64, StreamError> {
        Ok(left(&self.stands(&self.dead_topic(), letters::GROUP)?))
    }

    fn tidy(&self) -> Result<(), StreamError> {
        Ok(())
    }
}
