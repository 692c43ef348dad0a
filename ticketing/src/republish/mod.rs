//! `ticketing republish`: announces the current state of records again.

mod embedded;
#[cfg(feature = "spread")]
mod with_servers;
#[cfg(not(feature = "spread"))]
mod without_servers;

use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use common::bus::Bus;
use common::clock::{Clock, SystemClock, Timestamp};
use common::ids::{ParseIdError, TicketId};
use common::records::Records;
use common::republish::{Progress, Republisher};
use common::store::{Schema, Store};
use common::trace::in_new_trace;

use crate::output::{progress_bar, write};
#[cfg(feature = "spread")]
use with_servers::Source;
#[cfg(not(feature = "spread"))]
use without_servers::Source;

/// Whose records to announce again, which of them, and where they are.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ticketing republish tickets --since 2h     what was written within two hours, for example after the bus lost events
  ticketing republish orders                 everything, for example for a new service that reads orders
  ticketing republish tickets --id 65c0ffee65c0ffee65000003

The system may keep running: listeners ignore what they already know.")]
pub(crate) struct Republish {
    /// Service whose records to announce.
    owner: Owner,

    /// Only records written since then: a duration such as 90m, 2h or 3days, or a time such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// Only the record with this id; may be repeated.
    #[arg(long = "id", value_name = "ID", value_parser = id, conflicts_with = "since")]
    ids: Vec<String>,

    /// Records per second at most.
    #[arg(long, default_value = "1000", value_name = "NUMBER")]
    rate: NonZeroU32,

    #[command(flatten)]
    source: Source,
}

/// A service that announces records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Owner {
    Tickets,
    Orders,
    Payments,
}

impl Owner {
    fn name(self) -> &'static str {
        match self {
            Self::Tickets => "tickets",
            Self::Orders => "orders",
            Self::Payments => "payments",
        }
    }

    fn records(self) -> Records {
        match self {
            Self::Tickets => tickets::RECORDS,
            Self::Orders => orders::RECORDS,
            Self::Payments => payments::RECORDS,
        }
    }

    /// The collections of its database.
    fn schemas(self) -> &'static [&'static Schema] {
        match self {
            Self::Tickets => tickets::SCHEMAS,
            Self::Orders => orders::SCHEMAS,
            Self::Payments => payments::SCHEMAS,
        }
    }
}

/// Parses the id of a record of any kind: all ids have the same form.
fn id(text: &str) -> Result<String, ParseIdError> {
    text.parse::<TicketId>().map(|id| id.to_string())
}

/// The time from which on records are announced.
#[derive(Clone, Copy, Debug)]
struct Since(Timestamp);

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let ago = humantime::parse_duration(text).map(|ago| SystemClock.now().minus(ago));
        let time = ago.or_else(|_| text.parse::<Timestamp>());
        time.map(Self).map_err(|_| "expected a duration such as 2h or a time such as 2026-01-31T12:00:00Z")
    }
}

/// The engines of a record's owner.
struct Engines {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
}

impl Republish {
    /// Runs the command. Ids that do not exist and records that are not valid make it fail, after the others are done.
    pub(crate) async fn run(self, data: &Path) -> anyhow::Result<ExitCode> {
        let Self { owner, since, ids, rate, source } = self;
        let Engines { store, bus } = source.open(owner, data).await?;
        let (records, epoch) = (owner.records(), SystemClock.now());
        let republisher = Republisher { store: &*store, publisher: &*bus, records, epoch, rate };
        let complete = in_new_trace("republish", async {
            if ids.is_empty() {
                let since = since.map_or(Timestamp::from_millis(0), |Since(time)| time);
                announce_since(&republisher, owner, since).await
            } else {
                announce_each(&republisher, &ids).await
            }
        });
        Ok(if complete.await? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Returns whether all of them exist.
async fn announce_each(republisher: &Republisher<'_>, ids: &[String]) -> anyhow::Result<bool> {
    let mut complete = true;
    for id in ids {
        let found = republisher.one(id).await?;
        let outcome = if found { "announced again" } else { "no such record" };
        write(&format!("{id}: {outcome}\n"))?;
        complete &= found;
    }
    Ok(complete)
}

/// Returns whether all of them are valid.
async fn announce_since(republisher: &Republisher<'_>, owner: Owner, since: Timestamp) -> anyhow::Result<bool> {
    let bar = progress_bar(republisher.store.count(republisher.records.schema).await?);
    let report = |progress: Progress| bar.set_position(progress.read);
    let Progress { read, announced, invalid } = republisher.since(since, report).await?;
    drop(bar);
    let owner = owner.name();
    write(&format!("Announced {announced} of {read} {owner} again.\n"))?;
    if invalid > 0 {
        write(&format!("Skipped {invalid} that are not valid; the log names them.\n"))?;
    }
    Ok(invalid == 0)
}
