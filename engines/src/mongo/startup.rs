//! Opening a service's database: options, ownership and indexes.

use std::time::Duration;

use common::store::{Index, IndexKind, Schema, StoreError};
use metrics::counter;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document as Stored, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{
    Acknowledgment, ClientOptions, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, IndexModel};
use secrecy::{ExposeSecret, SecretString};

use super::call::with_timeout;
use super::database::MongoStore;
use super::error::{DUPLICATE_KEY, code, message, store_error};
use super::outbox::{OUTBOX_AGE, OUTBOX_INDEX};

/// How long a call may take, so that a request can be answered within two seconds whatever happens. Overridden by
/// `serverSelectionTimeoutMS` in the URI.
const CALL_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long to wait for an index at start. The server continues to build it afterwards, so the next start waits less.
const INDEX_TIMEOUT: Duration = Duration::from_secs(60);

/// How often to check the server, and how long it may take to respond or to accept a connection. A server that hangs is
/// detected after twice this time, and pending calls then fail.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Many, because writes wait for the disks of a majority.
const MAX_CONNECTIONS: u32 = 64;

/// The collection with a single document, which says whose database this is.
const META: &str = "meta";

const OWNER: &str = "owner";

/// An index of this name exists with other fields or options.
const INDEX_DIFFERS: [i32; 2] = [85, 86];

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URI cannot be parsed. Holds no source and no part of the URI that may contain a password.
    #[error("not a MongoDB URI: {0}")]
    Uri(String),
    /// Another service uses this database.
    #[error("the database {database} belongs to the service {owner}, not to {service}; give each service its own")]
    OtherService {
        /// The database.
        database: String,
        /// The service that uses it.
        owner: String,
        /// The service that was refused.
        service: String,
    },
    /// No service has ever opened this database.
    #[error("no service uses the database {0}; correct the URI")]
    Unused(String),
    /// The events of this database go to another bus.
    #[error(
        "the events of the database {database} go to {found}, but this bus is {bus}; if two systems use one database, \
         give each its own; if the stream was replaced, set `bus` to {bus} in the document `{OWNER}` of the collection \
         `{META}`"
    )]
    OtherBus {
        /// The database.
        database: String,
        /// The identity of the bus that its events go to.
        found: String,
        /// The identity of the bus that was refused.
        bus: String,
    },
    /// The document that says whose database this is cannot be read.
    #[error(
        "the document `{OWNER}` of the collection `{META}` in {database} has no valid `{field}`; restore it from a \
         backup"
    )]
    InvalidOwner {
        /// The database.
        database: String,
        /// The field that is missing or has the wrong type.
        field: &'static str,
    },
    /// Stored documents violate a unique index. Without a source, which would quote them.
    #[error("could not create the unique index {index}: stored documents share a value; remove the duplicates")]
    DuplicateValues {
        /// The collection and index.
        index: String,
    },
    /// The index exists in another form. Without the driver's error, which quotes documents.
    #[error("could not create the index {index}: {message}; drop the existing index")]
    IndexDiffers {
        /// The collection and index.
        index: String,
        /// The server's message.
        message: String,
    },
    /// The schema has a unique index over several fields.
    #[error("could not create the index {index}: a unique index must have exactly one field; change the schema")]
    CompoundUniqueIndex {
        /// The index.
        index: String,
    },
    /// The server cannot be reached, or refuses. A retry may succeed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ConnectError {
    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl MongoStore {
    /// Opens the database of a service: the one that the URI names, or else the one with the service's name. Creates
    /// missing collections and indexes.
    ///
    /// Refuses a database that another service has opened before.
    pub async fn connect(uri: &SecretString, service: &str, schemas: &[&'static Schema]) -> Result<Self, ConnectError> {
        let mut store = Self::open(uri, service, schemas).await?;
        store.identity = store.claim(service).await?;
        for schema in schemas {
            store.create_indexes(schema).await?;
        }
        Ok(store)
    }

    /// Opens the existing database of a service without changing it. For tools.
    pub async fn connect_to_existing(
        uri: &SecretString,
        service: &str,
        schemas: &[&'static Schema],
    ) -> Result<Self, ConnectError> {
        let mut store = Self::open(uri, service, schemas).await?;
        let meta = store.database.collection::<Stored>(META);
        let owner = with_timeout(store.timeout, async move { Ok(meta.find_one(doc! { "_id": OWNER }).await?) });
        let owner = owner.await?.ok_or_else(|| ConnectError::Unused(store.database.name().to_owned()))?;
        store.identity = store.owned_by(service, Some(&owner))?;
        Ok(store)
    }

    async fn open(uri: &SecretString, service: &str, schemas: &[&'static Schema]) -> Result<Self, ConnectError> {
        let mut options = parse(uri.expose_secret()).await?;
        let timeout = options.server_selection_timeout.unwrap_or(CALL_TIMEOUT);
        configure(&mut options, service, timeout);
        let name = options.default_database.clone().unwrap_or_else(|| service.to_owned());
        let client = Client::with_options(options).map_err(|error| ConnectError::Uri(message(&error)))?;

        let database = client.database(&name);
        Ok(Self { database, schemas: schemas.to_vec(), timeout, identity: String::new() })
    }

    /// Records which bus the events of this database go to. Refuses a bus other than the recorded one.
    pub async fn bind_to_bus(&self, bus: &str) -> Result<(), ConnectError> {
        let (meta, value) = (self.database.collection::<Stored>(META), bus.to_owned());
        let owner = with_timeout(self.timeout, async move {
            let unbound = doc! { "_id": OWNER, "bus": { "$exists": false } };
            meta.update_one(unbound, doc! { "$set": { "bus": value } }).await?;
            Ok(meta.find_one(doc! { "_id": OWNER }).await?)
        });
        let found = self.owner_field(owner.await?.as_ref(), "bus", Bson::as_str)?.to_owned();
        if found == bus {
            return Ok(());
        }
        Err(ConnectError::OtherBus { database: self.database.name().to_owned(), found, bus: bus.to_owned() })
    }

    /// Records that the database belongs to a service, and returns the identity of the database.
    async fn claim(&self, service: &str) -> Result<String, ConnectError> {
        let meta = self.database.collection::<Stored>(META);
        let claim = doc! { "_id": OWNER, "service": service, "instance": ObjectId::new() };
        let owner = with_timeout(self.timeout, async move {
            match meta.insert_one(claim).await {
                Err(error) if code(&error) == Some(DUPLICATE_KEY) => {}
                outcome => drop(outcome?),
            }
            Ok(meta.find_one(doc! { "_id": OWNER }).await?)
        });
        self.owned_by(service, owner.await?.as_ref())
    }

    /// Checks that the database belongs to a service, and returns the identity of the database.
    fn owned_by(&self, service: &str, owner: Option<&Stored>) -> Result<String, ConnectError> {
        let found = self.owner_field(owner, "service", Bson::as_str)?;
        if found != service {
            return Err(ConnectError::OtherService {
                database: self.database.name().to_owned(),
                owner: found.to_owned(),
                service: service.to_owned(),
            });
        }
        let instance = self.owner_field(owner, "instance", Bson::as_object_id)?;
        Ok(format!("{}/{}", self.database.name(), instance.to_hex()))
    }

    fn owner_field<'a, T>(
        &self,
        owner: Option<&'a Stored>,
        field: &'static str,
        read: impl Fn(&'a Bson) -> Option<T>,
    ) -> Result<T, ConnectError> {
        let value = owner.and_then(|owner| owner.get(field)).and_then(read);
        value.ok_or_else(|| ConnectError::InvalidOwner { database: self.database.name().to_owned(), field })
    }

    async fn create_indexes(&self, schema: &'static Schema) -> Result<(), ConnectError> {
        let outbox = IndexOptions::builder().name(OUTBOX_INDEX.to_owned()).sparse(true).build();
        let outbox = IndexModel::builder().keys(doc! { OUTBOX_AGE: 1 }).options(outbox).build();
        let mut indexes = vec![(OUTBOX_INDEX, outbox)];
        for index in schema.indexes {
            indexes.push((index.name, index_model(index)?));
        }
        for (name, model) in indexes {
            let collection = self.collection(schema);
            let created = with_timeout(INDEX_TIMEOUT, async move { Ok(collection.create_index(model).await) }).await?;
            created.map_err(|error| index_error(format!("{}.{name}", schema.collection), &error))?;
        }
        Ok(())
    }
}

/// Sets what the store relies on. The URI may set the rest.
fn configure(options: &mut ClientOptions, service: &str, timeout: Duration) {
    options.app_name.get_or_insert_with(|| service.to_owned());
    options.server_selection_timeout = Some(timeout);
    options.connect_timeout = Some(HEARTBEAT);
    options.heartbeat_freq = Some(HEARTBEAT);
    options.max_pool_size.get_or_insert(MAX_CONNECTIONS);
    options.retry_writes = Some(false);
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.write_concern =
        Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(timeout).build());
    options.command_event_handler = Some(EventHandler::callback(count_command));
}

fn count_command(event: CommandEvent) {
    if let CommandEvent::Started(started) = event {
        counter!("mongodb_commands_total", "command" => started.command_name).increment(1);
    }
}

fn index_model(index: &Index) -> Result<IndexModel, ConnectError> {
    let mut keys: Stored = index.fields.iter().map(|field| ((*field).to_owned(), Bson::Int32(1))).collect();
    let options = IndexOptions::builder().name(index.name.to_owned());
    let options = match index.kind {
        // Ends with the id, newest first, because results are sorted that way.
        IndexKind::Plain => {
            keys.insert("_id", -1);
            options.build()
        }
        IndexKind::Unique if index.fields.len() == 1 => options.unique(true).sparse(true).build(),
        // A sparse index over several fields contains documents with any of them in MongoDB, but with all of them in
        // SQLite.
        IndexKind::Unique => return Err(ConnectError::CompoundUniqueIndex { index: index.name.to_owned() }),
    };
    Ok(IndexModel::builder().keys(keys).options(options).build())
}

fn index_error(index: String, error: &mongodb::error::Error) -> ConnectError {
    match code(error) {
        Some(DUPLICATE_KEY) => ConnectError::DuplicateValues { index },
        Some(code) if INDEX_DIFFERS.contains(&code) => ConnectError::IndexDiffers { index, message: message(error) },
        _ => ConnectError::Store(store_error(error)),
    }
}

/// Parses a URI without ever quoting a password.
async fn parse(uri: &str) -> Result<ClientOptions, ConnectError> {
    if let Ok(options) = ClientOptions::parse(uri).await {
        return Ok(options);
    }
    // The driver quotes the part of the URI that it rejects. Parsing only the settings yields a message without
    // secrets.
    let (_, hosts) = uri.rsplit_once('@').unwrap_or(("", uri));
    let settings = hosts.rsplit_once('?').map_or("", |(_, settings)| settings);
    let problem = match ClientOptions::parse(format!("mongodb://localhost/?{settings}")).await {
        Err(error) if settings.contains('=') => message(&error),
        _ => "expected mongodb://user:password@host:port/database with user and password percent-encoded".to_owned(),
    };
    Err(ConnectError::Uri(problem))
}
