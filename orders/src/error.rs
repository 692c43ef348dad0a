//! What can go wrong in this service, and what the client is told.

use common::http::ApiError;
use common::ids::TicketId;
use common::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("there is no such order or ticket")]
    NotFound,
    #[error("it is somebody else's order")]
    NotTheBuyer,
    #[error("ticket {0} is already reserved")]
    Reserved(TicketId),
    #[error("the order is complete")]
    Complete,
    #[error("could not read or write orders")]
    Store(#[from] StoreError),
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::NotFound => Self::NotFound,
            OrderError::NotTheBuyer => Self::NotAuthorized,
            OrderError::Reserved(_) => Self::BadRequest("Ticket is already reserved".into()),
            OrderError::Complete => Self::BadRequest("Cannot cancel a completed order".into()),
            OrderError::Store(error) => error.into(),
        }
    }
}
