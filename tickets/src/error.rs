//! What can go wrong in this service, and what the client is told.

use common::http::ApiError;
use common::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TicketError {
    #[error("there is no such ticket")]
    NotFound,
    #[error("somebody else sells the ticket")]
    NotTheSeller,
    #[error("the ticket is reserved")]
    Reserved,
    #[error("could not read or write tickets")]
    Store(#[from] StoreError),
}

impl From<TicketError> for ApiError {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::NotFound => Self::NotFound,
            TicketError::NotTheSeller => Self::NotAuthorized,
            TicketError::Reserved => Self::BadRequest("Cannot edit a reserved ticket".into()),
            TicketError::Store(error) => error.into(),
        }
    }
}
