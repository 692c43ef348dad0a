//! What a process does about the events of its bus.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::bus::{Bus, Publisher};
use common::clock::Clock;
use common::events::OrderCreated;
use common::listener::{ListenError, Listener, Listeners};
use common::service::{ProcessConfig, Service, run};
use engines::sqlite::SqliteBus;
use metrics_exporter_prometheus::PrometheusBuilder;
use testing::contract::bus::fixture::{TICKETS, history};
use testing::{TestEnv, builders, wait_until};

use crate::log;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a listener does with each event.
type Script = fn() -> Result<(), ListenError>;

struct Scripted;

#[async_trait]
impl Listener<Script> for Scripted {
    type Event = OrderCreated;
    const NAME: &'static str = "tickets_order-created";

    async fn on_message(script: &Script, _: OrderCreated) -> Result<(), ListenError> {
        script()
    }
}

fn open(env: &TestEnv) -> Arc<SqliteBus> {
    let (file, clock) = (env.directory().join("events.db"), Arc::new(env.clock.clone()));
    Arc::new(SqliteBus::open_with(&file, clock, Some(30 * DAY)).expect("a bus"))
}

/// Runs a service with one listener on this bus until `condition` returns a value.
async fn run_until<T, F>(bus: Arc<dyn Bus>, script: Script, condition: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let localhost = "127.0.0.1".parse().expect("an address");
    let config = ProcessConfig { host: localhost, admin_port: 0, shutdown_delay_seconds: 0 };
    let service = Service::new("tickets").listeners(Listeners::new(script).on::<Scripted>());
    tokio::select! {
        _ended = run(vec![service], Some(bus), None, config, Box::new(|_addresses| {})) => panic!("it ended"),
        value = wait_until("the process to do it", condition) => value,
    }
}

#[tokio::test]
async fn a_listener_behind_by_half_the_retention_is_reported() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let (log, _guard) = log::capture();
    let (env, message) = (TestEnv::new(), "behind by more than half");
    let lag = async |expected: &str| {
        let series = format!("events_lag_seconds{{listener=\"tickets_order-created\"}} {expected}");
        recorder.handle().render().lines().any(|line| line == series).then_some(())
    };
    let bus = open(&env);
    bus.subscribe(TICKETS).await.unwrap();
    let event = builders::order_created(env.clock.now());
    bus.publish(&[testing::message(&event)]).await.unwrap();
    let defer: Script = || Err(ListenError::retry("not yet"));
    env.clock.advance(15 * DAY);
    run_until(bus.clone(), defer, async || lag("1296000").await).await;
    assert_eq!(log.lines(&[message]), [""; 0]);
    env.clock.advance(DAY);
    run_until(bus, defer, async || lag("1382400").await).await;
    assert_eq!(log.lines(&[message, "tickets_order-created"]).len(), 1);
}

#[tokio::test]
async fn a_process_deletes_old_events_when_it_starts() {
    let env = TestEnv::new();
    let bus = open(&env);
    let publish = async || bus.publish(&[testing::message(&builders::order_created(env.clock.now()))]).await.unwrap();
    // A durable that does not exist is never behind.
    bus.subscribe(TICKETS).await.unwrap();
    publish().await;
    // Nor is one whose events have no age yet.
    env.clock.advance(DAY);
    let handled = async || bus.lag(TICKETS).await.unwrap().is_zero().then_some(());
    run_until(bus.clone(), || Ok(()), handled).await;
    env.clock.advance(31 * DAY);
    publish().await;
    let deleted = async || (history(&*bus).await.len() == 1).then_some(());
    run_until(open(&env), || Ok(()), deleted).await;
}
