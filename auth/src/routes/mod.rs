//! The HTTP routes of accounts and sessions, one file per endpoint.

mod current_user;
mod session;
mod sign_in;
mod sign_out;
mod sign_up;

pub(crate) use current_user::find_current_user;
pub(crate) use sign_in::sign_in;
pub(crate) use sign_out::sign_out;
pub(crate) use sign_up::sign_up;
