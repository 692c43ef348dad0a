//! What every engine of the [`Bus`] port does. See [`crate::contract`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{Data, soon};
use common::bus::{Bus, Delivery, Durable, Subscription, Verdict};
use common::events::{Message, Subject};
use common::trace::TraceParent;

/// Makes the tests of one engine, in a module of its name: `bus_contract!(sqlite, crate::sqlite::bus)`.
#[macro_export]
macro_rules! bus_contract {
    ($engine:ident, $fresh:path) => {
        mod $engine {
            use $crate::contract::bus as suite;
            $crate::contract_tests! { $fresh;
                what_is_published_is_delivered_as_it_was
                a_reader_that_waits_is_woken
                a_reader_gets_its_subject_in_order
                every_durable_gets_everything
                a_new_durable_begins_at_the_beginning
                readers_of_a_durable_share_its_messages
                what_is_retried_comes_again_after_its_delay
                what_is_retried_does_not_hold_up_others
                a_retry_wakes_a_reader_that_waits
                what_is_not_settled_comes_again_after_reopening
                what_is_settled_is_not_repeated_after_reopening
                what_is_retried_survives_reopening
                what_is_rejected_becomes_a_dead_letter
                what_is_rejected_does_not_come_again
                a_replayed_dead_letter_goes_to_its_listener_alone
                a_replay_waits_for_a_listener_that_is_away
                a_replayed_dead_letter_can_be_rejected_again
                a_dropped_dead_letter_is_gone
                dead_letters_are_read_in_pages
                history_is_read_in_pages
                a_repeated_message_is_dropped
                a_reader_that_goes_away_hands_on_what_it_held
                what_others_hold_does_not_hide_what_is_new
                giving_up_waiting_loses_nothing
                a_batch_is_delivered_whole_and_in_order
                thousands_reach_many_readers
            }
        }
    };
}

const TICKETS: Durable = Durable { name: "tickets_order-created", subject: Subject::OrderCreated };
const PAYMENTS: Durable = Durable { name: "payments_order-created", subject: Subject::OrderCreated };
const CANCELLED: Durable = Durable { name: "tickets_order-cancelled", subject: Subject::OrderCancelled };

/// Longer than any case takes: what is put off for so long comes again only after reopening, if then.
const LONG: Duration = Duration::from_secs(3600);

/// Id, subject, payload and trace context arrive unchanged, on the first attempt.
pub async fn what_is_published_is_delivered_as_it_was(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let payload = format!("{{\"title\": \"é 🎭 \\\" {}\"}}", "x".repeat(90_000));
    let traced = Message { payload, traceparent: Some(TraceParent::generate()), ..message(1) };
    let untraced = Message { traceparent: None, ..message(2) };
    bus.publish(&[traced.clone(), untraced.clone()]).await.expect("publish");
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    let deliveries = take(&*reader, 2).await;
    assert_eq!(deliveries.iter().map(|delivery| delivery.attempt).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(deliveries.into_iter().map(|delivery| delivery.message).collect::<Vec<_>>(), [traced, untraced]);
    bus.ping().await.expect("an answer");
}

/// A reader that was there first is told of what is published then.
pub async fn a_reader_that_waits_is_woken(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    let publish = async {
        tokio::task::yield_now().await;
        publish(&*bus, 1..2).await;
    };
    let (deliveries, ()) = tokio::join!(take(&*reader, 1), publish);
    assert_eq!(numbers(&deliveries), [1]);
}

/// A single reader gets the messages of its subject, and only those, in the order they were published.
pub async fn a_reader_gets_its_subject_in_order(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    for number in 0..100 {
        let other = Message { id: format!("other {number}"), subject: Subject::OrderCancelled, ..message(number) };
        bus.publish(&[message(number), other]).await.expect("publish");
    }
    let mut seen = Vec::new();
    while seen.len() < 100 {
        for delivery in soon("a delivery", reader.next(7)).await.expect("next") {
            assert_eq!(delivery.message.subject, Subject::OrderCreated);
            seen.push(number(&delivery));
            settle(&*reader, &delivery, Verdict::Ack).await;
        }
    }
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    let others = bus.subscribe(CANCELLED).await.expect("subscribe");
    assert_eq!(numbers(&take(&*others, 100).await), seen);
}

/// Each durable has a position of its own.
pub async fn every_durable_gets_everything(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let tickets = bus.subscribe(TICKETS).await.expect("subscribe");
    let payments = bus.subscribe(PAYMENTS).await.expect("subscribe");
    publish(&*bus, 0..10).await;
    for delivery in take(&*tickets, 10).await {
        settle(&*tickets, &delivery, Verdict::Ack).await;
    }
    assert_eq!(numbers(&take(&*payments, 10).await), (0..10).collect::<Vec<_>>());
}

/// A durable that is new catches up on all that was ever published, settled by others or not.
pub async fn a_new_durable_begins_at_the_beginning(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let tickets = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 0..10).await;
    for delivery in take(&*tickets, 10).await {
        settle(&*tickets, &delivery, Verdict::Ack).await;
    }
    drop((tickets, bus));
    let bus = data.open().await;
    let payments = bus.subscribe(PAYMENTS).await.expect("subscribe");
    publish(&*bus, 10..12).await;
    assert_eq!(numbers(&take(&*payments, 12).await), (0..12).collect::<Vec<_>>());
}

