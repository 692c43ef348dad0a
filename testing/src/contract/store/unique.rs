//! Unique indexes.

use common::store::Store;
use serde_json::json;

use super::fixture::{
    SHOWS, all_at_once, announced, equal, event, expect_conflict, expect_duplicate, insert, new_id, replace, stored,
    waiting, with_key,
};
use crate::contract::harness::Data;

/// An insert that violates a unique index fails with the name of the index and stores neither document nor event.
pub async fn a_unique_index_refuses_a_duplicate_insert(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    store.put(insert(&first, json!({"slot": "monday"}))).await.expect("put");
    expect_duplicate(store.put(announced(insert(&second, json!({"slot": "monday"})))).await);
    assert_eq!(stored(&*store, &second).await, None);
    assert_eq!(waiting(&*store).await, [""; 0]);
    store.put(insert(&second, json!({"slot": "tuesday"}))).await.expect("another value is free");
}

/// An update that violates a unique index leaves the document, its version and the outbox unchanged.
pub async fn a_unique_index_refuses_a_duplicate_update(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    store.put(insert(&first, json!({"slot": "monday"}))).await.expect("put");
    store.put(insert(&second, json!({"slot": "tuesday"}))).await.expect("put");
    expect_duplicate(store.put(announced(replace(&second, 1, json!({"slot": "monday"})))).await);
    assert_eq!(stored(&*store, &second).await, Some((0, with_key(&second, 0, json!({"slot": "tuesday"})))));
    assert_eq!(waiting(&*store).await, [""; 0]);
    store.put(replace(&first, 1, json!({"slot": "monday"}))).await.expect("a document does not collide with itself");
}

/// Any number of documents may lack a unique field.
pub async fn documents_without_the_unique_field_do_not_collide(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    for _ in 0..3 {
        store.put(insert(&new_id(), json!({"title": "no slot"}))).await.expect("put");
    }
}

/// Once a document has given up a unique value, another can take it, and the first cannot take it back.
pub async fn removing_a_unique_field_frees_its_value(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    store.put(insert(&first, json!({"slot": "monday"}))).await.expect("put");
    store.put(replace(&first, 1, json!({}))).await.expect("put");
    store.put(insert(&second, json!({"slot": "monday"}))).await.expect("the slot is free again");
    expect_duplicate(store.put(replace(&first, 2, json!({"slot": "monday"}))).await);
}

/// Of sixty documents that race for one unique value, one gets it.
pub async fn one_of_many_racing_for_a_unique_value_wins(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let ids: Vec<String> = (0..60).map(|_| new_id()).collect();
    let writes = ids.iter().map(|id| announced(insert(id, json!({"slot": "monday"}))));
    let outcomes = all_at_once(&store, writes).await;

    let winners: Vec<&String> = ids.iter().zip(&outcomes).filter(|(_, ok)| ok.is_ok()).map(|(id, _)| id).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    outcomes.into_iter().filter(Result::is_err).for_each(expect_duplicate);
    let found = store.find(SHOWS, equal("slot", "monday")).await.expect("find");
    assert_eq!(found.iter().map(|document| &document.id).collect::<Vec<_>>(), winners);
    assert_eq!(waiting(&*store).await, [event(winners[0], 0).id]);
}

/// Failed writes leave no event and do not fail the writes that the engine may have grouped them with.
pub async fn a_failed_write_does_not_affect_concurrent_ones(data: &dyn Data<dyn Store>) {
    let (store, taken) = (data.open().await, new_id());
    store.put(insert(&taken, json!({"slot": "monday"}))).await.expect("put");
    let ids: Vec<String> = (0..300).map(|_| new_id()).collect();
    let writes = ids.iter().enumerate().map(|(place, id)| match place % 10 {
        3 => announced(insert(id, json!({"slot": "monday"}))),
        6 => announced(replace(id, 1, json!({}))),
        _ => announced(insert(id, json!({"slot": id}))),
    });
    let outcomes = all_at_once(&store, writes).await;

    let mut announced = Vec::new();
    for (place, (id, outcome)) in ids.iter().zip(outcomes).enumerate() {
        let written = stored(&*store, id).await.is_some();
        match place % 10 {
            3 => expect_duplicate(outcome),
            6 => expect_conflict(outcome),
            _ => {
                outcome.expect("put");
                announced.push(event(id, 0).id);
            }
        }
        assert_eq!(written, announced.last() == Some(&event(id, 0).id), "{place}");
    }
    let mut waiting = waiting(&*store).await;
    waiting.sort();
    announced.sort();
    assert_eq!(waiting, announced);
}
