//! A store that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use common::clock::Timestamp;
use common::store::{Document, Find, Outbox, Put, Schema, Store, StoreError, Unpublished};
use testing::wait_until;

/// A store that counts how often its outbox has been read.
pub(super) struct CountingStore {
    store: Arc<dyn Store>,
    reads: AtomicU64,
}

impl CountingStore {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, reads: AtomicU64::new(0) }
    }

    pub(super) async fn wait_for_reads(&self, count: u64) {
        wait_until("reads of the outbox", async || (self.reads() >= count).then_some(())).await;
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Store for CountingStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        self.store.get(schema, id).await
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        self.store.find(schema, query).await
    }

    async fn scan(
        &self,
        schema: &'static Schema,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(Document, Timestamp)>, StoreError> {
        self.store.scan(schema, after, limit).await
    }

    async fn count(&self, schema: &'static Schema) -> Result<u64, StoreError> {
        self.store.count(schema).await
    }

    async fn delete_before(&self, schema: &'static Schema, id: &str, limit: usize) -> Result<usize, StoreError> {
        self.store.delete_before(schema, id, limit).await
    }

    async fn put(&self, put: Put) -> Result<Vec<Unpublished>, StoreError> {
        self.store.put(put).await
    }

    async fn unpublished(&self, limit: usize) -> Result<Outbox, StoreError> {
        let outbox = self.store.unpublished(limit).await;
        self.reads.fetch_add(1, Ordering::Relaxed);
        outbox
    }

    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError> {
        self.store.published(events).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}
