//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use testing::servers;

/// Measures the whole system: requests per second, latency, memory, start-up and idling.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p ticketing --")]
pub(crate) struct Options {
    /// Run only this scenario (may be repeated)
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<Scenario>,

    /// Clients at once, each on a connection of its own
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,

    /// How long each scenario sends requests [default: 5, or 1 with --short]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,

    /// A quick check, about 20 seconds in all; its figures are rough
    #[arg(long)]
    short: bool,

    /// A process per service, on MongoDB, NATS and Redis servers that are started for it
    #[arg(long)]
    spread: bool,

    /// Whether what speaks MongoDB's protocol is something else, which is far slower
    #[arg(skip)]
    stand_in: bool,

    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One list page of 50 to four single tickets, and each alone
    Browse,
    /// Listing tickets
    Create,
    /// Ordering distinct tickets, until every event is delivered
    Order,
    /// Everybody after one ticket
    Hot,
    /// Order, pay, and see the order complete
    Purchase,
    /// Signing in
    SignIn,
    /// What the idle server costs after the load
    Idle,
    /// Many orders expiring at one instant
    Expiry,
}

impl Options {
    /// From the command line and the environment.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        options.stand_in = options.spread && servers::mongo().name != "mongod";
        options.short |= options.stand_in;
        options
    }

    pub(crate) fn spread(&self) -> bool {
        self.spread
    }

    pub(crate) fn stand_in(&self) -> bool {
        self.stand_in
    }

    pub(crate) fn wants(&self, scenario: Scenario) -> bool {
        self.scenarios.is_empty() || self.scenarios.contains(&scenario)
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients.into()
    }

    /// How long a scenario sends requests.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.short { 1 } else { 5 }))
    }

    /// How long to measure something that only serves for comparison.
    pub(crate) fn baseline_duration(&self) -> Duration {
        self.duration() / 2
    }

    /// Enough for a scenario that uses things up: so many for each second, or a tenth on a stand-in.
    pub(crate) fn supply(&self, per_second: usize) -> usize {
        let per_second = if self.stand_in { per_second / 10 } else { per_second };
        per_second * usize::try_from(self.duration().as_secs()).unwrap_or(usize::MAX)
    }

    /// How long to watch the idle server: in the long run, over a sweep of its outboxes.
    pub(crate) fn idle_duration(&self) -> Duration {
        Duration::from_secs(if self.short { 2 } else { 6 })
    }

    /// How many orders expire together, and how long after each was placed: long enough to place them all.
    pub(crate) fn expiring_orders(&self) -> (usize, Duration) {
        if self.stand_in {
            (200, Duration::from_secs(8))
        } else if self.short {
            (1_000, Duration::from_secs(4))
        } else {
            (20_000, Duration::from_secs(30))
        }
    }
}
