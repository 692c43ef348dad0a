//! One purchase from the list to the money, and the ways it may go.

use std::time::Duration;

use common::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Order, Setup, System, Ticket, books, in_time, wait_until};

#[tokio::test]
async fn a_ticket_is_listed_reserved_paid_for_and_sold() {
    let system = System::start().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);

    let ticket = ann.list_ticket("Concert", "19.99").await;
    assert_eq!((ticket.title.as_str(), ticket.price.to_string().as_str()), ("Concert", "19.99"));
    assert_eq!((&ticket.user_id, ticket.version, &ticket.order_id), (&ann.id, 0, &None));
    assert_eq!(system.nobody().all::<Ticket>("/tickets").await, std::slice::from_ref(&ticket));

    let before = SystemClock.now();
    let order = bob.order(&ticket).await;
    assert_eq!((&order.user_id, order.status.as_str(), order.version), (&bob.id, "created", 0));
    assert_eq!((&order.ticket.id, &order.ticket.title), (&ticket.id, &ticket.title));
    assert_eq!((&order.ticket.price, order.ticket.version), (&ticket.price, 0));
    let reserved_for = order.expires_at.since(before);
    assert!(reserved_for >= Duration::from_secs(900) && reserved_for < Duration::from_secs(930), "{reserved_for:?}");

    let reserved = ann.sees_held_by(&ticket, Some(&order)).await;
    assert_eq!(reserved.version, 1);
    assert!(!eve.sees_listed(&ticket).await);
    ann.editing(&ticket.id, "Dearer", "30").send().await.refuses(400, "Cannot edit a reserved ticket");
    eve.ordering(&ticket.id).send().await.refuses(400, "Ticket is already reserved");

    let paid: Value = bob.paying(&order.id, "tok_visa").send().await.expect(201).json();
    assert_eq!(paid["orderId"], json!(order.id));
    let (complete, payment) = bob.sees_complete(&order).await;
    assert_eq!((complete.version, complete.expires_at), (1, order.expires_at));
    assert_eq!(paid["id"], json!(payment.id));
    assert_eq!((payment.order_id, payment.amount.to_string()), (order.id.clone(), "19.99".to_owned()));
    let card = payment.card.expect("a card");
    assert_eq!((card.brand.as_str(), card.last4.as_str()), ("visa", "4242"));

    bob.cancelling(&order.id).send().await.refuses(400, "Cannot cancel a completed order");
    bob.paying(&order.id, "tok_visa").send().await.refuses(400, "Order is already paid");
    eve.ordering(&ticket.id).send().await.refuses(400, "Ticket is already reserved");
    ann.editing(&ticket.id, "Dearer", "30").send().await.refuses(400, "Cannot edit a reserved ticket");
    assert_eq!(ann.find_ticket(&ticket.id).await, reserved);
    assert!(!eve.sees_listed(&ticket).await);
    assert_eq!(bob.all::<Order>("/orders").await, [complete]);
}

#[tokio::test]
async fn what_one_service_has_just_answered_the_next_one_knows() {
    let system = System::start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let purchase = async || {
        let ticket = ann.list_ticket("Concert", "20").await;
        let ordered = bob.ordering(&ticket.id).send().await;
        if ordered.status != 201 {
            return Err(format!("{ordered:?}"));
        }
        let paid = bob.paying(&ordered.json::<Order>().id, "tok_visa").send().await;
        if paid.status == 201 { Ok(()) } else { Err(format!("{paid:?}")) }
    };
    for _ in 0..10 {
        in_time(purchase).await;
    }
}

#[tokio::test]
async fn a_declined_card_is_told_why_and_another_one_pays() {
    let system = System::start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.list_ticket("Concert", "20").await).await;

    let declines = [
        ("chargeDeclined", "Your card was declined."),
        ("chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
        ("chargeDeclinedExpiredCard", "Your card has expired."),
    ];
    for (card, message) in declines {
        bob.paying(&order.id, &format!("tok_{card}")).send().await.refuses(402, message);
        bob.paying(&order.id, &format!("pm_card_{card}")).send().await.refuses(402, message);
    }
    assert_eq!(bob.find_order(&order.id).await, order);
    let attempts = bob.payments(&order.id).await;
    assert_eq!(attempts.iter().filter(|attempt| attempt.status == "declined").count(), attempts.len());

    let nonsense = bob.paying(&order.id, "tok_of_somebody_else").send().await;
    assert!((400..500).contains(&nonsense.status), "{nonsense:?}");

    bob.pay(&order, "pm_card_visa").await;
    bob.sees_complete(&order).await;
}

