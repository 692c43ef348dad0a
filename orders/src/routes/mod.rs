//! The HTTP routes of orders, one file per endpoint.

mod create;
mod delete;
mod find;
mod list;
mod view;

pub(crate) use create::create_order;
pub(crate) use delete::delete_order;
pub(crate) use find::find_order;
pub(crate) use list::list_orders;
