//! Servers that are down for a while: requests that need one fail quickly, the others succeed, and the system catches
//! up.

use std::time::{Duration, Instant};

use common::clock::{Clock, SystemClock};
use serde_json::json;
use testing::system::{Call, Order, PASSWORD};
use testing::{in_time, wait_until};

use crate::spread::Spread;

/// Every request is answered within this time, whatever is down.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a server is down.
const OUTAGE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn without_mongodb_requests_that_need_it_fail_quickly_with_503() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let (ticket, other) = (ann.create_ticket("Concert", "20").await, ann.create_ticket("Opera", "20").await);
    let order = bob.order(&ticket).await;
    ann.wait_until_reserved_by(&ticket, Some(&order)).await;

    // Down, then silent.
    for silent in [false, true] {
        let down = Instant::now();
        let mongo = &mut system.engines.mongo;
        if silent {
            mongo.proxy.silence();
        } else {
            mongo.server.kill();
        }
        let all_fail = async || {
            let calls = [
                bob.post("/users/signin", &json!({"email": bob.email, "password": PASSWORD})),
                bob.get("/tickets"),
                ann.post_ticket("Ballet", "20"),
                bob.get("/orders"),
                bob.post_order(&other.id),
                bob.delete_order(&order.id),
                bob.get_payments(&order.id),
                bob.post_payment(&order.id, "tok_visa"),
            ];
            for call in calls {
                reply_in_time(call, 503).await?;
            }
            Ok(())
        };
        while down.elapsed() < OUTAGE {
            in_time(all_fail).await;
        }
        bob.get("/users/currentuser").send().await.expect(200);
        ann.post_ticket("", "20").send().await.expect_error(400, "Title is required");
        system.visitor().get("/orders").send().await.expect(401);
        system.wait_until_unready(&["auth", "tickets", "orders", "payments"], "database").await;
        let mongo = &mut system.engines.mongo;
        if silent {
            mongo.proxy.cut();
            mongo.proxy.open();
        } else {
            mongo.server.restart().await;
        }
        system.wait_until_ready().await;
    }
    bob.pay(&order, "tok_visa").await;
    bob.wait_until_complete(&order).await;
    bob.sign_in().await;
    system.wait_until_consistent(&[ann, bob], [other.id]).await;
}

#[tokio::test]
async fn without_nats_requests_succeed_and_their_events_are_published_later() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let (ticket, other) = (ann.create_ticket("Concert", "20").await, ann.create_ticket("Opera", "20").await);
    let before = bob.order(&ticket).await;
    ann.wait_until_reserved_by(&ticket, Some(&before)).await;
    wait_until("the orders service knows the other ticket", async || {
        let order: Order = Some(bob.post_order(&other.id).send().await).filter(|reply| reply.status == 201)?.json();
        bob.cancel(&order).await;
        Some(())
    })
    .await;
    ann.wait_until_reserved_by(&other, None).await;
    wait_until("the payments service knows the order", async || {
        let reply = bob.get_payments(&before.id).send().await;
        (reply.status == 200).then_some(())
    })
    .await;

    let down = Instant::now();
    system.engines.nats.server.kill();
    system.wait_until_bus_is(false).await;
    let unpublished = ann.create_ticket("Ballet", "20").await;
    let meanwhile: Order = bob.post_order(&other.id).send().await.expect(201).json();
    let asked = Instant::now();
    bob.post_payment(&before.id, "tok_visa").send().await.expect(201);
    assert!(asked.elapsed() < REPLY_TIMEOUT * 3, "{:?}", asked.elapsed());
    bob.sign_in().await;
    let selling = async || in_time(async || reply_in_time(ann.post_ticket("Musical", "20"), 201).await).await;
    repeat_until(down + OUTAGE, selling).await;

    system.engines.nats.server.restart().await;
    system.wait_until_bus_is(true).await;
    bob.wait_until_complete(&before).await;
    ann.wait_until_reserved_by(&other, Some(&meanwhile)).await;
    let after = bob.order(&unpublished).await;
    for order in [&meanwhile, &after] {
        bob.pay(order, "tok_visa").await;
        bob.wait_until_complete(order).await;
    }
    system.wait_until_ready().await;
    system.wait_until_consistent(&[ann, bob], []).await;
}

#[tokio::test]
async fn without_redis_purchases_succeed_and_orders_expire_later() {
    let Some(mut system) = Spread::start(Duration::from_secs(4)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let (ticket, other) = (ann.create_ticket("Concert", "20").await, ann.create_ticket("Opera", "20").await);
    let before = bob.order(&ticket).await;
    ann.wait_until_reserved_by(&ticket, Some(&before)).await;

    let down = Instant::now();
    system.engines.redis.server.kill();
    system.wait_until_unready(&["expiration"], "jobs").await;
    let meanwhile = bob.order(&other).await;
    let bought = bob.order(&ann.create_ticket("Ballet", "20").await).await;
    bob.pay(&bought, "tok_visa").await;
    bob.wait_until_complete(&bought).await;
    SystemClock.sleep_until(meanwhile.expires_at.plus(Duration::from_millis(100))).await;
    bob.post_payment(&meanwhile.id, "tok_visa").send().await.expect_error(400, "Order has expired");
    assert_eq!(bob.find_order(&before.id).await.status, "created");
    let selling = async || in_time(async || reply_in_time(ann.post_ticket("Musical", "20"), 201).await).await;
    repeat_until(down + OUTAGE, selling).await;

    system.engines.redis.server.restart().await;
    ann.wait_until_reserved_by(&ticket, None).await;
    ann.wait_until_reserved_by(&other, None).await;
    system.wait_until_ready().await;
    system.wait_until_consistent(&[ann, bob], []).await;
}

#[tokio::test]
async fn a_silent_nats_or_redis_delays_no_request() {
    let Some(system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let engines = &system.engines;
    for (proxy, is_bus) in [(&engines.nats.proxy, true), (&engines.redis.proxy, false)] {
        proxy.silence();
        in_time(async || reply_in_time(ann.post_ticket("Concert", "20"), 201).await).await;
        if is_bus {
            system.wait_until_bus_is(false).await;
        } else {
            system.wait_until_unready(&["expiration"], "jobs").await;
        }
        proxy.cut();
        proxy.open();
        system.wait_until_ready().await;
        let order = bob.order(&ann.create_ticket("Opera", "20").await).await;
        bob.pay(&order, "tok_visa").await;
        bob.wait_until_complete(&order).await;
    }
    system.wait_until_consistent(&[ann, bob], []).await;
}

/// Expects a reply with this status. The error says how late it was.
async fn reply_in_time(call: Call, status: u16) -> Result<(), String> {
    let asked = Instant::now();
    let reply = call.send().await.expect(status);
    assert_eq!(reply.header("retry-after").is_some(), status == 503, "{reply:?}");
    if asked.elapsed() > REPLY_TIMEOUT { Err(format!("{:?}: {reply:?}", asked.elapsed())) } else { Ok(()) }
}

/// Repeats an action a few times a second.
async fn repeat_until(end: Instant, act: impl AsyncFn()) {
    while Instant::now() < end {
        act().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
