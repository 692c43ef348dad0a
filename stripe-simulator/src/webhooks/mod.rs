//! Delivery of events to a webhook endpoint: <https://docs.stripe.com/webhooks>.

mod delivery;
mod endpoint;
mod signature;

pub(crate) use delivery::deliver;
pub use endpoint::{Endpoint, EndpointError, Order};
pub(crate) use endpoint::{Endpoints, StoredEndpoint};
pub use signature::sign;