#[tokio::test]
async fn a_cancelled_order_frees_its_ticket_for_somebody_else() {
    let system = System::start().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let ticket = ann.list_ticket("Concert", "20").await;

    let given_up = bob.order(&ticket).await;
    ann.sees_held_by(&ticket, Some(&given_up)).await;
    bob.cancel(&given_up).await;
    // Again is no mistake.
    bob.cancel(&given_up).await;
    assert_eq!(bob.find_order(&given_up.id).await.status, "cancelled");

    ann.sees_held_by(&ticket, None).await;
    wait_until("the ticket is for sale again", async || eve.sees_listed(&ticket).await.then_some(())).await;
    system.handled("payments_order-cancelled", 1).await;
    bob.paying(&given_up.id, "tok_visa").send().await.refuses(400, "Cannot pay for a cancelled order");
    assert_eq!(bob.payments(&given_up.id).await, []);

    let bought = eve.order(&ticket).await;
    eve.pay(&bought, "tok_visa").await;
    eve.sees_complete(&bought).await;
    // What is long over takes nothing away from her.
    bob.cancel(&given_up).await;
    ann.sees_held_by(&ticket, Some(&bought)).await;
    assert_eq!(bob.find_order(&given_up.id).await.version, 1);
}

#[tokio::test]
async fn what_belongs_to_others_is_out_of_reach() {
    let system = System::start().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let ticket = ann.list_ticket("Concert", "20").await;
    let order = bob.order(&ticket).await;
    bob.pay(&order, "tok_visa").await;
    bob.sees_complete(&order).await;

    for stranger in [&eve, &ann, &system.nobody()] {
        let calls = [
            stranger.get(&format!("/orders/{}", order.id)),
            stranger.cancelling(&order.id),
            stranger.paying(&order.id, "tok_visa"),
            stranger.get(&format!("/payments?orderId={}", order.id)),
        ];
        for call in calls {
            call.send().await.refuses(401, "Not authorized");
        }
    }
    for stranger in [&eve, &bob, &system.nobody()] {
        stranger.editing(&ticket.id, "Mine", "1").send().await.refuses(401, "Not authorized");
    }
    for call in
        [system.nobody().listing("Concert", "20"), system.nobody().ordering(&ticket.id), system.nobody().get("/orders")]
    {
        call.send().await.refuses(401, "Not authorized");
    }
    assert_eq!(eve.all::<Value>("/orders").await, Vec::<Value>::new());

    let unknown = "0123456789abcdef01234567";
    for call in [
        eve.get(&format!("/tickets/{unknown}")),
        eve.editing(unknown, "Concert", "20"),
        eve.ordering(unknown),
        eve.get(&format!("/orders/{unknown}")),
        eve.cancelling(unknown),
        eve.paying(unknown, "tok_visa"),
        eve.get(&format!("/payments?orderId={unknown}")),
    ] {
        call.send().await.refuses(404, "Not Found");
    }
}

#[tokio::test]
async fn an_edited_ticket_sells_for_its_new_price_and_an_older_order_keeps_its_own() {
    let system = System::start().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let ticket = ann.list_ticket("Concert", "20").await;
    let cheap = bob.order(&ticket).await;
    ann.sees_held_by(&ticket, Some(&cheap)).await;
    bob.cancel(&cheap).await;
    ann.sees_held_by(&ticket, None).await;

    let edited: Ticket = ann.editing(&ticket.id, "Concert, front row", "99.5").send().await.expect(200).json();
    // 1 and 2 were the reservation and its end.
    assert_eq!((edited.version, edited.title.as_str()), (3, "Concert, front row"));
    system.handled("orders_ticket-updated", 3).await;

    let dear = eve.order(&ticket).await;
    assert_eq!((dear.ticket.price.to_string(), dear.ticket.version), ("99.5".to_owned(), 3));
    assert_eq!(bob.find_order(&cheap.id).await.ticket, cheap.ticket);
    eve.pay(&dear, "tok_visa").await;
    assert_eq!(eve.sees_complete(&dear).await.1.amount.to_string(), "99.5");
}

#[tokio::test]
async fn one_trace_runs_from_a_request_through_every_event_it_causes() {
    let system = System::start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.list_ticket("Concert", "20").await).await;

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let paying = bob.paying(&order.id, "tok_visa").header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    paying.header("x-request-id", "a-payment").send().await.expect(201);
    bob.sees_complete(&order).await;

    let events = books::open(&system.path("events.db"));
    let traced = format!("SELECT subject FROM events WHERE traceparent LIKE '00-{trace}-%' ORDER BY seq");
    assert_eq!(books::texts(&events, &traced), ["payment:created", "order:completed"]);
    let log = system.output();
    let request = log.lines().find(|line| line.contains("a-payment")).expect("a line in the access log");
    assert!(request.contains(trace), "{request}");
    for (subject, count) in [("ticket:created", 1.0), ("order:created", 1.0), ("order:completed", 1.0)] {
        let series = format!("events_published_total{{subject=\"{subject}\"}}");
        assert_eq!(system.metric(&series).await.to_string(), count.to_string(), "{subject}");
    }
}

#[tokio::test]
async fn while_stripe_is_out_of_reach_paying_can_be_tried_again_later() {
    let key = "sk_test_51TheKeyThatNobodyMayRead";
    // Nothing listens there.
    let setup = Setup::default().set("STRIPE_KEY", key).set("STRIPE_API_BASE", "http://127.0.0.1:9");
    let system = setup.start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.list_ticket("Concert", "20").await).await;

    let answer = bob.paying(&order.id, "tok_visa").send().await.expect(503);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(bob.find_order(&order.id).await.status, "created");
    assert!(!system.output().contains(key));
}
