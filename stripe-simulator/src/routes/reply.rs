//! Replies to requests that confirm, capture or cancel an intent.

use axum::http::StatusCode;
use serde_json::json;

use crate::execute::Effect;
use crate::lifecycle::Change;
use crate::reply::Reply;
use crate::view::{self, Expand};

/// The effect of a change whose reply is the intent.
pub(super) fn with_intent(change: Change, expand: Expand) -> Effect {
    let reply = Reply::ok(&view::intent(&change.intent, expand));
    Effect::new(change, reply)
}

/// The effect of a confirmation: the reply is an error if the payment failed.
pub(super) fn confirmed(change: Change, expand: Expand) -> Effect {
    let Some(error) = &change.intent.last_error else { return with_intent(change, expand) };
    let mut error = view::payment_error(error);
    error["payment_intent"] = view::intent(&change.intent, Expand::Nothing);
    let reply = Reply::new(StatusCode::PAYMENT_REQUIRED, &json!({"error": error}));
    Effect::new(change, reply)
}
