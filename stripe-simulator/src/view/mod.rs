//! Stripe's JSON objects.

mod charge;
mod dispute;
mod event;
mod intent;
mod payment_method;
mod refund;

pub(crate) use charge::charge;
pub(crate) use dispute::dispute;
pub(crate) use event::{event, object};
pub(crate) use intent::{intent, payment_error};
pub(crate) use refund::refund;

use serde_json::{Value, json};

/// The version of Stripe's API whose objects these are.
pub(crate) const API_VERSION: &str = "2026-08-26.dahlia";

/// Which related objects are rendered in full instead of as an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expand {
    Nothing,
    LatestCharge,
}

/// A page of a list. `url` is the path of the list.
pub(crate) fn list(url: &str, data: Vec<Value>, has_more: HasMore) -> Value {
    json!({"object": "list", "url": url, "has_more": has_more == HasMore::Yes, "data": data})
}

/// Whether a list continues after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HasMore {
    Yes,
    No,
}

fn doc_url(code: &str) -> String {
    format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"))
}