/// Two readers of one durable get each message once between them.
pub async fn readers_of_a_durable_share_its_messages(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let first = bus.subscribe(TICKETS).await.expect("subscribe");
    let second = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 0..100).await;
    let mut seen = Vec::new();
    while seen.len() < 100 {
        // Whoever is first; the other, given up meanwhile, has lost nothing.
        let (reader, deliveries) = soon("a delivery", async {
            tokio::select! {
                deliveries = first.next(3) => (&first, deliveries),
                deliveries = second.next(3) => (&second, deliveries),
            }
        })
        .await;
        let deliveries = deliveries.expect("next");
        seen.extend(numbers(&deliveries));
        for delivery in deliveries {
            settle(&**reader, &delivery, Verdict::Ack).await;
        }
    }
    publish(&*bus, 100..101).await;
    let (reader, last) = tokio::select! {
        deliveries = take(&*first, 1) => (&first, deliveries),
        deliveries = take(&*second, 1) => (&second, deliveries),
    };
    settle(&**reader, &last[0], Verdict::Ack).await;
    seen.extend(numbers(&last));
    seen.sort_unstable();
    assert_eq!(seen, (0..101).collect::<Vec<_>>());
}

/// A retried message comes again, no earlier than asked, and tells how often it has.
pub async fn what_is_retried_comes_again_after_its_delay(data: &dyn Data<dyn Bus>) {
    const DELAY: Duration = Duration::from_millis(100);
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 1..2).await;
    let mut settled_at = None;
    for attempt in 1..=4 {
        let delivery = take(&*reader, 1).await.remove(0);
        assert_eq!(delivery.attempt, attempt);
        assert_eq!(delivery.message, message(1));
        let early = settled_at.is_some_and(|then: Instant| then.elapsed() < DELAY);
        assert!(!early, "attempt {attempt} came too early");
        settled_at = Some(Instant::now());
        settle(&*reader, &delivery, Verdict::Retry(DELAY)).await;
    }
}

/// What is put off does not keep back what was published after it.
pub async fn what_is_retried_does_not_hold_up_others(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 0..20).await;
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let delivery = take(&*reader, 1).await.remove(0);
        let number = number(&delivery);
        seen.push(number);
        settle(&*reader, &delivery, if number.is_multiple_of(2) { Verdict::Retry(LONG) } else { Verdict::Ack }).await;
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

/// A reader that waits for nothing in particular gets what is put off meanwhile.
pub async fn a_retry_wakes_a_reader_that_waits(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 1..2).await;
    let delivery = take(&*reader, 1).await.remove(0);
    let retry = async {
        tokio::task::yield_now().await;
        settle(&*reader, &delivery, Verdict::Retry(Duration::from_millis(10))).await;
    };
    let (again, ()) = tokio::join!(take(&*reader, 1), retry);
    assert_eq!((numbers(&again), again[0].attempt), (vec![1], 2));
}

