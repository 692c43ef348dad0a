//! What `async-nats` reaches by itself on the same server, with as much in flight: no ids, no port, no listener.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, StorageType};
use futures_util::StreamExt as _;

use crate::bus::{CONSUME, IN_FLIGHT, PAYLOAD, SINGLE};
use crate::options::Options;
use crate::report::{Report, Row};

pub(crate) const ENGINE: &str = "bare async-nats";

pub(crate) async fn measure(report: &mut Report, url: &str, options: &Options) -> Result<()> {
    let context = async_nats::jetstream::new(async_nats::connect(url).await?);
    let stream =
        Config { name: "bare".into(), subjects: vec!["bare".into()], storage: StorageType::File, ..Config::default() };
    let stream = context.create_stream(stream).await?;

    let (began, mut acks) = (Instant::now(), VecDeque::with_capacity(IN_FLIGHT));
    for _ in 0..options.messages() {
        if acks.len() == IN_FLIGHT
            && let Some(ack) = acks.pop_front()
        {
            ack.await?;
        }
        acks.push_back(context.publish("bare", PAYLOAD.into()).await?);
    }
    for ack in acks {
        ack.await?;
    }
    report.row(Row::rate(SINGLE, ENGINE, options.messages(), began.elapsed()));

    let consumer = pull::Config {
        durable_name: Some("bare".into()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(consumer).await?;
    let began = Instant::now();
    let mut arrivals = consumer.messages().await?;
    for _ in 0..options.messages() {
        let arrival = arrivals.next().await.context("the stream ended")??;
        arrival.ack().await.map_err(|error| anyhow::anyhow!(error))?;
    }
    report.row(Row::rate(CONSUME, ENGINE, options.messages(), began.elapsed()));
    Ok(())
}
