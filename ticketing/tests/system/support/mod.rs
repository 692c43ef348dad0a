//! What the tests share: the binary, a client of it, and a look into its books.

pub(crate) mod books;
pub(crate) mod client;
pub(crate) mod load;
pub(crate) mod output;
mod raw;
mod system;
mod wait;

pub(crate) use client::{Answer, FieldError, Order, PASSWORD, Payment, Ticket, User};
pub(crate) use raw::Raw;
pub(crate) use system::{Setup, System, run};
pub(crate) use wait::{LIMIT, in_time, wait_for, wait_until};
