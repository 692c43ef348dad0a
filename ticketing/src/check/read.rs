//! Reads everything that is compared.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;

use anyhow::Context;
use common::bus::{Bus, DurableProgress};
use common::clock::Timestamp;
use common::error::chain;
use common::events::Message;
use common::ids::{OrderId, TicketId, UserId};
use common::jobs::DelayedJobs;
use common::store::{Database, Document, Outbox, Schema, StoreError};

use super::finding::{Findings, Invariant};
use super::ledger::{Account, Ledger};
use super::log::{Log, read_progress};
use super::records::{Order, OrderCopy, Other, Payment, Records, Stored, Ticket, TicketCopy, Written};
use crate::data::is_in_use;
use crate::output::progress_counter;

/// How many documents to read at once.
const PAGE: usize = 1000;

/// How many waiting events to read from an outbox.
const MAX_WAITING: usize = 100_000;

/// Where the records are. What is missing is not checked.
#[derive(Default)]
pub(super) struct Sources {
    /// The data directory of a whole system.
    pub(super) data: Option<PathBuf>,
    pub(super) auth: Option<Database>,
    pub(super) tickets: Option<Database>,
    pub(super) orders: Option<Database>,
    pub(super) payments: Option<Database>,
    pub(super) bus: Option<Box<dyn Bus>>,
    pub(super) jobs: Option<Box<dyn DelayedJobs>>,
    pub(super) account: Option<Account>,
    /// What is not checked, and why.
    pub(super) unchecked: Vec<String>,
}

/// The records of all services, as they were read.
pub(super) struct Snapshot {
    pub(super) now: Timestamp,
    /// Whether the system is known not to run, so that work in flight remains where it is.
    pub(super) is_stopped: bool,
    pub(super) tickets: Option<Records<Ticket>>,
    pub(super) ticket_copies: Option<Records<TicketCopy>>,
    pub(super) orders: Option<Records<Order>>,
    pub(super) order_copies: Option<Records<OrderCopy>>,
    pub(super) payments: Option<Records<Payment>>,
    pub(super) outbox: Vec<Waiting>,
    /// An event in an outbox for each record that has one.
    pub(super) unpublished: HashMap<String, String>,
    pub(super) log: Option<Log>,
    /// The number of delayed jobs that are due after `now`.
    pub(super) jobs: Option<u64>,
    pub(super) ledger: Option<Ledger>,
    /// What was wrong with single records.
    pub(super) found: Findings,
}

/// An event in an outbox.
pub(super) struct Waiting {
    pub(super) service: &'static str,
    pub(super) message: Message,
    pub(super) since: Timestamp,
}

impl Sources {
    /// Reads everything, in an order in which work in flight explains most differences: first how far the listeners are,
    /// then the records, then the outboxes, then the events. So whatever was handled has had its effect, and a change is
    /// in the outbox or on the bus.
    pub(super) async fn read(&self, now: Timestamp) -> anyhow::Result<Snapshot> {
        let is_stopped = self.data.as_deref().map_or(Ok(false), |data| is_in_use(data).map(|in_use| !in_use))?;
        let progress = match &self.bus {
            Some(bus) => read_progress(&**bus).await?,
            None => HashMap::new(),
        };
        let mut found = Findings::default();
        self.read_others(&mut found).await?;
        let orders = read(self.orders.as_ref(), "orders", orders::SCHEMAS, "orders", &mut found).await?;
        let mut snapshot = Snapshot {
            now,
            is_stopped,
            orders,
            // Soon after the orders, because they are compared.
            jobs: self.count_jobs(now).await?,
            tickets: read(self.tickets.as_ref(), "tickets", tickets::SCHEMAS, "tickets", &mut found).await?,
            ticket_copies: read(self.orders.as_ref(), "orders", orders::SCHEMAS, "tickets", &mut found).await?,
            order_copies: read(self.payments.as_ref(), "payments", payments::SCHEMAS, "orders", &mut found).await?,
            payments: read(self.payments.as_ref(), "payments", payments::SCHEMAS, "payments", &mut found).await?,
            ledger: self.read_ledger(now).await?,
            outbox: self.read_outboxes(&mut found).await,
            unpublished: HashMap::new(),
            log: self.read_log(&progress, &mut found).await?,
            found,
        };
        let by_record =
            |waiting: &Waiting| Some((waiting.message.id.split('/').nth(1)?.to_owned(), waiting.message.id.clone()));
        snapshot.unpublished = snapshot.outbox.iter().filter_map(by_record).collect();
        Ok(snapshot)
    }

    /// Reads the records that no other is compared with, to see whether they are valid.
    async fn read_others(&self, found: &mut Findings) -> anyhow::Result<()> {
        read::<Other>(self.auth.as_ref(), "auth", auth::SCHEMAS, "users", found).await?;
        read::<Other>(self.tickets.as_ref(), "tickets", tickets::SCHEMAS, "reservations", found).await?;
        read::<Other>(self.payments.as_ref(), "payments", payments::SCHEMAS, "webhooks", found).await?;
        Ok(())
    }

    async fn count_jobs(&self, now: Timestamp) -> anyhow::Result<Option<u64>> {
        let Some(jobs) = &self.jobs else { return Ok(None) };
        let all = jobs.count_due(Timestamp::from_millis(i64::MAX)).await?;
        Ok(Some(all.saturating_sub(jobs.count_due(now).await?)))
    }

