//! Inserts and compare-and-set updates.

use common::store::Store;
use serde_json::json;
use tokio::task::JoinSet;

use super::fixture::{
    all_at_once, announced, event, expect_conflict, insert, new_id, replace, stored, waiting, with_key,
};
use crate::contract::harness::Data;

/// A second insert of an id conflicts and changes nothing.
pub async fn inserting_twice_conflicts(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    store.put(insert(&id, json!({"title": "first"}))).await.expect("put");
    expect_conflict(store.put(announced(insert(&id, json!({"title": "second"})))).await);
    assert_eq!(stored(&*store, &id).await, Some((0, with_key(&id, 0, json!({"title": "first"})))));
}

/// A write that expects a version other than the stored one conflicts and changes nothing.
pub async fn a_stale_version_conflicts(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    store.put(insert(&id, json!({}))).await.expect("put");
    store.put(replace(&id, 1, json!({"title": "first"}))).await.expect("put");
    expect_conflict(store.put(replace(&id, 1, json!({"title": "stale"}))).await);
    expect_conflict(store.put(replace(&id, 3, json!({"title": "early"}))).await);
    assert_eq!(stored(&*store, &id).await, Some((1, with_key(&id, 1, json!({"title": "first"})))));
}

/// Replacing a document that does not exist conflicts and creates nothing.
pub async fn replacing_an_absent_document_conflicts(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    expect_conflict(store.put(replace(&id, 1, json!({}))).await);
    assert_eq!(stored(&*store, &id).await, None);
}

/// Of twenty concurrent writes that replace the same version, one succeeds and the others conflict.
pub async fn one_of_many_racing_writers_wins(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    store.put(insert(&id, json!({}))).await.expect("put");
    let writes = (0..20).map(|writer| announced(replace(&id, 1, json!({"writer": writer}))));
    let outcomes = all_at_once(&store, writes).await;

    let winners: Vec<usize> = (0..20).filter(|writer| outcomes[*writer].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    outcomes.into_iter().filter(Result::is_err).for_each(expect_conflict);
    assert_eq!(stored(&*store, &id).await, Some((1, with_key(&id, 1, json!({"writer": winners[0]})))));
    assert_eq!(waiting(&*store).await, [event(&id, 1).id]);
}

/// Twenty writers count to two hundred by compare-and-set.
pub async fn no_update_is_lost(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    store.put(insert(&id, json!({"count": 0}))).await.expect("put");
    let mut writers = JoinSet::new();
    for _ in 0..20 {
        let (store, id) = (store.clone(), id.clone());
        writers.spawn(async move {
            let mut counted = 0;
            while counted < 10 {
                let (version, fields) = stored(&*store, &id).await.expect("the counter");
                let count = fields["count"].as_u64().expect("a count") + 1;
                match store.put(announced(replace(&id, version + 1, json!({"count": count})))).await {
                    Ok(_) => counted += 1,
                    lost => expect_conflict(lost),
                }
            }
        });
    }
    writers.join_all().await;
    assert_eq!(stored(&*store, &id).await, Some((200, with_key(&id, 200, json!({"count": 200})))));
    assert_eq!(waiting(&*store).await, (1..=200).map(|version| event(&id, version).id).collect::<Vec<_>>());
}
