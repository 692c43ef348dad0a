//! The stored revisions: the current state of intents, the replies under idempotency keys, lists and events.

use common::clock::Timestamp;
use common::ids::IntentId;
use common::store::{Collection, Database, Query, StoreError};
use serde_json::value::to_raw_value;
use tokio::sync::Notify;

use crate::idempotency::{LIFETIME, RequestIdentity};
use crate::intent::Intent;
use crate::lifecycle::{Change, EventKind};
use crate::reply::Reply;
use crate::revision::{BY_KEY, BY_POSITION, BY_TOKEN, Created, Pending, Revision, StoredEvent};
use crate::view;
use crate::webhooks::Endpoints;

/// More revisions than an intent ever has.
const MAX_REVISIONS: usize = 1000;

/// How many revisions a list reads at a time.
const BATCH: usize = 100;

/// The revisions of all intents.
pub(crate) struct Journal {
    revisions: Collection<Revision>,
    endpoints: Endpoints,
    /// Notified of each write.
    pub(crate) written: Notify,
}

/// Why a revision was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("another request with this idempotency key was first")]
    KeyUsed,
    #[error("another request changed the intent first")]
    Raced,
    #[error("the token was used before")]
    TokenUsed,
    #[error("could not store a revision")]
    Store(#[source] StoreError),
}

/// What is stored under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// No request with this key.
    Nothing,
    /// The same request.
    Same(Reply),
    /// A request with another endpoint or other parameters.
    Other,
}

impl Journal {
    pub(crate) fn new(database: &Database) -> Self {
        Self { revisions: database.collection(), endpoints: Endpoints::new(database), written: Notify::new() }
    }

    /// The webhook endpoint.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The current state of an intent. Records that its authorisation has lapsed, if it has.
    pub(crate) async fn current(&self, id: IntentId, now: Timestamp) -> Result<Option<Intent>, StoreError> {
        loop {
            let Some(intent) = self.stored(id).await? else { return Ok(None) };
            if !intent.is_lapsed(now) {
                return Ok(Some(intent));
            }
            let mut change = Change::to(intent);
            if change.lapse(now).is_err() {
                return Ok(Some(change.intent));
            }
            match self.append(Revision::new(IntentId::generate(now), now), Some(&change)).await {
                Ok(()) => return Ok(Some(change.intent)),
                Err(AppendError::Raced | AppendError::KeyUsed | AppendError::TokenUsed) => {}
                Err(AppendError::Store(error)) => return Err(error),
            }
        }
    }

    async fn stored(&self, id: IntentId) -> Result<Option<Intent>, StoreError> {
        let revisions = self.revisions.find(Query::newest(MAX_REVISIONS).with("intentId", id)).await?;
        // Not simply the newest: ids of different processes within one second do not sort by age.
        Ok(revisions.into_iter().filter_map(|revision| revision.intent).max_by_key(|intent| intent.sequence))
    }

    /// The reply to an earlier request with the same key.
    pub(crate) async fn earlier(&self, request: &RequestIdentity, now: Timestamp) -> Result<Earlier, StoreError> {
        let Some(key) = &request.key else { return Ok(Earlier::Nothing) };
        let found = self.revisions.find(Query::newest(1).with("idempotencyKey", key)).await?;
        let Some(revision) = found.into_iter().next() else { return Ok(Earlier::Nothing) };
        if now.since(revision.at) >= LIFETIME {
            let free = |revision: &mut Revision| -> Result<(), StoreError> {
                revision.expire_key();
                Ok(())
            };
            self.revisions.update(revision.id, free).await?;
            return Ok(Earlier::Nothing);
        }
        match revision.reply {
            Some(reply) if revision.fingerprint.as_ref() == Some(&request.fingerprint) => Ok(Earlier::Same(reply)),
            Some(_) | None => Ok(Earlier::Other),
        }
    }

    /// Stores a revision, with the change it makes to an intent.
    pub(crate) async fn append(&self, mut revision: Revision, change: Option<&Change>) -> Result<(), AppendError> {
        if let Some(change) = change {
            revision = revision.with_intent(change.intent.clone());
            revision.events = change.events.iter().map(stored_event).collect();
            let is_awaited = self.endpoints.get().await.map_err(AppendError::Store)?.is_some();
            revision.undelivered = (is_awaited && !revision.events.is_empty()).then_some(Pending::Pending);
        }
        self.revisions.insert(&revision, ()).await.map_err(|error| match error {
            StoreError::Duplicate(index) if index == BY_KEY => AppendError::KeyUsed,
            StoreError::Duplicate(index) if index == BY_POSITION => AppendError::Raced,
            StoreError::Duplicate(index) if index == BY_TOKEN => AppendError::TokenUsed,
            error => AppendError::Store(error),
        })?;
        self.written.notify_one();
        Ok(())
    }

    /// The ids of intents that have a revision which created such an object, newest first, after the revision `after`.
    pub(crate) async fn created(
        &self,
        kind: Created,
        after: Option<IntentId>,
    ) -> Result<Vec<(IntentId, IntentId)>, StoreError> {
        let name = match kind {
            Created::PaymentIntent => "payment_intent",
            Created::Refund => "refund",
        };
        let revisions = self.revisions.find(Query::newest(BATCH).with("creates", name).after(after)).await?;
        Ok(revisions.into_iter().filter_map(|revision| Some((revision.id, revision.intent_id?))).collect())
    }

    /// A batch of revisions, newest first, after the revision `after`.
    pub(crate) async fn newest(&self, after: Option<IntentId>) -> Result<Vec<Revision>, StoreError> {
        self.revisions.find(Query::newest(BATCH).after(after)).await
    }

    /// The revision with this id.
    pub(crate) async fn revision(&self, id: IntentId) -> Result<Option<Revision>, StoreError> {
        self.revisions.get(id).await
    }

    /// The revisions with events for the webhook, oldest first.
    pub(crate) async fn undelivered(&self) -> Result<Vec<Revision>, StoreError> {
        let query = Query::newest(MAX_REVISIONS).with("undelivered", "pending");
        let mut revisions = self.revisions.find(query).await?;
        revisions.reverse();
        Ok(revisions)
    }

    /// Records that the webhook has accepted an event.
    pub(crate) async fn deliver(&self, id: IntentId, index: usize) -> Result<(), StoreError> {
        let deliver = |revision: &mut Revision| -> Result<(), StoreError> {
            revision.deliver(index);
            Ok(())
        };
        self.revisions.update(id, deliver).await.map(drop)
    }
}

fn stored_event((kind, intent): &(EventKind, Intent)) -> StoredEvent {
    let object = to_raw_value(&view::object(*kind, intent)).expect("JSON of a JSON value");
    StoredEvent { kind: kind.name().to_owned(), object, is_delivered: false }
}
