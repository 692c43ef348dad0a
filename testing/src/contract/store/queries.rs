//! Finding documents.

use common::store::{Find, Put, Store};
use serde_json::{Value, json};

use super::fixture::{HALLS, NOW, SHOWS, at, equal, found, insert, new_id, replace};
use crate::contract::harness::Data;

/// A query by a field matches documents of its collection with exactly this value.
pub async fn documents_are_found_by_a_field(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let [small, large, other] = [new_id(), new_id(), new_id()];
    store.put(insert(&small, json!({"hall": "small"}))).await.expect("put");
    store.put(insert(&large, json!({"hall": "large"}))).await.expect("put");
    store.put(Put { schema: HALLS, ..insert(&other, json!({"hall": "small"})) }).await.expect("put");
    assert_eq!(found(&*store, equal("hall", "small")).await, [&*small]);
    assert_eq!(found(&*store, equal("hall", "SMALL")).await, [""; 0]);
    assert_eq!(found(&*store, Find { equal: Vec::new(), after: None, limit: 10 }).await, [&*large, &*small]);
    store.put(replace(&large, 1, json!({"hall": "small's"}))).await.expect("put");
    assert_eq!(found(&*store, equal("hall", "large")).await, [""; 0]);
    assert_eq!(found(&*store, equal("hall", "small's")).await, [&*large]);
}

/// A query for `Null` matches documents without the field.
pub async fn documents_are_found_by_a_missing_field(data: &dyn Data<dyn Store>) {
    let (store, with, without) = (data.open().await, new_id(), new_id());
    store.put(insert(&with, json!({"hall": "small"}))).await.expect("put");
    store.put(insert(&without, json!({}))).await.expect("put");
    let lacking = Find { equal: vec![("hall", Value::Null)], after: None, limit: 10 };
    assert_eq!(found(&*store, lacking.clone()).await, [&*without]);
    store.put(replace(&with, 1, json!({}))).await.expect("put");
    assert_eq!(found(&*store, lacking).await, [&*without, &*with]);
}

/// Results are sorted by id, highest first, not by the time of the last write.
pub async fn the_newest_documents_come_first_up_to_the_limit(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let ids: Vec<String> = (0..5).map(|_| new_id()).collect();
    for place in [3, 0, 4, 1, 2] {
        store.put(insert(&ids[place], json!({"hall": "small"}))).await.expect("put");
    }
    store.put(replace(&ids[0], 1, json!({"hall": "small"}))).await.expect("put");
    let newest = found(&*store, Find { limit: 3, ..equal("hall", "small") }).await;
    assert_eq!(newest, [&*ids[4], &*ids[3], &*ids[2]]);
}

/// Paging returns every document once, even if documents are inserted meanwhile and the last one of a page is changed.
pub async fn pages_neither_overlap_nor_skip(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let mut ids: Vec<String> = (0..25).map(|_| new_id()).collect();
    for (place, id) in ids.iter().enumerate() {
        store.put(insert(id, json!({"hall": if place % 5 == 0 { "large" } else { "small" }}))).await.expect("put");
    }
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = found(&*store, Find { after: after.clone(), limit: 6, ..equal("hall", "small") }).await;
        let Some(last) = page.last().cloned() else { break };
        seen.extend(page);
        store.put(replace(&last, 1, json!({"hall": "gone"}))).await.expect("put");
        store.put(insert(&new_id(), json!({"hall": "small"}))).await.expect("put");
        after = Some(last);
    }
    let mut place = 0..;
    ids.retain(|_| place.next().is_some_and(|place| place % 5 != 0));
    ids.reverse();
    assert_eq!(seen, ids);
}

/// A scan returns each document of a collection once, newest first, with the time of its last write.
pub async fn a_scan_returns_everything_with_the_time_of_its_last_write(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let ids: Vec<String> = (0..5).map(|_| new_id()).collect();
    for (millis, id) in (0..).zip(&ids) {
        store.put(at(millis, insert(id, json!({})))).await.expect("put");
    }
    store.put(at(9, replace(&ids[1], 1, json!({"hall": "small"})))).await.expect("put");
    store.put(Put { schema: HALLS, ..insert(&new_id(), json!({})) }).await.expect("put");
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.scan(SHOWS, after, 2).await.expect("scan");
        let Some((last, _)) = page.last() else { break };
        after = Some(last.id.clone());
        seen.extend(page.into_iter().map(|(document, at)| (document.id, at.since(NOW).as_millis())));
    }
    assert_eq!(store.count(SHOWS).await.expect("count"), 5);
    let expected = [(4, 4), (3, 3), (2, 2), (1, 9), (0, 0)];
    assert_eq!(seen, expected.map(|(place, millis): (usize, u128)| (ids[place].clone(), millis)));
}
