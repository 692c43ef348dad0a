//! The two streams: their configuration, and how they are created and updated.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy, StorageType};
use common::bus::BusError;
use common::events::Subject;
use tracing::info;

use super::config::NatsConfig;
use super::connection::Server;
use super::error::{StreamError, is_missing};

/// How long the server remembers message ids to drop repeats. A relay repeats what it could not clear within seconds; a
/// later repeat is delivered to listeners, which are idempotent. Each id takes some 100 bytes of the server's memory.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// The maximum size of an event with its headers: more than twice what the largest HTTP request can cause.
const MAX_MESSAGE_SIZE: i32 = 256 << 10;

/// The maximum size of a dead letter: the largest event and a reason.
const MAX_DEAD_LETTER_SIZE: i32 = 2 * MAX_MESSAGE_SIZE;

/// Metadata: marks a stream as created by this program, and says for what.
const MADE_FOR: &str = "made-for";

const EVENTS: &str = "events";

const DEAD_LETTERS: &str = "dead-letters";

impl Server {
    /// Creates a stream, or updates an existing one. Refuses one with foreign subjects or unsuitable properties.
    pub(super) async fn ensure_stream(&self, wanted: StreamConfig) -> Result<(), BusError> {
        let name = wanted.name.clone();
        let existing = match self.context.get_stream(&name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) if is_missing(&error) => return self.create_stream(wanted).await,
            Err(error) => return Err(StreamError::read(&name, error).into()),
        };
        let update = update(&existing, wanted);
        let Some(updated) = update.map_err(|reason| StreamError::Foreign { stream: name.clone(), reason })? else {
            return Ok(());
        };
        self.context.update_stream(updated).await.map_err(|error| StreamError::update(&name, error))?;
        info!(stream = name, "updated the stream");
        Ok(())
    }

    /// Succeeds if another process creates the same stream at the same time.
    async fn create_stream(&self, wanted: StreamConfig) -> Result<(), BusError> {
        let name = wanted.name.clone();
        self.context.create_stream(wanted).await.map_err(|error| StreamError::create(&name, error))?;
        info!(stream = name, "created the stream");
        Ok(())
    }
}

/// The stream of events. It drops only what has outlived the retention. A server whose storage is full, or that reaches
/// a limit set by the operator, refuses new events, which then wait in the outboxes.
pub(super) fn events_stream(config: &NatsConfig) -> StreamConfig {
    let replays = replay_subject(&config.stream, "*");
    // The server reads zero as no limit.
    let max_age = config.retention.unwrap_or_default();
    StreamConfig {
        description: Some("Events of Ticketing".into()),
        subjects: Subject::ALL.map(|subject| subject.as_str().to_owned()).into_iter().chain([replays]).collect(),
        max_message_size: MAX_MESSAGE_SIZE,
        max_age,
        // The server refuses a longer one.
        duplicate_window: config.retention.map_or(DUPLICATE_WINDOW, |retention| DUPLICATE_WINDOW.min(retention)),
        ..stream(config.stream.clone(), EVENTS, config.replicas)
    }
}

/// The stream of dead letters.
pub(super) fn dead_letter_stream(config: &NatsConfig) -> StreamConfig {
    let name = dead_letter_stream_name(&config.stream);
    StreamConfig {
        description: Some("Events that listeners of Ticketing rejected".into()),
        subjects: vec![format!("{name}.*")],
        max_message_size: MAX_DEAD_LETTER_SIZE,
        ..stream(name, DEAD_LETTERS, config.replicas)
    }
}

fn stream(name: String, made_for: &str, replicas: Option<usize>) -> StreamConfig {
    StreamConfig {
        name,
        metadata: HashMap::from([(MADE_FOR.into(), made_for.into())]),
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        // The server reads 0 as 1.
        num_replicas: replicas.unwrap_or_default(),
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_age: Duration::ZERO,
        max_consumers: -1,
        duplicate_window: DUPLICATE_WINDOW,
        ..StreamConfig::default()
    }
}

pub(super) fn dead_letter_stream_name(stream: &str) -> String {
    format!("{stream}-dead-letters")
}

/// The subject of messages that are replayed to one durable; `*` stands for all durables.
pub(super) fn replay_subject(stream: &str, durable: &str) -> String {
    format!("{stream}-replays.{durable}")
}

