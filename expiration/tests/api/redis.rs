//! Jobs on a real Redis that loses its data.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use common::bus::Bus;
use common::clock::{Clock, SystemClock};
use common::events::ExpirationComplete;
use common::jobs::DelayedJobs;
use common::service::{ProcessConfig, run};
use engines::nats::{NatsBus, NatsConfig};
use engines::redis::RedisJobs;
use testing::builders::{order_cancelled, order_completed};
use testing::message;
use testing::servers::{NATS, REDIS, Server};
use testing::soon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{ORDERS, order_due};

/// Longer than it takes to notice the loss and rebuild the jobs.
const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn orders_expire_on_time_after_redis_loses_its_data() {
    let (Some(nats), Some(redis)) = (Server::start(NATS).await, Server::start(REDIS).await) else { return };
    let config = NatsConfig::new(format!("nats://127.0.0.1:{}", nats.port()).into(), "test", "ticketing");
    let bus: Arc<dyn Bus> = Arc::new(NatsBus::connect(&config).await.unwrap());
    let address = format!("127.0.0.1:{}", redis.port()).into();
    let jobs: Arc<dyn DelayedJobs> = Arc::new(RedisJobs::connect(&address, "expiration", "ticketing").await.unwrap());
    let service = expiration::service(jobs.clone(), bus.clone(), Arc::new(SystemClock));
    let config = ProcessConfig { host: Ipv4Addr::LOCALHOST.into(), admin_port: 0, shutdown_delay_seconds: 0 };
    let running = tokio::spawn(run(vec![service], Some(bus.clone()), None, config, Box::new(|_| {})));
    until("complete jobs", async || jobs.is_complete().await.unwrap()).await;

    let due = SystemClock.now().plus(TEN_SECONDS);
    let (kept, cancelled, completed) = (order_due(due), order_due(due), order_due(due));
    let created = [&kept, &cancelled, &completed].map(message);
    bus.publish(&created).await.unwrap();
    until("three jobs", async || jobs.count_due(due).await.unwrap() == 3).await;
    let ended = [message(&order_cancelled(&cancelled)), message(&order_completed(&completed))];
    bus.publish(&ended).await.unwrap();
    until("one job", async || jobs.count_due(due).await.unwrap() == 1).await;

    flush(redis.port()).await;
    assert_eq!(jobs.next_due().await.unwrap(), None, "Redis still has jobs");
    until("complete jobs", async || jobs.is_complete().await.unwrap()).await;
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
    redis.write_all(b"FLUSHALL\r\n").await.expect("a sent command");
    let mut reply = [0; 5];
    redis.read_exact(&mut reply).await.expect("a reply");
    assert_eq!(&reply, b"+OK\r\n");
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    soon(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
