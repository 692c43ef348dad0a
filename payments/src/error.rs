//! The service's errors, and the HTTP responses and listener verdicts they become.

use std::time::Duration;

use common::http::ApiError;
use common::ids::{OrderId, PaymentId};
use common::listener::ListenError;
use common::store::StoreError;

use crate::order::OrderRuleError;
use crate::payment::InvalidTransition;
use crate::stripe::StripeError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PaymentError {
    #[error("order {0} does not exist")]
    UnknownOrder(OrderId),
    #[error("payment {0} does not exist")]
    UnknownPayment(PaymentId),
    #[error(transparent)]
    Order(#[from] OrderRuleError),
    #[error("another payment for the order is in flight")]
    InProgress,
    #[error("the order allows no more payment attempts")]
    TooManyAttempts(Duration),
    #[error("the outcome of the payment is not known yet")]
    Unfinished,
    #[error("the payment is not in the required state")]
    Transition(#[from] InvalidTransition),
    #[error("the order has no payment to capture or refund")]
    NoPayment,
    #[error("the request to Stripe failed")]
    Stripe(#[from] StripeError),
    #[error("could not read or write orders or payments")]
    Store(#[from] StoreError),
    #[error("the payment task was aborted")]
    Aborted(#[from] tokio::task::JoinError),
}

impl From<PaymentError> for ApiError {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::UnknownOrder(_) => Self::NotFound,
            PaymentError::Order(OrderRuleError::NotTheBuyer) => Self::NotAuthorized,
            PaymentError::Order(OrderRuleError::Cancelled) => {
                Self::BadRequest("Cannot pay for a cancelled order".into())
            }
            PaymentError::Order(OrderRuleError::Paid) => Self::BadRequest("Order is already paid".into()),
            PaymentError::Order(OrderRuleError::Expired) => Self::BadRequest("Order has expired".into()),
            PaymentError::InProgress => Self::BadRequest("A payment for this order is in progress".into()),
            PaymentError::TooManyAttempts(wait) => Self::TooManyRequests(wait),
            PaymentError::Stripe(StripeError::Declined { message, .. }) => Self::Declined(message),
            PaymentError::Stripe(StripeError::Rejected { message, .. }) => Self::BadRequest(message.into()),
            // An operator has to fix the key, or Stripe is down: in both cases nothing is charged.
            PaymentError::Stripe(StripeError::Unauthorised | StripeError::Unavailable(_))
            | PaymentError::Unfinished
            // Another task has changed the payment.
            | PaymentError::Transition(_) => Self::unavailable(error),
            PaymentError::Store(error) => error.into(),
            PaymentError::UnknownPayment(_) | PaymentError::NoPayment | PaymentError::Aborted(_) => {
                Self::internal(error)
            }
        }
    }
}

impl From<PaymentError> for ListenError {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Store(error) => error.into(),
            // A retry would find the same. An operator has to look at the dead letter.
            PaymentError::NoPayment => Self::reject(error),
            PaymentError::Stripe(_)
            | PaymentError::Transition(_)
            | PaymentError::InProgress
            | PaymentError::TooManyAttempts(_)
            | PaymentError::Unfinished
            | PaymentError::UnknownOrder(_)
            | PaymentError::UnknownPayment(_)
            | PaymentError::Order(_)
            | PaymentError::Aborted(_) => Self::retry(error),
        }
    }
}