/// What a reader held when it went down is delivered again.
pub async fn what_is_not_settled_comes_again_after_reopening(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 0..10).await;
    for (place, delivery) in take(&*reader, 10).await.iter().enumerate() {
        if place % 2 == 1 {
            settle(&*reader, delivery, Verdict::Ack).await;
        }
    }
    // By the time this is durable, an engine has had its chance to note too much as settled.
    publish(&*bus, 10..11).await;
    drop((reader, bus));
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    let mut missing = BTreeSet::from([0, 2, 4, 6, 8]);
    while !missing.is_empty() {
        let delivery = take(&*reader, 1).await.remove(0);
        missing.remove(&number(&delivery));
        settle(&*reader, &delivery, Verdict::Ack).await;
    }
}

/// What is settled comes again at most for a while: an engine may note it late, but notes it.
pub async fn what_is_settled_is_not_repeated_after_reopening(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    publish(&*bus, 0..100).await;
    drop(bus);
    // Each round is a crash soon after everything was settled.
    for round in 0..100 {
        let bus = data.open().await;
        let reader = bus.subscribe(TICKETS).await.expect("subscribe");
        let last = 100 + round;
        publish(&*bus, last..last + 1).await;
        let mut seen = BTreeSet::new();
        while !seen.contains(&last) {
            let delivery = take(&*reader, 1).await.remove(0);
            seen.insert(number(&delivery));
            settle(&*reader, &delivery, Verdict::Ack).await;
        }
        if seen.len() == 1 {
            return;
        }
    }
    panic!("what was settled came again after a hundred restarts");
}

/// What was put off is delivered after reopening too, and has not forgotten its attempts, though all else is settled.
pub async fn what_is_retried_survives_reopening(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 0..10).await;
    for delivery in take(&*reader, 10).await {
        let retried = number(&delivery) == 4;
        let verdict = if retried { Verdict::Retry(Duration::from_millis(100)) } else { Verdict::Ack };
        settle(&*reader, &delivery, verdict).await;
    }
    for least in [2, 3] {
        let bus = data.open().await;
        let reader = bus.subscribe(TICKETS).await.expect("subscribe");
        loop {
            let delivery = take(&*reader, 1).await.remove(0);
            if number(&delivery) == 4 {
                assert!(delivery.attempt >= least, "attempt {}", delivery.attempt);
                settle(&*reader, &delivery, Verdict::Retry(Duration::from_millis(100))).await;
                break;
            }
            settle(&*reader, &delivery, Verdict::Ack).await;
        }
    }
}

/// A dead letter tells who rejected what, why, and after how many attempts; it survives reopening.
pub async fn what_is_rejected_becomes_a_dead_letter(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    assert_eq!(bus.dead_letters(None, 10).await.expect("dead letters"), []);
    let traced = Message { traceparent: Some(TraceParent::generate()), ..message(1) };
    bus.publish(&[traced.clone(), message(2)]).await.expect("publish");
    for (durable, reason) in [(TICKETS, "no such ticket"), (PAYMENTS, "é \"quoted\"")] {
        let reader = bus.subscribe(durable).await.expect("subscribe");
        let first = take(&*reader, 1).await.remove(0);
        settle(&*reader, &first, Verdict::Retry(Duration::ZERO)).await;
        loop {
            let delivery = take(&*reader, 1).await.remove(0);
            if delivery.attempt == 2 {
                settle(&*reader, &delivery, Verdict::Reject(reason.into())).await;
                break;
            }
            settle(&*reader, &delivery, Verdict::Ack).await;
        }
    }
    for bus in [bus, data.open().await] {
        let letters = bus.dead_letters(None, 10).await.expect("dead letters");
        let mut told: Vec<_> =
            letters.iter().map(|letter| (&*letter.listener, &*letter.reason, letter.attempts)).collect();
        told.sort_unstable();
        assert_eq!(told, [(PAYMENTS.name, "é \"quoted\"", 2), (TICKETS.name, "no such ticket", 2)]);
        assert!(letters.iter().all(|letter| letter.message == traced));
        assert_eq!(bus.dead_letters(None, 1).await.expect("dead letters").len(), 1);
    }
}

