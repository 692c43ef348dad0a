//! Announces changes again whose events the bus has lost.
//!
//! A broker may confirm events before they are on its disk, or be restored from an older copy. Then it no longer has the
//! events that a service has [marks](super::marks) of. What was written since the last mark that it still has is
//! announced again.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::bus::{BusError, Publisher, Receipt};
use crate::clock::Timestamp;
use crate::error::chain;
use crate::records::Records;
use crate::republish::{Progress, RepublishError, Republisher};
use crate::store::Database;
use crate::trace::in_new_trace;

use super::marks::Published;

/// How often to ask the bus, for fewer than twenty events.
const INTERVAL: Duration = Duration::from_secs(10);

/// Announcements per second, so that they leave room for others.
const RATE: NonZeroU32 = NonZeroU32::new(1000).expect("not 0");

/// Announces the records of a service again when the bus has lost events, until `stop`.
pub async fn watch_losses(
    service: &'static str,
    database: Database,
    publisher: Arc<dyn Publisher>,
    records: Records,
    published: Published,
    stop: CancellationToken,
) {
    let watch = Watch { service, database, publisher, records, published };
    while !stop.is_cancelled() {
        let checked = in_new_trace("losses", watch.check());
        match stop.run_until_cancelled(checked).await {
            None | Some(Ok(())) => {}
            Some(Err(error)) => {
                warn!(service, error = chain(&error), "could not look for events that the bus has lost, will retry");
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await;
    }
}

struct Watch {
    service: &'static str,
    database: Database,
    publisher: Arc<dyn Publisher>,
    records: Records,
    published: Published,
}

impl Watch {
    async fn check(&self) -> Result<(), RepublishError> {
        let lost = self.lost().await?;
        let since = {
            let mut marks = self.published.marks();
            marks.drop_lost(&lost);
            marks.lost_since()
        };
        match since {
            Some(since) => self.announce(since).await,
            None => Ok(()),
        }
    }

    /// The receipts of events that the bus no longer has.
    async fn lost(&self) -> Result<Vec<Receipt>, BusError> {
        let receipts = self.published.marks().receipts();
        let mut lost = Vec::new();
        // All of them: events that were published after the loss are there.
        for receipt in receipts {
            if !self.publisher.has(&receipt).await? {
                lost.push(receipt);
            }
        }
        Ok(lost)
    }

    async fn announce(&self, since: Timestamp) -> Result<(), RepublishError> {
        let service = self.service;
        warn!(service, %since, "the bus has lost events, announcing what was written since then");
        let republisher = Republisher {
            store: &**self.database.store(),
            publisher: &*self.publisher,
            records: self.records,
            epoch: self.database.clock().now(),
            rate: RATE,
        };
        let Progress { announced, .. } = republisher.since(since, |_| {}).await?;
        self.published.marks().announced(since);
        info!(service, announced, "announced again what the bus has lost");
        Ok(())
    }
}
