//! The state that all handlers share.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use common::store::{Database, StoreError};

use crate::fault::Faults;
use crate::idempotency::InFlight;
use crate::intent::Intent;
use crate::journal::Journal;

/// The state shared by all handlers.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) journal: Arc<Journal>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) in_flight: InFlight,
    pub(crate) clock: Arc<dyn Clock>,
    /// Delays each API call.
    pub(crate) delay: Duration,
}

impl AppState {
    pub(crate) fn new(database: &Database, delay: Duration) -> Self {
        Self {
            journal: Arc::new(Journal::new(database)),
            faults: Arc::default(),
            in_flight: InFlight::default(),
            clock: database.clock().clone(),
            delay,
        }
    }

    /// The current state of the intent with this `pi_…` id, if it exists.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Intent>, StoreError> {
        match Intent::parse_public_id(id) {
            Some(id) => self.journal.current(id, self.clock.now()).await,
            None => Ok(None),
        }
    }
}
