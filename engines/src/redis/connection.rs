//! The connection to the server.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::jobs::JobsError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{Client, IntoConnectionInfo, RedisError, RedisResult};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

/// How long Redis may take to respond. Every request must fail within two seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long a connection may be idle before the operating system checks it.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("Redis does not respond")]
    NoResponse,
    #[error("the command failed on Redis")]
    Redis(#[from] RedisError),
}

impl CommandError {
    /// Whether a key has another type than the command expects.
    pub(super) fn is_wrong_type(&self) -> bool {
        // By text, because a script reports the error under a code of its own.
        matches!(self, Self::Redis(error) if error.to_string().contains("WRONGTYPE"))
    }
}

impl From<CommandError> for JobsError {
    fn from(error: CommandError) -> Self {
        Self::unavailable(error)
    }
}

/// A connection that is established on first use and again after it was lost.
pub(super) struct Connection {
    client: Client,
    state: Mutex<State>,
}

struct State {
    redis: ConnectionManager,
    /// How many connections have been given up before this one.
    generation: u64,
}

impl Connection {
    /// Parses an address, without connecting.
    pub(super) fn new(address: &SecretString) -> Result<Self, JobsError> {
        // For `rediss://`. Fails if another engine was first.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        // Without the address and without a source, which would quote it: it may contain a password.
        let malformed =
            |_| JobsError::unusable("malformed address of Redis; expected host, host:6379 or redis://host:6379");
        let address = url(address.expose_secret()).into_connection_info().map_err(malformed)?;
        let client = Client::open(address.set_tcp_settings(tcp_settings())).map_err(malformed)?;
        let state = State { redis: manager(&client).map_err(JobsError::unavailable)?, generation: 0 };
        Ok(Self { client, state: Mutex::new(state) })
    }

    /// Runs a command, and a second time if the connection was lost, which may be noticed only when it is used.
    ///
    /// Each command has its own deadline: responses to others, perhaps on a newer connection, do not extend it.
    pub(super) async fn run<T, F>(&self, command: impl Fn(ConnectionManager) -> F) -> Result<T, CommandError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let (redis, generation) = {
            let state = self.state();
            (state.redis.clone(), state.generation)
        };
        let attempts = async {
            match command(redis.clone()).await {
                Err(error) if error.is_io_error() => command(redis).await,
                outcome => outcome,
            }
        };
        let Ok(outcome) = timeout(RESPONSE_TIMEOUT, attempts).await else {
            // The next command does not wait for this connection.
            self.give_up(generation)?;
            return Err(CommandError::NoResponse);
        };
        // After a failover. A new connection finds the new primary.
        if outcome.as_ref().is_err_and(is_read_only) {
            self.give_up(generation)?;
        }
        Ok(outcome?)
    }

    /// Replaces a connection, unless another command has done so.
    fn give_up(&self, generation: u64) -> RedisResult<()> {
        let mut state = self.state();
        if state.generation == generation {
            *state = State { redis: manager(&self.client)?, generation: generation + 1 };
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves timeouts and retries to [`Connection::run`].
fn manager(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(RESPONSE_TIMEOUT))
        .set_response_timeout(None)
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// Notices a dead connection even while it is idle, so that the next command does not wait for it.
fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(RESPONSE_TIMEOUT);
    settings
}

fn url(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("redis://{address}") }
}

fn is_read_only(error: &RedisError) -> bool {
    // By text as well, because a script reports the error under a code of its own.
    error.code() == Some("READONLY") || error.to_string().contains("READONLY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_a_host_and_port_or_a_url() {
        for (address, expected) in [
            ("redis.example", "redis://redis.example"),
            ("redis.example:6380", "redis://redis.example:6380"),
            ("rediss://:secret@redis.example/1", "rediss://:secret@redis.example/1"),
        ] {
            assert_eq!(url(address), expected);
            assert!(Client::open(url(address)).is_ok());
        }
    }
}