    async fn read_ledger(&self, now: Timestamp) -> anyhow::Result<Option<Ledger>> {
        match &self.account {
            Some(account) => account.read(self.payments.as_ref(), now).await,
            None => Ok(None),
        }
    }

    /// Reads the outboxes after the records, so that they can be read. An entry that cannot be is a difference.
    async fn read_outboxes(&self, found: &mut Findings) -> Vec<Waiting> {
        let databases = [("tickets", &self.tickets), ("orders", &self.orders), ("payments", &self.payments)];
        let mut outbox = Vec::new();
        for (service, database) in databases {
            let Some(database) = database else { continue };
            let mut report = |error: &(dyn Error + 'static)| {
                found.add(
                    Invariant::EventsPublished,
                    format!(
                        "an event in the outbox of {service} cannot be read, so it is not published: {}",
                        chain(error)
                    ),
                    "Was the program replaced by an older one? Run the newer one.",
                );
            };
            match database.store().unpublished(MAX_WAITING).await {
                Ok(Outbox { events, invalid }) => {
                    outbox.extend(events.into_iter().map(|event| Waiting {
                        service,
                        message: event.message,
                        since: event.since,
                    }));
                    invalid.iter().for_each(|entry| report(&*entry.reason));
                }
                Err(error) => report(&error),
            }
        }
        outbox
    }

    async fn read_log(
        &self,
        progress: &HashMap<String, DurableProgress>,
        found: &mut Findings,
    ) -> anyhow::Result<Option<Log>> {
        let Some(bus) = &self.bus else { return Ok(None) };
        Ok(Some(Log::read(&**bus, progress, found).await?))
    }
}

impl Snapshot {
    /// An event of one of these records that this service has not handled, or that is not published yet.
    pub(super) fn awaits(&self, service: &'static str, records: &[&dyn ToString]) -> Option<String> {
        records.iter().find_map(|record| {
            let id = record.to_string();
            let unsettled = self.log.as_ref().and_then(|log| log.unsettled(service, &id).cloned());
            unsettled.or_else(|| self.unpublished(&id))
        })
    }

    /// An event of this record in an outbox.
    pub(super) fn unpublished(&self, id: &str) -> Option<String> {
        self.unpublished.get(id).cloned()
    }

    /// Everything that can be compared, or nothing.
    pub(super) fn all(&self) -> Option<(&Records<Ticket>, &Records<Order>)> {
        Some((self.tickets.as_ref()?, self.orders.as_ref()?))
    }

    pub(super) fn ticket(&self, id: TicketId) -> Option<&Ticket> {
        self.tickets.as_ref()?.get(&id).map(|written| &written.record)
    }

    pub(super) fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.as_ref()?.get(&id).map(|written| &written.record)
    }
}

/// Reads a collection, if its database is given.
pub(super) async fn read<T: Stored>(
    database: Option<&Database>,
    service: &'static str,
    schemas: &'static [&'static Schema],
    collection: &str,
    found: &mut Findings,
) -> anyhow::Result<Option<Records<T>>> {
    let Some(database) = database else { return Ok(None) };
    let schema = schemas.iter().find(|schema| schema.collection == collection).context("an unknown collection")?;
    read_collection(database, service, schema, found).await.map(Some)
}

/// Reads a collection page by page. An invalid document is a difference.
async fn read_collection<T: Stored>(
    database: &Database,
    service: &'static str,
    schema: &'static Schema,
    found: &mut Findings,
) -> anyhow::Result<Records<T>> {
    let counter = progress_counter(schema.collection);
    let (mut records, mut after, mut limit) = (Records::<T>::new(), None, PAGE);
    loop {
        let page = match database.store().scan(schema, after.clone(), limit).await {
            // The engine cannot read a document. Reads those before it one by one, then those after it.
            Err(StoreError::Corrupt { .. }) if limit > 1 => {
                limit = 1;
                continue;
            }
            Err(StoreError::Corrupt { id, source, .. }) => {
                invalid(found, service, schema, &id, &chain(&*source));
                if id.parse::<UserId>().is_err() {
                    invalid(found, service, schema, &id, "older documents cannot be read because of its id");
                    return Ok(records);
                }
                (after, limit) = (Some(id), PAGE);
                continue;
            }
            page => page.with_context(|| format!("could not read the {} of {service}", schema.collection))?,
        };
        let Some((last, _)) = page.last() else { return Ok(records) };
        after = Some(last.id.clone());
        for (document, at) in page {
            match parse::<T>(&document) {
                Ok(record) => drop(records.insert(record.id(), Written { record, at })),
                Err(problem) => invalid(found, service, schema, &document.id, &problem),
            }
        }
        counter.set_position(records.len() as u64);
    }
}

fn parse<T: Stored>(document: &Document) -> Result<T, String> {
    let record: T = serde_json::from_str(&document.body).map_err(|error| error.to_string())?;
    if record.id().to_string() != document.id || record.version() != document.version {
        return Err("it is stored under another id or version".into());
    }
    Ok(record)
}

fn invalid(found: &mut Findings, service: &str, schema: &Schema, id: &str, problem: &str) {
    let text = format!("{service}: {}/{id} is not valid: {problem}", schema.collection);
    found.add(Invariant::Documents, text, "Was it edited by hand? Correct it, or restore it from a backup.");
}
