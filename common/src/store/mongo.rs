//! The store on MongoDB: a collection a domain type, the outbox inside the documents.
//!
//! A write is one operation on one document, so it is atomic on any MongoDB, standalone servers included, without
//! transactions. The document holds the state, its `version`, and under `outbox` the events that wait:
//!
//! ```js
//! { _id: ObjectId('…'), version: Long('1'), title: 'Concert', price: Long('1999'), userId: ObjectId('…'),
//!   outbox: [{ id: 'ticket:updated/…/1', subject: 'ticket:updated', payload: '{…}', at: ISODate('…') }] }
//! ```
//!
//! - Inserts and compare-and-set updates only. There are no upserts, which compatible servers get wrong when they race.
//! - An update reads first which fields have to go. A pipeline update would spare the read, but not every compatible
//!   server has those; what stands in a version never changes, so nothing can come in between.
//! - Every write is journaled by a majority before it is answered; reads see only what a majority holds, and so never
//!   an event that a failover takes back. From the primary: one reads one's own writes.
//! - Nothing is retried here. A write whose answer is lost is [`Unavailable`](StoreError::Unavailable), whether it
//!   happened or not, never a conflict with itself. Who repeats it finds out: then it conflicts with what it wrote.
//! - Every call ends within a second and a half, also when the server is gone or hangs.
//! - Unlike in SQLite, a unique field that is `null` counts as a value. Leave the field out.

mod body;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document as Stored, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{
    Acknowledgment, ClientOptions, Hint, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, IndexModel};
use secrecy::{ExposeSecret, SecretString};

use self::body::{OUTBOX, corrupt, from_stored, object_id, stored_id, to_equal, to_stored, version};
use super::{Document, Expect, Find, Index, IndexKind, Put, Schema, Store, StoreError, Unpublished};
use crate::bus::Message;
use crate::clock::Timestamp;
use crate::trace::TraceParent;

/// How long a call may take: who waits for it is to be answered within two seconds, whatever happens here. The URI's
/// `serverSelectionTimeoutMS` says otherwise.
const LIMIT: Duration = Duration::from_millis(1500);

/// How long building the indexes may take at a start. The server goes on building afterwards, so the next start finds
/// them further.
const INDEXING: Duration = Duration::from_secs(60);

/// How often the server is looked at, and how long it may take to answer that or a new connection. A server that hangs
/// is noticed after both together, and what waits for it gives up.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Writes wait for the disks of a majority, so many of them are under way at once.
const CONNECTIONS: u32 = 64;

/// Where it is written whose database this is.
const META: &str = "meta";

/// The index that the outbox is swept by: sparse, so it holds only documents with events that wait.
const OUTBOX_INDEX: &str = "outbox_by_age";
const OUTBOX_AGE: &str = "outbox.at";

