//! The system as it runs in a cluster: one process per service, on MongoDB, NATS JetStream and Redis servers that each
//! test starts on free ports and in temporary directories.

#![expect(clippy::unwrap_used, reason = "anything unexpected fails the test")]

mod binaries;
mod engines;
mod simulator;
mod spread;

mod check;
mod commands;
mod crash;
mod dead_letters;
mod losses;
mod outage;
mod purchase;
mod republish;
mod startup;
mod tls;
