//! The lease that lets one replica of a service at a time sweep the outbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{RecordId, RelayId};
use crate::store::{Collection, Database, Entity, Schema, StoreError};

use super::marks::{Marks, Published};

/// How long a replica that died keeps the lease.
const LEASE: Duration = Duration::from_secs(60);

/// The collection of what the relays of a service know in common. Every engine has it beside those of the service.
pub const RELAY_SCHEMA: &Schema = &Schema { collection: "relay", indexes: &[], ids: &[], times: &["expiresAt"] };

/// What the relays of a service know in common: which of them sweeps, and what it knows to be published.
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
    /// What it knows to be published.
    #[serde(default)]
    published: Marks,
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

    /// Takes or extends the lease and stores what is published, unless another replica holds the lease. Returns whether
    /// this replica holds it now.
    pub(super) async fn take(&mut self, now: Timestamp, published: &Marks) -> Result<bool, StoreError> {
        let (id, published) = (id(), published.clone());
        let current = match self.held.take() {
            Some(held) => Some(held),
            None => self.states.get(id).await?,
        };
        let (holder, expires_at) = (Some(self.replica.clone()), now.plus(LEASE));
        let (taken, written) = match current {
            None => {
                let taken = RelayState { id, version: 0, holder, expires_at, published };
                let written = self.states.insert(&taken, ()).await;
                (taken, written)
            }
            Some(other) if other.holder.is_some() && other.holder != holder && now < other.expires_at => {
                return Ok(false);
            }
            Some(state) => {
                let taken = RelayState { version: state.version + 1, holder, expires_at, published, id };
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

    /// Stores what is published and lets another replica take over at once, if this one holds the lease.
    pub(super) async fn release(&mut self, published: &Marks) -> Result<(), StoreError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let published = published.clone();
        self.states.replace(&RelayState { version: held.version + 1, holder: None, published, ..held }, ()).await
    }
}

/// Reads what a service had published when it last stored that.
pub(crate) async fn load_published(database: &Database) -> Result<Published, StoreError> {
    let state = database.collection::<RelayState>().get(id()).await?;
    Ok(Published::new(state.map(|state| state.published).unwrap_or_default()))
}

/// There is one such document, and its id is constant.
fn id() -> RelayId {
    RelayId::earliest(Timestamp::from_millis(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_existing_fields() {
        let now = Timestamp::from_millis(0);
        let published = Marks::default();
        let state = RelayState { id: id(), version: 0, holder: None, expires_at: now, published };
        assert_eq!(RELAY_SCHEMA.check(&state), Ok(()));
    }
}
