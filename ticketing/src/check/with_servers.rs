//! Where the records are, in a build that also reaches MongoDB, NATS and Redis.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use common::clock::SystemClock;
use common::config::secret;
use common::store::{Database, Schema};
use engines::mongo::MongoStore;
use engines::nats::{NatsBus, NatsConfig};
use engines::redis::RedisJobs;
use payments::StripeConfig;
use secrecy::SecretString;

use super::embedded;
use super::ledger::Account;
use super::read::Sources;

/// The databases and servers of a spread system, instead of a data directory. Pass all of them; what is missing is not
/// checked.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {
    /// Database of the tickets service of a spread system, instead of a data directory.
    #[arg(long, env = "TICKETS_MONGO_URI", hide_env_values = true, value_parser = secret, value_name = "URI")]
    #[arg(conflicts_with = "data_dir")]
    tickets_mongo_uri: Option<SecretString>,

    /// Database of its orders service.
    #[arg(long, env = "ORDERS_MONGO_URI", hide_env_values = true, value_parser = secret, value_name = "URI")]
    #[arg(conflicts_with = "data_dir")]
    orders_mongo_uri: Option<SecretString>,

    /// Database of its payments service.
    #[arg(long, env = "PAYMENTS_MONGO_URI", hide_env_values = true, value_parser = secret, value_name = "URI")]
    #[arg(conflicts_with = "data_dir")]
    payments_mongo_uri: Option<SecretString>,

    /// Its bus: nats://user:password@host:4222
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_parser = secret, value_name = "URL")]
    #[arg(conflicts_with = "data_dir")]
    nats_url: Option<SecretString>,

    /// Its stream.
    #[arg(long, env = "NATS_STREAM", default_value = "ticketing", value_name = "NAME")]
    nats_stream: String,

    /// Its delayed jobs: host, host:port, or redis://user:password@host:port/database
    #[arg(long, env = "REDIS_HOST", hide_env_values = true, value_parser = secret, value_name = "ADDRESS")]
    #[arg(conflicts_with = "data_dir")]
    redis_host: Option<SecretString>,
}

impl Source {
    /// Opens the databases, the bus and the delayed jobs.
    pub(super) async fn open(self, data: &Path, stripe: &StripeConfig) -> anyhow::Result<Sources> {
        let Self { tickets_mongo_uri, orders_mongo_uri, payments_mongo_uri, nats_url, redis_host, .. } = &self;
        let given = [tickets_mongo_uri, orders_mongo_uri, payments_mongo_uri, nats_url, redis_host];
        if given.into_iter().all(Option::is_none) {
            return embedded::open(data, stripe);
        }
        let bus = self.bus().await?;
        let jobs = self.jobs(bus.as_ref()).await?;
        let mut sources = Sources {
            tickets: open(tickets_mongo_uri.as_ref(), "tickets", tickets::SCHEMAS).await?,
            orders: open(orders_mongo_uri.as_ref(), "orders", orders::SCHEMAS).await?,
            payments: open(payments_mongo_uri.as_ref(), "payments", payments::SCHEMAS).await?,
            ..Sources::default()
        };
        if stripe.stripe_key.is_some() {
            sources.account = Some(Account::Stripe(stripe.stripe()?));
        }
        let unchecked = [
            (sources.tickets.is_none(), "tickets and their reservations (TICKETS_MONGO_URI is not set)"),
            (sources.orders.is_none(), "orders and copies of tickets (ORDERS_MONGO_URI is not set)"),
            (sources.payments.is_none(), "payments and copies of orders (PAYMENTS_MONGO_URI is not set)"),
            (bus.is_none(), "events, dead letters, and what is on its way (NATS_URL is not set)"),
            (jobs.is_none(), "the delayed jobs of open orders (REDIS_HOST or NATS_URL is not set)"),
            (sources.account.is_none(), "the money at Stripe (STRIPE_KEY is not set)"),
        ];
        sources.unchecked =
            unchecked.iter().filter(|(is_missing, _)| *is_missing).map(|(_, what)| (*what).into()).collect();
        sources.jobs = jobs.map(|jobs| Box::new(jobs) as _);
        sources.bus = bus.map(|bus| Box::new(bus) as _);
        Ok(sources)
    }

    async fn bus(&self) -> anyhow::Result<Option<NatsBus>> {
        let Some(url) = self.nats_url.clone() else { return Ok(None) };
        let config = NatsConfig::new(url, "ticketing check", &self.nats_stream);
        Ok(Some(NatsBus::connect_to_existing(&config).await?))
    }

    /// Jobs belong to the stream whose events they are made from.
    async fn jobs(&self, bus: Option<&NatsBus>) -> anyhow::Result<Option<RedisJobs>> {
        let (Some(address), Some(bus)) = (&self.redis_host, bus) else { return Ok(None) };
        Ok(Some(RedisJobs::connect(address, "expiration", &bus.identity().await?).await?))
    }
}

async fn open(
    uri: Option<&SecretString>,
    service: &str,
    schemas: &'static [&'static Schema],
) -> anyhow::Result<Option<Database>> {
    let Some(uri) = uri else { return Ok(None) };
    let store = MongoStore::connect_to_existing(uri, service, schemas).await?;
    Ok(Some(Database::new(Arc::new(store), Arc::new(SystemClock))))
}
