//! The service's errors, and the HTTP responses and listener verdicts they become.

use common::http::ApiError;
use common::ids::{OrderId, TicketId};
use common::listener::ListenError;
use common::store::StoreError;

use crate::order::OrderRuleError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("ticket {0} does not exist")]
    UnknownTicket(TicketId),
    #[error("order {0} does not exist")]
    UnknownOrder(OrderId),
    #[error("ticket {0} is already reserved")]
    Reserved(TicketId),
    #[error(transparent)]
    Rule(#[from] OrderRuleError),
    #[error("could not read or write orders")]
    Store(#[from] StoreError),
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::UnknownTicket(_) | OrderError::UnknownOrder(_) => Self::NotFound,
            OrderError::Reserved(_) => Self::BadRequest("Ticket is already reserved".into()),
            OrderError::Rule(OrderRuleError::NotTheBuyer) => Self::NotAuthorized,
            OrderError::Rule(OrderRuleError::Complete) => Self::BadRequest("Cannot cancel a completed order".into()),
            OrderError::Rule(error @ OrderRuleError::NotExpired(_)) => Self::internal(error),
            OrderError::Store(error) => error.into(),
        }
    }
}

impl From<OrderError> for ListenError {
    fn from(error: OrderError) -> Self {
        match error {
            // The clock of the expiration service is ahead of ours.
            OrderError::Rule(OrderRuleError::NotExpired(time)) => Self::retry_after(time, error),
            // Orders are created here, so an unknown one never existed.
            OrderError::UnknownOrder(_)
            | OrderError::UnknownTicket(_)
            | OrderError::Reserved(_)
            | OrderError::Rule(OrderRuleError::NotTheBuyer | OrderRuleError::Complete) => Self::reject(error),
            OrderError::Store(error) => error.into(),
        }
    }
}
