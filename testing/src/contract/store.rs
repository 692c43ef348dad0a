//! What every engine of the [`Store`] port does. See [`crate::contract`].

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Data;
use common::clock::Timestamp;
use common::events::Message;
use common::events::Subject;
use common::ids::TicketId;
use common::store::{Document, Expect, Find, Index, IndexKind, Put, Schema, Store, StoreError, Unpublished};
use common::trace::TraceParent;

/// Makes the tests of one engine, in a module of its name: `store_contract!(sqlite, crate::sqlite::store)`.
#[macro_export]
macro_rules! store_contract {
    ($engine:ident, $fresh:path) => {
        mod $engine {
            use $crate::contract::store as suite;
            $crate::contract_tests! { $fresh;
                what_is_put_is_got
                ids_and_times_come_back
                what_is_absent_is_none
                inserting_twice_conflicts
                a_stale_version_conflicts
                replacing_what_is_absent_conflicts
                one_of_many_racing_writers_wins
                no_update_is_lost
                a_unique_index_refuses_the_second
                a_unique_index_refuses_a_change_into_its_way
                documents_without_the_field_do_not_count
                removing_the_field_makes_room
                one_of_many_racing_for_a_unique_field_wins
                a_failing_write_fails_alone
                documents_are_found_by_a_field
                documents_are_found_by_the_lack_of_a_field
                the_newest_come_first_and_no_more_than_asked_for
                pages_neither_overlap_nor_skip
                events_wait_with_their_document_in_order
                a_refused_write_leaves_no_event
                published_events_are_gone
                unpublished_returns_no_more_than_asked_for
                everything_survives_reopening
                large_and_unicode_bodies_come_back
            }
        }
    };
}

/// What the engine must know for the suite.
pub const SCHEMAS: &[&Schema] = &[SHOWS, HALLS];

const SHOWS: &Schema = &Schema {
    collection: "shows",
    indexes: &[
        Index { name: "shows_by_hall", fields: &["hall"], kind: IndexKind::Plain },
        Index { name: "one_show_a_slot", fields: &["slot"], kind: IndexKind::Unique },
    ],
    ids: &["ownerId", "seats.userId"],
    times: &["opensAt", "seats.soldAt"],
};

const HALLS: &Schema = &Schema { collection: "halls", indexes: &[], ids: &[], times: &[] };

const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_000);

/// A document comes back as it was put.
pub async fn what_is_put_is_got(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    let fields = json!({"title": "Macbeth", "price": 1999, "seats": [1, 2], "on": true, "hall": null});
    store.put(insert(&id, fields.clone())).await.expect("put");
    assert_eq!(stored(&*store, &id).await, Some((0, with_key(&id, 0, fields))));
    store.put(replace(&id, 1, json!({"title": "Hamlet"}))).await.expect("put");
    assert_eq!(stored(&*store, &id).await, Some((1, with_key(&id, 1, json!({"title": "Hamlet"})))));
}

/// Ids and times come back as the texts they were, whatever the engine makes of them, and are found by them.
pub async fn ids_and_times_come_back(data: &dyn Data<dyn Store>) {
    let (store, id, owner) = (data.open().await, new_id(), new_id());
    let (early, late) =
        (Timestamp::from_millis(0).to_string(), Timestamp::from_millis(NOW.as_millis() + 7).to_string());
    let fields = json!({
        "ownerId": owner,
        "opensAt": late,
        "seats": [{"userId": new_id(), "soldAt": early}, {"userId": null}, {}],
        "title": owner,
        "hall": late,
    });
    store.put(insert(&id, fields.clone())).await.expect("put");
    assert_eq!(stored(&*store, &id).await, Some((0, with_key(&id, 0, fields))));
    assert_eq!(found(&*store, equal("ownerId", &owner)).await, [&*id]);
    assert_eq!(found(&*store, equal("opensAt", &late)).await, [&*id]);
    assert_eq!(found(&*store, equal("hall", &late)).await, [&*id]);
    assert_eq!(found(&*store, equal("ownerId", &new_id())).await, [""; 0]);
    assert_eq!(found(&*store, equal("ownerId", "nobody")).await, [""; 0]);
}

/// An absent document is `None`, also when one of its id lies in another collection.
pub async fn what_is_absent_is_none(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    assert_eq!(stored(&*store, &id).await, None);
    store.put(Put { schema: HALLS, ..insert(&id, json!({})) }).await.expect("put");
    assert_eq!(stored(&*store, &id).await, None);
    store.put(insert(&id, json!({}))).await.expect("an id of another collection is free in this one");
}

