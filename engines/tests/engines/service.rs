//! What a process does about the events of its bus.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::bus::{Bus, Publisher};
use common::events::{OrderCreated, Subject};
use common::listener::{ListenError, Listener, Listeners};
use common::service::{ProcessConfig, Service, run};
use engines::sqlite::SqliteBus;
use testing::contract::bus::fixture::messages;
use testing::{TestEnv, wait_until};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Rejects every event.
struct Rejecting;

#[async_trait]
impl Listener<()> for Rejecting {
    type Event = OrderCreated;
    const NAME: &'static str = "tickets_order-created";

    async fn on_message((): &(), _: OrderCreated) -> Result<(), ListenError> {
        Err(ListenError::reject("never"))
    }
}

fn open(env: &TestEnv) -> Arc<SqliteBus> {
    let (file, clock) = (env.directory().join("events.db"), Arc::new(env.clock.clone()));
    Arc::new(SqliteBus::open_with(&file, clock, Some(30 * DAY)).expect("a bus"))
}

/// Runs a service with one listener on this bus until `condition` returns a value.
async fn run_until<T, F: Future<Output = Option<T>>>(bus: Arc<dyn Bus>, what: &str, condition: impl Fn() -> F) -> T {
    let localhost = "127.0.0.1".parse().expect("an address");
    let config = ProcessConfig { host: localhost, admin_port: 0, shutdown_delay_seconds: 0 };
    let service = Service::new("tickets").listeners(Listeners::new(()).on::<Rejecting>());
    tokio::select! {
        _ended = run(vec![service], Some(bus), None, config, Box::new(|_addresses| {})) => panic!("it ended"),
        value = wait_until(what, condition) => value,
    }
}

#[tokio::test]
async fn a_process_deletes_old_events_when_it_starts() {
    let env = TestEnv::new();
    let bus = open(&env);
    bus.publish(&messages(0..3)).await.unwrap();
    let rejected = async || (bus.dead_letters(None, 10).await.unwrap().len() == 3).then_some(());
    run_until(bus.clone(), "dead letters", rejected).await;
    env.clock.advance(31 * DAY);
    bus.publish(&messages(3..4)).await.unwrap();
    let deleted = async || (bus.history(Subject::OrderCreated, 0, 10).await.unwrap().len() == 1).then_some(());
    run_until(open(&env), "the deletion", deleted).await;
}
