//! The two streams: what they keep, and how they are created and brought up to date.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy, StorageType};
use tracing::info;

use super::connection::Server;
use super::{NatsConfig, StreamFailed, unavailable};
use common::bus::BusError;
use common::events::Subject;

/// For how long the server drops repeats of a message id. A relay repeats what it could not clear, which it tries every
/// few seconds; what comes later is repeated to listeners, which bear it. The server remembers every id of this time, some
/// 100 bytes each.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// The largest event, headers included: more than twice what the largest HTTP request can lead to.
const MAX_MESSAGE_SIZE: i32 = 256 << 10;

/// The largest dead letter: the largest event, and what its listener had to say.
const MAX_DEAD_LETTER_SIZE: i32 = 2 * MAX_MESSAGE_SIZE;

/// Marks a stream as made by this program, for these.
const MADE_FOR: &str = "made-for";

const EVENTS: &str = "events";

const DEAD_LETTERS: &str = "dead-letters";

impl Server {
    pub(super) async fn ensure_stream(&self, wanted: StreamConfig) -> Result<(), BusError> {
        let name = wanted.name.clone();
        let existing = match self.context.get_stream(&name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) => {
                let missing = matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.code() == 404);
                if !missing {
                    return Err(unavailable(error));
                }
                // Others that start at the same time ask for the same, which is no error.
                let failed = |error| unavailable(StreamFailed { stream: name.clone(), source: Box::new(error) });
                self.context.create_stream(wanted).await.map_err(failed)?;
                info!(stream = name, "created the stream");
                return Ok(());
            }
        };
        let Some(updated) = update(&existing, wanted).map_err(|why| {
            BusError::unusable(format!(
                "the stream {name} is not one that Ticketing can use: {why}; use another, or remove it"
            ))
        })?
        else {
            return Ok(());
        };
        let failed = |error| unavailable(StreamFailed { stream: name.clone(), source: Box::new(error) });
        self.context.update_stream(updated).await.map_err(failed)?;
        info!(stream = name, "brought the stream up to date");
        Ok(())
    }
}

/// Nothing is deleted by age or number: the events are what new services learn from. When the server's storage is full,
/// or a limit that an operator sets, it refuses new events, which then wait in the outboxes; it never drops old ones.
pub(super) fn events_stream(config: &NatsConfig) -> StreamConfig {
    let replays = replays_of(&config.stream, "*");
    StreamConfig {
        description: Some("Events of Ticketing".into()),
        subjects: Subject::ALL.map(|subject| subject.as_str().to_owned()).into_iter().chain([replays]).collect(),
        max_message_size: MAX_MESSAGE_SIZE,
        ..stream(config.stream.clone(), EVENTS, config.replicas)
    }
}

pub(super) fn dead_letter_stream(config: &NatsConfig) -> StreamConfig {
    let name = dead_letters_of(&config.stream);
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
        // The server takes 0 for 1.
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

pub(super) fn dead_letters_of(stream: &str) -> String {
    format!("{stream}-dead-letters")
}

/// The subject of what is delivered again to a durable, or to `*`.
pub(super) fn replays_of(stream: &str, durable: &str) -> String {
    format!("{stream}-replays.{durable}")
}

/// What has to change about a stream so that it is as wanted; `Err` says why that must not be done.
fn update(existing: &StreamConfig, wanted: StreamConfig) -> Result<Option<StreamConfig>, String> {
    let purpose = wanted.metadata.get(MADE_FOR);
    let ours = existing.metadata.get(MADE_FOR);
    if ours.is_some() && ours != purpose {
        return Err(format!("it was made for {}", ours.map_or("", String::as_str)));
    }
    let mut subjects = wanted.subjects.clone();
    for other in existing.subjects.iter().filter(|subject| !wanted.subjects.contains(subject)) {
        if ours.is_none() {
            return Err(format!("it holds the subject {other}"));
        }
        // From a newer version of this program, which may be replacing this one just now.
        subjects.push(other.clone());
    }
    if existing.storage != wanted.storage {
        return Err("it is not kept in files".into());
    }
    if existing.retention != wanted.retention {
        return Err("it drops what has been read".into());
    }
    if existing.mirror.is_some() || existing.sources.as_ref().is_some_and(|sources| !sources.is_empty()) {
        return Err("it is a copy of another".into());
    }
    if existing.sealed || existing.no_ack || existing.subject_transform.is_some() {
        return Err("it is sealed, does not acknowledge, or changes subjects".into());
    }
    let mut metadata = existing.metadata.clone();
    metadata.extend(wanted.metadata);
    // What is not set here is the operator's: its placement, its compression, how much it may hold.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_somebody_else_is_left_alone() {
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
    fn a_stream_of_ours_is_brought_up_to_date_and_keeps_what_is_the_operators() {
        let wanted =
            StreamConfig { subjects: vec!["ticket:created".into()], ..stream("ticketing".into(), EVENTS, Some(3)) };
        let newer = vec!["ticket:created".to_owned(), "ticket:sold".into()];
        let before = StreamConfig { num_replicas: 1, max_bytes: 1 << 30, subjects: newer.clone(), ..wanted.clone() };
        let after = update(&before, wanted).unwrap().unwrap();
        assert_eq!((after.num_replicas, after.max_bytes, &after.subjects), (3, 1 << 30, &newer));
        let unsaid = StreamConfig { subjects: newer, ..stream("ticketing".into(), EVENTS, None) };
        assert_eq!(update(&after, unsaid.clone()), Ok(None), "nobody asked for fewer replicas");
    }
}
