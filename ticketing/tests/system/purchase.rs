//! A purchase from the list of tickets to the captured payment, and the ways it can end.

use std::time::Duration;

use common::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use testing::in_time;
use testing::system::{Order, Ticket};

use crate::binary::{setup, start};
use crate::databases::{open, texts, wait_until_consistent};

#[tokio::test]
async fn a_ticket_is_listed_reserved_paid_for_and_sold() {
    let system = start().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);

    let ticket = ann.create_ticket("Concert", "19.99").await;
    assert_eq!((ticket.title.as_str(), ticket.price.to_string().as_str()), ("Concert", "19.99"));
    assert_eq!((&ticket.user_id, ticket.version, &ticket.order_id), (&ann.id, 0, &None));
    assert_eq!(system.visitor().list_all::<Ticket>("/tickets").await, std::slice::from_ref(&ticket));

    let before = SystemClock.now();
    let order = bob.order(&ticket).await;
    assert_eq!((&order.user_id, order.status.as_str(), order.version), (&bob.id, "created", 0));
    assert_eq!((&order.ticket.id, &order.ticket.title), (&ticket.id, &ticket.title));
    assert_eq!((&order.ticket.price, order.ticket.version), (&ticket.price, 0));
    let reserved_for = order.expires_at.since(before);
    assert!(reserved_for >= Duration::from_secs(900) && reserved_for < Duration::from_secs(930), "{reserved_for:?}");

    let reserved = ann.wait_until_reserved_by(&ticket, Some(&order)).await;
    assert_eq!(reserved.version, 1);
    assert!(!eve.finds_for_sale(&ticket).await);
    ann.put_ticket(&ticket.id, "Dearer", "30").send().await.expect_error(400, "Cannot edit a reserved ticket");
    eve.post_order(&ticket.id).send().await.expect_error(400, "Ticket is already reserved");

    let paid: Value = bob.post_payment(&order.id, "tok_visa").send().await.expect(201).json();
    assert_eq!(paid["orderId"], json!(order.id));
    let (complete, payment) = bob.wait_until_complete(&order).await;
    assert_eq!((complete.version, complete.expires_at), (1, order.expires_at));
    assert_eq!(paid["id"], json!(payment.id));
    assert_eq!((payment.order_id, payment.amount.to_string()), (order.id.clone(), "19.99".to_owned()));
    let card = payment.card.expect("a card");
    assert_eq!((card.brand.as_str(), card.last4.as_str()), ("visa", "4242"));

    bob.delete_order(&order.id).send().await.expect_error(400, "Cannot cancel a completed order");
    bob.post_payment(&order.id, "tok_visa").send().await.expect_error(400, "Order is already paid");
    eve.post_order(&ticket.id).send().await.expect_error(400, "Ticket is already reserved");
    ann.put_ticket(&ticket.id, "Dearer", "30").send().await.expect_error(400, "Cannot edit a reserved ticket");
    assert_eq!(ann.find_ticket(&ticket.id).await, reserved);
    assert!(!eve.finds_for_sale(&ticket).await);
    assert_eq!(bob.list_all::<Order>("/orders").await, [complete]);
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn a_service_knows_in_time_what_another_has_just_confirmed() {
    let system = start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let purchase = async || {
        let ticket = ann.create_ticket("Concert", "20").await;
        let ordered = bob.post_order(&ticket.id).send().await;
        if ordered.status != 201 {
            return Err(format!("{ordered:?}"));
        }
        let paid = bob.post_payment(&ordered.json::<Order>().id, "tok_visa").send().await;
        if paid.status == 201 { Ok(()) } else { Err(format!("{paid:?}")) }
    };
    for _ in 0..10 {
        in_time(purchase).await;
    }
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn a_declined_card_gets_the_reason_and_another_card_pays() {
    let system = start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.create_ticket("Concert", "20").await).await;

    let declines = [
        ("chargeDeclined", "Your card was declined."),
        ("chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
        ("chargeDeclinedExpiredCard", "Your card has expired."),
    ];
    for (card, message) in declines {
        bob.post_payment(&order.id, &format!("tok_{card}")).send().await.expect_error(402, message);
        bob.post_payment(&order.id, &format!("pm_card_{card}")).send().await.expect_error(402, message);
    }
    assert_eq!(bob.find_order(&order.id).await, order);
    let payments = bob.list_payments(&order.id).await;
    assert_eq!(payments.iter().filter(|payment| payment.status == "declined").count(), payments.len());

    let unknown = bob.post_payment(&order.id, "tok_of_somebody_else").send().await;
    assert!((400..500).contains(&unknown.status), "{unknown:?}");

    bob.pay(&order, "pm_card_visa").await;
    bob.wait_until_complete(&order).await;
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn a_cancelled_order_frees_its_ticket_for_another_buyer() {
    let system = start().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let ticket = ann.create_ticket("Concert", "20").await;

    let cancelled = bob.order(&ticket).await;
    ann.wait_until_reserved_by(&ticket, Some(&cancelled)).await;
    bob.cancel(&cancelled).await;
    // Idempotent.
    bob.cancel(&cancelled).await;
    assert_eq!(bob.find_order(&cancelled.id).await.status, "cancelled");

    ann.wait_until_reserved_by(&ticket, None).await;
    eve.wait_until_for_sale(&ticket).await;
    system.wait_until_handled("payments_order-cancelled", 1).await;
    bob.post_payment(&cancelled.id, "tok_visa").send().await.expect_error(400, "Cannot pay for a cancelled order");
    assert_eq!(bob.list_payments(&cancelled.id).await, []);

    let bought = eve.order(&ticket).await;
    eve.pay(&bought, "tok_visa").await;
    eve.wait_until_complete(&bought).await;
    // Cancelling the old order again does not touch hers.
    bob.cancel(&cancelled).await;
    ann.wait_until_reserved_by(&ticket, Some(&bought)).await;
    assert_eq!(bob.find_order(&cancelled.id).await.version, 1);
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn users_cannot_access_the_records_of_others() {
    let system = start().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let ticket = ann.create_ticket("Concert", "20").await;
    let order = bob.order(&ticket).await;
    bob.pay(&order, "tok_visa").await;
    bob.wait_until_complete(&order).await;

    for stranger in [&eve, &ann, &system.visitor()] {
        let calls = [
            stranger.get(&format!("/orders/{}", order.id)),
            stranger.delete_order(&order.id),
            stranger.post_payment(&order.id, "tok_visa"),
            stranger.get_payments(&order.id),
        ];
        for call in calls {
            call.send().await.expect_error(401, "Not authorized");
        }
    }
    for stranger in [&eve, &bob, &system.visitor()] {
        stranger.put_ticket(&ticket.id, "Mine", "1").send().await.expect_error(401, "Not authorized");
    }
    for call in [
        system.visitor().post_ticket("Concert", "20"),
        system.visitor().post_order(&ticket.id),
        system.visitor().get("/orders"),
    ] {
        call.send().await.expect_error(401, "Not authorized");
    }
    assert_eq!(eve.list_all::<Value>("/orders").await, Vec::<Value>::new());

    let unknown = "0123456789abcdef01234567";
    for call in [
        eve.get(&format!("/tickets/{unknown}")),
        eve.put_ticket(unknown, "Concert", "20"),
        eve.post_order(unknown),
        eve.get(&format!("/orders/{unknown}")),
        eve.delete_order(unknown),
        eve.post_payment(unknown, "tok_visa"),
        eve.get_payments(unknown),
    ] {
        call.send().await.expect_error(404, "Not Found");
    }
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn an_edited_ticket_sells_at_its_new_price_and_older_orders_keep_theirs() {
    let system = start().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let ticket = ann.create_ticket("Concert", "20").await;
    let cheap = bob.order(&ticket).await;
    ann.wait_until_reserved_by(&ticket, Some(&cheap)).await;
    bob.cancel(&cheap).await;
    ann.wait_until_reserved_by(&ticket, None).await;

    let edited: Ticket = ann.put_ticket(&ticket.id, "Concert, front row", "99.5").send().await.expect(200).json();
    // Versions 1 and 2 were the reservation and its release.
    assert_eq!((edited.version, edited.title.as_str()), (3, "Concert, front row"));
    system.wait_until_handled("orders_ticket-updated", 3).await;

    let dear = eve.order(&ticket).await;
    assert_eq!((dear.ticket.price.to_string(), dear.ticket.version), ("99.5".to_owned(), 3));
    assert_eq!(bob.find_order(&cheap.id).await.ticket, cheap.ticket);
    eve.pay(&dear, "tok_visa").await;
    assert_eq!(eve.wait_until_complete(&dear).await.1.amount.to_string(), "99.5");
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn a_request_and_all_events_it_causes_share_one_trace() {
    let system = start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.create_ticket("Concert", "20").await).await;

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let payment = bob.post_payment(&order.id, "tok_visa").header("x-request-id", "a-payment");
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    payment.header("traceparent", &traceparent).send().await.expect(201);
    bob.wait_until_complete(&order).await;

    let events = open(&system.path("events.db"));
    let sql = format!("SELECT subject FROM events WHERE traceparent LIKE '00-{trace}-%' ORDER BY seq");
    assert_eq!(texts(&events, &sql), ["payment:created", "order:completed"]);
    let log = system.output();
    let request = log.lines().find(|line| line.contains("a-payment")).expect("a line in the access log");
    assert!(request.contains(trace), "{request}");
    for (subject, count) in [("ticket:created", 1.0), ("order:created", 1.0), ("order:completed", 1.0)] {
        let series = format!("events_published_total{{subject=\"{subject}\"}}");
        assert_eq!(system.metric(&series).await.to_string(), count.to_string(), "{subject}");
    }
    wait_until_consistent(&system).await;
}

#[tokio::test]
async fn a_payment_while_stripe_is_unreachable_fails_with_503() {
    let key = "sk_test_51ASecretKey";
    // Nothing listens there.
    let setup = setup().set("STRIPE_KEY", key).set("STRIPE_API_BASE", "http://127.0.0.1:9");
    let system = setup.start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.create_ticket("Concert", "20").await).await;

    let reply = bob.post_payment(&order.id, "tok_visa").send().await.expect(503);
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    assert_eq!(bob.find_order(&order.id).await.status, "created");
    assert!(!system.output().contains(key));
}
