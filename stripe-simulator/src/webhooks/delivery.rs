//! Sends events until the endpoint accepts them.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use common::error::chain;
use common::store::StoreError;
use reqwest::{Client, StatusCode, redirect};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::endpoint::{Endpoint, Order};
use super::signature::sign;
use crate::journal::Journal;
use crate::revision::Revision;
use crate::view;

/// The pause after a failed round; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How long the endpoint may take to respond.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a change of the endpoint in another process may go unnoticed.
const POLL: Duration = Duration::from_secs(5);

/// Delivers events until the process exits.
pub(crate) async fn deliver(journal: Arc<Journal>, clock: Arc<dyn Clock>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match round(&journal, &*clock).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                // Either way there may be events.
                let _elapsed = timeout(POLL, journal.written.notified()).await;
            }
            Err(error) => {
                warn!(error = chain(&error), "event not delivered, will retry");
                sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}

/// Why a round failed. The others of its events may have been delivered.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error("could not read or write events")]
    Store(#[from] StoreError),
    #[error("could not send an event to the webhook endpoint")]
    Send(#[source] reqwest::Error),
    #[error("the webhook endpoint responded with status {0}")]
    Status(StatusCode),
}

/// Sends the waiting events.
async fn round(journal: &Journal, clock: &dyn Clock) -> Result<(), DeliveryError> {
    let Some(endpoint) = journal.endpoints().get().await?.filter(|endpoint| !endpoint.paused) else { return Ok(()) };
    if journal.undelivered().await?.is_empty() {
        return Ok(());
    }
    sleep(Duration::from_millis(endpoint.delay_ms)).await;
    let client = client(&endpoint)?;
    let revisions = journal.undelivered().await?;
    let mut waiting: Vec<(&Revision, usize)> = revisions.iter().flat_map(waiting).collect();
    if endpoint.order == Order::Newest {
        waiting.reverse();
    }
    let mut result = Ok(());
    for (revision, index) in waiting {
        match send(&client, &endpoint, clock, revision, index).await {
            Ok(()) => journal.deliver(revision.id, index).await?,
            Err(error) => result = Err(error),
        }
    }
    result
}

fn waiting(revision: &Revision) -> impl Iterator<Item = (&Revision, usize)> {
    let events = revision.events.iter().enumerate();
    events.filter(|(_, event)| !event.is_delivered).map(move |(index, _)| (revision, index))
}

async fn send(
    client: &Client,
    endpoint: &Endpoint,
    clock: &dyn Clock,
    revision: &Revision,
    index: usize,
) -> Result<(), DeliveryError> {
    let Some(event) = revision.events.get(index) else { return Ok(()) };
    let body = view::event(revision, index, event).to_string();
    for _ in 0..endpoint.copies {
        let request = client
            .post(&endpoint.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", sign(&endpoint.secret, clock.now(), &body))
            .body(body.clone());
        let response = request.send().await.map_err(send_error)?;
        if !response.status().is_success() {
            return Err(DeliveryError::Status(response.status()));
        }
    }
    debug!(kind = event.kind, "event delivered");
    Ok(())
}

fn client(endpoint: &Endpoint) -> Result<Client, DeliveryError> {
    // Fails if a provider is already installed, which will do as well.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder().user_agent("Stripe/1.0").timeout(TIMEOUT).redirect(redirect::Policy::none());
    if endpoint.url.starts_with("http://") {
        // Usually on loopback: no proxy, and no certificates to load.
        client = client.no_proxy().tls_certs_only([]);
    }
    client.build().map_err(send_error)
}

fn send_error(error: reqwest::Error) -> DeliveryError {
    DeliveryError::Send(error.without_url())
}
