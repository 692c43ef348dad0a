//! The service's errors, and the HTTP responses they become.

use common::http::ApiError;
use common::ids::TicketId;
use common::store::StoreError;

use crate::ticket::EditError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TicketError {
    #[error("ticket {0} does not exist")]
    UnknownTicket(TicketId),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("could not read or write tickets")]
    Store(#[from] StoreError),
}

impl From<TicketError> for ApiError {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::UnknownTicket(_) => Self::NotFound,
            TicketError::Edit(EditError::NotTheSeller) => Self::NotAuthorized,
            TicketError::Edit(EditError::Reserved) => Self::BadRequest("Cannot edit a reserved ticket".into()),
            TicketError::Store(error) => error.into(),
        }
    }
}
