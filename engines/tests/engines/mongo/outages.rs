//! A server that goes away in the middle.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::store::{Find, Store, StoreError};
use engines::mongo::MongoStore;
use mongodb::bson::{Document as Stored, doc};
use serde_json::json;
use testing::contract::soon;
use testing::servers::{self, Proxy, Server};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Case, TICKETS, body, case_or_skip, new_id, ticket};

/// Within which a call has to end.
const PROMISED: Duration = Duration::from_secs(2);

/// A way to the server, which is on this machine.
async fn proxy(case: &Case) -> Proxy {
    let (_, port) = case.server.uri.trim_end_matches('/').rsplit_once(':').expect("a URI with a port");
    Proxy::to(port.parse().expect("a URI that ends in a port")).await
}

async fn open(case: &Case, proxy: &Proxy) -> MongoStore {
    let uri = format!("mongodb://127.0.0.1:{}", proxy.port()).into();
    MongoStore::connect(&uri, &case.database, &[TICKETS]).await.expect("a store")
}

async fn expect_unavailable<T: std::fmt::Debug>(what: &str, call: impl Future<Output = Result<T, StoreError>>) {
    let start = Instant::now();
    let outcome = call.await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{what}: {outcome:?}");
    assert!(start.elapsed() < PROMISED, "{what}: {:?}", start.elapsed());
}

async fn until_back(store: &MongoStore) {
    soon("the server", async {
        while store.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn every_call_ends_in_time(fail: impl Fn(&Proxy)) {
    let case = case_or_skip!();
    let proxy = proxy(&case).await;
    let (store, id) = (open(&case, &proxy).await, new_id());
    store.put(ticket(&id, 0, &json!({"price": 1}))).await.expect("put");
    let events = store.unpublished(10).await.expect("events");
    let all = Find { equal: Vec::new(), after: None, limit: 10 };

    for round in 0..2 {
        fail(&proxy);
        expect_unavailable("get", store.get(TICKETS, &id)).await;
        expect_unavailable("find", store.find(TICKETS, all.clone())).await;
        expect_unavailable("insert", store.put(ticket(&new_id(), 0, &json!({})))).await;
        expect_unavailable("replace", store.put(ticket(&id, round + 1, &json!({"price": 0})))).await;
        expect_unavailable("unpublished", store.unpublished(10)).await;
        expect_unavailable("published", store.published(&events)).await;
        expect_unavailable("ping", store.ping()).await;

        // And many at once.
        let calls = (0..100).map(|_| expect_unavailable("one of many", store.get(TICKETS, &id)));
        futures_util::future::join_all(calls).await;

        proxy.open();
        until_back(&store).await;
        assert_eq!(body(&store, &id).await["version"], json!(round));
        store.put(ticket(&id, round + 1, &json!({"price": 2}))).await.expect("put");
    }
    assert_eq!(store.find(TICKETS, all).await.expect("find").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_ends_in_time_when_the_server_is_gone() {
    every_call_ends_in_time(Proxy::cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_ends_in_time_when_the_server_hangs() {
    every_call_ends_in_time(Proxy::silence).await;
}

/// What was written is neither written twice nor taken for somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_unavailable_and_happened_once() {
    let case = case_or_skip!();
    let proxy = proxy(&case).await;
    let (store, id) = (open(&case, &proxy).await, new_id());
    let tickets = case.tickets().await;
    let arrived = async |filter: Stored| {
        soon("the write", async {
            while tickets.find_one(filter.clone()).await.expect("an answer").is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };

    proxy.lose_answers();
    expect_unavailable("insert", async {
        let (outcome, ()) = tokio::join!(store.put(ticket(&id, 0, &json!({"price": 1}))), async {
            arrived(doc! { "version": 0 }).await;
            proxy.cut();
        });
        outcome
    })
    .await;
    proxy.open();
    until_back(&store).await;
    assert_eq!(body(&store, &id).await, json!({"id": id, "version": 0, "price": 1}));

    // Who repeats the write learns that it is there.
    let again = store.put(ticket(&id, 0, &json!({"price": 1}))).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let events = store.unpublished(10).await.expect("events");
    assert_eq!(events.iter().map(|event| &*event.message.id).collect::<Vec<_>>(), [format!("ticket:updated/{id}/0")]);
}

/// The server is killed while twenty write, three times. What was answered is there; what was not is there whole or not
/// at all, and its event with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_killed_server() {
    let Some(mut server) = Server::start(servers::mongo()).await else { return };
    let uri = format!("mongodb://127.0.0.1:{}/tickets", server.port()).into();
    let store = Arc::new(MongoStore::connect(&uri, "tickets", &[TICKETS]).await.expect("a store"));
    let ids: Vec<String> = (0..20).map(|_| new_id()).collect();
    let mut versions = vec![None; ids.len()];
    for _ in 0..3 {
        let (progress, mut progressed) = watch::channel(0);
        let killed = watch::Sender::new(false);
        let mut writers = JoinSet::new();
        for (place, id) in ids.iter().cloned().enumerate() {
            let (store, progress, mut version) = (store.clone(), progress.clone(), versions[place]);
            let killed = killed.subscribe();
            writers.spawn(async move {
                while !*killed.borrow() {
                    let next = version.map_or(0, |version| version + 1);
                    if store.put(ticket(&id, next, &json!({"price": next}))).await.is_ok() {
                        version = Some(next);
                        progress.send_modify(|writes| *writes += 1);
                    } else if let Ok(found) = store.get(TICKETS, &id).await {
                        // The server is not quite there yet, or busy.
                        version = found.map(|document| document.version);
                    }
                }
                (place, version)
            });
        }
        soon("writes", progressed.wait_for(|writes| *writes >= 200)).await.expect("writers");
        server.kill();
        killed.send_replace(true);
        let answered = writers.join_all().await;
        server.restart().await;
        until_back(&store).await;

        let events: HashSet<String> =
            store.unpublished(100_000).await.expect("events").into_iter().map(|event| event.message.id).collect();
        for (place, answered) in answered {
            let Some(document) = store.get(TICKETS, &ids[place]).await.expect("get") else {
                assert_eq!(answered, None);
                continue;
            };
            let unanswered = answered.map_or(0, |version| version + 1);
            assert!(Some(document.version) == answered || document.version == unanswered, "{document:?} {answered:?}");
            assert_eq!(body(&store, &ids[place]).await["price"], json!(document.version));
            let announced = |version| events.contains(&format!("ticket:updated/{}/{version}", ids[place]));
            assert!((0..=document.version).all(announced) && !announced(document.version + 1));
            versions[place] = Some(document.version);
        }
    }
}
