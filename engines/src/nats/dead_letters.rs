//! How a dead letter is stored.

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Message as Arrival};

use super::connection::Server;
use super::streams::dead_letters_of;
use super::{MESSAGE_ID, TRACEPARENT, header, stored, unavailable};
use common::bus::{BusError, DeadLetter, Durable};
use common::events::Message;
use common::trace::TraceParent;

/// Bytes of a reason that a dead letter keeps.
const MAX_REASON: usize = 4096;

/// Headers of a dead letter, beside those that the message had.
pub(super) const LISTENER: &str = "Dead-Letter-Listener";

pub(super) const REASON: &str = "Dead-Letter-Reason";

pub(super) const ATTEMPTS: &str = "Dead-Letter-Attempts";

pub(super) const SUBJECT: &str = "Dead-Letter-Subject";

pub(super) const ORIGINAL_ID: &str = "Dead-Letter-Message-Id";

impl Server {
    /// Makes a message a dead letter, then has the server forget it for this durable.
    pub(super) async fn put_aside(&self, arrival: &Arrival, durable: Durable, reason: &str) -> Result<(), BusError> {
        let info = arrival.info().map_err(unavailable)?;
        let mut headers = arrival.headers.clone().unwrap_or_default();
        if let Some(id) = header(arrival, ORIGINAL_ID).or(header(arrival, MESSAGE_ID)) {
            headers.insert(ORIGINAL_ID, id);
        }
        // Not the id of the message, which may be published again and be rejected again.
        headers.insert(MESSAGE_ID, format!("{}/{}", durable.name, info.stream_sequence));
        headers.insert(LISTENER, durable.name);
        headers.insert(REASON, one_line(reason));
        headers.insert(ATTEMPTS, info.delivered.to_string());
        headers.insert(SUBJECT, durable.subject.as_str());
        let subject = format!("{}.{}", dead_letters_of(&self.stream), durable.name);
        let publish = PublishMessage::build().headers(headers).payload(arrival.payload.clone());
        stored(self.context.send_publish(subject, publish).await.map_err(unavailable)?).await?;
        // Waits for the server: a reader that comes next must not meet it.
        let Some(reply) = arrival.reply.clone() else { return Ok(()) };
        self.client.request(reply, AckKind::Term.into()).await.map(|_| ()).map_err(unavailable)
    }
}

pub(super) fn dead_letter(arrival: &Arrival, position: u64) -> Option<DeadLetter> {
    Some(DeadLetter {
        id: position.to_string(),
        listener: header(arrival, LISTENER)?.to_owned(),
        reason: header(arrival, REASON)?.to_owned(),
        attempts: header(arrival, ATTEMPTS)?.parse().ok()?,
        message: Message {
            id: header(arrival, ORIGINAL_ID).unwrap_or_default().to_owned(),
            subject: header(arrival, SUBJECT)?.parse().ok()?,
            payload: String::from_utf8_lossy(&arrival.payload).into_owned(),
            traceparent: header(arrival, TRACEPARENT).and_then(TraceParent::parse),
        },
    })
}

/// Fit for a header.
fn one_line(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_REASON);
    text[..end].replace(['\r', '\n'], " ")
}
