use serde::de::DeserializeOwned;

use super::{Event, Subject};
use crate::trace::TraceParent;

/// An event as outboxes store it and the bus carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `<subject>/<record id>/<version>`, and an epoch if it is [republished](crate::republish). The same for each copy of
    /// the event, so that the bus can drop duplicates.
    pub id: String,
    /// The event's subject.
    pub subject: Subject,
    /// The event as JSON.
    pub payload: String,
    /// The trace context of the request that caused it.
    pub traceparent: Option<TraceParent>,
}

impl Message {
    /// Wraps an event and attaches the current trace context.
    ///
    /// # Errors
    ///
    /// If the event cannot be represented as JSON.
    pub fn new<E: Event>(event: &E) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: format!("{}/{}/{}", E::SUBJECT, event.record_id(), event.version()),
            subject: E::SUBJECT,
            payload: serde_json::to_string(event)?,
            traceparent: TraceParent::current(),
        })
    }

    /// The id of the record that the event is about.
    pub(crate) fn record_id(&self) -> Option<&str> {
        self.id.split('/').nth(1)
    }

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// If it is not a `T` as JSON.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.payload)
    }
}

/// The event that a write announces: an event, an `Option` of one, or `()` for none.
pub trait Announcement {
    /// The message to publish, if any.
    ///
    /// # Errors
    ///
    /// If the event cannot be represented as JSON.
    fn into_message(self) -> Result<Option<Message>, serde_json::Error>;
}

impl<E: Event> Announcement for E {
    fn into_message(self) -> Result<Option<Message>, serde_json::Error> {
        Message::new(&self).map(Some)
    }
}

impl<E: Event> Announcement for Option<E> {
    fn into_message(self) -> Result<Option<Message>, serde_json::Error> {
        self.as_ref().map(Message::new).transpose()
    }
}

impl Announcement for () {
    fn into_message(self) -> Result<Option<Message>, serde_json::Error> {
        Ok(None)
    }
}
