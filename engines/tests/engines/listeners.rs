//! The listener runtime of `common`, on the embedded bus.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use common::bus::{Bus, DeadLetter, Publisher};
use common::events::{ExpirationComplete, Message};
use common::ids::OrderId;
use common::listener::{ListenError, Listener, Listeners};
use common::service::Service;
use common::trace::TraceParent;
use engines::sqlite::SqliteBus;
use testing::{TestEnv, soon, wait_until};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The outcome of each attempt to handle order 1.
type Script = fn(attempt: u32) -> Result<(), ListenError>;

/// The script of a listener, and a record of its calls.
struct State {
    script: Script,
    attempts: AtomicU32,
    handled: UnboundedSender<OrderId>,
    traces: Mutex<Vec<Option<TraceParent>>>,
}

/// Follows the script for order 1 and accepts all other orders.
struct Scripted;

#[async_trait]
impl Listener<Arc<State>> for Scripted {
    type Event = ExpirationComplete;
    const NAME: &'static str = "orders_expiration-complete";

    async fn on_message(state: &Arc<State>, event: ExpirationComplete) -> Result<(), ListenError> {
        state.traces.lock().expect("no panic").push(TraceParent::current());
        if event.order_id == order(1) {
            (state.script)(state.attempts.fetch_add(1, Ordering::SeqCst) + 1)?;
        }
        state.handled.send(event.order_id).map_err(ListenError::reject)
    }
}

struct Running {
    bus: Arc<SqliteBus>,
    state: Arc<State>,
    handled: UnboundedReceiver<OrderId>,
    stop: CancellationToken,
    listener: JoinHandle<()>,
    _env: TestEnv,
}

fn start(script: Script) -> Running {
    let env = TestEnv::new();
    let bus = Arc::new(SqliteBus::open(&env.directory().join("bus.db")).expect("opened"));
    let (sender, handled) = unbounded_channel();
    let state = Arc::new(State { script, attempts: AtomicU32::new(0), handled: sender, traces: Mutex::default() });
    let listeners = Listeners::new(state.clone()).on::<Scripted>();
    let listener = Service::new("orders").listeners(listeners).listeners.remove(0);
    let stop = CancellationToken::new();
    let listener = tokio::spawn(listener.run(bus.clone(), stop.clone()));
    Running { bus, state, handled, stop, listener, _env: env }
}

impl Running {
    async fn publish(&self, number: u8) {
        self.bus.publish(&[message(number)]).await.expect("published");
    }

    async fn handled(&mut self) -> OrderId {
        soon("an event to be handled", self.handled.recv()).await.expect("a running listener")
    }

    /// Waits for this many dead letters.
    async fn dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let read = async || self.bus.dead_letters(None, 10).await.expect("dead letters");
        wait_until("dead letters", async || (read().await.len() >= count).then_some(())).await;
        read().await
    }
}

fn order(number: u8) -> OrderId {
    format!("{number:024x}").parse().expect("an id")
}

fn message(number: u8) -> Message {
    testing::message(&ExpirationComplete { order_id: order(number) })
}

