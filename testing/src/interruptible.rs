//! A bus with outages.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::watch;

use common::bus::{
    Bus, BusError, DeadLetter, Durable, DurableProgress, HistoryStart, Page, Publisher, Receipt, Subscription,
};
use common::events::{Message, Subject};

/// A bus that refuses to publish while it is interrupted, and messages that a test names. Reading is not affected.
pub struct InterruptibleBus {
    bus: Arc<dyn Bus>,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    interrupted: bool,
    refused: u64,
    /// The id of a message to refuse.
    unacceptable: Option<String>,
}

impl InterruptibleBus {
    /// Wraps a bus, not interrupted yet.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self { bus, state: watch::Sender::default() }
    }

    /// Starts to refuse, and counts refusals from zero again.
    pub fn interrupt(&self) {
        self.state.send_modify(|state| (state.interrupted, state.refused) = (true, 0));
    }

    /// Ends the interruption.
    pub fn resume(&self) {
        self.state.send_modify(|state| state.interrupted = false);
    }

    /// Refuses this message from now on, with all that are published at once with it. `None` accepts every message.
    pub fn refuse(&self, id: Option<String>) {
        self.state.send_modify(|state| state.unacceptable = id);
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
    async fn publish(&self, messages: &[Message]) -> Result<Option<Receipt>, BusError> {
        let refuse = |state: &mut State| {
            let is_unacceptable = messages.iter().any(|message| Some(&message.id) == state.unacceptable.as_ref());
            state.refused += u64::from(state.interrupted);
            state.interrupted || is_unacceptable
        };
        if self.state.send_if_modified(refuse) {
            return Err(BusError::unavailable("refused by the test"));
        }
        self.bus.publish(messages).await
    }

    async fn has(&self, receipt: &Receipt) -> Result<bool, BusError> {
        self.bus.has(receipt).await
    }
}

#[async_trait]
impl Bus for InterruptibleBus {
    async fn subscribe(&self, durable: Durable) -> Result<Box<dyn Subscription>, BusError> {
        self.bus.subscribe(durable).await
    }

    fn history(&self, subjects: &'static [Subject], start: HistoryStart) -> BoxStream<'_, Result<Page, BusError>> {
        self.bus.history(subjects, start)
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

    async fn lag(&self, durable: Durable) -> Result<Duration, BusError> {
        self.bus.lag(durable).await
    }

    fn retention(&self) -> Option<Duration> {
        self.bus.retention()
    }

    async fn delete_old_events(&self, durables: &[Durable]) -> Result<(), BusError> {
        self.bus.delete_old_events(durables).await
    }

    async fn ping(&self) -> Result<(), BusError> {
        self.bus.ping().await
    }
}
