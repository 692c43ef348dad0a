//! The system as a cluster runs it: a process per service, on MongoDB, NATS JetStream and Redis, all of them started
//! here on free ports and in temporary directories.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall end")]

mod crash;
#[cfg(feature = "spread")]
mod dead_letters;
mod outage;
mod purchase;
mod services;
mod spread;
mod startup;
#[expect(dead_code, unused_imports, reason = "the tests of the whole system need more of it")]
#[path = "../system/support/mod.rs"]
mod support;
mod tls;
