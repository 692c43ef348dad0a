//! The API's JSON. Unknown fields are rejected, so that a test notices each new one.

use common::clock::Timestamp;
use serde::Deserialize;
use serde_json::Number;

/// A ticket.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct Ticket {
    pub id: String,
    pub title: String,
    pub price: Number,
    pub user_id: String,
    pub version: u64,
    pub order_id: Option<String>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct Order {
    pub id: String,
    pub user_id: String,
    pub status: String,
    pub expires_at: Timestamp,
    pub version: u64,
    pub ticket: OrderedTicket,
}

/// A ticket as it was when it was ordered.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct OrderedTicket {
    pub id: String,
    pub title: String,
    pub price: Number,
    pub version: u64,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct Payment {
    pub id: String,
    pub order_id: String,
    pub status: String,
    pub amount: Number,
    pub card: Option<Card>,
}

/// The card of a payment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct Card {
    pub brand: String,
    pub last4: String,
}
