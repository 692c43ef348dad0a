//! HTTP manners, the same for every service: the shape of errors, what a request must be like, what every reply
//! carries, and a server that slow and hostile clients do not hold up.

mod error;
mod fields;
mod manners;
mod page;
mod server;

pub use error::{ApiError, FieldError};
pub use fields::{Body, Fields, FromFields, PathId};
pub use manners::with_manners;
pub use page::Page;
pub use server::serve;
