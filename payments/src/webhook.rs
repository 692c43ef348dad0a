//! Stripe's webhooks: <https://docs.stripe.com/webhooks>.
//!
//! An event only says that something happened to an intent. It is stored, and then the payment is compared with Stripe's
//! current state. So events may arrive late, twice or in any order.

use std::time::Duration;

use common::clock::Timestamp;
use common::ids::WebhookId;
use common::store::{Entity, Index, IndexKind, Query, Schema, StoreError};
use hmac::{Hmac, KeyInit, Mac};
use metrics::counter;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::AppState;
use crate::error::PaymentError;
use crate::payment::Payment;
use crate::settlement::check;

/// How old a signature may be, and how far in the future.
const TOLERANCE: Duration = Duration::from_secs(300);

/// How many events to read at once.
const BATCH: usize = 100;

/// The secrets that sign webhooks. More than one while they are exchanged.
#[derive(Clone, Debug, Default)]
pub struct WebhookSecrets(Vec<SecretString>);

impl WebhookSecrets {
    /// Reads secrets separated by commas.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|secret| !secret.is_empty()).map(Into::into).collect())
    }

    /// Whether there is none, so that no webhook is accepted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks a `Stripe-Signature` header against the body as it was received.
    pub(crate) fn verify(&self, header: &str, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
        let mut fields = header.split(',').filter_map(|field| field.trim().split_once('='));
        let at = fields.clone().find(|(name, _)| *name == "t").map(|(_, value)| value);
        let at = at.ok_or(SignatureError::Malformed)?;
        let seconds: i64 = at.parse().map_err(|_| SignatureError::Malformed)?;
        let signed = |secret: &SecretString| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
            mac.update(at.as_bytes());
            mac.update(b".");
            mac.update(body);
            Some(mac)
        };
        let macs: Vec<_> = self.0.iter().filter_map(signed).collect();
        let is_valid = fields.any(|(name, value)| {
            let Some(signature) = decode_hex(value).filter(|_| name == "v1") else { return false };
            macs.iter().any(|mac| mac.clone().verify_slice(&signature).is_ok())
        });
        if !is_valid {
            return Err(SignatureError::Invalid);
        }
        if now.as_secs().abs_diff(seconds) > TOLERANCE.as_secs() {
            return Err(SignatureError::Stale);
        }
        Ok(())
    }
}

/// Why a webhook is not from Stripe, or not from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("Stripe-Signature is malformed")]
    Malformed,
    #[error("Stripe-Signature does not match the body")]
    Invalid,
    #[error("Stripe-Signature is too old or from the future")]
    Stale,
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    (digits.len().is_multiple_of(2) && text.is_ascii()).then(|| digits.chunks_exact(2).map(byte).collect()).flatten()
}

/// An event of Stripe's, as far as it matters. The body is not kept: it contains secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookEvent {
    id: WebhookId,
    version: u64,
    /// Stripe's id, `evt_…`. A unique index over it drops repeated events.
    event_id: String,
    /// Stripe's type: `payment_intent.succeeded`.
    kind: String,
    /// The intent it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<String>,
    received_at: Timestamp,
    /// Set until the event is handled. An index over this field finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pending {
    Yes,
}

impl Entity for WebhookEvent {
    type Id = WebhookId;
    const SCHEMA: &'static Schema = &Schema {
        collection: "webhooks",
        indexes: &[
            Index { name: "webhooks_by_event", fields: &["eventId"], kind: IndexKind::Unique },
            Index { name: "webhooks_pending", fields: &["pending"], kind: IndexKind::Plain },
        ],
        ids: &[],
        times: &["receivedAt"],
    };

    fn id(&self) -> WebhookId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl WebhookEvent {
    /// Reads a signed body.
    pub(crate) fn parse(body: &[u8], now: Timestamp) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Event {
            id: String,
            #[serde(rename = "type")]
            kind: String,
            #[serde(default)]
            data: Value,
        }

        let Event { id, kind, data } = serde_json::from_slice(body)?;
        let intent = intent_of(&data["object"]);
        let pending = intent.is_some().then_some(Pending::Yes);
        Ok(Self { id: WebhookId::generate(now), version: 0, event_id: id, kind, intent, received_at: now, pending })
    }
}

