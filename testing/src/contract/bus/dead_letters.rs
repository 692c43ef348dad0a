//! Rejecting, listing, replaying and dropping dead letters.

use std::collections::BTreeSet;
use std::slice;
use std::time::Duration;

use common::bus::{Bus, DeadLetter, Verdict};
use common::events::Message;
use common::trace::TraceParent;

use super::fixture::{
    PAYMENTS, TICKETS, ack, message, number, numbers, open, publish, reject, settle, subscribe, take, take_one,
};
use crate::contract::harness::Data;

/// A dead letter records its message, listener, reason and attempts, and survives reopening.
pub async fn a_rejected_message_becomes_a_dead_letter(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    assert_eq!(dead_letters(&*bus).await, []);
    let traced = Message { traceparent: Some(TraceParent::generate()), ..message(1) };
    bus.publish(&[traced.clone(), message(2)]).await.expect("publish");
    for (durable, reason) in [(TICKETS, "no such ticket"), (PAYMENTS, "é \"quoted\"")] {
        let reader = subscribe(&*bus, durable).await;
        let first = take_one(&*reader).await;
        settle(&*reader, &first, Verdict::Retry(Duration::ZERO)).await;
        loop {
            let delivery = take_one(&*reader).await;
            if delivery.attempt == 2 {
                settle(&*reader, &delivery, Verdict::Reject(reason.into())).await;
                break;
            }
            ack(&*reader, &delivery).await;
        }
    }
    for bus in [bus, data.open().await] {
        let letters = dead_letters(&*bus).await;
        let mut facts: Vec<_> =
            letters.iter().map(|letter| (&*letter.listener, &*letter.reason, letter.attempts)).collect();
        facts.sort_unstable();
        assert_eq!(facts, [(PAYMENTS.name, "é \"quoted\"", 2), (TICKETS.name, "no such ticket", 2)]);
        assert!(letters.iter().all(|letter| letter.message == traced));
        assert_eq!(bus.dead_letters(None, 1).await.expect("dead letters").len(), 1);
    }
}

/// A rejected message is never redelivered, even after reopening; the messages after it are delivered.
pub async fn a_rejected_message_is_not_redelivered(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    publish(&*bus, 1..3).await;
    reject(&*reader, 2).await;
    publish(&*bus, 3..4).await;
    let third = take_one(&*reader).await;
    assert_eq!(number(&third), 3);
    ack(&*reader, &third).await;
    drop((reader, bus));

    // A rejection is durable when `settle` returns. An ack may be lost.
    let (bus, reader) = open(data).await;
    publish(&*bus, 4..5).await;
    loop {
        match number(&take_one(&*reader).await) {
            4 => break,
            number => assert_eq!(number, 3, "a rejected message was redelivered"),
        }
    }
    assert_eq!(dead_letters(&*bus).await.len(), 2);
}

/// A replay by another process reaches the waiting reader once, as a first delivery of the original message. Other
/// durables of the subject get nothing. Replaying again does nothing.
pub async fn a_replayed_dead_letter_reaches_only_its_listener(data: &dyn Data<dyn Bus>) {
    let (bus, tickets) = open(data).await;
    let payments = subscribe(&*bus, PAYMENTS).await;
    let traced = Message { traceparent: Some(TraceParent::generate()), ..message(1) };
    bus.publish(slice::from_ref(&traced)).await.expect("publish");
    ack(&*payments, &take_one(&*payments).await).await;
    reject(&*tickets, 1).await;
    let letters = dead_letters(&*bus).await;

    let tool = data.open().await;
    let replay = async {
        tokio::task::yield_now().await;
        assert!(tool.replay_dead_letter(&letters[0].id).await.expect("replay"));
        assert!(!tool.replay_dead_letter(&letters[0].id).await.expect("replay"));
    };
    let (again, ()) = tokio::join!(take_one(&*tickets), replay);
    assert_eq!((again.attempt, &again.message), (1, &traced));
    ack(&*tickets, &again).await;
    assert_eq!(dead_letters(&*bus).await, []);

    publish(&*bus, 2..3).await;
    assert_eq!(numbers(&take(&*tickets, 1).await), [2]);
    assert_eq!(numbers(&take(&*payments, 1).await), [2]);
}

/// A replay is durable: a listener that is not running gets it when it starts.
pub async fn a_replay_waits_for_its_listener(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    publish(&*bus, 1..2).await;
    reject(&*subscribe(&*bus, TICKETS).await, 1).await;
    let letters = dead_letters(&*bus).await;
    drop(bus);
    assert!(data.open().await.replay_dead_letter(&letters[0].id).await.expect("replay"));
    let (_bus, reader) = open(data).await;
    let again = take_one(&*reader).await;
    assert_eq!(again.message, letters[0].message);
    settle(&*reader, &again, Verdict::Retry(Duration::ZERO)).await;
    assert_eq!(take_one(&*reader).await.message, letters[0].message);
}

/// A replayed message that is rejected again becomes a dead letter of the original message again.
pub async fn a_replayed_dead_letter_can_be_rejected_again(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    publish(&*bus, 1..2).await;
    reject(&*reader, 1).await;
    for _ in 0..3 {
        let letters = dead_letters(&*bus).await;
        assert_eq!(letters.len(), 1);
        assert_eq!((&*letters[0].listener, &letters[0].message), (TICKETS.name, &message(1)));
        assert!(bus.replay_dead_letter(&letters[0].id).await.expect("replay"));
        reject(&*reader, 1).await;
    }
    assert_eq!(dead_letters(&*bus).await.len(), 1);
}

/// A dropped dead letter is neither listed nor delivered. Unknown ids can be neither dropped nor replayed.
pub async fn a_dropped_dead_letter_is_gone(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    publish(&*bus, 1..3).await;
    reject(&*reader, 2).await;
    let letters = dead_letters(&*bus).await;
    assert!(bus.drop_dead_letter(&letters[0].id).await.expect("drop"));
    for id in [&letters[0].id, "", "0", "17", "-1", "99/tickets_order-created", "\u{e9}"] {
        assert!(!bus.drop_dead_letter(id).await.expect("drop"), "{id}");
        assert!(!bus.replay_dead_letter(id).await.expect("replay"), "{id}");
    }
    assert_eq!(dead_letters(&*bus).await, letters[1..]);
    publish(&*bus, 3..4).await;
    assert_eq!(numbers(&take(&*reader, 1).await), [3]);
}

/// A page begins after the last letter of the previous page, even if that has been dropped. Ids are unique.
pub async fn dead_letters_are_read_in_pages(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    publish(&*bus, 0..5).await;
    for durable in [TICKETS, PAYMENTS] {
        reject(&*subscribe(&*bus, durable).await, 5).await;
    }
    let (mut after, mut pages, mut ids) = (None, Vec::new(), BTreeSet::new());
    loop {
        let page = bus.dead_letters(after.as_deref(), 4).await.expect("dead letters");
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        assert!(bus.drop_dead_letter(&last.id).await.expect("drop"));
        pages.push(page.len());
        ids.extend(page.into_iter().map(|letter| letter.id));
    }
    assert_eq!((pages, ids.len()), (vec![4, 4, 2], 10));
}

async fn dead_letters(bus: &dyn Bus) -> Vec<DeadLetter> {
    bus.dead_letters(None, 10).await.expect("dead letters")
}
