//! The events on the bus, and how far the listeners are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use common::bus::{Bus, BusError, DeadLetter, Durable, DurableProgress, HistoryStart};
use common::clock::Timestamp;
use common::events::{Message, OrderRecord, Subject};
use common::ids::{OrderId, PaymentId, RecordId, TicketId, UserId};
use common::money::Money;
use futures_util::TryStreamExt;
use serde::Deserialize;

use super::finding::{Findings, Invariant};
use crate::dead_letters;
use crate::output::progress_counter;

/// How long after its record's creation the first event of a record is published at the latest, unless the bus is down.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(60);

/// The listeners of each subject.
const LISTENERS: [(Subject, &[&str]); 10] = [
    (Subject::TicketCreated, &["orders"]),
    (Subject::TicketUpdated, &["orders"]),
    (Subject::OrderCreated, &["expiration", "payments", "tickets"]),
    (Subject::OrderUpdated, &["payments"]),
    (Subject::OrderCancelled, &["expiration", "payments", "tickets"]),
    (Subject::OrderCompleted, &["expiration", "payments"]),
    (Subject::ExpirationComplete, &["orders"]),
    (Subject::PaymentCreated, &["orders"]),
    (Subject::PaymentPending, &["orders"]),
    (Subject::PaymentFailed, &["orders"]),
];

/// What is on the bus.
pub(super) struct Log {
    /// The number of retained events.
    pub(super) events: usize,
    pub(super) tickets: BTreeMap<TicketId, Announced<TicketEvent>>,
    pub(super) orders: BTreeMap<OrderId, Announced<OrderRecord>>,
    /// The payments that were announced, and whether by `payment:created`.
    pub(super) payments: BTreeMap<PaymentId, bool>,
    /// The message that a service has not handled, by service and record.
    unsettled: HashMap<(&'static str, String), String>,
    /// How many events each listener has not handled, and the first of them.
    pub(super) backlogs: BTreeMap<String, (usize, String)>,
    /// All events of records written since then are retained.
    pub(super) complete_since: Timestamp,
    pub(super) dead_letters: Vec<DeadLetter>,
}

/// The retained events of one record.
pub(super) struct Announced<T> {
    pub(super) versions: BTreeSet<u64>,
    /// The newest one's payload.
    pub(super) newest: T,
}

/// The payload of `ticket:created` and `ticket:updated`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TicketEvent {
    id: TicketId,
    version: u64,
    pub(super) title: String,
    pub(super) price: Money,
    pub(super) user_id: UserId,
    pub(super) order_id: Option<OrderId>,
}

/// The payload of the events of payments.
#[derive(Deserialize)]
struct PaymentEvent {
    id: PaymentId,
}

/// The payload of `expiration:complete`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExpirationEvent {
    order_id: OrderId,
}

/// How far all listeners are. Read before the databases: what is settled then has had its effect.
pub(super) async fn read_progress(bus: &dyn Bus) -> Result<HashMap<String, DurableProgress>, BusError> {
    Ok(bus.progress().await?.into_iter().map(|progress| (progress.durable.clone(), progress)).collect())
}

impl Log {
    /// Reads all events. `progress` is that of the listeners, read before.
    pub(super) async fn read(
        bus: &dyn Bus,
        progress: &HashMap<String, DurableProgress>,
        found: &mut Findings,
    ) -> anyhow::Result<Self> {
        let mut reader = Reader::new(progress);
        let counter = progress_counter("events");
        let mut pages = bus.history(&Subject::ALL, HistoryStart::After(0));
        while let Some(page) = pages.try_next().await? {
            for (position, message) in page {
                reader.add(position, &message, found);
            }
            counter.set_position(reader.log.events as u64);
        }
        let mut log = reader.finish();
        log.dead_letters = dead_letters::read(bus).await?;
        Ok(log)
    }

    /// An event of this record that the service has not handled.
    pub(super) fn unsettled(&self, service: &'static str, id: &str) -> Option<&String> {
        self.unsettled.get(&(service, id.to_owned()))
    }
}

/// Adds event by event.
struct Reader<'a> {
    log: Log,
    progress: &'a HashMap<String, DurableProgress>,
    first: u64,
    /// The earliest event that is certainly not older than its record's id.
    oldest_creation: Option<(u64, Timestamp)>,
}

