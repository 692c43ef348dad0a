//! The HTTP routes of payments, one file per endpoint.

mod create;
mod list;
mod webhook;

pub(crate) use create::create_payment;
pub(crate) use list::list_payments;
pub(crate) use webhook::receive_webhook;