#[tokio::test]
async fn an_event_is_redelivered_after_a_panic() {
    let mut running = start(|attempt| if attempt < 3 { panic!("attempt {attempt}") } else { Ok(()) });
    running.publish(1).await;
    assert_eq!(running.handled().await, order(1));
    assert_eq!(running.state.attempts.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_event_that_always_panics_becomes_a_dead_letter_and_holds_up_no_others() {
    let mut running = start(|attempt| panic!("attempt {attempt}"));
    running.publish(1).await;
    running.publish(2).await;
    assert_eq!(running.handled().await, order(2));
    let letter = running.dead_letters(1).await.remove(0);
    assert_eq!((&*letter.reason, letter.attempts, letter.message), ("the handler panicked", 5, message(1)));
    assert_eq!(running.state.attempts.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_retried_event_is_redelivered_and_holds_up_no_others() {
    let mut running = start(|attempt| if attempt < 3 { Err(ListenError::Retry("not yet".into())) } else { Ok(()) });
    running.publish(1).await;
    running.publish(2).await;
    assert_eq!(running.handled().await, order(2));
    assert_eq!(running.handled().await, order(1));
    assert_eq!(running.bus.dead_letters(None, 1).await.unwrap(), []);
}

#[tokio::test]
async fn an_event_that_is_too_early_is_redelivered_when_its_handler_asks_for_it() {
    let mut running =
        start(
            |attempt| {
                if attempt < 3 { Err(ListenError::retry_after(Duration::from_secs(1000), "too early")) } else { Ok(()) }
            },
        );
    tokio::time::pause();
    let began = Instant::now();
    running.publish(1).await;
    assert_eq!(running.handled.recv().await, Some(order(1)));
    // The paused clock also advances while the bus writes.
    assert!(began.elapsed() >= Duration::from_secs(2000), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_rejected_message_becomes_a_dead_letter() {
    let mut running = start(|attempt| {
        Err(if attempt < 2 { ListenError::Retry("not yet".into()) } else { ListenError::Reject("never".into()) })
    });
    running.publish(1).await;
    let letter = running.dead_letters(1).await.remove(0);
    let expected = ("orders_expiration-complete", "never", 2, message(1));
    assert_eq!((&*letter.listener, &*letter.reason, letter.attempts, letter.message), expected);
    running.publish(2).await;
    assert_eq!(running.handled().await, order(2));
    assert_eq!(running.state.attempts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_unparsable_payload_becomes_a_dead_letter() {
    let mut running = start(|_| Ok(()));
    for (number, payload) in ["", "{", "[]", "{\"orderId\": 7}", "{\"orderId\": \"not an id\"}"].iter().enumerate() {
        let poison = Message { id: format!("poison {number}"), payload: (*payload).into(), ..message(2) };
        running.bus.publish(&[poison]).await.unwrap();
    }
    running.publish(3).await;
    assert_eq!(running.handled().await, order(3));
    let letters = running.dead_letters(5).await;
    let letter = &letters[0];
    assert!(letter.reason.starts_with("the payload does not parse: "), "{}", letter.reason);
}

#[tokio::test]
async fn a_listener_runs_in_the_trace_of_its_message() {
    let mut running = start(|_| Ok(()));
    let trace = TraceParent::generate();
    let traced = trace.clone().scope(async { message(1) }).await;
    running.bus.publish(&[traced]).await.unwrap();
    running.handled().await;
    running.publish(2).await;
    running.handled().await;
    let traces = running.state.traces.lock().unwrap();
    assert_eq!(traces[0], Some(trace));
    assert!(traces[1].is_some() && traces[1] != traces[0], "a message without a trace starts a new one");
}

#[tokio::test]
async fn a_listener_stops_when_cancelled() {
    let mut running = start(|_| Ok(()));
    running.publish(1).await;
    running.handled().await;
    running.stop.cancel();
    soon("the listener to stop", running.listener).await.unwrap();
}

/// A listener whose name does not match its event.
struct Misnamed;

#[async_trait]
impl Listener<Arc<State>> for Misnamed {
    type Event = ExpirationComplete;
    const NAME: &'static str = "orders_order-created";

    async fn on_message(_: &Arc<State>, _: ExpirationComplete) -> Result<(), ListenError> {
        Ok(())
    }
}

#[test]
fn misnamed_and_duplicate_listeners_panic_at_start() {
    let new = || {
        let (handled, _) = unbounded_channel();
        let state = State { script: |_| Ok(()), attempts: AtomicU32::new(0), handled, traces: Mutex::default() };
        Listeners::new(Arc::new(state))
    };
    let panic_message = |outcome: thread::Result<()>| *outcome.unwrap_err().downcast::<String>().unwrap();
    let misnamed = panic_message(catch_unwind(|| drop(new().on::<Misnamed>())));
    assert_eq!(misnamed, "the listener orders_order-created must be named <service>_expiration-complete");
    let duplicate = panic_message(catch_unwind(|| drop(new().on::<Scripted>().on::<Scripted>())));
    assert_eq!(duplicate, "two listeners are named orders_expiration-complete");
}
