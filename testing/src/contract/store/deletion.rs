//! Deleting documents.

use common::store::{Find, Put, Store};
use serde_json::json;

use super::fixture::{HALLS, SHOWS, found, insert, new_id, stored};
use crate::contract::harness::Data;

/// Documents of the collection with ids before the given one are deleted, as many as the limit allows.
pub async fn old_documents_are_deleted_in_batches_oldest_first(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let ids: Vec<String> = (0..7).map(|_| new_id()).collect();
    for id in &ids {
        store.put(insert(id, json!({"hall": "small"}))).await.expect("put");
        store.put(Put { schema: HALLS, ..insert(id, json!({"hall": "small"})) }).await.expect("put");
    }
    let delete = async |before: &str, limit| store.delete_before(SHOWS, before, limit).await.expect("deleted");
    let left = async || found(&*store, Find { equal: Vec::new(), after: None, limit: 10 }).await;
    assert_eq!((delete(&ids[0], 10).await, delete(&ids[6], 0).await), (0, 0));
    assert_eq!(left().await.len(), 7);
    assert_eq!(delete(&ids[5], 3).await, 3);
    assert_eq!(left().await, [&*ids[6], &*ids[5], &*ids[4], &*ids[3]]);
    assert_eq!(delete(&ids[5], 3).await, 2);
    assert_eq!(delete(&ids[5], 3).await, 0);
    assert_eq!(left().await, [&*ids[6], &*ids[5]]);
    // A deleted document is gone, and can be inserted again.
    assert_eq!(stored(&*store, &ids[0]).await, None);
    store.put(insert(&ids[0], json!({"hall": "large"}))).await.expect("put");
    let others = store.find(HALLS, Find { equal: Vec::new(), after: None, limit: 10 }).await.expect("find");
    assert_eq!(others.len(), 7, "another collection");
}
