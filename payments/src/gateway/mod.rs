//! The way to Stripe: [`PaymentGateway`] is the port, [`stripe`] the adapter for its HTTP API.
//!
//! Every call is idempotent per payment.

pub mod stripe;

use async_trait::async_trait;
use common::error::BoxError;
use common::ids::{OrderId, PaymentId};
use common::money::Money;

pub use crate::card::{Card, CardToken};

/// The port: holds an amount on a card, then captures, voids or refunds it.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Holds an amount on a card without charging it.
    async fn authorise(&self, request: &Authorise<'_>) -> Result<Authorised, GatewayError>;

    /// Charges what was authorised.
    async fn capture(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;

    /// Releases what was authorised and not captured.
    async fn void(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;

    /// Refunds what was captured.
    async fn refund(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;
}

/// A request to authorise a payment. Must be identical whenever it is repeated.
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
    /// The card, if Stripe describes it.
    pub card: Option<Card>,
}

/// Why an operation failed, or is not known to have succeeded.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The bank declined the card. Nothing is held.
    #[error("the card was declined: {code}")]
    Declined {
        /// Stripe's message for the card's owner.
        message: String,
        /// Stripe's reason: `insufficient_funds`.
        code: String,
        /// The card, if Stripe describes it.
        card: Option<Card>,
    },
    /// Stripe rejected the request, with this message. Nothing was done.
    #[error("Stripe rejected the request: {0}")]
    Invalid(String),
    /// There was no response, or none that tells the outcome. Repeating the call does.
    #[error("Stripe is unavailable")]
    Unavailable(#[source] BoxError),
}

impl GatewayError {
    /// [`GatewayError::Unavailable`] with this cause.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }
}
