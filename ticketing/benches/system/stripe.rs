//! A Stripe that takes the same time for each call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use common::clock::SystemClock;
use common::store::Database;
use engines::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep_until;

/// The simulator, on a thread of this process.
pub(crate) struct Stripe {
    /// The base URL of its API.
    pub(crate) url: String,
    timer: Timer,
    /// In the temporary directory, not beside the system's data: the real Stripe has disks of its own.
    _directory: TempDir,
}

#[derive(Clone)]
struct Timer {
    call: Duration,
    /// How long the calls took that a buyer waits for, by order.
    spent: Arc<Mutex<HashMap<String, Duration>>>,
}

impl Stripe {
    /// Starts it. Each call takes `call`, or longer if the simulator does.
    pub(crate) async fn start(call: Duration) -> Result<Self> {
        let directory = TempDir::new()?;
        let store = SqliteStore::open(&directory.path().join("stripe.db"), stripe_simulator::SCHEMAS)?;
        let database = Database::new(Arc::new(store), Arc::new(SystemClock));
        let timer = Timer { call, spent: Arc::default() };
        let routes = stripe_simulator::router(&database).layer(from_fn_with_state(timer.clone(), time));
        let (started, address) = oneshot::channel();
        thread::spawn(move || serve(routes, started));
        let address = address.await.context("the Stripe simulator did not start")?;
        Ok(Self { url: format!("http://{address}"), timer, _directory: directory })
    }

    /// How long the calls took that the buyer of this order waited for.
    pub(crate) fn time_spent_on(&self, order: &str) -> Duration {
        let spent = self.timer.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.get(order).copied().unwrap_or_default()
    }
}

/// Serves until the process exits.
fn serve(routes: Router, started: oneshot::Sender<std::net::SocketAddr>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let _receiver_gone = started.send(listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            let _best_effort = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, routes).await?)
    })
}

/// Delays the response to a call until its time is up.
async fn time(State(timer): State<Timer>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let path = request.uri().path();
    let is_payment =
        request.method() == Method::POST && (path.ends_with("/payment_intents") || path.ends_with("/confirm"));
    let (head, body) = next.run(request).await.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return StatusCode::BAD_GATEWAY.into_response() };
    sleep_until((began + timer.call).into()).await;
    if is_payment && let Some(order) = order(&body) {
        let mut spent = timer.spent.lock().unwrap_or_else(PoisonError::into_inner);
        *spent.entry(order).or_default() += began.elapsed();
    }
    Response::from_parts(head, Body::from(body))
}

/// The order in the metadata of an intent.
fn order(intent: &[u8]) -> Option<String> {
    let intent: serde_json::Value = serde_json::from_slice(intent).ok()?;
    Some(intent["metadata"]["order_id"].as_str()?.to_owned())
}
