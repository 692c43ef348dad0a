//! Query plans.

use common::store::{Find, Store};
use mongodb::bson::{Document as Stored, doc};
use serde_json::{Value, json};

use super::fixture::{Case, TICKETS, new_id, ticket};

/// Makes every kind of call and reads their plans from MongoDB's profiler.
#[expect(clippy::print_stdout, reason = "a skipped test must be visible")]
#[tokio::test(flavor = "multi_thread")]
async fn no_query_scans_a_collection_or_sorts() {
    let Some(case) = Case::new().await else { return };
    let (store, database, order) = (case.open(&[TICKETS]).await, case.database().await, new_id());
    let ids: Vec<String> = (0..200).map(|_| new_id()).collect();
    for (place, id) in ids.iter().enumerate() {
        let mut fields = json!({ "seat": place });
        if place % 10 == 0 {
            fields["orderId"] = (&*order).into();
        }
        store.put(ticket(id, 0, &fields)).await.expect("put");
    }
    let oldest = store.unpublished(150).await.expect("events").events;
    store.published(&oldest).await.expect("published");

    if let Err(error) = database.run_command(doc! { "profile": 2 }).await {
        println!("skipped: this server has no profiler: {error}");
        return;
    }
    let all = Find { equal: Vec::new(), after: None, limit: 50 };
    let of_order = Find { equal: vec![("orderId", order.into())], ..all.clone() };
    let free = Find { equal: vec![("orderId", Value::Null)], ..all.clone() };
    let seat = Find { equal: vec![("seat", 7.into())], ..all.clone() };
    for (find, expected) in [(all, 50), (of_order, 20), (free, 50), (seat, 1)] {
        let after = Find { after: Some(ids[199].clone()), ..find.clone() };
        assert_eq!(store.find(TICKETS, find).await.expect("find").len(), expected);
        store.find(TICKETS, after).await.expect("find");
    }
    store.get(TICKETS, &ids[0]).await.expect("get");
    store.put(ticket(&ids[0], 1, &json!({}))).await.expect("put");
    let waiting = store.unpublished(100).await.expect("events").events;
    assert_eq!(waiting.len(), 51);
    store.published(&waiting[..20]).await.expect("published");
    database.run_command(doc! { "profile": 0 }).await.expect("a stopped profiler");

    let calls = database.collection::<Stored>("system.profile");
    let mut calls = calls.find(doc! { "ns": format!("{}.tickets", case.database) }).await.expect("the profile");
    let mut seen = 0;
    while calls.advance().await.expect("the profile") {
        let call = calls.deserialize_current().expect("a call");
        let plan = call.get_str("planSummary").unwrap_or("");
        assert!(!plan.contains("COLLSCAN") && !call.contains_key("hasSortStage"), "{call}");
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} calls were profiled");
}
