//! What people do with payments: one file an endpoint.

mod create;
mod list;

pub(crate) use create::create_payment;
pub(crate) use list::list_payments;
