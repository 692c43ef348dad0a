//! One history: random steps, then quiet, then the checks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::Duration;

use common::clock::Clock;
use common::events::OrderStatus;
use payments::operations;
use serde_json::{Value, json};
use testing::builders::RESERVATION;

use crate::world::World;

const TOKENS: &[&str] = &[
    "tok_visa",
    "tok_visa",
    "pm_card_visa",
    "tok_unknownBrand",
    "tok_chargeDeclined",
    "tok_processing",
    "tok_threeDSecure2Required",
    "tok_nonsense",
];

/// Runs the history of a seed.
///
/// # Panics
///
/// If it breaks a rule. The message has everything that happened.
pub(crate) fn run(seed: u64) {
    let mut world = World::new(seed);
    explain(&mut world, &format!("history {seed}"), |world| {
        disturb(world);
        settle(world);
        check(world);
    });
}

/// Runs steps of a history. If they panic, so does this, with everything that happened.
pub(crate) fn explain(world: &mut World, name: &str, steps: impl FnOnce(&mut World)) {
    let outcome = catch_unwind(AssertUnwindSafe(|| steps(world)));
    if let Err(panic) = outcome {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let log = world.log.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
        panic!("{name} broke a rule: {}\n{log}", message.unwrap_or_default());
    }
}

fn disturb(world: &mut World) {
    world.chance.set_faults(world.chance.pick(&[0, 5, 20, 40]));
    for _ in 0..4 + world.chance.below(30) {
        step(world);
        let yields = world.chance.pick(&[0, 1, 3, 10, 40]);
        world.run(yields);
        if world.network.take_changed() {
            check_holds(world);
        }
    }
}

fn step(world: &mut World) {
    match world.chance.below(33) {
        0..8 => {
            let token = world.chance.pick(TOKENS);
            world.note(&format!("the buyer pays with {token}"));
            world.pay(token);
        }
        8..13 => drop(world.deliver_order_event()),
        13..17 => drop(world.relay()),
        17..19 => {
            world.note("the buyer cancels, or the order expires");
            if world.chance.is_below(50) {
                let clock = &world.env.clock;
                clock.advance(world.orders.order.expires_at.since(clock.now()));
            }
            world.orders.cancel();
        }
        19..22 => {
            let duration = Duration::from_secs(world.chance.pick(&[1, 2, 5, 15, 60, 300]));
            world.note(&format!("{duration:?} pass"));
            world.env.clock.advance(duration);
        }
        22 => {
            let days = world.chance.pick(&[1, 2, 8]);
            world.note(&format!("{days} days pass"));
            world.env.clock.advance(Duration::from_secs(days * 86_400));
        }
        23..25 => {
            world.note("the service is killed");
            world.restart();
        }
        25..27 => world.send_any_webhook(),
        27 => {
            let actions = ["authenticate", "fail_authentication", "settle", "fail", "cancel", "refund", "dispute"];
            world.at_stripe(world.chance.pick(&actions));
        }
        28 => world.refund(),
        29..31 => drop(world.block_on(world.network.deliver_late())),
        _ => {
            let operation = world.chance.pick(&["create", "confirm", "capture", "cancel", "refund", "retrieve", "any"]);
            let fault = world.chance.pick(&["error", "errorAfter", "rateLimited", "lostResponse", "conflict"]);
            let body = json!({"operation": operation, "fault": fault, "times": 1 + world.chance.below(3)});
            world.note(&format!("Stripe will fail: {body}"));
            world.set_faults_at_stripe("POST", &body.to_string());
        }
    }
}

/// Ends all faults and waits until nothing changes any more.
pub(crate) fn settle(world: &mut World) {
    world.note("all faults end");
    world.chance.set_faults(0);
    world.set_faults_at_stripe("DELETE", "");
    while world.block_on(world.network.deliver_late()) {}
    // Stripe sends each webhook until it is accepted. Nothing else tells of a refund in the dashboard days later.
    for event in world.events() {
        world.send_webhook(&event);
    }
    for round in 0..400_u64 {
        world.run_until_idle();
        let relayed = world.relay();
        let delivered = world.deliver_order_event();
        // Slowly at first, then fast enough for the longest delay between two tries.
        world.env.clock.advance(Duration::from_secs(if round < 8 { 2 } else { 61 }));
        if round == 5 && world.orders.is_open() {
            world.note("the order expires");
            world.env.clock.advance(RESERVATION);
            world.orders.cancel();
        }
        let unsettled =
            world.payments().iter().any(|payment| payment.get("unsettled").is_some() && payment["status"] != "stuck");
        if round > 9 && !relayed && !delivered && !unsettled && !world.orders.is_open() {
            return;
        }
    }
    panic!("not settled: {:#?}", world.payments());
}

/// At no time may two intents hold money.
fn check_holds(world: &World) {
    let held = world.intents().iter().filter(|intent| is_held(intent)).count();
    assert!(held <= 1, "{held} holds for one order");
}

/// Checks that the money is where it belongs.
pub(crate) fn check(world: &World) {
    let (intents, payments) = (world.intents(), world.payments());
    let captured: Vec<&Value> = intents.iter().filter(|intent| is_charged(intent)).collect();
    // An intent whose creation got no response is never confirmed, so it holds nothing.
    let is_recorded = |intent: &Value| payments.iter().any(|payment| payment["stripeId"] == intent["id"]);
    let open = intents.iter().filter(|intent| match intent["status"].as_str().expect("a status") {
        "canceled" | "succeeded" => false,
        "requires_confirmation" => is_recorded(intent),
        _ => true,
    });
    let state = || format!("order {:?}\n{intents:#?}\n{payments:#?}", world.orders.status);
    // Stripe refuses to refund a disputed charge.
    let is_refused = |payment: &Value| payment["refundRequested"] == true;
    let is_stuck = payments.iter().any(|payment| payment["status"] == "stuck" && !is_refused(payment));
    match world.orders.status {
        OrderStatus::Complete if world.orders.is_kept_unpaid => assert!(captured.len() <= 1, "{}", state()),
        OrderStatus::Complete => assert!(captured.len() == 1 && !is_stuck, "not captured once: {}", state()),
        _ => assert!(captured.is_empty() && !is_stuck, "charged for a cancelled order: {}", state()),
    }
    if !world.orders.is_kept_unpaid {
        assert_eq!(open.count(), 0, "an intent is open: {}", state());
    }
    let price = world.orders.order.ticket.price.cents();
    assert!(captured.iter().all(|intent| intent["amount_received"] == price), "a wrong amount: {}", state());
    if !is_stuck {
        let since = world.orders.order.expires_at.minus(Duration::from_secs(30 * 86_400));
        let drift = world.block_on(operations::drift(&world.database, &world.stripe, since)).expect("a comparison");
        assert!(drift.is_empty(), "{drift:?} {}", state());
    }
}

fn is_held(intent: &Value) -> bool {
    intent["status"] == "requires_capture"
}

fn is_charged(intent: &Value) -> bool {
    intent["status"] == "succeeded" && intent["latest_charge"]["refunded"] == false
}
