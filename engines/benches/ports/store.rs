//! Writing documents with their events to a collection with two indexes. The longest wait of a write matters as well as
//! the rate: an embedded engine also has to move what it has logged into the file.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use common::clock::{Clock, SystemClock};
use common::events::{Message, Subject};
use common::ids::TicketId;
use common::store::{Document, Expect, Index, IndexKind, Put, Schema, Store};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::options::Options;
use crate::report::{Report, Row};

pub(crate) const SCHEMAS: &[&Schema] = &[TICKETS];

const TICKETS: &Schema = &Schema {
    collection: "tickets",
    indexes: &[
        Index { name: "by_user", fields: &["userId"], kind: IndexKind::Plain },
        Index { name: "by_seat", fields: &["seat"], kind: IndexKind::Unique },
    ],
    ids: &["userId"],
    times: &[],
};

pub(crate) async fn measure(
    report: &mut Report,
    engine: &'static str,
    store: &Arc<dyn Store>,
    options: &Options,
) -> Result<()> {
    for (name, in_flight) in [("put, 1 in flight", 1), ("put, 32 in flight", 32)] {
        let began = Instant::now();
        let until = began + options.duration();
        let mut writers = JoinSet::new();
        for _ in 0..in_flight {
            let store = store.clone();
            writers.spawn(async move {
                let mut latency = Histogram::<u64>::new(3)?;
                while Instant::now() < until {
                    let began = Instant::now();
                    store.put(new_ticket()).await?;
                    latency.record(began.elapsed().as_micros().try_into()?)?;
                }
                anyhow::Ok(latency)
            });
        }
        let mut latency = Histogram::new(3)?;
        for written in writers.join_all().await {
            latency.add(written?)?;
        }
        let count = usize::try_from(latency.len())?;
        report.row(Row { latency: Some(latency), ..Row::new(name, engine, count, began.elapsed()) });
    }
    Ok(())
}

fn new_ticket() -> Put {
    let at = SystemClock.now();
    let id = TicketId::generate(at);
    let user = TicketId::generate(at);
    let body = format!(
        r#"{{"id":"{id}","version":0,"title":"An evening with the orchestra","price":1999,"userId":"{user}","seat":"row 7, {id}"}}"#
    );
    let event = Message {
        id: format!("ticket:created/{id}/0"),
        subject: Subject::TicketCreated,
        payload: body.clone(),
        traceparent: None,
    };
    let document = Document { id: id.to_string(), version: 0, body };
    Put { schema: TICKETS, document, expect: Expect::Absent, events: vec![event], at }
}
