//! A server that is gone for a while: what needs it is refused in time, the rest goes on, and all is made up for.

use std::time::{Duration, Instant};

use common::clock::{Clock, SystemClock};
use serde_json::json;

use crate::spread::Spread;
use crate::support::client::Call;
use crate::support::{Order, PASSWORD, in_time, wait_until};

/// Within this a request is answered whatever is gone.
const TWO_SECONDS: Duration = Duration::from_secs(2);

/// For how long a server is gone.
const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn without_mongodb_what_needs_it_is_refused_in_time_and_the_rest_goes_on() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let (ticket, other) = (ann.list_ticket("Concert", "20").await, ann.list_ticket("Opera", "20").await);
    let order = bob.order(&ticket).await;
    ann.sees_held_by(&ticket, Some(&order)).await;

    // Gone, and then there but mute.
    for mute in [false, true] {
        let gone = Instant::now();
        let mongo = &mut system.engines.mongo;
        if mute {
            mongo.way.silence();
        } else {
            mongo.server.kill();
        }
        let refused = async || {
            let needing = [
                bob.post("/users/signin", &json!({"email": bob.email, "password": PASSWORD})),
                bob.get("/tickets"),
                ann.listing("Ballet", "20"),
                bob.get("/orders"),
                bob.ordering(&other.id),
                bob.cancelling(&order.id),
                bob.get(&format!("/payments?orderId={}", order.id)),
                bob.paying(&order.id, "tok_visa"),
            ];
            for call in needing {
                answered_in_time(call, 503).await?;
            }
            Ok(())
        };
        while gone.elapsed() < TEN_SECONDS {
            in_time(refused).await;
        }
        bob.get("/users/currentuser").send().await.expect(200);
        ann.listing("", "20").send().await.refuses(400, "Title is required");
        system.nobody().get("/orders").send().await.expect(401);
        system.only_unready(&["auth", "tickets", "orders", "payments"], "database").await;
        let mongo = &mut system.engines.mongo;
        if mute {
            mongo.way.cut();
            mongo.way.open();
        } else {
            mongo.server.restart().await;
        }
        system.only_unready(&[], "").await;
    }
    bob.pay(&order, "tok_visa").await;
    bob.sees_complete(&order).await;
    bob.sign_in().await;
    system.agrees(&[ann, bob], [other.id]).await;
}

#[tokio::test]
async fn without_nats_requests_go_on_and_their_events_follow() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let (ticket, other) = (ann.list_ticket("Concert", "20").await, ann.list_ticket("Opera", "20").await);
    let before = bob.order(&ticket).await;
    ann.sees_held_by(&ticket, Some(&before)).await;
    wait_until("the orders service knows the other ticket", async || {
        let order: Order = Some(bob.ordering(&other.id).send().await).filter(|answer| answer.status == 201)?.json();
        bob.cancel(&order).await;
        Some(())
    })
    .await;
    ann.sees_held_by(&other, None).await;
    wait_until("the payments service knows the order", async || {
        let answer = bob.get(&format!("/payments?orderId={}", before.id)).send().await;
        (answer.status == 200).then_some(())
    })
    .await;

    let gone = Instant::now();
    system.engines.nats.server.kill();
    system.only_unready(&["tickets", "orders", "payments", "expiration"], "bus").await;
    let unheard = ann.list_ticket("Ballet", "20").await;
    let meanwhile: Order = bob.ordering(&other.id).send().await.expect(201).json();
    let asked = Instant::now();
    bob.paying(&before.id, "tok_visa").send().await.expect(201);
    assert!(asked.elapsed() < TWO_SECONDS * 3, "{:?}", asked.elapsed());
    bob.sign_in().await;
    let selling = async || in_time(async || answered_in_time(ann.listing("Musical", "20"), 201).await).await;
    until(gone + TEN_SECONDS, selling).await;

    system.engines.nats.server.restart().await;
    bob.sees_complete(&before).await;
    ann.sees_held_by(&other, Some(&meanwhile)).await;
    let after = bob.order(&unheard).await;
    for order in [&meanwhile, &after] {
        bob.pay(order, "tok_visa").await;
        bob.sees_complete(order).await;
    }
    system.only_unready(&[], "").await;
    system.agrees(&[ann, bob], []).await;
}

#[tokio::test]
async fn without_redis_everybody_buys_and_what_expires_meanwhile_ends_later() {
    let Some(mut system) = Spread::start(Duration::from_secs(4)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let (ticket, other) = (ann.list_ticket("Concert", "20").await, ann.list_ticket("Opera", "20").await);
    let before = bob.order(&ticket).await;
    ann.sees_held_by(&ticket, Some(&before)).await;

    let gone = Instant::now();
    system.engines.redis.server.kill();
    system.only_unready(&["expiration"], "jobs").await;
    let meanwhile = bob.order(&other).await;
    let bought = bob.order(&ann.list_ticket("Ballet", "20").await).await;
    bob.pay(&bought, "tok_visa").await;
    bob.sees_complete(&bought).await;
    SystemClock.sleep_until(meanwhile.expires_at.plus(Duration::from_millis(100))).await;
    bob.paying(&meanwhile.id, "tok_visa").send().await.refuses(400, "Order has expired");
    assert_eq!(bob.find_order(&before.id).await.status, "created");
    let selling = async || in_time(async || answered_in_time(ann.listing("Musical", "20"), 201).await).await;
    until(gone + TEN_SECONDS, selling).await;

    system.engines.redis.server.restart().await;
    ann.sees_held_by(&ticket, None).await;
    ann.sees_held_by(&other, None).await;
    system.only_unready(&[], "").await;
    system.agrees(&[ann, bob], []).await;
}

#[tokio::test]
async fn a_nats_or_redis_that_is_mute_holds_up_no_request_and_is_made_up_for() {
    let Some(system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let engines = &system.engines;
    let cases = [
        (&engines.nats.way, &["tickets", "orders", "payments", "expiration"][..], "bus"),
        (&engines.redis.way, &["expiration"], "jobs"),
    ];
    for (way, unready, why) in cases {
        way.silence();
        in_time(async || answered_in_time(ann.listing("Concert", "20"), 201).await).await;
        system.only_unready(unready, why).await;
        way.cut();
        way.open();
        system.only_unready(&[], "").await;
        let order = bob.order(&ann.list_ticket("Opera", "20").await).await;
        bob.pay(&order, "tok_visa").await;
        bob.sees_complete(&order).await;
    }
    system.agrees(&[ann, bob], []).await;
}

/// Expects an answer with this status; `Err` says how late it came.
async fn answered_in_time(call: Call, status: u16) -> Result<(), String> {
    let asked = Instant::now();
    let answer = call.send().await.expect(status);
    assert_eq!(answer.header("retry-after").is_some(), status == 503, "{answer:?}");
    if asked.elapsed() > TWO_SECONDS { Err(format!("{:?}: {answer:?}", asked.elapsed())) } else { Ok(()) }
}

/// Does something a few times a second until then.
async fn until(end: Instant, act: impl AsyncFn()) {
    while Instant::now() < end {
        act().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
