//! The embedded engines, on a file in a temporary directory.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use common::bus::Bus;
use common::jobs::DelayedJobs;
use common::store::Store;
use engines::sqlite::{SqliteBus, SqliteJobs, SqliteStore};
use tempfile::TempDir;
use testing::contract::store::SCHEMAS;
use testing::contract::{Data, Fresh};

pub(crate) async fn store() -> Fresh<dyn Store> {
    Some(Box::new(Directory::new()))
}

pub(crate) async fn bus() -> Fresh<dyn Bus> {
    Some(Box::new(Directory::new()))
}

pub(crate) async fn jobs() -> Fresh<dyn DelayedJobs> {
    Some(Box::new(Directory::new()))
}

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("test.db")
    }
}

#[async_trait]
impl Data<dyn Store> for Directory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.file(), SCHEMAS).expect("a store"))
    }
}

#[async_trait]
impl Data<dyn Bus> for Directory {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(SqliteBus::open(&self.file()).expect("a bus"))
    }
}

#[async_trait]
impl Data<dyn DelayedJobs> for Directory {
    async fn open(&self) -> Arc<dyn DelayedJobs> {
        Arc::new(SqliteJobs::open(&self.file()).expect("jobs"))
    }
}
