//! The whole system as its users see it: the real binary, over real HTTP, on a temporary directory.

#![expect(clippy::unwrap_used, reason = "anything unexpected fails the test")]

mod binary;
mod databases;
mod stripe;

mod check;
mod crash;
mod crash_in_call;
mod dead_letters;
mod disk;
mod expiry;
mod hostile;
mod purchase;
mod race;
mod republish;
mod restore;
mod retention;
mod secrets;
mod shutdown;
mod startup;
