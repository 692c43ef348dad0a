//! Where and how events are delivered.

use std::fmt;

use common::ids::IntentId;
use common::store::{Collection, Database, Entity, Schema, StoreError};
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// Where and how events are delivered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// An `http://` or `https://` URL.
    pub url: String,
    /// The secret that signs deliveries, `whsec_…`.
    pub secret: String,
    /// How long events wait before they are sent. Those of the meantime are sent together.
    #[serde(default)]
    pub delay_ms: u64,
    /// How often each event is sent.
    #[serde(default = "one")]
    pub copies: u32,
    /// Which of the waiting events is sent first.
    #[serde(default)]
    pub order: Order,
    /// Whether events wait until this is false.
    #[serde(default)]
    pub paused: bool,
}

/// Which of the waiting events is sent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// In the order in which they happened.
    #[default]
    Oldest,
    /// In the reverse order.
    Newest,
}

/// The error of an endpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The URL is malformed or has another scheme.
    #[error("url must begin with http:// or https://")]
    Url,
    /// There is no secret.
    #[error("secret must not be empty")]
    Secret,
    /// No copy would be sent, or very many.
    #[error("copies must be between 1 and 10")]
    Copies,
}

const fn one() -> u32 {
    1
}

/// Hides the secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint that gets each event once, at once and in order.
    pub fn new(url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { url: url.into(), secret: secret.into(), delay_ms: 0, copies: one(), order: Order::Oldest, paused: false }
    }

    /// Checks that events can be sent there.
    pub fn check(&self) -> Result<(), EndpointError> {
        const MAX_COPIES: u32 = 10;
        let url = Url::parse(&self.url).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        url.ok_or(EndpointError::Url)?;
        if self.secret.is_empty() {
            return Err(EndpointError::Secret);
        }
        if !(1..=MAX_COPIES).contains(&self.copies) {
            return Err(EndpointError::Copies);
        }
        Ok(())
    }
}

/// The endpoint in the database. There is only one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredEndpoint {
    id: IntentId,
    version: u64,
    endpoint: Option<Endpoint>,
}

impl Entity for StoredEndpoint {
    type Id = IntentId;
    const SCHEMA: &'static Schema = &Schema { collection: "webhook_endpoints", indexes: &[], ids: &[], times: &[] };

    fn id(&self) -> IntentId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// The stored endpoint.
pub(crate) struct Endpoints(Collection<StoredEndpoint>);

impl Endpoints {
    pub(crate) fn new(database: &Database) -> Self {
        Self(database.collection())
    }

    pub(crate) async fn get(&self) -> Result<Option<Endpoint>, StoreError> {
        Ok(self.0.get(only_id()).await?.and_then(|stored| stored.endpoint))
    }

    pub(crate) async fn set(&self, endpoint: Option<Endpoint>) -> Result<(), StoreError> {
        let new = StoredEndpoint { id: only_id(), version: 0, endpoint: endpoint.clone() };
        match self.0.insert(&new, ()).await {
            Err(StoreError::Conflict) => {}
            result => return result,
        }
        let replace = |stored: &mut StoredEndpoint| -> Result<(), StoreError> {
            stored.endpoint.clone_from(&endpoint);
            stored.version += 1;
            Ok(())
        };
        self.0.update(only_id(), replace).await.map(drop)
    }
}

/// The id of the only endpoint.
fn only_id() -> IntentId {
    "000000000000000000000000".parse().expect("24 hexadecimal digits")
}
