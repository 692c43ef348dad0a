//! The code that all services share. It uses no database or broker driver: the engines behind the ports are in the
//! crate `engines`.
//!
//! Read it in this order:
//!
//! - values: [`ids`], [`money`], [`clock`]
//! - [`events`]: the facts that services publish, and the [`Message`](events::Message) that carries one
//! - ports, small traits that engines implement: [`store`], [`bus`], [`jobs`]
//! - above the ports: [`listener`], [`outbox`], [`replica`], [`records`], [`republish`], [`recovery`]
//! - HTTP: [`http`], [`session`]
//! - the process: [`config`], [`error`], [`service`], [`telemetry`], [`trace`]

pub mod clock;
pub mod ids;
pub mod money;

pub mod events;

pub mod bus;
pub mod jobs;
pub mod store;

mod deferrals;
pub mod listener;
pub mod outbox;
pub mod records;
pub mod recovery;
pub mod replica;
pub mod republish;

pub mod http;
pub mod session;

pub mod config;
pub mod error;
pub mod service;
pub mod telemetry;
pub mod trace;