/// A rejected message is delivered no more, also after reopening, and what comes after it is.
pub async fn what_is_rejected_does_not_come_again(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    publish(&*bus, 1..3).await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    for delivery in take(&*reader, 2).await {
        settle(&*reader, &delivery, Verdict::Reject("never".into())).await;
    }
    publish(&*bus, 3..4).await;
    let third = take(&*reader, 1).await.remove(0);
    assert_eq!(number(&third), 3);
    settle(&*reader, &third, Verdict::Ack).await;
    drop((reader, bus));

    // Dead letters are durable when `settle` returns, and so is that the messages are none of the reader's business.
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 4..5).await;
    loop {
        let delivery = take(&*reader, 1).await.remove(0);
        match number(&delivery) {
            4 => break,
            number => assert_eq!(number, 3, "a rejected message came again"),
        }
    }
    assert_eq!(bus.dead_letters(None, 10).await.expect("dead letters").len(), 2);
}

/// What another process replays reaches a reader that waits, once, as it was first published; other durables of the
/// same subject do not notice. Repeated, a replay changes nothing.
pub async fn a_replayed_dead_letter_goes_to_its_listener_alone(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let tickets = bus.subscribe(TICKETS).await.expect("subscribe");
    let payments = bus.subscribe(PAYMENTS).await.expect("subscribe");
    let traced = Message { traceparent: Some(TraceParent::generate()), ..message(1) };
    bus.publish(std::slice::from_ref(&traced)).await.expect("publish");
    settle(&*payments, &take(&*payments, 1).await[0], Verdict::Ack).await;
    reject(&*tickets, 1).await;
    let letters = bus.dead_letters(None, 10).await.expect("dead letters");

    let tool = data.open().await;
    let replay = async {
        tokio::task::yield_now().await;
        assert!(tool.replay_dead_letter(&letters[0].id).await.expect("replay"));
        assert!(!tool.replay_dead_letter(&letters[0].id).await.expect("replay"));
    };
    let (again, ()) = tokio::join!(take(&*tickets, 1), replay);
    assert_eq!((again[0].attempt, &again[0].message), (1, &traced));
    settle(&*tickets, &again[0], Verdict::Ack).await;
    assert_eq!(bus.dead_letters(None, 10).await.expect("dead letters"), []);

    publish(&*bus, 2..3).await;
    assert_eq!(numbers(&take(&*tickets, 1).await), [2]);
    assert_eq!(numbers(&take(&*payments, 1).await), [2]);
}

/// A replay is durable: it is delivered when its listener is back.
pub async fn a_replay_waits_for_a_listener_that_is_away(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    publish(&*bus, 1..2).await;
    reject(&*bus.subscribe(TICKETS).await.expect("subscribe"), 1).await;
    let letters = bus.dead_letters(None, 10).await.expect("dead letters");
    drop(bus);
    assert!(data.open().await.replay_dead_letter(&letters[0].id).await.expect("replay"));
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    let again = take(&*reader, 1).await.remove(0);
    assert_eq!(again.message, letters[0].message);
    settle(&*reader, &again, Verdict::Retry(Duration::ZERO)).await;
    assert_eq!(take(&*reader, 1).await[0].message, letters[0].message);
}

/// What is rejected again is a dead letter again, of the message that was published at first.
pub async fn a_replayed_dead_letter_can_be_rejected_again(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 1..2).await;
    reject(&*reader, 1).await;
    for _ in 0..3 {
        let letters = bus.dead_letters(None, 10).await.expect("dead letters");
        assert_eq!(letters.len(), 1);
        assert_eq!((&*letters[0].listener, &letters[0].message), (TICKETS.name, &message(1)));
        assert!(bus.replay_dead_letter(&letters[0].id).await.expect("replay"));
        reject(&*reader, 1).await;
    }
    assert_eq!(bus.dead_letters(None, 10).await.expect("dead letters").len(), 1);
}

/// What is dropped is neither listed nor delivered; what is not there can be neither dropped nor replayed.
pub async fn a_dropped_dead_letter_is_gone(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 1..3).await;
    reject(&*reader, 2).await;
    let letters = bus.dead_letters(None, 10).await.expect("dead letters");
    assert!(bus.drop_dead_letter(&letters[0].id).await.expect("drop"));
    for id in [&letters[0].id, "", "0", "17", "-1", "99/tickets_order-created", "\u{e9}"] {
        assert!(!bus.drop_dead_letter(id).await.expect("an answer"), "{id}");
        assert!(!bus.replay_dead_letter(id).await.expect("an answer"), "{id}");
    }
    assert_eq!(bus.dead_letters(None, 10).await.expect("dead letters"), letters[1..]);
    publish(&*bus, 3..4).await;
    assert_eq!(numbers(&take(&*reader, 1).await), [3]);
}

