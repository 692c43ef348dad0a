//! Tickets and their rules.

use common::events::{Message, Subject, TicketCreated, TicketUpdated};
use common::ids::{OrderId, TicketId, UserId};
use common::money::Money;
use common::records::Announced;
use common::store::{Entity, Index, IndexKind, Schema, StoreError};
use serde::{Deserialize, Serialize};

/// A ticket for sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ticket {
    pub(crate) id: TicketId,
    pub(crate) version: u64,
    pub(crate) title: Title,
    #[serde(with = "common::money::as_cents")]
    pub(crate) price: Money,
    /// The seller.
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

impl Announced for Ticket {
    const SUBJECTS: &'static [Subject] = &[Subject::TicketCreated, Subject::TicketUpdated];

    fn announce(&self) -> Result<Vec<Message>, StoreError> {
        let message = if self.version == 0 { Message::new(&self.created()) } else { Message::new(&self.updated()) };
        Ok(vec![message?])
    }

    fn restore(event: &Message, _stored: Option<Self>) -> Result<Option<Self>, StoreError> {
        // A `ticket:created` is a `ticket:updated` of a ticket that is not reserved.
        let TicketUpdated { id, version, title, price, user_id, order_id } = event.parse()?;
        Ok(Some(Self { id, version, title: Title(title), price, user_id, order_id }))
    }
}

/// Why a ticket cannot be edited.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("only the seller may edit the ticket")]
    NotTheSeller,
    #[error("the ticket is reserved")]
    Reserved,
}

impl Ticket {
    /// Lists a new ticket.
    pub(crate) fn list(id: TicketId, seller: UserId, title: Title, price: Price) -> (Self, TicketCreated) {
        let ticket = Self { id, version: 0, title, price: price.0, user_id: seller, order_id: None };
        let event = ticket.created();
        (ticket, event)
    }

    /// Changes title and price. Only the seller may, and only while the ticket is not reserved.
    pub(crate) fn edit(&mut self, by: UserId, title: Title, price: Price) -> Result<TicketUpdated, EditError> {
        if by != self.user_id {
            return Err(EditError::NotTheSeller);
        }
        if self.order_id.is_some() {
            return Err(EditError::Reserved);
        }
        (self.title, self.price) = (title, price.0);
        Ok(self.change())
    }

    /// Reserves the ticket for an order. Returns `None` if it is already reserved, for this order or another.
    pub(crate) fn reserve(&mut self, order: OrderId) -> Option<TicketUpdated> {
        if self.order_id.is_some() {
            return None;
        }
        self.order_id = Some(order);
        Some(self.change())
    }

    /// Releases the ticket from an order. Returns `None` if it is not reserved for that order.
    pub(crate) fn release(&mut self, order: OrderId) -> Option<TicketUpdated> {
        if self.order_id != Some(order) {
            return None;
        }
        self.order_id = None;
        Some(self.change())
    }

    fn change(&mut self) -> TicketUpdated {
        self.version += 1;
        self.updated()
    }

    fn created(&self) -> TicketCreated {
        TicketCreated {
            id: self.id,
            version: self.version,
            title: self.title.0.clone(),
            price: self.price,
            user_id: self.user_id,
        }
    }

    fn updated(&self) -> TicketUpdated {
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

/// The title of a ticket: 1 to 200 characters, trimmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Title(String);

impl TryFrom<String> for Title {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let text = text.trim();
        let length = text.chars().count();
        if (1..=200).contains(&length) { Ok(Self(text.to_owned())) } else { Err("a title has 1 to 200 characters") }
    }
}

/// The price of a ticket: 0.50 to 999,999.99 dollars, the amounts that Stripe charges
/// (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Price(Money);

/// Why an amount is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PriceError {
    #[error("the price is 0")]
    NotPositive,
    #[error("the price is below 0.50")]
    BelowMinimum,
    #[error("the price is above 999999.99")]
    TooHigh,
}

impl TryFrom<Money> for Price {
    type Error = PriceError;

    fn try_from(amount: Money) -> Result<Self, PriceError> {
        match amount.cents() {
            0 => Err(PriceError::NotPositive),
            1..50 => Err(PriceError::BelowMinimum),
            50..=99_999_999 => Ok(Self(amount)),
            100_000_000.. => Err(PriceError::TooHigh),
        }
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
    fn the_schema_names_existing_fields() {
        let mut ticket = ticket();
        ticket.reserve(OrderId::generate(NOW));
        assert_eq!(Ticket::SCHEMA.check(&ticket), Ok(()));
    }

    #[test]
    fn a_reserved_ticket_is_neither_reserved_again_nor_edited() {
        let mut ticket = ticket();
        assert_eq!(ticket.reserve(OrderId::generate(NOW)).unwrap().version, 1);
        assert_eq!(ticket.reserve(OrderId::generate(NOW)), None);
        let edit = ticket.edit(ticket.user_id, Title("Other".into()), Price(Money::from_cents(50)));
        assert!(matches!(edit, Err(EditError::Reserved)));
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
