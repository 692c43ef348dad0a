//! Publishing in batches like the relay, publishing concurrently, and consuming everything that was published.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use common::bus::{Bus, Durable, Verdict};
use common::events::{Message, Subject};
use common::listener::MAX_IN_FLIGHT;
use tokio::task::JoinSet;

use crate::options::Options;
use crate::report::{Report, Row};

/// How many times each engine is measured.
pub(crate) const ROUNDS: usize = 5;

/// The relay's batch size, and the number of messages in flight when each is published separately.
pub(crate) const IN_FLIGHT: usize = 256;

pub(crate) const BATCHES: &str = "publish, batches of 256";
pub(crate) const SINGLE: &str = "publish, 256 in flight";
pub(crate) const CONSUME: &str = "consume and ack";

pub(crate) const PAYLOAD: &str = r#"{"id":"65f1c0de0000000000000001","version":1,"title":"An evening with the orchestra","price":19.99,"userId":"65f1c0de0000000000000002"}"#;

pub(crate) async fn measure(
    report: &mut Report,
    engine: &'static str,
    bus: &Arc<dyn Bus>,
    options: &Options,
    round: usize,
) -> Result<()> {
    // As many messages for each way of publishing, in full batches.
    let batches = options.messages() / IN_FLIGHT / 2;
    let count = batches * IN_FLIGHT;

    let messages: Vec<Message> = (0..count).map(|at| message(round, "batch", at)).collect();
    let began = Instant::now();
    for batch in messages.chunks(IN_FLIGHT) {
        bus.publish(batch).await?;
    }
    report.row(Row::new(BATCHES, engine, count, began.elapsed()));

    let began = Instant::now();
    let mut publishers = JoinSet::new();
    for publisher in 0..IN_FLIGHT {
        let bus = bus.clone();
        publishers.spawn(async move {
            for at in 0..batches {
                bus.publish(&[message(round, "single", publisher * batches + at)]).await?;
            }
            anyhow::Ok(())
        });
    }
    publishers.join_all().await.into_iter().collect::<Result<()>>()?;
    report.row(Row::new(SINGLE, engine, count, began.elapsed()));

    let durable = Durable { name: "bench_ticket-updated", subject: Subject::TicketUpdated };
    let subscription = bus.subscribe(durable).await?;
    let (began, mut consumed) = (Instant::now(), 0);
    while consumed < 2 * count {
        let deliveries = subscription.next(MAX_IN_FLIGHT).await?;
        for delivery in &deliveries {
            subscription.settle(delivery, Verdict::Ack).await?;
        }
        consumed += deliveries.len();
    }
    report.row(Row::new(CONSUME, engine, consumed, began.elapsed()));
    Ok(())
}

fn message(round: usize, kind: &str, at: usize) -> Message {
    Message { id: id(round, kind, at), subject: Subject::TicketUpdated, payload: PAYLOAD.into(), traceparent: None }
}

pub(crate) fn id(round: usize, kind: &str, at: usize) -> String {
    format!("ticket:updated/{round}-{kind}-{at:024}/1")
}
