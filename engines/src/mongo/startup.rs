//! Opening the database of a service: its options, whose it is, and its indexes.

use std::time::Duration;

use common::store::{Index, IndexKind, Schema, StoreError};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document as Stored, doc};
use mongodb::options::{
    Acknowledgment, ClientOptions, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, IndexModel};
use secrecy::{ExposeSecret, SecretString};

use super::error::{DUPLICATE_KEY, code, reason, store_error};
use super::outbox::{OUTBOX_AGE, OUTBOX_INDEX};
use super::{MongoStore, within};

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
    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(_))
    }
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
                    _ => return ConnectError::Store(store_error(&error)),
                };
                ConnectError::Index { index: format!("{}.{name}", schema.collection), why }
            })?;
        }
        Ok(())
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
