//! The service's errors, and the HTTP responses and listener verdicts they become.

use common::http::ApiError;
use common::ids::{OrderId, PaymentId};
use common::listener::ListenError;
use common::store::StoreError;

use crate::gateway::GatewayError;
use crate::order::OrderRuleError;
use crate::payment::InvalidTransition;

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
    #[error("the payment is not in the required state")]
    Transition(#[from] InvalidTransition),
    #[error("the order has no payment to capture")]
    NothingToCapture,
    #[error("the payment gateway failed")]
    Gateway(#[from] GatewayError),
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
            PaymentError::Gateway(GatewayError::Declined { message, .. }) => Self::Declined(message),
            PaymentError::Gateway(GatewayError::Invalid(message)) => Self::BadRequest(message.into()),
            PaymentError::Gateway(error @ GatewayError::Unavailable(_)) => Self::unavailable(error),
            PaymentError::Store(error) => error.into(),
            PaymentError::UnknownPayment(_)
            | PaymentError::Transition(_)
            | PaymentError::NothingToCapture
            | PaymentError::Aborted(_) => Self::internal(error),
        }
    }
}

impl From<PaymentError> for ListenError {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Store(error) => error.into(),
            // A retry would get the same response. An operator has to look at the dead letter.
            PaymentError::Gateway(GatewayError::Declined { .. } | GatewayError::Invalid(_))
            | PaymentError::NothingToCapture => Self::reject(error),
            // The order or payment has changed in the meantime, or is about to.
            PaymentError::Gateway(GatewayError::Unavailable(_))
            | PaymentError::Transition(_)
            | PaymentError::InProgress
            | PaymentError::UnknownOrder(_)
            | PaymentError::UnknownPayment(_)
            | PaymentError::Order(_)
            | PaymentError::Aborted(_) => Self::retry(error),
        }
    }
}
