//! The database of a service.

use std::time::Duration;

use common::store::Schema;
use mongodb::Collection;
use mongodb::bson::Document as Stored;

/// A store in one MongoDB database.
pub struct MongoStore {
    pub(super) database: mongodb::Database,
    pub(super) schemas: Vec<&'static Schema>,
    /// How long a call may take.
    pub(super) timeout: Duration,
    pub(super) identity: String,
}

impl MongoStore {
    /// Distinguishes this database from all others, including those of the same name on other servers.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) fn collection(&self, schema: &Schema) -> Collection<Stored> {
        self.database.collection(schema.collection)
    }
}
