//! The embedded engines: a store, a bus and delayed jobs, each in one SQLite file.

mod bus;
mod checkpoints;
mod columns;
mod error;
mod file;
mod jobs;
mod migration;
mod store;

pub use bus::SqliteBus;
pub use error::SqliteError;
pub use file::SqliteFile;
pub use jobs::SqliteJobs;
pub use store::SqliteStore;