/// The changed configuration of an existing stream, or `None` if it is as wanted. The error says why it must not be
/// changed.
fn update(existing: &StreamConfig, wanted: StreamConfig) -> Result<Option<StreamConfig>, String> {
    let subjects = subjects_after_update(existing, &wanted)?;
    check_properties(existing, &wanted)?;
    let mut metadata = existing.metadata.clone();
    metadata.extend(wanted.metadata);
    // The rest is up to the operator: placement, compression, maximum size.
    let updated = StreamConfig {
        description: wanted.description,
        subjects,
        metadata,
        discard: wanted.discard,
        num_replicas: if wanted.num_replicas == 0 { existing.num_replicas } else { wanted.num_replicas },
        max_messages: wanted.max_messages,
        max_messages_per_subject: wanted.max_messages_per_subject,
        max_age: wanted.max_age,
        max_message_size: wanted.max_message_size,
        duplicate_window: wanted.duplicate_window,
        ..existing.clone()
    };
    Ok((updated != *existing).then_some(updated))
}

fn subjects_after_update(existing: &StreamConfig, wanted: &StreamConfig) -> Result<Vec<String>, String> {
    let made_for = existing.metadata.get(MADE_FOR);
    if let Some(purpose) = made_for
        && wanted.metadata.get(MADE_FOR) != made_for
    {
        return Err(format!("it was created for {purpose}"));
    }
    let others = existing.subjects.iter().filter(|subject| !wanted.subjects.contains(subject));
    // Other subjects of our own stream belong to a newer version, which may be replacing this one at the moment.
    let kept: Vec<String> = others.cloned().collect();
    match kept.first() {
        Some(other) if made_for.is_none() => Err(format!("it holds the subject {other}")),
        _ => Ok(wanted.subjects.iter().cloned().chain(kept).collect()),
    }
}

/// Checks the properties that the server cannot change, or that we do not want to change.
fn check_properties(existing: &StreamConfig, wanted: &StreamConfig) -> Result<(), String> {
    let is_copy = existing.mirror.is_some() || existing.sources.as_ref().is_some_and(|sources| !sources.is_empty());
    let problems = [
        (existing.storage != wanted.storage, "it is not stored in files"),
        (existing.retention != wanted.retention, "it drops messages that have been read"),
        (is_copy, "it is a copy of another stream"),
        (existing.sealed, "it is sealed"),
        (existing.no_ack, "it does not acknowledge messages"),
        (existing.subject_transform.is_some(), "it changes subjects"),
    ];
    problems.into_iter().find(|(found, _)| *found).map_or(Ok(()), |(_, problem)| Err(problem.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_stream_is_never_changed() {
        let wanted = || stream("ticketing".into(), EVENTS, None);
        let ours = StreamConfig { subjects: vec!["ticket:created".into()], ..wanted() };
        let foreign = StreamConfig { metadata: HashMap::new(), subjects: vec!["invoices.*".into()], ..wanted() };
        assert!(update(&foreign, ours.clone()).unwrap_err().contains("invoices.*"));
        assert!(update(&StreamConfig { storage: StorageType::Memory, ..ours.clone() }, ours.clone()).is_err());
        assert!(update(&StreamConfig { retention: RetentionPolicy::WorkQueue, ..ours.clone() }, ours.clone()).is_err());
        assert!(update(&stream("ticketing".into(), DEAD_LETTERS, None), ours.clone()).is_err());
        assert_eq!(update(&ours, ours.clone()), Ok(None));
    }

    #[test]
    fn our_stream_is_updated_and_keeps_the_settings_of_the_operator() {
        let wanted =
            StreamConfig { subjects: vec!["ticket:created".into()], ..stream("ticketing".into(), EVENTS, Some(3)) };
        let newer = vec!["ticket:created".to_owned(), "ticket:sold".into()];
        let before = StreamConfig { num_replicas: 1, max_bytes: 1 << 30, subjects: newer.clone(), ..wanted.clone() };
        let after = update(&before, wanted).unwrap().unwrap();
        assert_eq!((after.num_replicas, after.max_bytes, &after.subjects), (3, 1 << 30, &newer));
        let unspecified = StreamConfig { subjects: newer, ..stream("ticketing".into(), EVENTS, None) };
        assert_eq!(update(&after, unspecified.clone()), Ok(None), "the number of replicas stays");
    }
}
