//! HTTP for all services: request bodies, errors, pages, middleware, and the server.

mod body;
mod error;
mod head_timer;
mod middleware;
mod page;
mod path_id;
mod required;
mod server;
mod unread;

pub use body::{Body, RawBody};
pub use error::{ApiError, FieldError};
pub use middleware::with_middleware;
pub use page::{Page, Paged};
pub use path_id::PathId;
pub use required::Required;
pub use server::serve;
