//! `ticketing check` on MongoDB, NATS and Redis.

use std::time::Duration;

use common::bus::Publisher;
use common::clock::{Clock, SystemClock};
use common::events::{Message, Subject};
use common::jobs::DelayedJobs;
use common::store::{Document, Expect, Put, Schema, Store};
use engines::mongo::MongoStore;
use engines::nats::NatsBus;
use engines::redis::RedisJobs;
use serde_json::json;
use testing::system::{Order, Ticket, run};

use crate::spread::Spread;

/// Writes ids and times as text, which is wrong.
const UNTYPED_ORDERS: &Schema = &Schema { collection: "orders", indexes: &[], ids: &[], times: &[] };

const TICKETS: &Schema = &Schema { collection: "tickets", indexes: &[], ids: &[], times: &[] };

#[tokio::test]
async fn differences_between_servers_and_missing_servers_are_named() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let (sold, other) = (ann.create_ticket("Concert", "20").await, ann.create_ticket("Opera", "50").await);
    let complete = bob.order(&sold).await;
    bob.pay(&complete, "tok_visa").await;
    bob.wait_until_complete(&complete).await;
    ann.wait_until_reserved_by(&sold, Some(&complete)).await;
    system.wait_until_consistent(&[ann.clone(), bob.clone()], []).await;
    let open = bob.order(&other).await;
    ann.wait_until_reserved_by(&other, Some(&open)).await;
    let (holds, output) = run(&mut system.check()).await;
    assert!(holds && output.contains("Every invariant holds: 2 tickets, 2 orders, 1 payments, "), "{output}");
    assert_missing_servers_are_named(&system).await;

    system.stop_all().await;
    let tampered = tamper(&system, &sold, &complete, &open).await;
    let (holds, output) = run(system.check().args(["--wait", "1"])).await;
    assert!(!holds, "{output}");
    // The engine cannot read the page with the invalid document. The others on that page are read nevertheless.
    assert!(!output.contains(&format!("order {} is version 0 at orders", open.id)), "{output}");
    for expected in tampered {
        assert!(output.contains(&expected), "{expected}: {output}");
    }
}

async fn assert_missing_servers_are_named(system: &Spread) {
    let mut check = system.check();
    for variable in ["TICKETS_MONGO_URI", "PAYMENTS_MONGO_URI", "NATS_URL", "STRIPE_KEY", "STRIPE_API_BASE"] {
        check.env_remove(variable);
    }
    let (holds, output) = run(&mut check).await;
    assert!(holds && output.contains("Every invariant that was checked holds: 0 tickets, 2 orders, "), "{output}");
    for missing in ["TICKETS_MONGO_URI", "PAYMENTS_MONGO_URI", "NATS_URL", "REDIS_HOST", "STRIPE_KEY"] {
        let is_named = |line: &str| line.starts_with("Not checked: ") && line.contains(missing);
        assert!(output.lines().any(is_named), "{missing}: {output}");
    }
    assert!(!output.contains("ORDERS_MONGO_URI"), "{output}");
}

/// Changes something on each server. Returns what is to be reported.
async fn tamper(system: &Spread, sold: &Ticket, complete: &Order, open: &Order) -> Vec<String> {
    let copy = json!({
        "id": complete.id, "version": 1, "status": "complete", "userId": complete.user_id,
        "expiresAt": complete.expires_at, "price": 2000, "ticketId": complete.ticket.id,
    });
    put(system, "payments", UNTYPED_ORDERS, &complete.id, 1, copy).await;
    let copy = json!({"id": sold.id, "version": 1, "title": "Concert", "price": 1999});
    put(system, "orders", TICKETS, &sold.id, 1, copy).await;

    let bus = NatsBus::connect_to_existing(&system.engines.nats_config()).await.unwrap();
    let event = json!({"id": sold.id, "version": 3, "title": "Concert", "price": 20, "userId": sold.user_id});
    let (id, subject) = (format!("ticket:updated/{}/3", sold.id), Subject::TicketUpdated);
    bus.publish(&[Message { id, subject, payload: event.to_string(), traceparent: None }]).await.unwrap();

    let redis = format!("127.0.0.1:{}", system.engines.redis.proxy.port()).into();
    let jobs = RedisJobs::connect(&redis, "expiration", &bus.identity().await.unwrap()).await.unwrap();
    jobs.cancel(&open.id).await.unwrap();

    system.simulator.intervene(complete, "refund").await;
    vec![
        format!("payments: orders/{} is not valid: ", complete.id),
        format!(
            "ticket {} is \"Concert\" for 2000 cents at tickets, but \"Concert\" for 1999 cents at orders, both version 1",
            sold.id
        ),
        format!("ticket {} was announced in versions 0 to 3 without version 2", sold.id),
        format!("ticket {} is version 1 at tickets, but version 3 on the bus", sold.id),
        format!("orders_ticket-updated has not handled ticket:updated/{}/3 (1 in all)", sold.id),
        "open orders have no delayed job. There are 1 open orders and 0 jobs".to_owned(),
        format!("order {}: the amount is neither held nor charged at Stripe", complete.id),
    ]
}

/// Replaces a document by another one of the same version.
async fn put(system: &Spread, service: &str, schema: &'static Schema, id: &str, version: u64, body: serde_json::Value) {
    let uri = format!("mongodb://127.0.0.1:{}/{service}", system.engines.mongo.proxy.port()).into();
    let store = MongoStore::connect_to_existing(&uri, service, &[schema]).await.unwrap();
    let document = Document { id: id.to_owned(), version, body: body.to_string() };
    let at = SystemClock.now();
    store.put(Put { schema, document, expect: Expect::Version(version), events: Vec::new(), at }).await.unwrap();
}
