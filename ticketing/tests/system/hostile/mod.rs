//! Requests that no honest client sends. They are rejected with the shape that all errors have, and harm nobody.

mod bodies;
mod fields;
mod overload;
mod routes;
mod sessions;
mod sockets;
