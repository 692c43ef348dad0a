//! `ticketing republish` on MongoDB and NATS.

use std::time::Duration;

use common::clock::Timestamp;
use common::store::{Document, Expect, Put, Store};
use engines::mongo::MongoStore;
use serde_json::Value;
use testing::system::Ticket;
use testing::wait_until;

use crate::spread::Spread;

#[tokio::test]
async fn a_copy_that_missed_an_update_catches_up_when_its_owner_republishes() {
    let Some(system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (seller, buyer) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = seller.create_ticket("Concert", "20").await;
    seller.put_ticket(&ticket.id, "Concert", "25").send().await.expect(200);
    miss_update(&system, &ticket).await;

    let (succeeded, output) = system.republish("tickets", &["--since", "1h"]).await;
    assert!(succeeded && output == "Announced 1 of 1 tickets again.\n", "{output}");
    wait_until("the copy is up to date", async || (copy(&system, &ticket).await.version == 1).then_some(())).await;
    assert_eq!(buyer.order(&ticket).await.ticket.price.to_string(), "25");
    let (succeeded, output) = system.republish("tickets", &["--id", "65c0ffee65c0ffee65000003"]).await;
    assert!(!succeeded && output == "65c0ffee65c0ffee65000003: no such record\n", "{output}");
}

/// Waits for an update of a ticket to arrive at the orders service, then takes it back there.
async fn miss_update(system: &Spread, ticket: &Ticket) {
    let updated =
        wait_until("the update", async || Some(copy(system, ticket).await).filter(|copy| copy.version == 1)).await;
    let mut body: Value = serde_json::from_str(&updated.body).unwrap();
    (body["version"], body["price"]) = (0.into(), 2000.into());
    let put = Put {
        schema: orders::SCHEMAS[1],
        document: Document { version: 0, body: body.to_string(), ..updated },
        expect: Expect::Version(1),
        events: Vec::new(),
        at: Timestamp::from_millis(0),
    };
    database_of_orders(system).await.put(put).await.unwrap();
}

async fn copy(system: &Spread, ticket: &Ticket) -> Document {
    let copies = database_of_orders(system).await;
    wait_until("the copy", async || copies.get(orders::SCHEMAS[1], &ticket.id).await.unwrap()).await
}

async fn database_of_orders(system: &Spread) -> MongoStore {
    MongoStore::connect(&system.engines.mongo_uri("orders").into(), "orders", orders::SCHEMAS).await.unwrap()
}