const DUPLICATE_KEY: i32 = 11000;
/// An index of this name exists with other fields or options.
const INDEX_DIFFERS: [i32; 2] = [85, 86];

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URI can not be read. It is not repeated, since it may hold a password.
    #[error("not a MongoDB URI: {0}")]
    Uri(String),
    /// Another service stores in this database.
    #[error("the database {database} belongs to the service {owner}, not to {service}: give each service its own")]
    Foreign {
        /// The database.
        database: String,
        /// Who has it.
        owner: String,
        /// Who wanted it.
        service: String,
    },
    /// The events of this database go to another bus.
    #[error(
        "the events of the database {database} go to {found}, and the bus here is {bus}: either two systems use one \
         database; or the stream was replaced, and `bus` of the document `owner` in the collection `{META}` should be {bus}"
    )]
    OtherBus {
        /// The database.
        database: String,
        /// Where its events go.
        found: String,
        /// Where they would go.
        bus: String,
    },
    /// An index can not be made as the schema says.
    #[error("index {index}: {why}")]
    Index {
        /// Its name.
        index: String,
        /// What is in the way.
        why: String,
    },
    /// The server can not be reached, or refuses. It may be there later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ConnectError {
    /// Whether it may heal by itself.
    pub(crate) fn heals(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

/// A store in one MongoDB database.
pub struct MongoStore {
    database: mongodb::Database,
    schemas: Vec<&'static Schema>,
    limit: Duration,
    identity: String,
}

impl MongoStore {
    /// Opens the database of a service: the one that the URI names, or else one called like the service. Creates what
    /// is missing of the collections and their indexes.
    ///
    /// Refuses a database that another service has opened before.
    pub async fn connect(uri: &SecretString, service: &str, schemas: &[&'static Schema]) -> Result<Self, ConnectError> {
        let mut options = parse(uri.expose_secret()).await?;
        options.app_name.get_or_insert_with(|| service.to_owned());
        let limit = *options.server_selection_timeout.get_or_insert(LIMIT);
        options.connect_timeout = Some(HEARTBEAT);
        options.heartbeat_freq = Some(HEARTBEAT);
        options.max_pool_size.get_or_insert(CONNECTIONS);
        options.retry_writes = Some(false);
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        options.write_concern =
            Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(limit).build());
        let name = options.default_database.clone().unwrap_or_else(|| service.to_owned());
        let client = Client::with_options(options).map_err(|error| ConnectError::Uri(reason(&error)))?;

        let database = client.database(&name);
        let mut store = Self { database, schemas: schemas.to_vec(), limit, identity: String::new() };
        store.identity = store.claim(service).await?;
        for schema in schemas {
            store.create_indexes(schema).await?;
        }
        Ok(store)
    }

    /// What tells this database from every other, also from one of the same name on another server.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Writes into the database whose it is, or finds that it is another's. Returns its identity.
    async fn claim(&self, service: &str) -> Result<String, ConnectError> {
        let meta = self.database.collection::<Stored>(META);
        let claim = doc! { "_id": "owner", "service": service, "instance": ObjectId::new() };
        let owner = within(self.limit, async move {
            match meta.insert_one(claim).await {
                Err(error) if code(&error) == Some(DUPLICATE_KEY) => {}
                outcome => drop(outcome?),
            }
            Ok(meta.find_one(doc! { "_id": "owner" }).await?)
        });
        let owner = owner.await?.unwrap_or_default();
        let found = owner.get_str("service").unwrap_or("(unreadable)");
        if found != service {
            return Err(ConnectError::Foreign {
                database: self.database.name().to_owned(),
                owner: found.to_owned(),
                service: service.to_owned(),
            });
        }
        let instance = owner.get_object_id("instance").map(|id| id.to_hex()).unwrap_or_default();
        Ok(format!("{}/{instance}", self.database.name()))
    }

    /// Writes into the database which bus its events go to, or finds that they go to another.
    pub async fn publishes_to(&self, bus: &str) -> Result<(), ConnectError> {
        let (meta, first) = (self.database.collection::<Stored>(META), bus.to_owned());
        let owner = within(self.limit, async move {
            let unsaid = doc! { "_id": "owner", "bus": { "$exists": false } };
            meta.update_one(unsaid, doc! { "$set": { "bus": first } }).await?;
            Ok(meta.find_one(doc! { "_id": "owner" }).await?)
        });
        let owner = owner.await?.unwrap_or_default();
        match owner.get_str("bus").unwrap_or("(unreadable)") {
            found if found == bus => Ok(()),
            found => Err(ConnectError::OtherBus {
                database: self.database.name().to_owned(),
                found: found.to_owned(),
                bus: bus.to_owned(),
            }),
        }
    }

    async fn create_indexes(&self, schema: &'static Schema) -> Result<(), ConnectError> {
        let sweep = IndexOptions::builder().name(OUTBOX_INDEX.to_owned()).sparse(true).build();
        let sweep = IndexModel::builder().keys(doc! { OUTBOX_AGE: 1 }).options(sweep).build();
        let mut indexes = vec![(OUTBOX_INDEX, sweep)];
        for index in schema.indexes {
            indexes.push((index.name, model(index)?));
        }
        for (name, model) in indexes {
            let collection = self.collection(schema);
            let created = within(INDEXING, async move { Ok(collection.create_index(model).await) }).await?;
            created.map_err(|error| {
                let why = match code(&error) {
                    // The server's own message would repeat what is stored.
                    Some(DUPLICATE_KEY) => "documents that are stored already agree in its field".into(),
                    Some(code) if INDEX_DIFFERS.contains(&code) => reason(&error),
                    _ => return ConnectError::Store(error.into()),
                };
                ConnectError::Index { index: format!("{}.{name}", schema.collection), why }
            })?;
        }
        Ok(())
    }

    fn collection(&self, schema: &Schema) -> Collection<Stored> {
        self.database.collection(schema.collection)
    }
}

fn model(index: &Index) -> Result<IndexModel, ConnectError> {
    let mut keys: Stored = index.fields.iter().map(|field| ((*field).to_owned(), Bson::Int32(1))).collect();
    let options = IndexOptions::builder().name(index.name.to_owned());
    let options = match index.kind {
        // The id follows, the newest first, as lists are sorted.
        IndexKind::Plain => {
            keys.insert("_id", -1);
            options.build()
        }
        IndexKind::Unique if index.fields.len() == 1 => options.unique(true).sparse(true).build(),
        // Over several fields MongoDB's sparse takes documents in that have any of them, SQLite's only those that
        // have all.
        IndexKind::Unique => {
            let why = "a unique index has one field".to_owned();
            return Err(ConnectError::Index { index: index.name.to_owned(), why });
        }
    };
    Ok(IndexModel::builder().keys(keys).options(options).build())
}

#[async_trait]
impl Store for MongoStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        let Some(id) = object_id(id) else { return Ok(None) };
        let collection = self.collection(schema);
        within(self.limit, async move {
            let found = collection.find_one(doc! { "_id": id }).projection(doc! { OUTBOX: 0 }).await?;
            found.map(|stored| from_stored(schema, stored)).transpose()
        })
        .await
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        let fields: Vec<&str> = query.equal.iter().map(|(field, _)| *field).collect();
        let index = schema.indexes.iter().find(|index| index.fields == fields);
        let is_unique = index.is_some_and(|index| index.kind == IndexKind::Unique);
        let lacks = query.equal.iter().any(|(_, value)| value.is_null());
        // A sparse index does not know who lacks the field.
        let index = index.filter(|_| !(is_unique && lacks));

        let mut filter = Stored::new();
        for (field, value) in query.equal {
            let Some(value) = to_equal(schema, field, value) else { return Ok(Vec::new()) };
            filter.insert(field, value);
        }
        if let Some(after) = query.after {
            let Some(after) = object_id(&after) else { return Ok(Vec::new()) };
            filter.insert("_id", doc! { "$lt": after });
        }
        // To MongoDB, 0 is no limit.
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let (collection, most) = (self.collection(schema), limit(query.limit));
        within(self.limit, async move {
            let mut find = collection.find(filter).projection(doc! { OUTBOX: 0 }).limit(most);
            // Named, because the planner might prefer to walk along the ids until enough match.
            if let Some(index) = index {
                find = find.hint(Hint::Name(index.name.to_owned()));
            }
            // One document, or none, as a unique index has it, needs no sorting.
            if !(is_unique && index.is_some()) {
                find = find.sort(doc! { "_id": -1 });
            }
            let found: Vec<Stored> = find.await?.try_collect().await?;
            found.into_iter().map(|stored| from_stored(schema, stored)).collect()
        })
        .await
    }

    async fn put(&self, put: Put) -> Result<(), StoreError> {
        let collection = self.collection(put.schema);
        let mut stored = to_stored(put.schema, &put.document)?;
        let events: Vec<Stored> = put.events.iter().map(|event| to_entry(event, put.at)).collect();
        within(self.limit, async move {
            match put.expect {
                Expect::Absent => {
                    if !events.is_empty() {
                        stored.insert(OUTBOX, events);
                    }
                    collection.insert_one(stored).await?;
                    Ok(())
                }
                Expect::Version(expected) => replace(&collection, put.schema, stored, expected, events).await,
            }
        })
        .await
    }

    async fn unpublished(&self, limit: usize) -> Result<Vec<Unpublished>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let sweeps: Vec<_> = self.schemas.iter().map(|schema| sweep(self.collection(schema), schema, limit)).collect();
        let swept = within(self.limit, try_join_all(sweeps)).await?;

        let (mut events, mut unreadable) = (Vec::new(), None);
        for (waiting, error) in swept {
            events.extend(waiting);
            unreadable = unreadable.or(error);
        }
        match unreadable {
            // What can not be read is named, but not before what can is out of its way.
            Some(error) if events.is_empty() => return Err(error),
            _ => {}
        }
        // A stable sort, by ages that do not fall within a document: its events stay in their order.
        events.sort_by_key(|(age, _)| *age);
        events.truncate(limit);
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError> {
        let mut outboxes: BTreeMap<&str, (Vec<ObjectId>, Vec<String>)> = BTreeMap::new();
        for event in events {
            let Some((collection, id)) = event.token.split_once('/') else { continue };
            let Some(id) = object_id(id) else { continue };
            let (ids, entries) = outboxes.entry(collection).or_default();
            if ids.last() != Some(&id) {
                ids.push(id);
            }
            entries.push(event.message.id.clone());
        }
        let clearings: Vec<_> = outboxes
            .into_iter()
            .map(|(collection, (ids, entries))| clear(self.database.collection(collection), ids, entries))
            .collect();
        within(self.limit, try_join_all(clearings)).await.map(|_| ())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let database = self.database.clone();
        within(self.limit, async move {
            database.run_command(doc! { "ping": 1 }).await?;
            Ok(())
        })
        .await
    }
}

