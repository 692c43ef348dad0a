//! The HTTP routes of tickets, one file per endpoint.

mod body;
mod create;
mod find;
mod list;
mod update;
mod view;

pub(crate) use create::create_ticket;
pub(crate) use find::find_ticket;
pub(crate) use list::list_tickets;
pub(crate) use update::update_ticket;
