//! The body of requests that create or edit a ticket.

use common::http::Required;
use serde::Deserialize;
use validator::Validate;

use crate::ticket::{Price, Title};

/// A new or edited ticket.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketBody {
    #[validate(required(message = "Title is required"))]
    pub(super) title: Required<Title>,
    #[validate(required(message = "Price must be greater than 0"))]
    pub(super) price: Required<Price>,
}
