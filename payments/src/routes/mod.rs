//! The HTTP API. One file per endpoint.

mod create;
mod list;

pub(crate) use create::create_payment;
pub(crate) use list::list_payments;
