//! Where the payments are, in a build that also reaches MongoDB.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use common::clock::SystemClock;
use common::config::secret;
use common::store::Database;
use engines::mongo::MongoStore;
use secrecy::SecretString;

use super::embedded;

/// The database of a spread system's payments service.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {
    /// Database of the payments service of a spread system, instead of a data directory.
    #[arg(long, env = "MONGO_URI", hide_env_values = true, global = true, value_parser = secret, value_name = "URI")]
    #[arg(conflicts_with = "data_dir")]
    mongo_uri: Option<SecretString>,
}

impl Source {
    /// Opens the database that holds the payments.
    pub(super) async fn open(self, data: &Path) -> anyhow::Result<Database> {
        let Some(uri) = self.mongo_uri else { return embedded::open(data) };
        let store = MongoStore::connect_to_existing(&uri, "payments", payments::SCHEMAS).await?;
        Ok(Database::new(Arc::new(store), Arc::new(SystemClock)))
    }
}