impl<'a> Reader<'a> {
    fn new(progress: &'a HashMap<String, DurableProgress>) -> Self {
        let log = Log {
            events: 0,
            tickets: BTreeMap::new(),
            orders: BTreeMap::new(),
            payments: BTreeMap::new(),
            unsettled: HashMap::new(),
            backlogs: BTreeMap::new(),
            complete_since: Timestamp::from_millis(i64::MAX),
            dead_letters: Vec::new(),
        };
        Self { log, progress, first: u64::MAX, oldest_creation: None }
    }

    fn add(&mut self, position: u64, message: &Message, found: &mut Findings) {
        self.log.events += 1;
        self.first = self.first.min(position);
        let Some(id) = self.add_payload(position, message) else {
            let text = format!("event {} at {position} is not a valid {}", message.id, message.subject);
            return found.add(Invariant::Documents, text, "Its listeners have rejected it, see the dead letters.");
        };
        let listeners = LISTENERS.into_iter().filter(|(subject, _)| *subject == message.subject);
        for service in listeners.flat_map(|(_, services)| services) {
            self.add_unsettled(service, position, message, &id);
        }
    }

    /// Returns the id of the record, or `None` if the event is invalid.
    fn add_payload(&mut self, position: u64, message: &Message) -> Option<String> {
        let prefix = format!("{}/", message.subject);
        let mut id = message.id.strip_prefix(&prefix)?.split('/');
        let (record, version, epoch) = (id.next()?.to_owned(), id.next()?.parse::<u64>().ok()?, id.next());
        let (id, announced) = match message.subject {
            Subject::TicketCreated | Subject::TicketUpdated => {
                let event: TicketEvent = message.parse().ok()?;
                (event.id.to_string(), announce(&mut self.log.tickets, event.id, event.version, event))
            }
            Subject::OrderCreated | Subject::OrderUpdated | Subject::OrderCancelled | Subject::OrderCompleted => {
                let event: OrderRecord = message.parse().ok()?;
                (event.id.to_string(), announce(&mut self.log.orders, event.id, event.version, event))
            }
            Subject::PaymentCreated | Subject::PaymentPending | Subject::PaymentFailed => {
                let PaymentEvent { id } = message.parse().ok()?;
                *self.log.payments.entry(id).or_default() |= message.subject == Subject::PaymentCreated;
                (id.to_string(), version)
            }
            Subject::ExpirationComplete => (message.parse::<ExpirationEvent>().ok()?.order_id.to_string(), version),
        };
        let is_creation = matches!(message.subject, Subject::TicketCreated | Subject::OrderCreated);
        if is_creation && epoch.is_none() && self.oldest_creation.is_none_or(|(oldest, _)| position < oldest) {
            // Any id type: all of them hold their time.
            self.oldest_creation = Some((position, id.parse::<UserId>().ok()?.created_at()));
        }
        (id == record && announced == version).then_some(id)
    }

    fn add_unsettled(&mut self, service: &'static str, position: u64, message: &Message, id: &str) {
        let durable = format!("{service}{}", Durable::suffix(message.subject));
        // A durable that does not exist starts at the beginning.
        let progress = self.progress.get(&durable);
        let is_settled = |progress: &DurableProgress| {
            position <= progress.position && progress.deferred.binary_search(&position).is_err()
        };
        if progress.is_some_and(is_settled) {
            return;
        }
        self.log.unsettled.entry((service, id.to_owned())).or_insert_with(|| message.id.clone());
        self.log.backlogs.entry(durable).or_insert_with(|| (0, message.id.clone())).0 += 1;
    }

    fn finish(mut self) -> Log {
        self.log.complete_since = match self.oldest_creation {
            // Nothing was ever deleted.
            _ if self.first == 1 => Timestamp::from_millis(i64::MIN),
            Some((_, created)) => created.plus(PUBLISHED_WITHIN),
            None => self.log.complete_since,
        };
        self.log
    }
}

/// Adds an event of a record, in any order. Returns its version.
fn announce<I: Ord, T>(records: &mut BTreeMap<I, Announced<T>>, id: I, version: u64, payload: T) -> u64 {
    match records.entry(id) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(Announced { versions: BTreeSet::from([version]), newest: payload });
        }
        std::collections::btree_map::Entry::Occupied(mut entry) => {
            let known = entry.get_mut();
            if known.versions.last().is_none_or(|newest| version >= *newest) {
                known.newest = payload;
            }
            known.versions.insert(version);
        }
    }
    version
}