/// Compares and sets.
async fn replace(
    collection: &Collection<Stored>,
    schema: &'static Schema,
    mut stored: Stored,
    expected: u64,
    events: Vec<Stored>,
) -> Result<(), StoreError> {
    let Some(Bson::ObjectId(id)) = stored.remove("_id") else { return Err(StoreError::Conflict) };
    let found = collection.find_one(doc! { "_id": id }).projection(doc! { OUTBOX: 0 }).await?;
    let Some(before) = found else { return Err(StoreError::Conflict) };
    if version(&before).map_err(|why| corrupt(schema, &id.to_hex(), why))? != expected {
        return Err(StoreError::Conflict);
    }

    let gone = before.keys().filter(|name| *name != "_id" && !stored.contains_key(name));
    let gone: Stored = gone.map(|name| (name.clone(), Bson::String(String::new()))).collect();
    let mut change = doc! { "$set": stored };
    if !gone.is_empty() {
        change.insert("$unset", gone);
    }
    if !events.is_empty() {
        change.insert("$push", doc! { OUTBOX: { "$each": events } });
    }
    let stands = doc! { "_id": id, "version": before.get("version") };
    let updated = collection.update_one(stands, change).await?;
    if updated.matched_count == 0 { Err(StoreError::Conflict) } else { Ok(()) }
}

