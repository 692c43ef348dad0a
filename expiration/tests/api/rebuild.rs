//! What becomes of the jobs when Redis has lost everything.

use std::sync::Arc;
use std::time::Duration;

use common::bus::Bus;
use common::clock::{Clock, SystemClock};
use common::events::ExpirationComplete;
use common::jobs::DelayedJobs;
use common::service::{Ports, run};
use engines::nats::{NatsBus, NatsConfig};
use engines::redis::RedisJobs;
use testing::contract::soon;
use testing::message;
use testing::servers::{NATS, REDIS, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{ORDERS, order_cancelled, order_completed, order_created};

/// By then the loss has been noticed and everything been read again.
const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn orders_expire_in_time_though_redis_has_lost_their_jobs() {
    let (Some(nats), Some(redis)) = (Server::start(NATS).await, Server::start(REDIS).await) else { return };
    let config = NatsConfig {
        url: format!("nats://127.0.0.1:{}", nats.port()).into(),
        client: "test".into(),
        stream: "ticketing".into(),
        replicas: None,
        owner: None,
    };
    let bus: Arc<dyn Bus> = Arc::new(NatsBus::connect(&config).await.unwrap());
    let address = format!("127.0.0.1:{}", redis.port()).into();
    let jobs: Arc<dyn DelayedJobs> = Arc::new(RedisJobs::connect(&address, "expiration", "ticketing").await.unwrap());
    let service = expiration::service(jobs.clone(), bus.clone(), Arc::new(SystemClock));
    let ports = Ports { http: None, admin: 0 };
    let running = tokio::spawn(run(vec![service], Some(bus.clone()), ports, |_| {}));
    until("the jobs are complete", async || jobs.is_complete().await.unwrap()).await;

    let due = SystemClock.now().plus(TEN_SECONDS);
    let (kept, cancelled, completed) = (order_created(due), order_created(due), order_created(due));
    let created = [&kept, &cancelled, &completed].map(message);
    bus.publish(&created).await.unwrap();
    until("all are scheduled", async || jobs.count_due(due).await.unwrap() == 3).await;
    let ended = [message(&order_cancelled(cancelled.id)), message(&order_completed(completed.id))];
    bus.publish(&ended).await.unwrap();
    until("two have ended", async || jobs.count_due(due).await.unwrap() == 1).await;

    flush(redis.port()).await;
    assert_eq!(jobs.next_due().await.unwrap(), None, "Redis has lost nothing");
    until("the jobs are complete again", async || jobs.is_complete().await.unwrap()).await;
    assert_eq!(jobs.count_due(due).await.unwrap(), 1);

    let orders = bus.subscribe(ORDERS).await.unwrap();
    let delivery = soon("the expiration", orders.next(1)).await.unwrap().remove(0);
    let now = SystemClock.now();
    assert!(now >= due, "expired too early");
    assert!(now.since(due) < TEN_SECONDS, "expired too late");
    assert_eq!(delivery.message.payload, message(&ExpirationComplete { order_id: kept.id }).payload);
    running.abort();
}

async fn flush(port: u16) {
    let mut redis = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    redis.write_all(b"FLUSHALL\r\n").await.expect("a request");
    let mut answer = [0; 5];
    redis.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"+OK\r\n");
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    soon(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
