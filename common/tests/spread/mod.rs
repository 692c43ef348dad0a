//! The engines of a spread system, each on a server of its own.

pub(crate) mod mongo;
pub(crate) mod nats;
pub(crate) mod redis;