type Swept = (Vec<(Timestamp, Unpublished)>, Option<StoreError>);

/// The events of a collection that have waited longest, each with the age it counts as; and what can not be read.
async fn sweep(collection: Collection<Stored>, schema: &'static Schema, most: usize) -> Result<Swept, StoreError> {
    let waiting: Vec<Stored> = collection
        .find(doc! { OUTBOX_AGE: { "$exists": true } })
        .projection(doc! { OUTBOX: 1 })
        .sort(doc! { OUTBOX_AGE: 1 })
        .hint(Hint::Name(OUTBOX_INDEX.to_owned()))
        .limit(limit(most))
        .batch_size(u32::try_from(most).unwrap_or(u32::MAX).min(1000))
        .await?
        .try_collect()
        .await?;
    let (mut events, mut unreadable) = (Vec::new(), None);
    for stored in waiting {
        if let Err(error) = read_outbox(schema, &stored, &mut events) {
            unreadable.get_or_insert(error);
        }
    }
    Ok((events, unreadable))
}

/// Reads a document's events up to the first that is not of ours: later ones may not overtake it.
fn read_outbox(
    schema: &'static Schema,
    stored: &Stored,
    events: &mut Vec<(Timestamp, Unpublished)>,
) -> Result<(), StoreError> {
    let id = stored_id(schema, stored)?.to_hex();
    let corrupt = |why: String| corrupt(schema, &id, why);
    let entries = stored.get_array(OUTBOX).map_err(|_| corrupt("its outbox is not an array".into()))?;
    let mut age = Timestamp::from_millis(i64::MIN);
    for entry in entries {
        let (message, since) = from_entry(entry).map_err(|why| corrupt(format!("in its outbox {why}")))?;
        age = age.max(since);
        let token = format!("{}/{id}", schema.collection);
        events.push((age, Unpublished { token, message, since }));
    }
    Ok(())
}

