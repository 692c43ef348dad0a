//! How long the system keeps events.

use rusqlite::Connection;
use testing::wait_until;

use crate::binary::setup;
use crate::databases::{open, texts, wait_until_consistent};

#[tokio::test]
async fn events_are_deleted_after_the_configured_number_of_days_and_the_system_goes_on() {
    let mut system = setup().set("EVENT_RETENTION_DAYS", "1").start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let (concert, opera) = (ann.create_ticket("Concert", "20").await, ann.create_ticket("Opera", "20").await);
    let order = bob.order(&concert).await;
    bob.pay(&order, "tok_visa").await;
    bob.wait_until_complete(&order).await;
    wait_until_consistent(&system).await;
    system.stop().await;
    let file = system.path("events.db");
    let aged = Connection::open(&file).unwrap().execute("UPDATE events SET stored_at = stored_at - 86400000", []);
    assert!(aged.unwrap() > 5);

    system.restart().await;
    let events = async || texts(&open(&file), "SELECT message_id FROM events").is_empty().then_some(());
    wait_until("the events to be deleted", events).await;
    let bob = system.reconnect(&bob);
    bob.pay(&bob.order(&opera).await, "tok_visa").await;
    wait_until_consistent(&system).await;
}
