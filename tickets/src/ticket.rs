//! A ticket and its rules.

use common::events::{TicketCreated, TicketUpdated};
use common::ids::{OrderId, TicketId, UserId};
use common::money::Money;
use common::store::{Entity, Index, IndexKind, Schema};
use serde::{Deserialize, Serialize};

use crate::error::TicketError;

/// Something for sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ticket {
    pub(crate) id: TicketId,
    pub(crate) version: u64,
    pub(crate) title: Title,
    #[serde(with = "common::money::as_cents")]
    pub(crate) price: Money,
    /// Who sells it.
    pub(crate) user_id: UserId,
    /// The order it is reserved for or sold to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) order_id: Option<OrderId>,
}

impl Entity for Ticket {
    type Id = TicketId;
    const SCHEMA: &'static Schema = &Schema {
        collection: "tickets",
        indexes: &[Index { name: "tickets_by_order", fields: &["orderId"], kind: IndexKind::Plain }],
        ids: &["userId", "orderId"],
        times: &[],
    };

    fn id(&self) -> TicketId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Ticket {
    /// Puts a ticket up for sale.
    pub(crate) fn list(id: TicketId, seller: UserId, title: Title, price: Price) -> (Self, TicketCreated) {
        let ticket = Self { id, version: 0, title, price: price.0, user_id: seller, order_id: None };
        let event = TicketCreated {
            id,
            version: ticket.version,
            title: ticket.title.0.clone(),
            price: ticket.price,
            user_id: seller,
        };
        (ticket, event)
    }

    /// Changes title and price; only its seller may, and only while it is not reserved.
    pub(crate) fn edit(&mut self, by: UserId, title: Title, price: Price) -> Result<TicketUpdated, TicketError> {
        if by != self.user_id {
            return Err(TicketError::NotTheSeller);
        }
        if self.order_id.is_some() {
            return Err(TicketError::Reserved);
        }
        (self.title, self.price) = (title, price.0);
        Ok(self.updated())
    }

    /// Reserves it for an order. `None` when it is taken already, by whichever order.
    pub(crate) fn reserve(&mut self, order: OrderId) -> Option<TicketUpdated> {
        if self.order_id.is_some() {
            return None;
        }
        self.order_id = Some(order);
        Some(self.updated())
    }

    /// Releases it from an order. `None` when it is not reserved for that order: another's reservation stands.
    pub(crate) fn release(&mut self, order: OrderId) -> Option<TicketUpdated> {
        if self.order_id != Some(order) {
            return None;
        }
        self.order_id = None;
        Some(self.updated())
    }

    fn updated(&mut self) -> TicketUpdated {
        self.version += 1;
        TicketUpdated {
            id: self.id,
            version: self.version,
            title: self.title.0.clone(),
            price: self.price,
            user_id: self.user_id,
            order_id: self.order_id,
        }
    }
}

/// What a ticket is for: 1 to 200 characters, without white space around them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Title(String);

impl TryFrom<String> for Title {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let text = text.trim();
        let length = text.chars().count();
        if (1..=200).contains(&length) { Ok(Self(text.to_owned())) } else { Err("not 1 to 200 characters") }
    }
}

/// What a ticket may cost: more than nothing, at most 999,999.99 dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Money")]
pub(crate) struct Price(Money);

impl TryFrom<Money> for Price {
    type Error = &'static str;

    fn try_from(amount: Money) -> Result<Self, &'static str> {
        if (1..=99_999_999).contains(&amount.cents()) { Ok(Self(amount)) } else { Err("not a price") }
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn ticket() -> Ticket {
        let (seller, title, price) = (UserId::generate(NOW), Title("Concert".into()), Price(Money::from_cents(2000)));
        Ticket::list(TicketId::generate(NOW), seller, title, price).0
    }

    #[test]
    fn a_reserved_ticket_is_neither_reserved_again_nor_edited() {
        let mut ticket = ticket();
        assert_eq!(ticket.reserve(OrderId::generate(NOW)).unwrap().version, 1);
        assert_eq!(ticket.reserve(OrderId::generate(NOW)), None);
        let edit = ticket.edit(ticket.user_id, Title("Other".into()), Price(Money::from_cents(1)));
        assert!(matches!(edit, Err(TicketError::Reserved)));
        assert_eq!(ticket.version, 1);
    }

    #[test]
    fn only_its_own_order_releases_a_ticket() {
        let (mut ticket, order) = (ticket(), OrderId::generate(NOW));
        ticket.reserve(order);
        assert_eq!(ticket.release(OrderId::generate(NOW)), None);
        assert_eq!(ticket.release(order).unwrap().order_id, None);
        assert_eq!(ticket.release(order), None);
    }

    #[test]
    fn titles_are_trimmed_and_measured_in_characters() {
        let title = |text: &str| Title::try_from(text.to_owned()).ok().map(|title| title.0);
        assert_eq!(title("  Concert "), Some("Concert".into()));
        assert_eq!(title(&"é".repeat(200)), Some("é".repeat(200)));
        assert_eq!(title(&"é".repeat(201)), None);
        assert_eq!(title(" \n "), None);
    }
}