/// A second insert of an id conflicts and changes nothing.
pub async fn inserting_twice_conflicts(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    store.put(insert(&id, json!({"title": "first"}))).await.expect("put");
    expect_conflict(store.put(announced(insert(&id, json!({"title": "second"})))).await);
    assert_eq!(stored(&*store, &id).await, Some((0, with_key(&id, 0, json!({"title": "first"})))));
}

/// A write that expects another version than is stored conflicts and changes nothing.
pub async fn a_stale_version_conflicts(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    store.put(insert(&id, json!({}))).await.expect("put");
    store.put(replace(&id, 1, json!({"title": "first"}))).await.expect("put");
    expect_conflict(store.put(replace(&id, 1, json!({"title": "stale"}))).await);
    expect_conflict(store.put(replace(&id, 3, json!({"title": "early"}))).await);
    assert_eq!(stored(&*store, &id).await, Some((1, with_key(&id, 1, json!({"title": "first"})))));
}

/// A version of what does not exist is not there to be replaced.
pub async fn replacing_what_is_absent_conflicts(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    expect_conflict(store.put(replace(&id, 1, json!({}))).await);
    assert_eq!(stored(&*store, &id).await, None);
}

/// Of twenty that replace the same version, one succeeds and the others conflict.
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

/// Twenty writers count to two hundred by compare and set.
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
                    Ok(()) => counted += 1,
                    lost => expect_conflict(lost),
                }
            }
        });
    }
    writers.join_all().await;
    assert_eq!(stored(&*store, &id).await, Some((200, with_key(&id, 200, json!({"count": 200})))));
    assert_eq!(waiting(&*store).await, (1..=200).map(|version| event(&id, version).id).collect::<Vec<_>>());
}

/// The second document in a unique index's way is refused by the index's name, and leaves neither itself nor events.
pub async fn a_unique_index_refuses_the_second(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    store.put(insert(&first, json!({"slot": "monday"}))).await.expect("put");
    expect_duplicate(store.put(announced(insert(&second, json!({"slot": "monday"})))).await);
    assert_eq!(stored(&*store, &second).await, None);
    assert_eq!(waiting(&*store).await, [""; 0]);
    store.put(insert(&second, json!({"slot": "tuesday"}))).await.expect("another value is free");
}

/// So is a change, which leaves the document and its version as they were.
pub async fn a_unique_index_refuses_a_change_into_its_way(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    store.put(insert(&first, json!({"slot": "monday"}))).await.expect("put");
    store.put(insert(&second, json!({"slot": "tuesday"}))).await.expect("put");
    expect_duplicate(store.put(announced(replace(&second, 1, json!({"slot": "monday"})))).await);
    assert_eq!(stored(&*store, &second).await, Some((0, with_key(&second, 0, json!({"slot": "tuesday"})))));
    assert_eq!(waiting(&*store).await, [""; 0]);
    store.put(replace(&first, 1, json!({"slot": "monday"}))).await.expect("nothing is in its own way");
}

/// Any number of documents may lack a unique field.
pub async fn documents_without_the_field_do_not_count(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    for _ in 0..3 {
        store.put(insert(&new_id(), json!({"title": "no slot"}))).await.expect("put");
    }
}

/// A document that gives up a unique field makes room for another, and can not take it back from that.
pub async fn removing_the_field_makes_room(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    store.put(insert(&first, json!({"slot": "monday"}))).await.expect("put");
    store.put(replace(&first, 1, json!({}))).await.expect("put");
    store.put(insert(&second, json!({"slot": "monday"}))).await.expect("the slot is free again");
    expect_duplicate(store.put(replace(&first, 2, json!({"slot": "monday"}))).await);
}

