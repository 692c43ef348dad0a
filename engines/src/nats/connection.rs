//! The connection to the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{Context, ContextBuilder, Message as Arrival};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use bytes::Bytes;
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::{NatsConfig, PUBLISH_WINDOW, silent, unavailable};
use common::bus::BusError;

/// How long the server may take to answer. Below the two seconds in which a request has to fail.
pub(super) const ANSWER: Duration = Duration::from_millis(1500);

/// How often to ask the server whether it is there. After two unanswered ones the connection counts as lost.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// The longest wait between attempts to connect again.
const LONGEST_RECONNECT: Duration = Duration::from_secs(1);

/// Messages fetched at once when a stream is read without a durable.
const READ_PAGE: usize = 1000;

/// A connection, and what is needed to use it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) stream: Arc<str>,
    /// Told when the connection is lost or there again.
    pub(super) changes: watch::Receiver<()>,
}

impl Server {
    pub(super) async fn connect(config: &NatsConfig) -> Result<Self, BusError> {
        let (client, changes) = connect(config).await?;
        let context = ContextBuilder::new().timeout(ANSWER).max_ack_inflight(16 * PUBLISH_WINDOW).build(client.clone());
        Ok(Self { client, context, stream: config.stream.as_str().into(), changes })
    }

    /// Fails at once while there is no connection: what is sent then would wait in the client, to arrive after it has
    /// been sent again.
    pub(super) fn connected(&self) -> Result<(), BusError> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(BusError::unavailable("there is no connection to NATS")),
        }
    }

    /// Whether the server knows consumers of several subjects. An older one would deliver every event to such.
    pub(super) fn replays(&self) -> bool {
        self.client.is_server_compatible(2, 10, 0)
    }

    /// How often the connection has been made.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Reads a stream without a durable.
    pub(super) async fn read(
        &self,
        stream: &str,
        subject: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arrival>, BusError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let config = pull::Config {
            filter_subject: subject.into(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            // For the case that it is not deleted below.
            inactive_threshold: Duration::from_secs(30),
            ..pull::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, stream).await.map_err(unavailable)?;
        let mut arrivals = Vec::new();
        loop {
            let (before, page) = (arrivals.len(), READ_PAGE.min(limit - arrivals.len()));
            let mut batch = consumer.fetch().max_messages(page).messages().await.map_err(unavailable)?;
            while let Some(arrival) = timeout(ANSWER, batch.next()).await.map_err(|_| silent())? {
                arrivals.push(arrival.map_err(unavailable)?);
            }
            if arrivals.len() == limit || arrivals.len() - before < page {
                break;
            }
        }
        let name = &consumer.cached_info().name;
        if let Err(error) = self.context.delete_consumer_from_stream(name, stream).await {
            warn!(%error, "could not delete a consumer; the server will");
        }
        Ok(arrivals)
    }

    pub(super) async fn send(&self, subject: async_nats::Subject, payload: Bytes) -> Result<(), BusError> {
        match timeout(ANSWER, self.client.publish(subject, payload)).await {
            Ok(sent) => sent.map_err(unavailable),
            Err(_elapsed) => Err(silent()),
        }
    }
}

async fn connect(config: &NatsConfig) -> Result<(Client, watch::Receiver<()>), BusError> {
    // For `tls://`. Another part of the program may have been first.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let (changed, changes) = watch::channel(());
    let mut options = ConnectOptions::new()
        .name(&config.client)
        .connection_timeout(ANSWER)
        .request_timeout(Some(ANSWER))
        .ping_interval(PING_INTERVAL)
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let doublings = u32::try_from(attempts.saturating_sub(2)).unwrap_or(u32::MAX).min(8);
            // The first attempt of all, and the first after a loss, are made at once.
            if attempts < 2 { Duration::ZERO } else { Duration::from_millis(20 << doublings).min(LONGEST_RECONNECT) }
        })
        .event_callback(move |event| {
            match &event {
                Event::Connected => info!("connected to NATS"),
                Event::Disconnected => warn!("lost the connection to NATS; trying to connect again"),
                Event::Closed => debug!("closed the connection to NATS"),
                event => warn!(%event, "NATS"),
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

type Credentials = (String, Option<String>);

/// Takes the credentials out of a URL, so that nothing can log them with it.
fn parse_url(url: &str) -> Result<(ServerAddr, Option<Credentials>), BusError> {
    // Says nothing of the URL itself: it may hold a password.
    let malformed = || BusError::unusable("the URL of NATS is not like nats://host:4222 or tls://user:password@host");
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
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url() {
        let (server, credentials) = parse_url("tls://an%40n:p%2Css@nats.example:5222").unwrap();
        assert_eq!(server.into_inner().as_str(), "tls://nats.example:5222");
        assert_eq!(credentials, Some(("an@n".into(), Some("p,ss".into()))));
        assert_eq!(parse_url("nats://secret@nats.example").unwrap().1, Some(("secret".into(), None)));
        assert_eq!(parse_url("nats.example").unwrap().1, None);
        let error = parse_url("http://user:secret@nats.example").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
