//! Events as NATS messages.

use async_nats::HeaderMap;
use async_nats::jetstream::Message as NatsMessage;
use async_nats::jetstream::message::PublishMessage;
use common::events::{Message, Subject};
use common::trace::TraceParent;

/// The server drops a message whose id it has seen within the stream's duplicate window.
pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";

pub(super) const TRACEPARENT: &str = "traceparent";

/// The id of the event in a dead letter or a replay, which have a message id of their own.
pub(super) const ORIGINAL_ID: &str = "Dead-Letter-Message-Id";

/// Why a message in the stream is not an event.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidMessage {
    #[error("it has no message id")]
    NoId,
    #[error("the payload is not UTF-8")]
    NotUtf8(#[source] std::str::Utf8Error),
}

/// The NATS message that publishes an event.
pub(super) fn encode(message: &Message) -> PublishMessage {
    let mut headers = HeaderMap::new();
    headers.insert(MESSAGE_ID, message.id.as_str());
    if let Some(traceparent) = &message.traceparent {
        headers.insert(TRACEPARENT, traceparent.to_string());
    }
    PublishMessage::build().headers(headers).payload(message.payload.clone().into())
}

/// Reads an event, published or replayed.
pub(super) fn decode(received: &NatsMessage, subject: Subject) -> Result<Message, InvalidMessage> {
    let payload = str::from_utf8(&received.payload).map_err(InvalidMessage::NotUtf8);
    Ok(Message {
        id: event_id(received).ok_or(InvalidMessage::NoId)?.to_owned(),
        subject,
        payload: payload?.to_owned(),
        traceparent: header(received, TRACEPARENT).and_then(TraceParent::parse),
    })
}

/// The id of the event that a message holds.
pub(super) fn event_id(received: &NatsMessage) -> Option<&str> {
    header(received, ORIGINAL_ID).or(header(received, MESSAGE_ID))
}

pub(super) fn header<'a>(received: &'a NatsMessage, name: &str) -> Option<&'a str> {
    received.headers.as_ref()?.get(name).map(|value| value.as_str())
}
