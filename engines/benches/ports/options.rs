//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures what the store, the bus and the delayed jobs can do on each engine.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p common --")]
pub(crate) struct Options {
    /// Measure only this port (may be repeated)
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<Port>,

    /// A quick check, under 20 seconds in all; its figures are rough
    #[arg(long)]
    short: bool,

    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Port {
    /// Writing documents with their events
    Store,
    /// Publishing events, and consuming them
    Bus,
    /// Scheduling jobs, and firing them on time
    Jobs,
}

impl Options {
    pub(crate) fn wants(&self, port: Port) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }

    /// How long to do something over and over.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_millis(if self.short { 300 } else { 3_000 })
    }

    /// Messages to publish, and then to consume, in each round.
    pub(crate) fn messages(&self) -> usize {
        if self.short { 2_048 } else { 20_480 }
    }

    /// Jobs due at one instant.
    pub(crate) fn due_at_once(&self) -> usize {
        if self.short { 5_000 } else { 20_000 }
    }

    /// How long jobs become due at a steady rate.
    pub(crate) fn steady(&self) -> Duration {
        Duration::from_secs(if self.short { 1 } else { 10 })
    }
}
