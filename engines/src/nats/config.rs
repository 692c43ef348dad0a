//! The configuration of the bus.

use std::time::Duration;

use secrecy::SecretString;

/// Where the bus is and who uses it.
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// `nats://host:4222`, or `tls://…` for TLS, with `user:password@` or `token@` where needed. The servers of a
    /// cluster are separated by commas.
    pub url: SecretString,
    /// The name of this connection on the server.
    pub client: String,
    /// The stream that holds the events.
    pub stream: String,
    /// How many servers of a cluster keep a copy of each event. `None` leaves an existing stream as it is and creates a
    /// new one with one copy.
    pub replicas: Option<usize>,
    /// How long the stream keeps events; `None` keeps all of them. Dead letters are kept in any case. The process that
    /// connects last decides.
    pub retention: Option<Duration>,
    /// The identity of this service's database. A durable belongs to the database that used it first; others are
    /// refused, because they would take its events away.
    pub owner: Option<String>,
}

impl NatsConfig {
    /// The configuration of a client that owns no durables and keeps the stream as it is.
    pub fn new(url: SecretString, client: &str, stream: &str) -> Self {
        let (client, stream) = (client.to_owned(), stream.to_owned());
        Self { url, client, stream, replicas: None, retention: None, owner: None }
    }
}
