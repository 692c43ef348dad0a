//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures the store, the bus and delayed jobs on each engine.
#[derive(Debug, Parser)]
#[command(bin_name = concat!("cargo bench -p ", env!("CARGO_PKG_NAME"), " --"))]
pub(crate) struct Options {
    /// Measure only this port; may be repeated
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<Port>,

    /// Run a quick check of under 20 seconds, with rough figures
    #[arg(long)]
    short: bool,

    /// Seconds to keep writing to a store [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,

    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// The ports that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Port {
    /// Write documents with their events
    Store,
    /// Publish and consume events
    Bus,
    /// Schedule jobs and fire them on time
    Jobs,
}

impl Options {
    pub(crate) fn wants(&self, port: Port) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }

    /// How long to keep writing to a store.
    pub(crate) fn duration(&self) -> Duration {
        let default = Duration::from_millis(if self.short { 300 } else { 3_000 });
        self.seconds.map_or(default, Duration::from_secs)
    }

    /// The number of messages to publish and consume in each round.
    pub(crate) fn messages(&self) -> usize {
        if self.short { 2_048 } else { 20_480 }
    }

    /// The number of jobs due at the same time.
    pub(crate) fn due_at_once(&self) -> usize {
        if self.short { 5_000 } else { 20_000 }
    }

    /// How long jobs keep becoming due at a steady rate.
    pub(crate) fn steady(&self) -> Duration {
        Duration::from_secs(if self.short { 1 } else { 10 })
    }
}