/// Of sixty documents that race for one value of a unique field, one gets it.
pub async fn one_of_many_racing_for_a_unique_field_wins(data: &dyn Data<dyn Store>) {
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

/// Writes that fail among many concurrent ones take nobody with them and leave no event.
pub async fn a_failing_write_fails_alone(data: &dyn Data<dyn Store>) {
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

/// A query by a field finds the documents that have exactly this value, of its collection alone.
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

/// A query for `Null` finds the documents without the field.
pub async fn documents_are_found_by_the_lack_of_a_field(data: &dyn Data<dyn Store>) {
    let (store, with, without) = (data.open().await, new_id(), new_id());
    store.put(insert(&with, json!({"hall": "small"}))).await.expect("put");
    store.put(insert(&without, json!({}))).await.expect("put");
    let lacking = Find { equal: vec![("hall", Value::Null)], after: None, limit: 10 };
    assert_eq!(found(&*store, lacking.clone()).await, [&*without]);
    store.put(replace(&with, 1, json!({}))).await.expect("put");
    assert_eq!(found(&*store, lacking).await, [&*without, &*with]);
}

/// The highest id comes first, whatever was written last.
pub async fn the_newest_come_first_and_no_more_than_asked_for(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let ids: Vec<String> = (0..5).map(|_| new_id()).collect();
    for place in [3, 0, 4, 1, 2] {
        store.put(insert(&ids[place], json!({"hall": "small"}))).await.expect("put");
    }
    store.put(replace(&ids[0], 1, json!({"hall": "small"}))).await.expect("put");
    let newest = found(&*store, Find { limit: 3, ..equal("hall", "small") }).await;
    assert_eq!(newest, [&*ids[4], &*ids[3], &*ids[2]]);
}

/// Page after page gives every document once, also when new ones come and the one left off at is changed meanwhile.
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

/// Events wait with the write that announced them: the oldest first, those of one document in their order.
pub async fn events_wait_with_their_document_in_order(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    let trace = Some(TraceParent::generate());
    let traced = Message { traceparent: trace.clone(), ..event(&first, 0) };
    store.put(Put { events: vec![traced], ..insert(&first, json!({})) }).await.expect("put");
    store.put(at(1, announced(insert(&second, json!({}))))).await.expect("put");
    store.put(at(2, replace(&first, 1, json!({})))).await.expect("put");
    let two = vec![Message { id: "a".into(), ..event(&first, 2) }, Message { id: "b".into(), ..event(&first, 2) }];
    store.put(at(3, Put { events: two, ..replace(&first, 2, json!({})) })).await.expect("put");

    assert_eq!(waiting(&*store).await, [event(&first, 0).id, event(&second, 0).id, "a".into(), "b".into()]);
    let events = store.unpublished(10).await.expect("events");
    assert_eq!(events[0].message, Message { traceparent: trace, ..event(&first, 0) });
    assert_eq!(events[0].since, NOW);
    assert_eq!(events[3].since, Timestamp::from_millis(NOW.as_millis() + 3));
}

/// A write that is refused announces nothing.
pub async fn a_refused_write_leaves_no_event(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    expect_conflict(store.put(announced(replace(&id, 1, json!({})))).await);
    store.put(insert(&id, json!({}))).await.expect("put");
    expect_conflict(store.put(announced(insert(&id, json!({})))).await);
    expect_conflict(store.put(announced(replace(&id, 2, json!({})))).await);
    assert_eq!(waiting(&*store).await, [""; 0]);
}

/// Published events leave the outbox, those alone, and saying so again is harmless.
pub async fn published_events_are_gone(data: &dyn Data<dyn Store>) {
    let (store, first, second) = (data.open().await, new_id(), new_id());
    store.put(announced(insert(&first, json!({})))).await.expect("put");
    store.put(at(1, announced(insert(&second, json!({}))))).await.expect("put");
    store.put(at(2, announced(replace(&first, 1, json!({}))))).await.expect("put");
    let events: Vec<Unpublished> = store.unpublished(2).await.expect("events");
    for _ in 0..2 {
        store.published(&events).await.expect("published");
        assert_eq!(waiting(&*store).await, [event(&first, 1).id]);
    }
    store.published(&[]).await.expect("published");
    assert_eq!(stored(&*store, &first).await, Some((1, with_key(&first, 1, json!({})))));
    store.put(at(3, announced(replace(&first, 2, json!({}))))).await.expect("put");
    assert_eq!(waiting(&*store).await, [event(&first, 1).id, event(&first, 2).id]);
}

/// The outbox is read in bounded batches.
pub async fn unpublished_returns_no_more_than_asked_for(data: &dyn Data<dyn Store>) {
    let store = data.open().await;
    let (mut expected, mut seen) = (Vec::new(), Vec::new());
    for millis in 0..25 {
        let id = new_id();
        store.put(at(millis, announced(insert(&id, json!({}))))).await.expect("put");
        expected.push(event(&id, 0).id);
    }
    loop {
        let batch = store.unpublished(10).await.expect("events");
        assert!(batch.len() <= 10);
        if batch.is_empty() {
            break;
        }
        store.published(&batch).await.expect("published");
        seen.extend(batch.into_iter().map(|event| event.message.id));
    }
    assert_eq!(seen, expected);
}

/// Documents, indexes and events are there after the engine was dropped and opened again.
pub async fn everything_survives_reopening(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    store.put(announced(insert(&id, json!({"slot": "monday", "hall": "small"})))).await.expect("put");
    store.published(&store.unpublished(1).await.expect("events")).await.expect("published");
    let fields = json!({"slot": "tuesday", "hall": "small"});
    store.put(announced(replace(&id, 1, fields.clone()))).await.expect("put");
    drop(store);

    let store = data.open().await;
    assert_eq!(stored(&*store, &id).await, Some((1, with_key(&id, 1, fields))));
    assert_eq!(found(&*store, equal("hall", "small")).await, [&*id]);
    assert_eq!(waiting(&*store).await, [event(&id, 1).id]);
    expect_duplicate(store.put(insert(&new_id(), json!({"slot": "tuesday"}))).await);
    expect_conflict(store.put(replace(&id, 1, json!({}))).await);
    store.ping().await.expect("an answer");
}

/// Nothing happens to long texts, to those outside of ASCII, or to what looks like a query.
pub async fn large_and_unicode_bodies_come_back(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    let fields = json!({
        "hall": "Zürich 🎭 \u{0} \"'\\ $ne {\"$gt\": 1}; DROP TABLE shows --",
        "title": "é".repeat(45_000),
    });
    let put =
        Put { events: vec![Message { payload: fields.to_string(), ..event(&id, 0) }], ..insert(&id, fields.clone()) };
    store.put(put).await.expect("put");
    assert_eq!(stored(&*store, &id).await, Some((0, with_key(&id, 0, fields.clone()))));
    assert_eq!(store.unpublished(1).await.expect("events")[0].message.payload, fields.to_string());
    let hall = fields["hall"].as_str().expect("a hall");
    assert_eq!(found(&*store, equal("hall", hall)).await, [&*id]);
}

fn new_id() -> String {
    TicketId::generate(NOW).to_string()
}

/// Documents carry their key in the body, as entities do.
fn with_key(id: &str, version: u64, mut fields: Value) -> Value {
    fields["id"] = id.into();
    fields["version"] = version.into();
    fields
}

fn insert(id: &str, fields: Value) -> Put {
    let document = Document { id: id.to_owned(), version: 0, body: with_key(id, 0, fields).to_string() };
    Put { schema: SHOWS, document, expect: Expect::Absent, events: Vec::new(), at: NOW }
}

fn replace(id: &str, version: u64, fields: Value) -> Put {
    let document = Document { id: id.to_owned(), version, body: with_key(id, version, fields).to_string() };
    Put { schema: SHOWS, document, expect: Expect::Version(version - 1), events: Vec::new(), at: NOW }
}

/// The same write with the event that announces it.
fn announced(put: Put) -> Put {
    Put { events: vec![event(&put.document.id, put.document.version)], ..put }
}

/// The same write, some milliseconds later.
fn at(millis: i64, put: Put) -> Put {
    Put { at: Timestamp::from_millis(NOW.as_millis() + millis), ..put }
}

fn event(id: &str, version: u64) -> Message {
    let payload = json!({"id": id, "version": version}).to_string();
    let subject = Subject::TicketUpdated;
    Message { id: format!("{subject}/{id}/{version}"), subject, payload, traceparent: None }
}

fn equal(field: &'static str, value: &str) -> Find {
    Find { equal: vec![(field, value.into())], after: None, limit: 100 }
}

/// Version and body as they are stored. The body is compared as JSON: engines may store it in a form of their own.
async fn stored(store: &dyn Store, id: &str) -> Option<(u64, Value)> {
    let document = store.get(SHOWS, id).await.expect("get")?;
    assert_eq!(document.id, id);
    Some((document.version, serde_json::from_str(&document.body).expect("JSON")))
}

async fn found(store: &dyn Store, query: Find) -> Vec<String> {
    store.find(SHOWS, query).await.expect("find").into_iter().map(|document| document.id).collect()
}

/// The ids of the messages in the outbox.
async fn waiting(store: &dyn Store) -> Vec<String> {
    store.unpublished(1000).await.expect("events").into_iter().map(|event| event.message.id).collect()
}

/// Writes all at the same time; the outcomes are in the order of the writes.
async fn all_at_once(store: &Arc<dyn Store>, writes: impl Iterator<Item = Put>) -> Vec<Result<(), StoreError>> {
    let tasks: Vec<_> = writes
        .map(|write| {
            let store = store.clone();
            tokio::spawn(async move { store.put(write).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no panic"));
    }
    outcomes
}

#[track_caller]
fn expect_conflict(outcome: Result<(), StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Conflict)), "{outcome:?}");
}

#[track_caller]
fn expect_duplicate(outcome: Result<(), StoreError>) {
    assert!(matches!(&outcome, Err(StoreError::Duplicate(index)) if index == "one_show_a_slot"), "{outcome:?}");
}
