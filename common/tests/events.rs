//! Compares the JSON of every event with `golden/*.json`, in both directions.
//!
//! The golden files are the contract. Do not change one: an event with a different shape needs a new subject.

use std::path::Path;

use common::clock::Timestamp;
use common::events::{
    Event, ExpirationComplete, Message, OrderCancelled, OrderCompleted, OrderCreated, OrderRecord, OrderStatus,
    OrderUpdated, OrderedTicket, PaymentCreated, PaymentFailed, PaymentFailure, PaymentPending, Subject, TicketCreated,
    TicketUpdated,
};
use common::money::Money;
use serde_json::Value;

const EXPIRES: Timestamp = Timestamp::from_millis(1_769_861_700_007);

/// `65c0ffee65c0ffee6500000<digit>`: 1 for a ticket, 2 for a user, 3 for an order, 4 for a payment.
fn id<I: std::str::FromStr<Err: std::fmt::Debug>>(digit: u8) -> I {
    format!("65c0ffee65c0ffee6500000{digit}").parse().expect("an id")
}

#[track_caller]
fn assert_golden<E: Event + PartialEq>(file: &str, message_id: &str, event: &E) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file).with_extension("json");
    let golden = std::fs::read_to_string(&path).expect("a golden file");
    let message = Message::new(event).expect("a message");
    let payload: Value = serde_json::from_str(&message.payload).expect("a JSON payload");
    let expected: Value = serde_json::from_str(&golden).expect("a JSON file");
    assert_eq!(payload, expected, "{file} differs from the payload");
    assert_eq!(&serde_json::from_str::<E>(&golden).expect("an event"), event, "{file} parses as a different event");
    assert_eq!((message.id.as_str(), message.subject), (message_id, E::SUBJECT));
    assert!(file.starts_with(&E::SUBJECT.as_str().replace(':', "-")));
}

#[test]
fn ticket_created_matches_its_golden_file() {
    let event = TicketCreated { id: id(1), version: 0, title: title(), price: Money::from_cents(1999), user_id: id(2) };
    assert_golden("ticket-created", "ticket:created/65c0ffee65c0ffee65000001/0", &event);
}

#[test]
fn ticket_updated_matches_its_golden_files() {
    let mut event = TicketUpdated {
        id: id(1),
        version: 1,
        title: title(),
        price: Money::from_cents(2000),
        user_id: id(2),
        order_id: Some(id(3)),
    };
    assert_golden("ticket-updated", "ticket:updated/65c0ffee65c0ffee65000001/1", &event);
    (event.version, event.price, event.order_id) = (2, Money::from_cents(10), None);
    assert_golden("ticket-updated-not-reserved", "ticket:updated/65c0ffee65c0ffee65000001/2", &event);
}

fn order(version: u64, status: OrderStatus) -> OrderRecord {
    let ticket = OrderedTicket { id: id(1), price: Money::from_cents(99_999_999) };
    OrderRecord { id: id(3), version, status, user_id: id(2), expires_at: EXPIRES, ticket }
}

#[test]
fn order_events_match_their_golden_files() {
    let created = OrderCreated(order(0, OrderStatus::Created));
    assert_golden("order-created", "order:created/65c0ffee65c0ffee65000003/0", &created);
    let updated = OrderUpdated(order(1, OrderStatus::AwaitingPayment));
    assert_golden("order-updated", "order:updated/65c0ffee65c0ffee65000003/1", &updated);
    let cancelled = OrderCancelled(order(1, OrderStatus::Cancelled));
    assert_golden("order-cancelled", "order:cancelled/65c0ffee65c0ffee65000003/1", &cancelled);
    let completed = OrderCompleted(order(1, OrderStatus::Complete));
    assert_golden("order-completed", "order:completed/65c0ffee65c0ffee65000003/1", &completed);
}

#[test]
fn expiration_complete_matches_its_golden_file() {
    let event = ExpirationComplete { order_id: id(3) };
    assert_golden("expiration-complete", "expiration:complete/65c0ffee65c0ffee65000003/0", &event);
}

#[test]
fn payment_created_matches_its_golden_file() {
    let event = PaymentCreated { id: id(4), order_id: id(3), stripe_id: "pi_3MtwBwLkdIwHu7ix28a3tqPa".into() };
    assert_golden("payment-created", "payment:created/65c0ffee65c0ffee65000004/0", &event);
}

#[test]
fn payment_pending_matches_its_golden_file() {
    let event = PaymentPending { id: id(4), order_id: id(3) };
    assert_golden("payment-pending", "payment:pending/65c0ffee65c0ffee65000004/0", &event);
}

#[test]
fn payment_failed_matches_its_golden_files() {
    let mut event = PaymentFailed { id: id(4), order_id: id(3), reason: PaymentFailure::CaptureFailed };
    assert_golden("payment-failed", "payment:failed/65c0ffee65c0ffee65000004/0", &event);
    event.reason = PaymentFailure::Refunded;
    assert_golden("payment-failed-refunded", "payment:failed/65c0ffee65c0ffee65000004/1", &event);
}

#[test]
fn every_subject_has_a_golden_file() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for subject in Subject::ALL {
        assert!(directory.join(subject.as_str().replace(':', "-")).with_extension("json").exists(), "{subject}");
        assert_eq!(subject.as_str().parse::<Subject>().unwrap(), subject);
    }
}

#[test]
fn order_statuses_have_their_contract_names() {
    let statuses = [OrderStatus::Created, OrderStatus::AwaitingPayment, OrderStatus::Complete, OrderStatus::Cancelled];
    let names = statuses.map(|status| serde_json::to_value(status).unwrap());
    assert_eq!(names, ["created", "awaiting:payment", "complete", "cancelled"]);
}

fn title() -> String {
    "Zürich, 2 seats".into()
}
