//! What the simulator stores: one document for each request that had an effect or used up an idempotency key.

use common::clock::Timestamp;
use common::ids::IntentId;
use common::store::{Entity, Index, IndexKind, Schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::idempotency::RequestIdentity;
use crate::intent::Intent;
use crate::reply::Reply;

/// Allows one request per idempotency key.
pub(crate) const BY_KEY: &str = "revisions_by_idempotency_key";
/// Allows one change on top of each state of an intent.
pub(crate) const BY_POSITION: &str = "revisions_by_position";
/// Allows one use of a token.
pub(crate) const BY_TOKEN: &str = "revisions_by_token";

/// The next state of an intent with all that belongs to the change: the request's idempotency key, the reply and the
/// events. So they are one atomic write.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Revision {
    /// That of the intent if this is its creation.
    pub(crate) id: IntentId,
    pub(crate) version: u64,
    pub(crate) at: Timestamp,
    /// `<intent>/<sequence>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intent_id: Option<IntentId>,
    /// The intent after the change. Without one, the request failed and only its key is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intent: Option<Intent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) creates: Option<Created>,
    /// The request that caused the change, if one did.
    pub(crate) request: Option<RequestRef>,
    /// Absent once it has expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency_key: Option<String>,
    pub(crate) fingerprint: Option<String>,
    /// The reply to a request with a key.
    pub(crate) reply: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spent_token: Option<String>,
    pub(crate) events: Vec<StoredEvent>,
    /// Set while events wait to be delivered to the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) undelivered: Option<Pending>,
}

/// A request as events name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestRef {
    pub(crate) id: String,
    pub(crate) idempotency_key: Option<String>,
}

/// The object that a revision creates, so that lists find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Created {
    PaymentIntent,
    Refund,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pending {
    Pending,
}

/// An event as Stripe shows it, except what depends on its delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredEvent {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Not parsed, because most readers of a revision do not need it.
    pub(crate) object: Box<RawValue>,
    pub(crate) is_delivered: bool,
}

impl Entity for Revision {
    type Id = IntentId;
    const SCHEMA: &'static Schema = &Schema {
        collection: "revisions",
        indexes: &[
            Index { name: BY_KEY, fields: &["idempotencyKey"], kind: IndexKind::Unique },
            Index { name: BY_POSITION, fields: &["position"], kind: IndexKind::Unique },
            Index { name: BY_TOKEN, fields: &["spentToken"], kind: IndexKind::Unique },
            Index { name: "revisions_by_intent", fields: &["intentId"], kind: IndexKind::Plain },
            Index { name: "revisions_by_creates", fields: &["creates"], kind: IndexKind::Plain },
            Index { name: "revisions_by_undelivered", fields: &["undelivered"], kind: IndexKind::Plain },
        ],
        ids: &["intentId"],
        times: &["at"],
    };

    fn id(&self) -> IntentId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Revision {
    /// A revision that nobody requested, and that stores nothing yet.
    pub(crate) fn new(id: IntentId, at: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            at,
            position: None,
            intent_id: None,
            intent: None,
            creates: None,
            request: None,
            idempotency_key: None,
            fingerprint: None,
            reply: None,
            spent_token: None,
            events: Vec::new(),
            undelivered: None,
        }
    }

    /// Adds the request, and the reply to it if it has a key.
    pub(crate) fn with_request(mut self, request: &RequestIdentity, reply: &Reply) -> Self {
        self.request = Some(RequestRef { id: request.id.clone(), idempotency_key: request.key.clone() });
        if let Some(key) = &request.key {
            self.idempotency_key = Some(key.clone());
            self.fingerprint = Some(request.fingerprint.clone());
            self.reply = Some(reply.clone());
        }
        self
    }

    /// Adds the new state of an intent.
    pub(crate) fn with_intent(mut self, intent: Intent) -> Self {
        self.position = Some(format!("{}/{}", intent.id, intent.sequence));
        self.intent_id = Some(intent.id);
        self.intent = Some(intent);
        self
    }

    /// Records that the webhook has accepted an event.
    pub(crate) fn deliver(&mut self, index: usize) {
        if let Some(event) = self.events.get_mut(index).filter(|event| !event.is_delivered) {
            event.is_delivered = true;
            self.version += 1;
        }
        if self.events.iter().all(|event| event.is_delivered) {
            self.undelivered = None;
        }
    }

    /// Frees the key for another request.
    pub(crate) fn expire_key(&mut self) {
        if self.idempotency_key.take().is_some() {
            self.version += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_existing_fields() {
        let now = Timestamp::from_millis(0);
        let request =
            RequestIdentity { id: "req_1".to_owned(), key: Some("k".to_owned()), fingerprint: "f".to_owned() };
        let reply = Reply { status: 200, body: String::new() };
        let mut revision = Revision::new(IntentId::generate(now), now).with_request(&request, &reply);
        revision.position = Some("1/0".to_owned());
        revision.intent_id = Some(revision.id);
        revision.creates = Some(Created::Refund);
        revision.spent_token = Some("tok_visa_once_1".to_owned());
        revision.undelivered = Some(Pending::Pending);
        assert_eq!(Revision::SCHEMA.check(&revision), Ok(()));
    }
}