/// The intent that an object of Stripe's is, or belongs to, as charges, refunds and disputes do.
fn intent_of(object: &Value) -> Option<String> {
    let id = if object["object"] == "payment_intent" { &object["id"] } else { &object["payment_intent"] };
    id.as_str().map(str::to_owned)
}

/// Stores an event, unless it was stored before, and wakes the worker.
pub(crate) async fn receive(app: &AppState, event: &WebhookEvent) -> Result<(), StoreError> {
    match app.webhooks.insert(event, ()).await {
        Err(StoreError::Duplicate(_)) => {}
        stored => {
            stored?;
            if event.kind == "charge.dispute.created" {
                counter!("payments_disputed_total").increment(1);
            }
        }
    }
    app.received.notify_one();
    Ok(())
}

/// Schedules a check of each payment that a stored event is about. Returns whether that is done for all of them.
pub(crate) async fn handle_pending(app: &AppState) -> Result<bool, PaymentError> {
    let (mut after, mut all_handled) = (None, true);
    loop {
        let pending = app.webhooks.find(Query::newest(BATCH).with("pending", "yes").after(after)).await?;
        after = pending.last().map(|last| last.id);
        for event in &pending {
            all_handled &= handle(app, event).await?;
        }
        if pending.len() < BATCH {
            return Ok(all_handled);
        }
    }
}

/// Returns whether the event is handled.
async fn handle(app: &AppState, event: &WebhookEvent) -> Result<bool, PaymentError> {
    let Some(intent) = &event.intent else { return Ok(true) };
    if let Some(payment) = app.payments.find(Query::newest(1).with(Payment::INTENT, intent)).await?.pop()
        && !check(app, payment.id).await?
    {
        // A task works on the payment, and may have read an older state. The next round sees what it found.
        return Ok(false);
    }
    let handled = app.webhooks.update(event.id, |event| -> Result<(), StoreError> {
        if event.pending.take().is_some() {
            event.version += 1;
        }
        Ok(())
    });
    handled.await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_000);

    #[test]
    fn the_schema_names_existing_fields() {
        let body = json!({"id": "evt_1", "type": "charge.refunded", "data": {"object": {"payment_intent": "pi_1"}}});
        let event = WebhookEvent::parse(body.to_string().as_bytes(), NOW).unwrap();
        assert_eq!(WebhookEvent::SCHEMA.check(&event), Ok(()));
    }

    #[test]
    fn only_a_fresh_signature_of_one_of_the_secrets_is_accepted() {
        let secrets = WebhookSecrets::parse("whsec_old, whsec_test");
        let sign = |secret: &str, at: i64, body: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(format!("{at}.{body}").as_bytes());
            let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("t={at},v0=00,v1={hex}")
        };
        let (at, body) = (NOW.as_secs(), "{}");
        for secret in ["whsec_test", "whsec_old"] {
            for at in [at, at - 300, at + 300] {
                assert_eq!(secrets.verify(&sign(secret, at, body), body.as_bytes(), NOW), Ok(()));
            }
        }
        let stale = sign("whsec_test", at - 301, body);
        assert_eq!(secrets.verify(&stale, body.as_bytes(), NOW), Err(SignatureError::Stale));
        let valid = sign("whsec_test", at, body);
        assert_eq!(secrets.verify(&valid, b"{ }", NOW), Err(SignatureError::Invalid));
        let foreign = sign("whsec_other", at, body);
        assert_eq!(secrets.verify(&foreign, body.as_bytes(), NOW), Err(SignatureError::Invalid));
        let moved = valid.replace(&format!("t={at}"), &format!("t={}", at + 1));
        assert_eq!(secrets.verify(&moved, body.as_bytes(), NOW), Err(SignatureError::Invalid));
        for header in ["", "t", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=zz", "t=1,v1=é"] {
            assert!(secrets.verify(header, body.as_bytes(), NOW).is_err(), "{header}");
        }
    }
}
