//! The way to Stripe: [`PaymentGateway`] is the port, [`stripe`] speaks its HTTP API.
//!
//! Every call may be repeated: it names a payment, and for one payment each of them is done once.

pub mod stripe;

use async_trait::async_trait;
use common::ids::{OrderId, PaymentId};
use common::money::Money;

pub use crate::payment::{Card, CardToken};

/// The port: holds money on a card, and then takes it, lets it go or gives it back.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// Holds an amount on a card, without taking it.
    async fn authorise(&self, request: &Authorise<'_>) -> Result<Authorised, GatewayError>;

    /// Takes what was authorised.
    async fn capture(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;

    /// Lets go of what was authorised and not captured.
    async fn void(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;

    /// Gives back what was captured.
    async fn refund(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError>;
}

/// What is to be authorised. The same in everything whenever the same payment is asked for again.
#[derive(Clone, Copy, Debug)]
pub struct Authorise<'a> {
    /// The payment.
    pub payment: PaymentId,
    /// The order it pays for.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
    /// On which card.
    pub token: &'a CardToken,
}

/// What was authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorised {
    /// Stripe's name for it, `pi_…`.
    pub stripe_id: String,
    /// The card, if Stripe tells it.
    pub card: Option<Card>,
}

/// Why something was not done, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The bank refuses the card. Nothing is held.
    #[error("the card is declined: {code}")]
    Declined {
        /// What to tell its owner, in Stripe's words.
        message: String,
        /// Stripe's reason: `insufficient_funds`.
        code: String,
        /// The card, if Stripe tells it.
        card: Option<Card>,
    },
    /// Stripe refuses the request; the message is Stripe's. Nothing is done.
    #[error("Stripe refuses the request: {0}")]
    Invalid(String),
    /// There is no answer, or none that tells what was done. Repeating the call tells.
    #[error("Stripe is unavailable: {0}")]
    Unavailable(String),
}
