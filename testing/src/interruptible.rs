//! A bus with outages.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use common::bus::{Bus, BusError, DeadLetter, Durable, DurableProgress, Publisher, Subscription};
use common::events::{Message, Subject};

/// A bus that refuses to publish while it is interrupted. Reading is not affected.
pub struct InterruptibleBus {
    bus: Arc<dyn Bus>,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    interrupted: bool,
    refused: u64,
}

impl InterruptibleBus {
    /// Wraps a bus, not interrupted yet.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self { bus, state: watch::Sender::default() }
    }

    /// Starts to refuse, and counts refusals from zero again.
    pub fn interrupt(&self) {
        self.state.send_modify(|state| *state = State { interrupted: true, refused: 0 });
    }

    /// Ends the interruption.
    pub fn resume(&self) {
        self.state.send_modify(|state| state.interrupted = false);
    }

    /// Waits until the current interruption has refused to publish `times` times.
    pub async fn wait_for_refusals(&self, times: u64) {
        let mut changes = self.state.subscribe();
        // The sender lives as long as self, so this cannot fail.
        let _reached = changes.wait_for(|state| state.refused >= times).await;
    }
}

#[async_trait]
impl Publisher for InterruptibleBus {
    async fn publish(&self, messages: &[Message]) -> Result<(), BusError> {
        let refuse = |state: &mut State| {
            state.refused += u64::from(state.interrupted);
            state.interrupted
        };
        if self.state.send_if_modified(refuse) {
            return Err(BusError::unavailable("interrupted by the test"));
        }
        self.bus.publish(messages).await
    }
}

#[async_trait]
impl Bus for InterruptibleBus {
    async fn subscribe(&self, durable: Durable) -> Result<Box<dyn Subscription>, BusError> {
        self.bus.subscribe(durable).await
    }

    async fn history(&self, subject: Subject, after: u64, limit: usize) -> Result<Vec<(u64, Message)>, BusError> {
        self.bus.history(subject, after, limit).await
    }

    async fn progress(&self) -> Result<Vec<DurableProgress>, BusError> {
        self.bus.progress().await
    }

    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.bus.dead_letters(after, limit).await
    }

    async fn replay_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        self.bus.replay_dead_letter(id).await
    }

    async fn drop_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        self.bus.drop_dead_letter(id).await
    }

    async fn ping(&self) -> Result<(), BusError> {
        self.bus.ping().await
    }
}