/// Takes entries out of the outboxes of these documents.
async fn clear(collection: Collection<Stored>, ids: Vec<ObjectId>, entries: Vec<String>) -> Result<(), StoreError> {
    let all = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    // An empty outbox goes, array and all, so that the sparse index forgets the document.
    let emptied = doc! { "_id": { "$in": &ids }, OUTBOX: { "$not": { "$elemMatch": { "id": { "$nin": &entries } } } } };
    let drop_outbox = doc! { "$unset": { OUTBOX: "" } };
    let emptied_now = collection.update_many(emptied.clone(), drop_outbox.clone()).await?;
    if i64::try_from(emptied_now.matched_count) == Ok(all) {
        return Ok(());
    }
    // Some wait with further events, or with those that another replica is taking out just now: whoever is last empties.
    let others = doc! { "_id": { "$in": &ids }, "outbox.id": { "$in": &entries } };
    collection.update_many(others, doc! { "$pull": { OUTBOX: { "id": { "$in": &entries } } } }).await?;
    collection.update_many(emptied, drop_outbox).await?;
    Ok(())
}

fn to_entry(event: &Message, at: Timestamp) -> Stored {
    let mut entry = doc! { "id": &event.id, "subject": event.subject.as_str(), "payload": &event.payload };
    if let Some(traceparent) = &event.traceparent {
        entry.insert("traceparent", traceparent.as_str());
    }
    entry.insert("at", DateTime::from_millis(at.as_millis()));
    entry
}

/// A message id travels in a header.
fn one_line(id: &str) -> Result<&str, String> {
    if id.contains(char::is_control) { Err("an entry has an id of several lines".into()) } else { Ok(id) }
}

fn from_entry(entry: &Bson) -> Result<(Message, Timestamp), String> {
    let entry = entry.as_document().ok_or("an entry is not an object")?;
    let text = |name: &str| entry.get_str(name).map_err(|_| format!("an entry has no {name}"));
    let message = Message {
        id: text("id").and_then(one_line)?.to_owned(),
        subject: text("subject")?.parse().map_err(|error| format!("{error}"))?,
        payload: text("payload")?.to_owned(),
        traceparent: entry.get_str("traceparent").ok().and_then(TraceParent::parse),
    };
    let at = entry.get_datetime("at").map_err(|_| "an entry has no time".to_owned())?;
    Ok((message, Timestamp::from_millis(at.timestamp_millis())))
}

/// Runs `work` for `limit` at most.
///
/// In a task of its own: the driver wants its futures driven to their end, also when nobody waits for them any more.
async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, tokio::spawn(work)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failed)) => Err(StoreError::Unavailable(failed.to_string())),
        Err(_elapsed) => Err(StoreError::Unavailable(format!("no answer within {limit:?}"))),
    }
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// Reads a URI without repeating what may be secret in it.
async fn parse(uri: &str) -> Result<ClientOptions, ConnectError> {
    if let Ok(options) = ClientOptions::parse(uri).await {
        return Ok(options);
    }
    // The driver's messages quote what they complain of, so it is asked again about what can not be secret.
    let (_, hosts) = uri.rsplit_once('@').unwrap_or(("", uri));
    let settings = hosts.rsplit_once('?').map_or("", |(_, settings)| settings);
    let why = match ClientOptions::parse(format!("mongodb://localhost/?{settings}")).await {
        Err(error) if settings.contains('=') => reason(&error),
        _ => "expected mongodb://user:password@host:port/database, all percent-encoded".to_owned(),
    };
    Err(ConnectError::Uri(why))
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        _ => None,
    }
}

/// What the driver says, without the documents that it would repeat.
fn reason(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(error) => format!("{} ({})", error.message, error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => format!("{} ({})", error.message, error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => format!("{} ({})", error.message, error.code),
        other => other.to_string(),
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if code(&error) != Some(DUPLICATE_KEY) {
            return Self::Unavailable(reason(&error));
        }
        // E11000 duplicate key error collection: orders.orders index: orders_live_ticket dup key: { … }
        let text = reason(&error);
        match text.split_once(" index: ").and_then(|(_, rest)| rest.split_whitespace().next()) {
            None | Some("_id_") => Self::Conflict,
            Some(index) => Self::Duplicate(index.to_owned()),
        }
    }
}
