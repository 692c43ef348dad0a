//! Events that a write hands to the relay of its process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::bus::Publisher;
use common::store::StoreError;
use futures_util::future::join_all;
use testing::{MemoryStore, Pace, WriteFault, message, soon};
use tokio_util::sync::CancellationToken;

use super::store::CountingStore;
use super::{Show, System};

#[tokio::test]
async fn events_left_in_the_outbox_are_published_at_start() {
    let system = System::new().await;
    let mut stored = Vec::new();
    for _ in 0..600 {
        stored.push(system.insert().await.1);
    }
    // A new `Database`, so that no write hands over its event.
    let database = system.replica(system.database.store().clone());
    system.start_relay_of(&database, &CancellationToken::new());
    assert_eq!(system.arrived(600).await, stored);
    system.wait_for_empty_outbox().await;
}

/// The clock stands still, so no sweep finds the events.
#[tokio::test]
async fn written_events_are_published_without_being_read() {
    let system = System::new().await;
    let store = Arc::new(CountingStore::new(system.database.store().clone()));
    let database = system.replica(store.clone());
    system.start_relay_of(&database, &CancellationToken::new());
    store.wait_for_reads(1).await;
    for _ in 0..20 {
        let (_, stored) = system.insert_into(&database).await;
        assert_eq!(system.arrived(1).await, [stored]);
    }
    system.wait_for_empty_outbox().await;
    assert_eq!(store.reads(), 1, "the relay reads the outbox when it starts");
}

/// Most of the events do not fit into the queue.
#[tokio::test]
async fn thousands_of_events_written_during_an_outage_arrive_after_it() {
    let system = System::new().await;
    system.start_relay(&CancellationToken::new());
    let (show, first) = system.insert().await;
    assert_eq!(system.arrived(1).await, [first]);
    system.bus.interrupt();
    let mut changes = vec![system.change(show).await];
    let others = join_all((0..5000).map(|_| system.insert())).await;
    changes.push(system.change(show).await);
    soon("refused attempts", system.bus.wait_for_refusals(2)).await;
    system.bus.resume();

    let mut expected: Vec<_> = others.into_iter().map(|(_, message)| message).chain(changes.iter().cloned()).collect();
    let mut arrived = system.arrived(expected.len()).await;
    let of_one = arrived.iter().filter(|id| id.contains(&show.to_string()));
    assert_eq!(of_one.collect::<Vec<_>>(), changes.iter().collect::<Vec<_>>());
    arrived.sort();
    expected.sort();
    assert_eq!(arrived, expected);
    system.wait_for_empty_outbox().await;
    // Later ones go through the queue again.
    let (_, last) = system.insert().await;
    assert_eq!(system.arrived(1).await, [last]);
}

#[tokio::test]
async fn events_written_during_an_outage_arrive_after_it() {
    let system = System::new().await;
    system.start_relay(&CancellationToken::new());
    system.bus.interrupt();
    let (show, first) = system.insert().await;
    let mut stored = vec![first];
    for _ in 0..10 {
        stored.push(system.change(show).await);
    }
    soon("two refused attempts", system.bus.wait_for_refusals(2)).await;
    assert_eq!(system.waiting().await, stored);
    system.bus.resume();
    assert_eq!(system.arrived(11).await, stored);
    system.wait_for_empty_outbox().await;
}

#[tokio::test]
async fn an_event_published_twice_is_delivered_once() {
    let system = System::new().await;
    let (_, first) = system.insert().await;
    // The state after a relay crashed between publishing and clearing the outbox.
    let events = system.database.store().unpublished(1).await.unwrap().events;
    system.bus.publish(&[events[0].message.clone()]).await.unwrap();

    system.start_relay(&CancellationToken::new());
    system.wait_for_empty_outbox().await;
    let (_, second) = system.insert().await;
    assert_eq!(system.arrived(2).await, [first, second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_a_record_are_published_in_order() {
    let system = System::new().await;
    system.start_relay(&CancellationToken::new());
    let mut shows = Vec::new();
    for _ in 0..10 {
        shows.push(system.insert().await);
    }
    let changes = shows.iter().map(async |(show, first)| {
        let mut messages = vec![first.clone()];
        for _ in 0..50 {
            messages.push(system.change(*show).await);
        }
        messages
    });
    let expected = join_all(changes).await;
    let arrived = system.arrived(510).await;
    for (messages, (show, _)) in expected.into_iter().zip(&shows) {
        let of_this = arrived.iter().filter(|id| id.contains(&show.to_string())).cloned();
        assert_eq!(of_this.collect::<Vec<_>>(), messages);
    }
}

#[tokio::test]
async fn a_cancelled_relay_drains_the_outbox() {
    let system = System::new().await;
    let (_, stored) = system.insert().await;
    let stop = CancellationToken::new();
    stop.cancel();
    soon("the relay to stop", system.start_relay(&stop)).await.unwrap();
    assert_eq!(system.arrived(1).await, [stored]);
    system.wait_for_empty_outbox().await;
}

/// The clock stands still, so only a sweep for this reason finds the event.
#[tokio::test]
async fn the_event_of_a_write_with_a_lost_response_is_published() {
    struct Loses(AtomicBool);
    impl Pace for Loses {
        fn yields(&self) -> u32 {
            0
        }

        fn write(&self) -> WriteFault {
            if self.0.swap(false, Ordering::Relaxed) { WriteFault::ResponseLost } else { WriteFault::None }
        }
    }

    let pace = Arc::new(Loses(AtomicBool::new(false)));
    let system = System::on_store(Arc::new(MemoryStore::new(pace.clone()))).await;
    system.start_relay(&CancellationToken::new());
    let (_, first) = system.insert().await;
    assert_eq!(system.arrived(1).await, [first]);

    pace.0.store(true, Ordering::Relaxed);
    let show = Show::new(&system.env);
    let event = show.event();
    let id = message(&event).id;
    assert!(matches!(system.shows.insert(&show, event).await, Err(StoreError::Unavailable(_))));
    assert_eq!(system.arrived(1).await, [id]);
}
