//! Every state that an order and its payment can be in together, and everything that can happen then.

use std::time::Duration;

use payments::operations;
use serde_json::json;

use crate::history::{check, explain, settle};
use crate::world::World;

const PAID: &str = "Order is already paid";
const CANCELLED: &str = "Cannot pay for a cancelled order";
const IN_PROGRESS: &str = "A payment for this order is in progress";

/// The state of an order as the payments service knows it, that of its newest payment, and the reply to a buyer who pays
/// now.
const CASES: &[(Order, &str, u16, &str)] = &[
    (Order::Unknown, "none", 404, "Not Found"),
    (Order::Created, "none", 201, ""),
    // Its task was killed.
    (Order::Created, "recorded", 400, IN_PROGRESS),
    (Order::Created, "confirming", 400, IN_PROGRESS),
    (Order::Created, "requires_action", 202, ""),
    (Order::Created, "authorised", 400, PAID),
    (Order::Created, "voided", 201, ""),
    (Order::Created, "declined", 201, ""),
    (Order::AwaitingPayment, "requires_action", 202, ""),
    (Order::AwaitingPayment, "authorised", 400, PAID),
    (Order::AwaitingPayment, "declined", 201, ""),
    (Order::Complete, "capturing", 400, PAID),
    (Order::Complete, "captured", 400, PAID),
    (Order::Complete, "stuck", 400, PAID),
    (Order::Complete, "refunding", 400, PAID),
    (Order::Complete, "refunded", 400, PAID),
    (Order::Cancelled, "none", 400, CANCELLED),
    (Order::Cancelled, "voiding", 400, CANCELLED),
    (Order::Cancelled, "voided", 400, CANCELLED),
    (Order::Cancelled, "declined", 400, CANCELLED),
    (Order::Cancelled, "refunded", 400, CANCELLED),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Unknown,
    Created,
    AwaitingPayment,
    Complete,
    Cancelled,
}

type Happening = (&'static str, fn(&mut World));

const HAPPENINGS: &[Happening] = &[
    ("nothing", |_| {}),
    ("the buyer pays", |world| world.pay("tok_visa")),
    ("the buyer pays in two tabs", |world| {
        world.pay("tok_visa");
        world.pay("tok_visa");
    }),
    ("the buyer pays, and a response is lost", |world| {
        world.set_faults_at_stripe("POST", &json!({"operation": "any", "fault": "lostResponse"}).to_string());
        world.pay("tok_visa");
    }),
    ("the order's events arrive again", |world| world.orders.repeat_events()),
    ("the order is cancelled or expires", |world| world.orders.cancel()),
    ("the order is completed", |world| while world.relay() {}),
    ("all webhooks arrive", |world| {
        for event in world.events() {
            world.send_webhook(&event);
        }
    }),
    ("the service is killed", World::restart),
    ("a day passes", |world| world.env.clock.advance(Duration::from_secs(86_400))),
];

#[test]
fn money_is_where_it_belongs_whatever_happens_in_any_state() {
    for (order, payment, ..) in CASES {
        for (happening, happen) in HAPPENINGS {
            let mut world = World::new(0);
            explain(&mut world, &format!("order {order:?}, payment {payment}, {happening}"), |world| {
                reach(world, *order, payment);
                happen(world);
                world.run_until_idle();
                settle(world);
                check(world);
            });
        }
    }
}

#[test]
fn a_buyer_gets_a_clear_reply_in_any_state() {
    for (order, payment, status, message) in CASES {
        let mut world = World::new(0);
        explain(&mut world, &format!("order {order:?}, payment {payment}"), |world| {
            reach(world, *order, payment);
            let reply = world.pay_and_wait("tok_visa");
            assert_eq!(reply.status, *status, "{}", reply.body);
            if !message.is_empty() {
                assert_eq!(reply.body, json!({"errors": [{"message": message}]}));
            }
        });
    }
}

/// Brings an order and its newest payment into a state.
fn reach(world: &mut World, order: Order, payment: &str) {
    if order == Order::Unknown {
        return;
    }
    deliver(world);
    match payment {
        "recorded" | "confirming" => {
            let operation = if payment == "recorded" { "create" } else { "confirm" };
            let fault = json!({"operation": operation, "fault": "delay", "delayMs": 3_600_000});
            world.set_faults_at_stripe("POST", &fault.to_string());
            world.pay("tok_visa");
            world.run_until(|world| newest(world) == payment);
            world.restart();
        }
        "voided" if order == Order::Created => {
            world.set_faults_at_stripe("POST", &json!({"operation": "create", "fault": "error"}).to_string());
            world.pay_and_wait("tok_visa");
        }
        "declined" if order != Order::AwaitingPayment => drop(world.pay_and_wait("tok_chargeDeclined")),
        "none" => {}
        _ if order == Order::AwaitingPayment || payment == "requires_action" => {
            world.pay_and_wait("tok_threeDSecure2Required");
        }
        _ => drop(world.pay_and_wait("tok_visa")),
    }
    match order {
        Order::Unknown | Order::Created => {}
        Order::AwaitingPayment => {
            relay(world);
            match payment {
                "authorised" => world.at_stripe("authenticate"),
                "declined" => world.at_stripe("fail_authentication"),
                _ => {}
            }
            world.run_until(|world| newest(world) == payment);
        }
        Order::Complete => complete(world, payment),
        Order::Cancelled if payment.starts_with("refund") => {
            complete(world, payment);
            relay(world);
        }
        Order::Cancelled => {
            fail(world, "cancel", payment == "voiding");
            world.orders.cancel();
            deliver(world);
        }
    }
    assert_eq!(newest(world), payment, "{:#?}", world.payments());
}

/// Completes the order of an authorised payment.
fn complete(world: &mut World, payment: &str) {
    fail(world, "capture", payment == "capturing");
    if payment == "stuck" {
        world.at_stripe("cancel");
    }
    relay(world);
    if payment.starts_with("refund") {
        world.run_until(|world| newest(world) == "captured");
        fail(world, "refund", payment == "refunding");
        world.block_on(operations::refund(&world.database, world.orders.order.id)).expect("a refund");
    }
    world.run_until(|world| newest(world) == payment);
}

fn fail(world: &World, operation: &str, fails: bool) {
    if fails {
        let fault = json!({"operation": operation, "fault": "error", "times": 1000});
        world.set_faults_at_stripe("POST", &fault.to_string());
    }
}

/// Hands all events to the orders service, and its events to payments.
fn relay(world: &mut World) {
    while world.relay() {}
    deliver(world);
}

fn deliver(world: &mut World) {
    while world.deliver_order_event() {}
    world.run_until_idle();
}

fn newest(world: &World) -> String {
    let newest = world.payments().into_iter().next();
    newest.and_then(|payment| payment["status"].as_str().map(str::to_owned)).unwrap_or_else(|| "none".into())
}
