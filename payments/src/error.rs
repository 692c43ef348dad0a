//! What can go wrong in this service, and what the client is told.

use common::bus::ListenError;
use common::http::ApiError;
use common::store::StoreError;

use crate::gateway::GatewayError;
use crate::payment::Already;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PaymentError {
    #[error("there is no such order")]
    NotFound,
    #[error("somebody else buys the ticket")]
    NotTheBuyer,
    #[error("the order is cancelled")]
    OrderCancelled,
    #[error("the order is paid")]
    AlreadyPaid,
    #[error("the order has expired")]
    OrderExpired,
    #[error("another attempt to pay for the order is in flight")]
    InProgress,
    #[error("the attempt has ended otherwise")]
    Ended(#[from] Already),
    #[error("the order has no payment that could be captured")]
    NothingToCapture,
    #[error("Stripe did not do it")]
    Gateway(#[from] GatewayError),
    #[error("could not read or write orders or payments")]
    Store(#[from] StoreError),
    #[error("the attempt was cut short")]
    CutShort(#[from] tokio::task::JoinError),
}

impl From<PaymentError> for ApiError {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::NotFound => Self::NotFound,
            PaymentError::NotTheBuyer => Self::NotAuthorized,
            PaymentError::OrderCancelled => Self::BadRequest("Cannot pay for a cancelled order".into()),
            PaymentError::AlreadyPaid => Self::BadRequest("Order is already paid".into()),
            PaymentError::OrderExpired => Self::BadRequest("Order has expired".into()),
            PaymentError::InProgress => Self::BadRequest("A payment for this order is in progress".into()),
            PaymentError::Gateway(GatewayError::Declined { message, .. }) => Self::Declined(message),
            PaymentError::Gateway(GatewayError::Invalid(message)) => Self::BadRequest(message.into()),
            PaymentError::Gateway(error @ GatewayError::Unavailable(_)) => Self::unavailable(error),
            PaymentError::Store(error) => error.into(),
            PaymentError::Ended(_) | PaymentError::NothingToCapture | PaymentError::CutShort(_) => {
                Self::internal(error)
            }
        }
    }
}

impl From<PaymentError> for ListenError {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Store(error) => error.into(),
            // Stripe will say the same again; the dead letter is for people to look into.
            PaymentError::Gateway(GatewayError::Declined { message, .. } | GatewayError::Invalid(message)) => {
                Self::Reject(message)
            }
            PaymentError::Gateway(error @ GatewayError::Unavailable(_)) => Self::Retry(error.to_string()),
            PaymentError::NothingToCapture => Self::Reject(error.to_string()),
            // The payment changed meanwhile, or is about to: look again.
            PaymentError::Ended(_)
            | PaymentError::InProgress
            | PaymentError::NotFound
            | PaymentError::NotTheBuyer
            | PaymentError::OrderCancelled
            | PaymentError::AlreadyPaid
            | PaymentError::OrderExpired
            | PaymentError::CutShort(_) => Self::Retry(error.to_string()),
        }
    }
}
