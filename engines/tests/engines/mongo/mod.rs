//! MongoDB.

mod documents;
mod fixture;
mod outages;
mod outbox;
mod plans;
mod startup;

pub(crate) use fixture::{Case, store};
