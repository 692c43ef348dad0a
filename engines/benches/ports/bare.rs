//! What `async-nats` reaches by itself on the same server with as much in flight: no port, no listener. The messages are
//! the same, ids included, which the server compares with those it remembers; and once without ids.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, StorageType};
use futures_util::StreamExt as _;

use crate::bus::{CONSUME, IN_FLIGHT, PAYLOAD, SINGLE, id};
use crate::options::Options;
use crate::report::{Report, Row};

pub(crate) const ENGINE: &str = "bare async-nats";

pub(crate) async fn measure(report: &mut Report, url: &str, options: &Options, round: usize) -> Result<()> {
    let context = async_nats::jetstream::new(async_nats::connect(url).await?);
    let stream =
        Config { name: "bare".into(), subjects: vec!["bare".into()], storage: StorageType::File, ..Config::default() };
    let stream = context.get_or_create_stream(stream).await?;

    for (name, with_ids) in [(SINGLE, true), ("publish without ids", false)] {
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
        report.row(Row::rate(name, ENGINE, options.messages() / 2, began.elapsed()));
    }

    let consumer = pull::Config {
        durable_name: Some("bare".into()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    let consumer = stream.get_or_create_consumer("bare", consumer).await?;
    let began = Instant::now();
    let mut arrivals = consumer.messages().await?;
    for _ in 0..options.messages() {
        let arrival = arrivals.next().await.context("the stream ended")??;
        arrival.ack().await.map_err(|error| anyhow::anyhow!(error))?;
    }
    report.row(Row::rate(CONSUME, ENGINE, options.messages(), began.elapsed()));
    Ok(())
}
