//! Real servers for tests, on free ports and in temporary directories, and a proxy that cuts the network to them.

mod program;
mod proxy;
mod server;

pub use program::{NATS, Program, REDIS, STRIPE_MOCK, mongo};
pub use proxy::Proxy;
pub use server::Server;
