//! Servers that crash or hang, and lost connections.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::store::{Find, Store, StoreError};
use engines::mongo::MongoStore;
use futures_util::future::join_all;
use mongodb::bson::{Document as Stored, doc};
use serde_json::json;
use testing::servers::{self, Proxy, Server};
use testing::{soon, wait_until};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::fixture::{Case, TICKETS, body, new_id, ticket};

/// The documented limit for a call during an outage.
const LIMIT: Duration = Duration::from_secs(2);

/// A proxy to the server, which must run on this machine.
async fn proxy(case: &Case) -> Proxy {
    let (_, port) = case.server.uri.trim_end_matches('/').rsplit_once(':').expect("a URI with a port");
    Proxy::to(port.parse().expect("a URI that ends in a port")).await
}

async fn open(case: &Case, proxy: &Proxy) -> MongoStore {
    let uri = format!("mongodb://127.0.0.1:{}", proxy.port()).into();
    MongoStore::connect(&uri, &case.database, &[TICKETS]).await.expect("a store")
}

async fn expect_unavailable<T: Debug>(what: &str, call: impl Future<Output = Result<T, StoreError>>) {
    let start = Instant::now();
    let outcome = call.await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{what}: {outcome:?}");
    assert!(start.elapsed() < LIMIT, "{what}: {:?}", start.elapsed());
}

async fn until_back(store: &MongoStore) {
    wait_until("the server", async || store.ping().await.ok()).await;
}

async fn expect_calls_to_fail_in_time(fail: impl Fn(&Proxy)) {
    let Some(case) = Case::new().await else { return };
    let proxy = proxy(&case).await;
    let (store, id) = (open(&case, &proxy).await, new_id());
    store.put(ticket(&id, 0, &json!({"price": 1}))).await.expect("put");
    let events = store.unpublished(10).await.expect("events").events;
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

        let calls = (0..100).map(|_| expect_unavailable("one of many concurrent calls", store.get(TICKETS, &id)));
        join_all(calls).await;

        proxy.open();
        until_back(&store).await;
        assert_eq!(body(&store, &id).await["version"], json!(round));
        store.put(ticket(&id, round + 1, &json!({"price": 2}))).await.expect("put");
    }
    assert_eq!(store.find(TICKETS, all).await.expect("find").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_in_time_when_the_server_is_gone() {
    expect_calls_to_fail_in_time(Proxy::cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_in_time_when_the_server_hangs() {
    expect_calls_to_fail_in_time(Proxy::silence).await;
}

/// The write is neither applied twice nor mistaken for a conflicting one.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_with_a_lost_answer_is_unavailable_and_applied_once() {
    let Some(case) = Case::new().await else { return };
    let proxy = proxy(&case).await;
    let (store, id) = (open(&case, &proxy).await, new_id());
    let tickets = case.tickets().await;
    let arrived = async |filter: Stored| {
        let find = async || tickets.find_one(filter.clone()).await.expect("an answer");
        wait_until("the write", find).await;
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

    // Repeating the write reveals that it was applied.
    let again = store.put(ticket(&id, 0, &json!({"price": 1}))).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let events = store.unpublished(10).await.expect("events").events;
    assert_eq!(events.iter().map(|event| &*event.message.id).collect::<Vec<_>>(), [format!("ticket:updated/{id}/0")]);
}

/// The server is killed three times while twenty writers write. Acknowledged writes survive; others are applied
/// completely, with their event, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_killed_server() {
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
                        // The write failed while the server was starting or busy.
                        version = found.map(|document| document.version);
                    }
                }
                (place, version)
            });
        }
        soon("writes", progressed.wait_for(|writes| *writes >= 200)).await.expect("writers");
        server.kill();
        killed.send_replace(true);
        let acknowledged = writers.join_all().await;
        server.restart().await;
        until_back(&store).await;

        let events: HashSet<String> = store
            .unpublished(100_000)
            .await
            .expect("events")
            .events
            .into_iter()
            .map(|event| event.message.id)
            .collect();
        for (place, acknowledged) in acknowledged {
            let Some(document) = store.get(TICKETS, &ids[place]).await.expect("get") else {
                assert_eq!(acknowledged, None);
                continue;
            };
            let in_flight = acknowledged.map_or(0, |version| version + 1);
            assert!(
                Some(document.version) == acknowledged || document.version == in_flight,
                "{document:?} {acknowledged:?}"
            );
            assert_eq!(body(&store, &ids[place]).await["price"], json!(document.version));
            let announced = |version| events.contains(&format!("ticket:updated/{}/{version}", ids[place]));
            assert!((0..=document.version).all(announced) && !announced(document.version + 1));
            versions[place] = Some(document.version);
        }
    }
}
