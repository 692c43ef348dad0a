//! The store in memory honours the contract that the engines do.

use std::sync::Arc;

use async_trait::async_trait;
use common::store::Store;
use testing::contract::{Data, Fresh};
use testing::{MemoryStore, Pace, WriteFault};

struct Steady;

impl Pace for Steady {
    fn yields(&self) -> u32 {
        1
    }

    fn write(&self) -> WriteFault {
        WriteFault::None
    }
}

struct Memory(MemoryStore);

#[async_trait]
impl Data<dyn Store> for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

async fn store() -> Fresh<dyn Store> {
    Some(Box::new(Memory(MemoryStore::new(Arc::new(Steady)))))
}

testing::store_contract!(memory, crate::store);
