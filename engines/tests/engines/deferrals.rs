//! How long a listener defers messages, on a bus in memory. Time is paused, so that an hour passes at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::bus::{
    Bus, BusError, DeadLetter, Delivery, Durable, DurableProgress, HistoryStart, Page, Publisher, Receipt,
    Subscription, Verdict,
};
use common::events::{ExpirationComplete, Message, Subject};
use common::ids::OrderId;
use common::listener::{ListenError, Listener, Listeners, MAX_IN_FLIGHT};
use common::service::Service;
use common::store::StoreError;
use futures_util::stream::{self, BoxStream, StreamExt};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The outcome of an attempt to handle an order.
type Script = fn(&Calls) -> Result<(), ListenError>;

/// The script of a listener, and what has happened.
struct Calls {
    script: Script,
    is_down: AtomicBool,
    count: AtomicUsize,
}

struct Scripted;

#[async_trait]
impl Listener<Arc<Calls>> for Scripted {
    type Event = ExpirationComplete;
    const NAME: &'static str = "orders_expiration-complete";

    async fn on_message(calls: &Arc<Calls>, _: ExpirationComplete) -> Result<(), ListenError> {
        calls.count.fetch_add(1, Ordering::SeqCst);
        if calls.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("down").into());
        }
        (calls.script)(calls)
    }
}

/// A bus in memory that only delivers.
#[derive(Clone, Default)]
struct MemoryBus(Arc<Deliveries>);

#[derive(Default)]
struct Deliveries {
    waiting: Mutex<VecDeque<Delivery>>,
    arrived: Notify,
    settled: Mutex<Vec<(u32, Verdict)>>,
    /// Whether another replica gets what is to be redelivered.
    has_other_reader: AtomicBool,
}

impl MemoryBus {
    fn deliver(&self, delivery: Delivery) {
        self.0.waiting.lock().expect("no panic").push_back(delivery);
        self.0.arrived.notify_one();
    }

    /// Delivers orders for the first time, or as if other attempts had been made before.
    fn deliver_orders(&self, count: u8, attempt: u32) {
        for number in 0..count {
            let order: OrderId = format!("{number:024x}").parse().expect("an id");
            let message = testing::message(&ExpirationComplete { order_id: order });
            self.deliver(Delivery { token: number.into(), attempt, message });
        }
    }

    /// The attempts and verdicts of the messages that are done.
    fn settled(&self) -> Vec<(u32, Verdict)> {
        self.0.settled.lock().expect("no panic").clone()
    }

    async fn settled_count(&self, count: usize) -> Vec<(u32, Verdict)> {
        let settled = async {
            while self.settled().len() < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(6 * 3600), settled).await.expect("all settled within six hours");
        self.settled()
    }
}

#[async_trait]
impl Subscription for MemoryBus {
    async fn next(&self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            {
                let mut waiting = self.0.waiting.lock().expect("no panic");
                let count = waiting.len().min(limit);
                if count > 0 {
                    return Ok(waiting.drain(..count).collect());
                }
            }
            self.0.arrived.notified().await;
        }
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), BusError> {
        if let Verdict::Retry(delay) = verdict {
            if self.0.has_other_reader.load(Ordering::SeqCst) {
                return Ok(());
            }
            let (bus, again) = (self.clone(), Delivery { attempt: delivery.attempt + 1, ..delivery.clone() });
            tokio::spawn(async move {
                sleep(delay).await;
                bus.deliver(again);
            });
        } else {
            self.0.settled.lock().expect("no panic").push((delivery.attempt, verdict));
        }
        Ok(())
    }
}

#[async_trait]
impl Publisher for MemoryBus {
    async fn publish(&self, _: &[Message]) -> Result<Option<Receipt>, BusError> {
        Ok(None)
    }

    async fn has(&self, _: &Receipt) -> Result<bool, BusError> {
        Ok(true)
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn subscribe(&self, _: Durable) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(self.clone()))
    }

    fn history(&self, _: &'static [Subject], _: HistoryStart) -> BoxStream<'_, Result<Page, BusError>> {
        stream::empty().boxed()
    }

    async fn progress(&self) -> Result<Vec<DurableProgress>, BusError> {
        Ok(Vec::new())
    }

    async fn dead_letters(&self, _: Option<&str>, _: usize) -> Result<Vec<DeadLetter>, BusError> {
        Ok(Vec::new())
    }

    async fn replay_dead_letter(&self, _: &str) -> Result<bool, BusError> {
        Ok(false)
    }

    async fn drop_dead_letter(&self, _: &str) -> Result<bool, BusError> {
        Ok(false)
    }

    async fn lag(&self, _: Durable) -> Result<Duration, BusError> {
        Ok(Duration::ZERO)
    }

    fn retention(&self) -> Option<Duration> {
        None
    }

    async fn delete_old_events(&self, _: &[Durable]) -> Result<(), BusError> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), BusError> {
        Ok(())
    }
}

