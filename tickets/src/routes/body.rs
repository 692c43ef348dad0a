//! The body of requests that create or edit a ticket.

use common::http::{ApiError, Required};
use common::money::Money;
use serde::Deserialize;
use validator::{Validate, ValidationError};

use crate::ticket::{Price, PriceError, Title};

/// A new or edited ticket.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketBody {
    #[validate(required(message = "Title is required"))]
    title: Required<Title>,
    #[validate(custom(function = "check_price"))]
    price: Required<Money>,
}

impl TicketBody {
    /// The title and the price of a validated body.
    pub(super) fn into_parts(self) -> Result<(Title, Price), ApiError> {
        Ok((self.title.get()?, Price::try_from(self.price.get()?).map_err(ApiError::internal)?))
    }
}

fn check_price(price: &Required<Money>) -> Result<(), ValidationError> {
    let message = match price.value().map(|price| Price::try_from(*price)) {
        Some(Ok(_)) => return Ok(()),
        Some(Err(PriceError::BelowMinimum)) => "Price must be at least 0.50",
        Some(Err(PriceError::NotPositive | PriceError::TooHigh)) | None => "Price must be greater than 0",
    };
    Err(ValidationError::new("price").with_message(message.into()))
}
