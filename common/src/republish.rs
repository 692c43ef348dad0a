//! Republishing: an owner announces the current state of its records again.
//!
//! It is the remedy for whatever was lost on the way: a bus that lost events, a database that was restored from an older
//! copy, a new service on a trimmed history, or a wrong copy. The events are ordinary ones. Every listener is idempotent
//! and the newest version wins, so republishing is safe while everything runs.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::error;

use crate::bus::{BusError, Publisher};
use crate::clock::Timestamp;
use crate::error::chain;
use crate::events::Message;
use crate::records::Records;
use crate::store::{Document, Store, StoreError};

/// How many records to read and publish at once.
const PAGE: usize = 100;

/// The error of republishing. What was published before it does no harm: republish again.
#[derive(Debug, thiserror::Error)]
pub enum RepublishError {
    /// The records cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Their events cannot be published.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// How far republishing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The records read so far.
    pub read: u64,
    /// Those of them that were announced.
    pub announced: u64,
    /// Those of them that are not valid and were skipped, which the log names.
    pub invalid: u64,
}

/// Announces records again.
pub struct Republisher<'a> {
    /// The database of their owner.
    pub store: &'a dyn Store,
    /// The bus.
    pub publisher: &'a dyn Publisher,
    /// The records.
    pub records: Records,
    /// Part of the message ids. The bus drops messages whose ids it knows, so it must differ each time: use the time.
    pub epoch: Timestamp,
    /// How many records to announce per second at most.
    pub rate: NonZeroU32,
}

impl Republisher<'_> {
    /// Announces the record with this id. Returns false if there is none.
    pub async fn one(&self, id: &str) -> Result<bool, RepublishError> {
        let Some(document) = self.store.get(self.records.schema, id).await? else { return Ok(false) };
        self.publisher.publish(&self.messages(&document)?).await?;
        Ok(true)
    }

    /// Announces all records that were written at `since` or later, newest first. Reads the whole collection, and calls
    /// `report` after each page.
    pub async fn since(&self, since: Timestamp, report: impl Fn(Progress)) -> Result<Progress, RepublishError> {
        let (started, mut progress, mut after) = (Instant::now(), Progress::default(), None);
        loop {
            let page = self.store.scan(self.records.schema, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(progress) };
            after = Some(last.id.clone());
            progress.read += page.len() as u64;
            self.publish(page.iter().filter(|(_, at)| *at >= since).map(|(document, _)| document), &mut progress)
                .await?;
            report(progress);
            sleep_until(started + self.earliest(progress.announced)).await;
        }
    }

    async fn publish(
        &self,
        documents: impl Iterator<Item = &Document>,
        progress: &mut Progress,
    ) -> Result<(), RepublishError> {
        let mut messages = Vec::new();
        for document in documents {
            match self.messages(document) {
                Ok(announcement) => {
                    messages.extend(announcement);
                    progress.announced += 1;
                }
                Err(error) => {
                    error!(error = chain(&error), "skipped a record that is not valid");
                    progress.invalid += 1;
                }
            }
        }
        self.publisher.publish(&messages).await?;
        Ok(())
    }

    /// The events of a record, with ids that the bus does not know.
    fn messages(&self, document: &Document) -> Result<Vec<Message>, StoreError> {
        let mut messages = self.records.announce(document)?;
        for message in &mut messages {
            message.id += &format!("/{}", self.epoch.as_millis());
        }
        Ok(messages)
    }

    /// The least time that announcing this many records may take.
    fn earliest(&self, announced: u64) -> Duration {
        Duration::from_secs_f64(announced as f64 / f64::from(self.rate.get()))
    }
}
