//! The payment gateway: [`PaymentGateway`] is the port, [`stripe`] its adapter.

pub mod stripe;

use async_trait::async_trait;
use common::error::BoxError;
use common::ids::{OrderId, PaymentId};
use common::money::Money;

pub use crate::card::{Card, CardToken};

/// The port: holds an amount on a card, then captures, voids or refunds it.
///
/// Every call is idempotent per payment.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Holds an amount on a card without charging it.
    async fn authorise(&self, request: &Authorise<'_>) -> Result<Authorised, GatewayError>;

    /// Charges an authorised amount.
    async fn capture(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;

    /// Releases an authorised amount that is not captured.
    async fn void(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;

    /// Refunds a captured amount.
    async fn refund(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;
}

/// A request to authorise a payment. A repeated request must be identical.
#[derive(Clone, Copy, Debug)]
pub struct Authorise<'a> {
    /// The payment.
    pub payment: PaymentId,
    /// The order it pays for.
    pub order: OrderId,
    /// The amount.
    pub amount: Money,
    /// The card.
    pub token: &'a CardToken,
}

/// An authorised payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorised {
    /// The PaymentIntent, `pi_…`.
    pub stripe_id: String,
    /// The card, if Stripe returns it.
    pub card: Option<Card>,
}

/// Why a gateway operation failed.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The bank declined the card. Nothing is held.
    #[error("the card was declined: {code}")]
    Declined {
        /// Stripe's message for the cardholder.
        message: String,
        /// Stripe's decline code: `insufficient_funds`.
        code: String,
        /// The card, if Stripe returns it.
        card: Option<Card>,
    },
    /// Stripe rejected the request with this message. Nothing was done.
    #[error("Stripe rejected the request: {0}")]
    Invalid(String),
    /// The outcome is unknown. Repeat the call to learn it.
    #[error("Stripe is unavailable")]
    Unavailable(#[source] BoxError),
}

impl GatewayError {
    /// [`GatewayError::Unavailable`] with this cause.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }
}
