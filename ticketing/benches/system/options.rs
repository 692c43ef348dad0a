//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use testing::servers;

/// Measures throughput, latency, memory, start-up and idle cost of the whole system.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p ticketing --")]
pub(crate) struct Options {
    /// Run only this scenario; may be repeated
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<Scenario>,

    /// Instead of the scenarios, compare the costs with 1,000 and with 1,000,000 tickets (200 and 2,000 with --short)
    #[arg(long, conflicts_with = "scenarios")]
    grow: bool,

    /// Concurrent clients, each with its own connections
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,

    /// Seconds of load per scenario [default: 5, or 1 with --short]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,

    /// Run a quick check of about 25 seconds, with rough figures
    #[arg(long)]
    short: bool,

    /// Run one process per service, on MongoDB, NATS and Redis servers started for the run
    #[arg(long)]
    spread: bool,

    /// Whether MongoDB is replaced by a much slower stand-in
    #[arg(skip)]
    stand_in: bool,

    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// List pages and single tickets, mixed 1 to 4 and separately
    Browse,
    /// Create tickets
    Create,
    /// Order distinct tickets, until all events are delivered
    Order,
    /// Let all clients order the same ticket
    Hot,
    /// Order, pay, and poll until the order is complete
    Purchase,
    /// Pay at a fixed rate while Stripe takes a fixed time; not with --spread
    Pay,
    /// Sign in
    SignIn,
    /// Watch the processor time of the idle system after the load
    Idle,
    /// Let many orders expire at the same time
    Expiry,
}

impl Options {
    /// Reads the command line and checks which MongoDB server would be started.
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

    pub(crate) fn grow(&self) -> bool {
        self.grow
    }

    /// The numbers of tickets to compare.
    pub(crate) fn sizes(&self) -> [usize; 2] {
        if self.short { [200, 2_000] } else { [1_000, 1_000_000] }
    }

    /// The scenarios to run, in their fixed order.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let wanted = |scenario: &Scenario| {
            let is_named = self.scenarios.is_empty() || self.scenarios.contains(scenario);
            is_named && !(self.spread && *scenario == Scenario::Pay)
        };
        Scenario::value_variants().iter().copied().filter(wanted).collect()
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients.into()
    }

    /// The duration of a scenario's load.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.short { 1 } else { 5 }))
    }

    /// The duration of a baseline measurement.
    pub(crate) fn baseline_duration(&self) -> Duration {
        self.duration() / 2
    }

    /// The number of tickets for a scenario that uses up `per_second`, or a tenth of that on the stand-in.
    pub(crate) fn ticket_count(&self, per_second: usize) -> usize {
        let per_second = if self.stand_in { per_second / 10 } else { per_second };
        per_second * usize::try_from(self.duration().as_secs()).unwrap_or(usize::MAX)
    }

    /// How long to watch the idle system. A full run includes at least one sweep of the outboxes.
    pub(crate) fn idle_duration(&self) -> Duration {
        Duration::from_secs(if self.short { 2 } else { 21 })
    }

    /// The number of orders that expire together, and their lifetime, which must be long enough to place all of them.
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
