//! The rates of a bare `async-nats` client, without our port and listeners, to compare the bus with.
//!
//! It publishes the same messages to the same server, with as many in flight. The server checks message ids for
//! duplicates, so publishing is also measured without ids.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, StorageType};
use futures_util::StreamExt as _;

use crate::bus::{BATCHES, CONSUME, IN_FLIGHT, PAYLOAD, SINGLE, id};
use crate::options::Options;
use crate::report::{Report, Row};

pub(crate) const ENGINE: &str = "bare async-nats";

const WITHOUT_IDS: &str = "publish, 256 in flight, no ids";

pub(crate) async fn measure(report: &mut Report, url: &str, options: &Options, round: usize) -> Result<()> {
    let context = async_nats::jetstream::new(async_nats::connect(url).await?);
    let stream =
        Config { name: "bare".into(), subjects: vec!["bare".into()], storage: StorageType::File, ..Config::default() };
    let stream = context.get_or_create_stream(stream).await?;

    for (name, with_ids) in [(SINGLE, true), (WITHOUT_IDS, false)] {
        let (began, mut acks) = (Instant::now(), VecDeque::with_capacity(IN_FLIGHT));
        for at in 0..options.messages() / 2 {
            if acks.len() == IN_FLIGHT
                && let Some(ack) = acks.pop_front()
            {
                ack.await?;
            }
            let mut publish = PublishMessage::build().payload(PAYLOAD.into());
            if with_ids {
                publish = publish.message_id(id(round, SINGLE, at));
            }
            acks.push_back(context.send_publish("bare", publish).await?);
        }
        for ack in acks {
            ack.await?;
        }
        report.row(Row::new(name, ENGINE, options.messages() / 2, began.elapsed()));
    }

    let consumer = pull::Config {
        durable_name: Some("bare".into()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    let consumer = stream.get_or_create_consumer("bare", consumer).await?;
    let began = Instant::now();
    let mut messages = consumer.messages().await?;
    for _ in 0..options.messages() {
        let message = messages.next().await.context("the stream of messages ended")??;
        message.ack().await.map_err(|error| anyhow::anyhow!(error))?;
    }
    report.row(Row::new(CONSUME, ENGINE, options.messages(), began.elapsed()));
    Ok(())
}

/// Notes beside each row of the bus how it compares with the bare client.
pub(crate) fn compare(report: &mut Report, engine: &str) {
    // The bare client does not batch, but has as many messages in flight.
    for (row, base) in [(BATCHES, SINGLE), (SINGLE, SINGLE), (CONSUME, CONSUME)] {
        report.compare((row, engine), (base, ENGINE));
    }
}
