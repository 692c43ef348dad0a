use std::time::Duration;

use common::store::{Database, Find};
use engines::sqlite::SqliteStore;
use testing::builders::order_cancelled;
use testing::{TestEnv, wait_until};

use crate::{RETENTION, TicketsApp};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The ids of the orders whose reservations are remembered, newest first.
async fn remembered(database: &Database) -> Vec<String> {
    let schema = tickets::SCHEMAS.iter().find(|schema| schema.collection == "reservations").expect("the collection");
    let all = Find { equal: Vec::new(), after: None, limit: 10_000 };
    database.store().find(schema, all).await.expect("found").into_iter().map(|document| document.id).collect()
}

#[tokio::test]
async fn reservations_are_remembered_for_as_long_as_events_are_kept() {
    let env = TestEnv::new();
    let database = env.database(|file| SqliteStore::open(file, tickets::SCHEMAS));
    let mut app = TicketsApp::on(env, database.clone());
    let (ticket, order) = app.new_reserved_ticket().await;
    for _ in 0..600 {
        app.service.deliver_once(&order_cancelled(&app.order_created(ticket))).await.unwrap();
    }
    app.env.clock.advance(2 * DAY);
    let young = app.order_created(ticket);
    app.service.deliver(&order_cancelled(&young)).await;
    app.env.clock.advance(RETENTION - DAY);
    assert_eq!(remembered(&database).await.len(), 602);
    let _workers = app.service.start_workers();
    let forgotten = async || (remembered(&database).await == [young.id.to_string()]).then_some(());
    wait_until("old reservations to be forgotten", forgotten).await;

    // An hour later the worker looks again.
    app.env.clock.advance(2 * DAY);
    wait_until("all to be forgotten", async || remembered(&database).await.is_empty().then_some(())).await;

    // Repeated events of an order that still holds its ticket change nothing.
    app.service.published().await;
    app.service.deliver(&order).await;
    assert_eq!(app.find_ticket(ticket).await["orderId"], order.id.to_string());
    assert_eq!(app.service.published().await, []);
    app.service.deliver(&order_cancelled(&order)).await;
    assert_eq!(app.find_ticket(ticket).await["orderId"], serde_json::Value::Null);
}
