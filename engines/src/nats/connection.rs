//! The connection to the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use bytes::Bytes;
use common::bus::{BusError, Receipt};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::config::NatsConfig;
use super::error::{StreamError, no_response, unavailable};
use super::message::MESSAGE_ID;

/// How long the server may take to respond. Every request must fail within two seconds.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The most messages of one batch to send before the first of them is acknowledged.
pub(super) const PUBLISH_WINDOW: usize = 1024;

/// How often to ping the server. The connection counts as lost after two pings without a response.
const PING_INTERVAL: Duration = Duration::from_secs(2);

const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// A connection to the server, and the stream that holds the events.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) stream: Arc<str>,
    /// Changes when the connection is lost or restored.
    pub(super) connection_changes: watch::Receiver<()>,
}

impl Server {
    pub(super) async fn connect(config: &NatsConfig) -> Result<Self, BusError> {
        let (client, connection_changes) = connect(config).await?;
        let context =
            ContextBuilder::new().timeout(RESPONSE_TIMEOUT).max_ack_inflight(16 * PUBLISH_WINDOW).build(client.clone());
        Ok(Self { client, context, stream: config.stream.as_str().into(), connection_changes })
    }

    /// Fails while there is no connection. Otherwise the client would buffer messages and send them after reconnecting,
    /// when the caller has already repeated them.
    pub(super) fn check_connected(&self) -> Result<(), BusError> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(BusError::unavailable("not connected to NATS")),
        }
    }

    /// Whether the server supports consumers with several subjects, which replays need. Older servers ignore the
    /// subjects and deliver every event.
    pub(super) fn supports_replays(&self) -> bool {
        self.client.is_server_compatible(2, 10, 0)
    }

    /// How many connections have been made, reconnects included.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Whether the stream has this message, or has deleted the one at this position.
    pub(super) async fn has(&self, receipt: &Receipt) -> Result<bool, BusError> {
        let name = &*self.stream;
        let stream = self.context.get_stream_no_info(name).await.map_err(|error| StreamError::read(name, error))?;
        match stream.get_raw_message(receipt.position).await {
            Ok(message) => Ok(message.headers.get(MESSAGE_ID).is_some_and(|id| id.as_str() == receipt.message_id)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                let last = stream.get_info().await.map_err(unavailable)?.state.last_sequence;
                Ok(receipt.position <= last)
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) async fn send(&self, subject: async_nats::Subject, payload: Bytes) -> Result<(), BusError> {
        match timeout(RESPONSE_TIMEOUT, self.client.publish(subject, payload)).await {
            Ok(sent) => sent.map_err(unavailable),
            Err(_elapsed) => Err(no_response()),
        }
    }
}

/// Waits until the server has stored a message. Returns its position.
pub(super) async fn confirm(ack: PublishAckFuture) -> Result<u64, BusError> {
    ack.await.map(|ack| ack.sequence).map_err(unavailable)
}

async fn connect(config: &NatsConfig) -> Result<(Client, watch::Receiver<()>), BusError> {
    // For `tls://`. Fails if another engine was first.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let (changed, changes) = watch::channel(());
    let mut options = ConnectOptions::new()
        .name(&config.client)
        .connection_timeout(RESPONSE_TIMEOUT)
        .request_timeout(Some(RESPONSE_TIMEOUT))
        .ping_interval(PING_INTERVAL)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            match &event {
                Event::Connected => info!("connected to NATS"),
                Event::Disconnected => warn!("lost the connection to NATS, will reconnect"),
                Event::Closed => debug!("closed the connection to NATS"),
                event => warn!(%event, "NATS client event"),
            }
            changed.send_replace(());
            std::future::ready(())
        });
    let mut servers = Vec::new();
    for url in config.url.expose_secret().split(',') {
        let (server, credentials) = parse_url(url.trim())?;
        servers.push(server);
        options = match credentials {
            Some((user, Some(password))) => options.user_and_password(user, password),
            Some((token, None)) => options.token(token),
            None => options,
        };
    }
    let client = options.connect(servers).await.map_err(unavailable)?;
    Ok((client, changes))
}

/// No delay before the first attempt and the first after a loss. After that, the delay doubles with each attempt.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(2)).unwrap_or(u32::MAX).min(8);
    if attempts < 2 { Duration::ZERO } else { Duration::from_millis(20 << doublings).min(MAX_RECONNECT_DELAY) }
}

/// A user and password, or a token.
type Credentials = (String, Option<String>);

/// Separates the credentials from a URL, so that nothing logs them with it.
fn parse_url(url: &str) -> Result<(ServerAddr, Option<Credentials>), BusError> {
    // Without the URL and without a source, which would quote it: it may contain a password.
    let malformed =
        || BusError::unusable("malformed URL of NATS; expected nats://host:4222 or tls://user:password@host:4222");
    let mut url = url.parse::<ServerAddr>().map_err(|_| malformed())?.into_inner();
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| malformed());
    let credentials = match (url.username(), url.password()) {
        ("", _) => None,
        (user, password) => Some((decode(user)?, password.map(decode).transpose()?)),
    };
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| malformed())?;
    Ok((ServerAddr::from_url(url).map_err(|_| malformed())?, credentials))
}

#[cfg(test)]
mod tests {
    use common::error::chain;

    use super::*;

    #[test]
    fn credentials_are_separated_from_the_url() {
        let (server, credentials) = parse_url("tls://an%40n:p%2Css@nats.example:5222").unwrap();
        assert_eq!(server.into_inner().as_str(), "tls://nats.example:5222");
        assert_eq!(credentials, Some(("an@n".into(), Some("p,ss".into()))));
        assert_eq!(parse_url("nats://secret@nats.example").unwrap().1, Some(("secret".into(), None)));
        assert_eq!(parse_url("nats.example").unwrap().1, None);
        let error = chain(&parse_url("http://user:secret@nats.example").unwrap_err());
        assert!(!error.contains("secret"), "{error}");
    }
}
