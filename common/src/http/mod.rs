//! HTTP manners, the same for every service: the shape of errors, what a request must be like, what every reply
//! carries, and a server that slow and hostile clients do not hold up.

mod body;
mod error;
mod manners;
mod page;
mod path_id;
mod required;
mod server;

pub use body::Body;
pub use error::{ApiError, FieldError};
pub use manners::with_manners;
pub use page::Page;
pub use path_id::PathId;
pub use required::Required;
pub use server::serve;
