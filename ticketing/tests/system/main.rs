//! The whole system as its users meet it: the real binary, over real HTTP, on a directory of its own.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected shall end")]

mod crash;
mod disk;
mod expiry;
mod hostile;
mod purchase;
mod race;
mod startup;
mod support;
