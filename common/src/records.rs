//! Records that their owner announces by events.

use crate::events::{Message, Subject};
use crate::store::{Document, Entity, Schema, StoreError, parse, to_document};

/// An entity whose owner announces each change by an event.
pub trait Announced: Entity {
    /// The subjects of these events.
    const SUBJECTS: &'static [Subject];

    /// The events that tell a service everything about the entity, even if it has never heard of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Serialise`] if an event cannot be represented as JSON.
    fn announce(&self) -> Result<Vec<Message>, StoreError>;

    /// The entity as one of its events shows it. `stored` is an older state, if there is one. Returns `None` if the
    /// events do not say enough.
    ///
    /// # Errors
    ///
    /// [`StoreError::Serialise`] if the event does not parse.
    fn restore(event: &Message, stored: Option<Self>) -> Result<Option<Self>, StoreError>;
}

/// The records of one type that a service owns and announces.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    /// Their collection.
    pub schema: &'static Schema,
    /// The subjects of the events that announce them.
    pub subjects: &'static [Subject],
    announce: fn(&Document) -> Result<Vec<Message>, StoreError>,
    restore: fn(&Message, Option<&Document>) -> Result<Option<Document>, StoreError>,
}

impl Records {
    /// The records of the type `T`.
    pub const fn of<T: Announced>() -> Self {
        Self { schema: T::SCHEMA, subjects: T::SUBJECTS, announce: announce::<T>, restore: restore::<T> }
    }

    /// The events that tell a service everything about a stored record.
    pub(crate) fn announce(&self, document: &Document) -> Result<Vec<Message>, StoreError> {
        (self.announce)(document)
    }

    /// The record as an event shows it, if that is newer than what is stored and the event says enough.
    pub(crate) fn restore(&self, event: &Message, stored: Option<&Document>) -> Result<Option<Document>, StoreError> {
        (self.restore)(event, stored)
    }
}

fn announce<T: Announced>(document: &Document) -> Result<Vec<Message>, StoreError> {
    parse::<T>(document)?.announce()
}

fn restore<T: Announced>(event: &Message, stored: Option<&Document>) -> Result<Option<Document>, StoreError> {
    let restored = T::restore(event, stored.map(parse::<T>).transpose()?)?;
    let is_newer = |restored: &T| stored.is_none_or(|stored| stored.version < restored.version());
    restored.filter(is_newer).as_ref().map(to_document).transpose()
}