fn start(script: Script, is_down: bool) -> (MemoryBus, Arc<Calls>) {
    let bus = MemoryBus::default();
    let calls = Arc::new(Calls { script, is_down: is_down.into(), count: AtomicUsize::new(0) });
    let listeners = Listeners::new(calls.clone()).on::<Scripted>();
    let listener = Service::new("orders").listeners(listeners).listeners.remove(0);
    tokio::spawn(listener.run(Arc::new(bus.clone()), CancellationToken::new()));
    (bus, calls)
}

const NOT_YET: Script = |_| Err(ListenError::retry("not yet"));

#[tokio::test(start_paused = true)]
async fn an_event_that_is_never_handled_becomes_a_dead_letter_after_about_an_hour() {
    let (bus, _calls) = start(NOT_YET, false);
    let started = Instant::now();
    bus.deliver_orders(1, 1);
    assert_eq!(bus.settled_count(1).await, [(128, Verdict::Reject("not yet".into()))]);
    let minutes = started.elapsed().as_secs() / 60;
    assert!((55..=65).contains(&minutes), "after {minutes} minutes");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_always_takes_too_long_becomes_a_dead_letter() {
    struct Slow;
    #[async_trait]
    impl Listener<()> for Slow {
        type Event = ExpirationComplete;
        const NAME: &'static str = "orders_expiration-complete";

        async fn on_message((): &(), _: ExpirationComplete) -> Result<(), ListenError> {
            std::future::pending().await
        }
    }
    let bus = MemoryBus::default();
    let listener = Service::new("orders").listeners(Listeners::new(()).on::<Slow>()).listeners.remove(0);
    tokio::spawn(listener.run(Arc::new(bus.clone()), CancellationToken::new()));
    bus.deliver_orders(1, 1);
    let (attempt, verdict) = bus.settled_count(1).await.remove(0);
    assert!(attempt == 128 && matches!(verdict, Verdict::Reject(_)), "{attempt} {verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn an_event_survives_an_outage_of_any_length_and_a_failure_after_it() {
    let (bus, calls) = start(
        |calls| if calls.count.load(Ordering::SeqCst) % 2 == 0 { Err(ListenError::retry("not yet")) } else { Ok(()) },
        true,
    );
    bus.deliver_orders(1, 1);
    sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(bus.settled(), []);
    assert!(calls.count.load(Ordering::SeqCst) > 1000);
    calls.count.store(1, Ordering::SeqCst);
    calls.is_down.store(false, Ordering::SeqCst);
    assert!(matches!(bus.settled_count(1).await[..], [(1000.., Verdict::Ack)]));
}

#[tokio::test(start_paused = true)]
async fn a_listener_hardly_fetches_while_a_dependency_is_down() {
    let (bus, calls) = start(|_| Ok(()), true);
    bus.deliver_orders(200, 1);
    while calls.count.load(Ordering::SeqCst) < 200 {
        sleep(Duration::from_millis(1)).await;
    }
    let before = calls.count.load(Ordering::SeqCst);
    bus.deliver_orders(255, 1);
    sleep(Duration::from_secs(60)).await;
    let tried = calls.count.load(Ordering::SeqCst) - before;
    assert!((10..=70).contains(&tried), "{tried} attempts in a minute, of at most {MAX_IN_FLIGHT} at once");

    // Once it is up again, everything is handled.
    calls.is_down.store(false, Ordering::SeqCst);
    let resumed = Instant::now();
    bus.settled_count(455).await;
    assert!(resumed.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_oldest_deferred_message_is_a_metric() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let age = async || {
        // Until the next update.
        sleep(Duration::from_secs(5)).await;
        let metrics = recorder.handle().render();
        let series = "events_deferred_oldest_seconds{listener=\"orders_expiration-complete\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        line.expect("the metric").parse::<f64>().expect("a number")
    };
    let (bus, calls) = start(|_| Ok(()), true);
    assert!(age().await < 0.1);
    bus.deliver_orders(2, 1);
    sleep(Duration::from_secs(600)).await;
    assert!((600.0..610.0).contains(&age().await), "{}", age().await);
    calls.is_down.store(false, Ordering::SeqCst);
    bus.settled_count(2).await;
    assert!(age().await < 0.1);

    // After a restart, or on another replica, the attempts say how long it has been deferred.
    calls.is_down.store(true, Ordering::SeqCst);
    bus.deliver_orders(1, 30);
    assert!((600.0..700.0).contains(&age().await), "{}", age().await);
    bus.0.has_other_reader.store(true, Ordering::SeqCst);
    sleep(Duration::from_secs(120)).await;
    assert!(age().await < 0.1, "another replica handles it");
}
