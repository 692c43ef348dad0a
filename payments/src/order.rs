//! What this service knows of an order.

use common::clock::Timestamp;
use common::events::{OrderCreated, OrderStatus};
use common::ids::{OrderId, UserId};
use common::money::Money;
use common::store::{Entity, Schema};
use serde::{Deserialize, Serialize};

use crate::error::PaymentError;

/// A copy of an order, kept up to date by its events and written by nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderCopy {
    pub(crate) id: OrderId,
    /// The order's own.
    pub(crate) version: u64,
    pub(crate) status: OrderStatus,
    /// Who buys, and pays.
    pub(crate) user_id: UserId,
    /// Until when it can be paid for.
    pub(crate) expires_at: Timestamp,
    #[serde(with = "common::money::as_cents")]
    pub(crate) price: Money,
}

/// What a piece of news about an order is to its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is now in the copy, or was already.
    Known,
    /// An older piece is missing.
    TooEarly,
    /// It contradicts what is final.
    Absurd,
}

impl Entity for OrderCopy {
    type Id = OrderId;
    const SCHEMA: &'static Schema =
        &Schema { collection: "orders", indexes: &[], ids: &["userId"], times: &["expiresAt"] };

    fn id(&self) -> OrderId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl OrderCopy {
    /// The copy of a new order.
    pub(crate) fn of(event: &OrderCreated) -> Self {
        Self {
            id: event.id,
            version: event.version,
            status: event.status,
            user_id: event.user_id,
            expires_at: event.expires_at,
            price: event.ticket.price,
        }
    }

    /// Refuses who does not buy it.
    pub(crate) fn check_buyer(&self, user: UserId) -> Result<(), PaymentError> {
        if self.user_id == user { Ok(()) } else { Err(PaymentError::NotTheBuyer) }
    }

    /// Refuses an order that can not be paid for, or no longer.
    pub(crate) fn check_payable(&self, now: Timestamp) -> Result<(), PaymentError> {
        match self.status {
            OrderStatus::Cancelled => Err(PaymentError::OrderCancelled),
            OrderStatus::Complete => Err(PaymentError::AlreadyPaid),
            OrderStatus::Created | OrderStatus::AwaitingPayment if now >= self.expires_at => {
                Err(PaymentError::OrderExpired)
            }
            OrderStatus::Created | OrderStatus::AwaitingPayment => Ok(()),
        }
    }

    /// The order was cancelled, in this version of it.
    pub(crate) fn cancelled(&mut self, version: u64) -> News {
        self.ended(version, OrderStatus::Cancelled)
    }

    /// The order was paid for, in this version of it.
    pub(crate) fn completed(&mut self, version: u64) -> News {
        self.ended(version, OrderStatus::Complete)
    }

    fn ended(&mut self, version: u64, status: OrderStatus) -> News {
        match self.status {
            OrderStatus::Complete | OrderStatus::Cancelled if self.status != status => News::Absurd,
            _ if version <= self.version => News::Known,
            _ if version > self.version + 1 => News::TooEarly,
            _ => {
                (self.version, self.status) = (version, status);
                News::Known
            }
        }
    }
}
