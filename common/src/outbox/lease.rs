//! The lease that lets one replica of a service at a time sweep the outbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{RecordId, RelayId};
use crate::store::{Collection, Database, Entity, Schema, StoreError};

/// How long a replica that died keeps the lease.
const LEASE: Duration = Duration::from_secs(60);

/// The collection of what the relays of a service know in common. Every engine has it beside those of the service.
pub const RELAY_SCHEMA: &Schema = &Schema { collection: "relay", indexes: &[], ids: &[], times: &["expiresAt"] };

/// What the relays of a service know in common: which of them sweeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RelayState {
    id: RelayId,
    version: u64,
    /// The replica that sweeps, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    /// When another replica may take over.
    expires_at: Timestamp,
}

impl Entity for RelayState {
    type Id = RelayId;
    const SCHEMA: &'static Schema = RELAY_SCHEMA;

    fn id(&self) -> RelayId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// The lease as one replica sees it.
pub(super) struct Lease {
    states: Collection<RelayState>,
    /// This replica.
    replica: String,
    /// The state that this replica has written as the holder.
    held: Option<RelayState>,
}

impl Lease {
    pub(super) fn new(database: &Database) -> Self {
        Self { states: database.collection(), replica: format!("{:016x}", rand::random::<u64>()), held: None }
    }

    /// Takes or extends the lease, unless another replica holds it. Returns whether this replica holds it now.
    pub(super) async fn take(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        // There is one such document, and its id is constant.
        let id = RelayId::earliest(Timestamp::from_millis(0));
        let current = match self.held.take() {
            Some(held) => Some(held),
            None => self.states.get(id).await?,
        };
        let (holder, expires_at) = (Some(self.replica.clone()), now.plus(LEASE));
        let (taken, written) = match current {
            None => {
                let taken = RelayState { id, version: 0, holder, expires_at };
                let written = self.states.insert(&taken, ()).await;
                (taken, written)
            }
            Some(other) if other.holder.is_some() && other.holder != holder && now < other.expires_at => {
                return Ok(false);
            }
            Some(state) => {
                let taken = RelayState { version: state.version + 1, holder, expires_at, ..state };
                let written = self.states.replace(&taken, ()).await;
                (taken, written)
            }
        };
        match written {
            Ok(()) => self.held = Some(taken),
            // Another replica was first.
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        Ok(self.held.is_some())
    }

    /// Lets another replica take over at once, if this one holds the lease.
    pub(super) async fn release(&mut self) -> Result<(), StoreError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        self.states.replace(&RelayState { version: held.version + 1, holder: None, ..held }, ()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_existing_fields() {
        let now = Timestamp::from_millis(0);
        let state = RelayState { id: RelayId::earliest(now), version: 0, holder: None, expires_at: now };
        assert_eq!(RELAY_SCHEMA.check(&state), Ok(()));
    }
}
