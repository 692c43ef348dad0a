//! The endpoints, one file each, and the two steps they share: `lookup` and `change`.

mod cancel;
mod capture;
mod change;
mod create;
mod find;
mod lookup;
mod refund;

pub(crate) use cancel::cancel_intent;
pub(crate) use capture::capture_intent;
pub(crate) use create::create_intent;
pub(crate) use find::find_intent;
pub(crate) use refund::create_refund;

use axum::http::{Method, Uri};

use crate::error::StripeError;

/// Responds to all other paths and methods.
pub(crate) async fn unrecognised(method: Method, uri: Uri) -> StripeError {
    StripeError::unrecognised(&method, &uri)
}
