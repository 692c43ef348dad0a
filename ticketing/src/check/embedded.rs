//! The records in a data directory.

use std::path::Path;
use std::sync::Arc;

use common::clock::SystemClock;
use common::store::Database;
use engines::sqlite::{SqliteBus, SqliteJobs, SqliteStore};
use payments::StripeConfig;

use super::ledger::Account;
use super::read::Sources;
use crate::data::{EVENTS, JOBS, ORDERS, PAYMENTS, SIMULATOR, TICKETS, USERS, existing_database};

/// Opens the databases of the system whose data is in this directory, only to read them; it may be running.
pub(super) fn open(data: &Path, stripe: &StripeConfig) -> anyhow::Result<Sources> {
    let database = |name| -> anyhow::Result<Database> {
        let store = SqliteStore::open_read_only(&existing_database(data, name)?)?;
        Ok(Database::new(Arc::new(store), Arc::new(SystemClock)))
    };
    let (mut account, mut unchecked) = (None, Vec::new());
    if stripe.stripe_key.is_some() {
        account = Some(Account::Stripe(stripe.stripe()?));
    } else if data.join(SIMULATOR).exists() {
        account = Some(Account::Simulator(database(SIMULATOR)?));
    } else {
        unchecked.push("the money at Stripe (STRIPE_KEY is not set)".to_owned());
    }
    Ok(Sources {
        data: Some(data.to_owned()),
        auth: Some(database(USERS)?),
        tickets: Some(database(TICKETS)?),
        orders: Some(database(ORDERS)?),
        payments: Some(database(PAYMENTS)?),
        bus: Some(Box::new(SqliteBus::open_read_only(&existing_database(data, EVENTS)?)?)),
        jobs: Some(Box::new(SqliteJobs::open_read_only(&existing_database(data, JOBS)?)?)),
        account,
        unchecked,
    })
}
