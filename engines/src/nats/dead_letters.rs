//! Dead letters: messages of a second stream that carry, in headers, who rejected them and why.

use std::num::NonZeroU64;

use async_nats::HeaderMap;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::jetstream::{AckKind, Message as NatsMessage};
use common::bus::{BusError, DeadLetter, Durable};
use common::events::Message;
use common::trace::TraceParent;

use super::connection::{Server, confirm};
use super::error::unavailable;
use super::message::{MESSAGE_ID, ORIGINAL_ID, TRACEPARENT, event_id, header};
use super::streams::{dead_letter_stream_name, replay_subject};

/// The most bytes of a reason that are stored.
const MAX_REASON: usize = 4096;

/// Headers of a dead letter, in addition to those of the message.
const LISTENER: &str = "Dead-Letter-Listener";

const REASON: &str = "Dead-Letter-Reason";

const ATTEMPTS: &str = "Dead-Letter-Attempts";

const SUBJECT: &str = "Dead-Letter-Subject";

/// The prefix of a replay's message id: replaying twice at the same time delivers once.
const REPLAY: &str = "replay";

/// A dead letter as it is stored.
pub(super) struct StoredDeadLetter {
    stream: Stream,
    message: StreamMessage,
    listener: String,
}

impl Server {
    /// Stores a message as a dead letter, then terminates its delivery to this durable.
    pub(super) async fn store_dead_letter(
        &self,
        received: &NatsMessage,
        durable: Durable,
        reason: &str,
    ) -> Result<(), BusError> {
        let info = received.info().map_err(unavailable)?;
        let mut headers = received.headers.clone().unwrap_or_default();
        if let Some(id) = event_id(received) {
            headers.insert(ORIGINAL_ID, id);
        }
        // Not the event's id: the event may be published again and rejected again.
        headers.insert(MESSAGE_ID, format!("{}/{}", durable.name, info.stream_sequence));
        headers.insert(LISTENER, durable.name);
        headers.insert(REASON, header_value(reason));
        headers.insert(ATTEMPTS, info.delivered.to_string());
        headers.insert(SUBJECT, durable.subject.as_str());
        let subject = format!("{}.{}", dead_letter_stream_name(&self.stream), durable.name);
        let publish = PublishMessage::build().headers(headers).payload(received.payload.clone());
        confirm(self.context.send_publish(subject, publish).await.map_err(unavailable)?).await?;
        // Waits for the server, so that the next reader does not get the message again.
        let Some(reply) = received.reply.clone() else { return Ok(()) };
        self.client.request(reply, AckKind::Term.into()).await.map(|_| ()).map_err(unavailable)
    }

    pub(super) async fn find_dead_letter(&self, id: &str) -> Result<Option<StoredDeadLetter>, BusError> {
        self.check_connected()?;
        let Ok(sequence) = id.parse::<NonZeroU64>() else { return Ok(None) };
        let stream = self.context.get_stream(dead_letter_stream_name(&self.stream)).await.map_err(unavailable)?;
        let message = match stream.get_raw_message(sequence.get()).await {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        let listener = message.headers.get(LISTENER).map(|listener| listener.as_str().to_owned());
        Ok(listener.map(|listener| StoredDeadLetter { stream, message, listener }))
    }

    /// Publishes a dead letter for the durable that rejected it, and only for that.
    pub(super) async fn replay(&self, dead_letter: &StoredDeadLetter) -> Result<(), BusError> {
        if !self.supports_replays() {
            return Err(BusError::unusable("replaying dead letters needs NATS 2.10 or later; upgrade the server"));
        }
        let StoredDeadLetter { message, listener, .. } = dead_letter;
        let mut headers = HeaderMap::new();
        let added = [MESSAGE_ID, LISTENER, REASON, ATTEMPTS, SUBJECT];
        for (name, values) in message.headers.iter().filter(|(name, _)| !added.contains(&name.as_ref())) {
            values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
        }
        let id = message.headers.get(MESSAGE_ID).map_or_else(|| message.sequence.to_string(), ToString::to_string);
        headers.insert(MESSAGE_ID, format!("{REPLAY}/{id}"));
        let publish = PublishMessage::build().headers(headers).payload(message.payload.clone());
        let subject = replay_subject(&self.stream, listener);
        confirm(self.context.send_publish(subject, publish).await.map_err(unavailable)?).await.map(drop)
    }
}

impl StoredDeadLetter {
    /// Returns false if it is gone already.
    pub(super) async fn delete(self) -> Result<bool, BusError> {
        self.stream.delete_message(self.message.sequence).await.map_err(unavailable)
    }
}

/// Reads a message of the dead-letter stream. `None` if its headers are not those of a dead letter.
pub(super) fn decode_dead_letter(received: &NatsMessage, position: u64) -> Option<DeadLetter> {
    Some(DeadLetter {
        id: position.to_string(),
        listener: header(received, LISTENER)?.to_owned(),
        reason: header(received, REASON)?.to_owned(),
        attempts: header(received, ATTEMPTS)?.parse().ok()?,
        message: Message {
            // Empty if it was rejected for having no id.
            id: header(received, ORIGINAL_ID).unwrap_or_default().to_owned(),
            subject: header(received, SUBJECT)?.parse().ok()?,
            payload: String::from_utf8_lossy(&received.payload).into_owned(),
            traceparent: header(received, TRACEPARENT).and_then(TraceParent::parse),
        },
    })
}

/// Headers are single lines.
fn header_value(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_REASON);
    text[..end].replace(['\r', '\n'], " ")
}