/// Each page begins after the last of the one before, whatever has become of that; each letter has an id of its own.
pub async fn dead_letters_are_read_in_pages(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    publish(&*bus, 0..5).await;
    for durable in [TICKETS, PAYMENTS] {
        reject(&*bus.subscribe(durable).await.expect("subscribe"), 5).await;
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

/// History is one subject's, in order, whatever has become of it.
pub async fn history_is_read_in_pages(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    for number in 0..10 {
        let id = format!("order:cancelled/{number}/1");
        let other = Message { id, subject: Subject::OrderCancelled, ..message(number) };
        bus.publish(&[message(number), other]).await.expect("publish");
    }
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    for delivery in take(&*reader, 5).await {
        settle(&*reader, &delivery, Verdict::Ack).await;
    }
    let (mut after, mut pages, mut read) = (0, Vec::new(), Vec::new());
    loop {
        let page = bus.history(Subject::OrderCreated, after, 4).await.expect("history");
        let Some((last, _)) = page.last() else { break };
        after = *last;
        pages.push(page.len());
        read.extend(page.into_iter().map(|(_, message)| message));
    }
    assert_eq!(pages, [4, 4, 2]);
    assert_eq!(read, (0..10).map(message).collect::<Vec<_>>());
    assert_eq!(numbers(&take(&*reader, 5).await), [5, 6, 7, 8, 9], "reading history took part in a durable");
}

/// A message id is delivered once, however often it is published: at once, later, and after reopening.
pub async fn a_repeated_message_is_dropped(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    bus.publish(&[message(1), message(1), message(2)]).await.expect("publish");
    bus.publish(&[message(1), message(3)]).await.expect("publish");
    join_all((0..10).map(|_| publish(&*bus, 4..5))).await;
    drop(bus);
    let bus = data.open().await;
    bus.publish(&[message(2), message(4), message(5)]).await.expect("publish");
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    let mut seen = Vec::new();
    while seen.last() != Some(&5) {
        seen.extend(numbers(&soon("a delivery", reader.next(10)).await.expect("next")));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

/// What a reader had not settled when it was dropped goes to one that waits, and to one that comes later.
pub async fn a_reader_that_goes_away_hands_on_what_it_held(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let first = bus.subscribe(TICKETS).await.expect("subscribe");
    let second = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 0..6).await;
    let held = take(&*first, 6).await;
    settle(&*first, &held[0], Verdict::Ack).await;
    let go_away = async {
        tokio::task::yield_now().await;
        drop(first);
    };
    let (handed_on, ()) = tokio::join!(take_all(&*second, &[1, 2, 3, 4, 5]), go_away);
    assert!(handed_on.iter().all(|delivery| delivery.attempt >= 1));
    drop(second);
    let third = bus.subscribe(TICKETS).await.expect("subscribe");
    take_all(&*third, &[1, 2, 3, 4, 5]).await;
}

/// A reader finds what is new behind what others hold or have put off, without anything else happening.
pub async fn what_others_hold_does_not_hide_what_is_new(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let first = bus.subscribe(TICKETS).await.expect("subscribe");
    let second = bus.subscribe(TICKETS).await.expect("subscribe");
    publish(&*bus, 0..60).await;
    let earliest = take(&*first, 1).await;
    let held = take(&*second, 49).await;
    for delivery in held.iter().step_by(2) {
        settle(&*second, delivery, Verdict::Retry(LONG)).await;
    }
    drop(first);
    let third = bus.subscribe(TICKETS).await.expect("subscribe");
    let mut missing: BTreeSet<u32> = (50..60).chain(numbers(&earliest)).collect();
    while !missing.is_empty() {
        for number in numbers(&soon("what is new", third.next(4)).await.expect("next")) {
            missing.remove(&number);
        }
    }
}

/// A call of `next` that is given up at any moment has taken nothing with it.
pub async fn giving_up_waiting_loses_nothing(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    let publisher = tokio::spawn({
        let bus = bus.clone();
        async move {
            for number in 0..200 {
                publish(&*bus, number..number + 1).await;
            }
        }
    });
    let mut seen = BTreeSet::new();
    soon("all of it", async {
        while seen.len() < 200 {
            let Ok(deliveries) = timeout(Duration::from_micros(200), reader.next(5)).await else { continue };
            for delivery in deliveries.expect("next") {
                assert_eq!(delivery.attempt, 1);
                seen.insert(number(&delivery));
                settle(&*reader, &delivery, Verdict::Ack).await;
            }
        }
    })
    .await;
    publisher.await.expect("no panic");
    assert_eq!(seen, (0..200).collect());
}

/// A thousand messages published together arrive in their order.
pub async fn a_batch_is_delivered_whole_and_in_order(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    bus.publish(&[]).await.expect("publish");
    publish(&*bus, 0..1000).await;
    let reader = bus.subscribe(TICKETS).await.expect("subscribe");
    let mut seen = Vec::new();
    while seen.len() < 1000 {
        let deliveries = soon("a delivery", reader.next(64)).await.expect("next");
        assert!((1..=64).contains(&deliveries.len()));
        seen.extend(numbers(&deliveries));
        join_all(deliveries.iter().map(|delivery| settle(&*reader, delivery, Verdict::Ack))).await;
    }
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}

/// Five thousand messages of five publishers reach four readers, though every tenth is put off at first.
pub async fn thousands_reach_many_readers(data: &dyn Data<dyn Bus>) {
    const MANY: u32 = 5000;
    let bus = data.open().await;
    let mut publishers = JoinSet::new();
    for publisher in 0..5 {
        let bus = bus.clone();
        publishers.spawn(async move {
            for first in (publisher * 1000..(publisher + 1) * 1000).step_by(20) {
                publish(&*bus, first..first + 20).await;
            }
        });
    }
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let (reader, arrived) = (Arc::from(bus.subscribe(TICKETS).await.expect("subscribe")), arrived.clone());
        readers.spawn(read(reader, arrived));
    }
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    while seen.len() < MANY as usize {
        let number = soon("all of it", arrivals.recv()).await.expect("readers");
        *seen.entry(number).or_default() += 1;
    }
    publishers.join_all().await;
    readers.shutdown().await;
    assert_eq!(seen.values().filter(|times| **times > 1).count(), 0, "while all readers live nothing is repeated");
}

async fn read(reader: Arc<dyn Subscription>, arrived: tokio::sync::mpsc::UnboundedSender<u32>) {
    loop {
        let deliveries = reader.next(64).await.expect("next");
        join_all(deliveries.iter().map(async |delivery| {
            let number = number(delivery);
            if number.is_multiple_of(10) && delivery.attempt == 1 {
                return settle(&*reader, delivery, Verdict::Retry(Duration::from_millis(20))).await;
            }
            settle(&*reader, delivery, Verdict::Ack).await;
            // The case may have ended.
            let _ended = arrived.send(number);
        }))
        .await;
    }
}

fn message(number: u32) -> Message {
    Message {
        id: format!("order:created/{number}/0"),
        subject: Subject::OrderCreated,
        payload: number.to_string(),
        traceparent: None,
    }
}

async fn publish(bus: &dyn Bus, numbers: std::ops::Range<u32>) {
    bus.publish(&numbers.map(message).collect::<Vec<_>>()).await.expect("publish");
}

/// Waits for exactly so many deliveries.
async fn take(reader: &dyn Subscription, many: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < many {
        taken.extend(soon("a delivery", reader.next(many - taken.len())).await.expect("next"));
    }
    taken
}

/// Waits for these, among others perhaps.
async fn take_all(reader: &dyn Subscription, expected: &[u32]) -> Vec<Delivery> {
    let mut taken: Vec<Delivery> = Vec::new();
    while !expected.iter().all(|number| numbers(&taken).contains(number)) {
        taken.extend(soon("what was handed on", reader.next(10)).await.expect("next"));
    }
    taken
}

async fn settle(reader: &dyn Subscription, delivery: &Delivery, verdict: Verdict) {
    reader.settle(delivery, verdict).await.expect("settle");
}

async fn reject(reader: &dyn Subscription, many: usize) {
    for delivery in take(reader, many).await {
        settle(reader, &delivery, Verdict::Reject("never".into())).await;
    }
}

fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}

fn number(delivery: &Delivery) -> u32 {
    delivery.message.payload.parse().expect("a number")
}
