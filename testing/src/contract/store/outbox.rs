//! Events, from the write that stores them until they are published.

use common::clock::Timestamp;
use common::events::Message;
use common::store::{Put, Store, Unpublished};
use common::trace::TraceParent;
use serde_json::json;

use super::fixture::{NOW, announced, at, event, expect_conflict, insert, new_id, replace, stored, waiting, with_key};
use crate::contract::harness::Data;

/// Unpublished events come oldest first, and those of one document in the order they were written.
pub async fn unpublished_events_are_returned_in_order(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    let trace = Some(TraceParent::generate());
    let traced = Message { traceparent: trace.clone(), ..event(&first, 0) };
    store.put(Put { events: vec![traced], ..insert(&first, json!({})) }).await.expect("put");
    store.put(at(1, announced(insert(&second, json!({}))))).await.expect("put");
    store.put(at(2, replace(&first, 1, json!({})))).await.expect("put");
    let two = vec![Message { id: "a".into(), ..event(&first, 2) }, Message { id: "b".into(), ..event(&first, 2) }];
    store.put(at(3, Put { events: two, ..replace(&first, 2, json!({})) })).await.expect("put");

    assert_eq!(waiting(&*store).await, [event(&first, 0).id, event(&second, 0).id, "a".into(), "b".into()]);
    let events = store.unpublished(10).await.expect("events").events;
    assert_eq!(events[0].message, Message { traceparent: trace, ..event(&first, 0) });
    assert_eq!(events[0].since, NOW);
    assert_eq!(events[3].since, Timestamp::from_millis(NOW.as_millis() + 3));
}

/// A write that conflicts stores no event.
pub async fn a_refused_write_stores_no_event(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    expect_conflict(store.put(announced(replace(&id, 1, json!({})))).await);
    store.put(insert(&id, json!({}))).await.expect("put");
    expect_conflict(store.put(announced(insert(&id, json!({})))).await);
    expect_conflict(store.put(announced(replace(&id, 2, json!({})))).await);
    assert_eq!(waiting(&*store).await, [""; 0]);
}

/// `published` removes exactly the given events and is idempotent.
pub async fn published_events_leave_the_outbox(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    store.put(announced(insert(&first, json!({})))).await.expect("put");
    store.put(at(1, announced(insert(&second, json!({}))))).await.expect("put");
    store.put(at(2, announced(replace(&first, 1, json!({}))))).await.expect("put");
    let events: Vec<Unpublished> = store.unpublished(2).await.expect("events").events;
    for _ in 0..2 {
        store.published(&events).await.expect("published");
        assert_eq!(waiting(&*store).await, [event(&first, 1).id]);
    }
    store.published(&[]).await.expect("published");
    assert_eq!(stored(&*store, &first).await, Some((1, with_key(&first, 1, json!({})))));
    store.put(at(3, announced(replace(&first, 2, json!({}))))).await.expect("put");
    assert_eq!(waiting(&*store).await, [event(&first, 1).id, event(&first, 2).id]);
}

/// A write returns its events as the outbox has them, so that they can be published and cleared without being read.
pub async fn a_write_returns_what_it_adds_to_the_outbox(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    assert!(store.put(insert(&first, json!({}))).await.expect("put").is_empty());
    let added = store.put(at(1, announced(replace(&first, 1, json!({}))))).await.expect("put");
    let other = store.put(at(2, announced(insert(&second, json!({}))))).await.expect("put");
    let read = store.unpublished(10).await.expect("events").events;
    let shown = |events: &[Unpublished]| format!("{events:?}");
    assert_eq!(shown(&[added.clone(), other].concat()), shown(&read));
    store.published(&added).await.expect("published");
    assert_eq!(waiting(&*store).await, [event(&second, 0).id]);
}

/// The outbox is read in batches of bounded size.
pub async fn unpublished_respects_its_limit(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let (mut expected, mut seen) = (Vec::new(), Vec::new());
    for millis in 0..25 {
        let id = new_id();
        store.put(at(millis, announced(insert(&id, json!({}))))).await.expect("put");
        expected.push(event(&id, 0).id);
    }
    loop {
        let batch = store.unpublished(10).await.expect("events").events;
        assert!(batch.len() <= 10);
        if batch.is_empty() {
            break;
        }
        store.published(&batch).await.expect("published");
        seen.extend(batch.into_iter().map(|event| event.message.id));
    }
    assert_eq!(seen, expected);
}
