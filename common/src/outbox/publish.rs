//! Publishing events, some of which the bus may refuse.

use std::slice::from_ref;
use std::sync::Arc;

use crate::bus::{BusError, Publisher, Receipt};
use crate::error::chain;
use crate::events::Message;
use crate::store::Unpublished;
use tracing::error;

/// Publishes events, and tells those that the bus refuses from an outage.
pub(super) struct Sender {
    service: &'static str,
    publisher: Arc<dyn Publisher>,
    /// A message that the bus has accepted. Publishing it again has no effect, and shows whether the bus is up.
    accepted: Option<Message>,
    /// The receipt of the last message that the bus has accepted.
    receipt: Option<Receipt>,
}

impl Sender {
    pub(super) fn new(service: &'static str, publisher: Arc<dyn Publisher>) -> Self {
        Self { service, publisher, accepted: None, receipt: None }
    }

    /// Publishes events, and returns those that the bus refuses although it accepts others, for example because they
    /// are too large.
    ///
    /// # Errors
    ///
    /// If the bus accepts none.
    pub(super) async fn publish<'a>(&mut self, events: &'a [Unpublished]) -> Result<Vec<&'a Unpublished>, BusError> {
        let messages: Vec<Message> = events.iter().map(|event| event.message.clone()).collect();
        let Err(error) = self.send(&messages).await else {
            self.accepted = messages.into_iter().next_back();
            return Ok(Vec::new());
        };
        if self.accepted.is_none() && !self.accepts_any(&messages).await {
            return Err(error);
        }
        let mut refused = Vec::new();
        for event in events {
            if self.refuses(&event.message).await? {
                refused.push(event);
            }
        }
        Ok(refused)
    }

    /// Publishes an event that was refused before. Returns whether it is published.
    pub(super) async fn retry(&mut self, event: &Unpublished) -> bool {
        self.send(from_ref(&event.message)).await.is_ok()
    }

    /// Takes the receipt of the last message that the bus has accepted since this was called before.
    pub(super) fn take_receipt(&mut self) -> Option<Receipt> {
        self.receipt.take()
    }

    async fn send(&mut self, messages: &[Message]) -> Result<(), BusError> {
        if let Some(receipt) = self.publisher.publish(messages).await? {
            self.receipt = Some(receipt);
        }
        Ok(())
    }

    async fn accepts_any(&mut self, messages: &[Message]) -> bool {
        for message in messages {
            if self.send(from_ref(message)).await.is_ok() {
                self.accepted = Some(message.clone());
                return true;
            }
        }
        false
    }

    /// Publishes a message, and returns whether the bus refuses it. Fails in an outage.
    async fn refuses(&mut self, message: &Message) -> Result<bool, BusError> {
        if self.send(from_ref(message)).await.is_ok() {
            return Ok(false);
        }
        self.publisher.publish(self.accepted.as_slice()).await?;
        // Once more, because the bus may have been down in between.
        let Err(error) = self.send(from_ref(message)).await else { return Ok(false) };
        self.publisher.publish(self.accepted.as_slice()).await?;
        error!(
            service = self.service,
            id = message.id,
            error = chain(&error),
            "the bus refuses an event, it stays in the outbox"
        );
        Ok(true)
    }
}
