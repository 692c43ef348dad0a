//! Tests of the service through its HTTP routes and listeners.

mod create;
mod delete;
mod expiration_complete;
mod find;
mod list;
mod one_live_order;
mod payment_created;
mod payment_failed;
mod payment_pending;
mod sweep;
mod ticket_created;
mod ticket_updated;

use std::time::Duration;

use common::clock::{Clock, Timestamp};
use common::events::{
    Event, ExpirationComplete, PaymentCreated, PaymentPending, Subject, TicketCreated, TicketUpdated,
};
use common::ids::{OrderId, TicketId};
use common::listener::ListenError;
use common::money::Money;
use engines::sqlite::SqliteStore;
use orders::{CaptureFailure, OrdersConfig};
use serde_json::{Value, json};
use testing::{Reply, TestApp, TestEnv, TestRequest, TestUser, builders};

const ORDERS: &str = "/api/orders";

/// How long orders last.
const RESERVATION: Duration = Duration::from_secs(900);

struct OrdersApp {
    env: TestEnv,
    service: TestApp,
    buyer: TestUser,
}

impl OrdersApp {
    fn new() -> Self {
        Self::with(CaptureFailure::Cancel)
    }

    /// The service with this reaction to payments that cannot be captured.
    fn with(capture_failure: CaptureFailure) -> Self {
        let env = TestEnv::new();
        let database = env.database(|file| SqliteStore::open(file, orders::SCHEMAS));
        let config = OrdersConfig { order_expiration_seconds: 900, capture_failure };
        let service = orders::service(&database, env.sessions.clone(), &config);
        let (service, buyer) = (TestApp::new(service, Some(database)), env.user("bob"));
        Self { env, service, buyer }
    }

    /// The event of a new ticket.
    fn ticket_created(&self) -> TicketCreated {
        builders::ticket_created(self.env.clock.now())
    }

    /// Delivers a new ticket.
    async fn new_ticket(&self) -> TicketId {
        let created = self.ticket_created();
        self.service.deliver(&created).await;
        created.id
    }

    async fn order(&self, buyer: &TestUser, ticket: TicketId) -> Reply {
        self.service.post(ORDERS).by(buyer).json(&json!({"ticketId": ticket.to_string()})).send().await
    }

    /// Orders a new ticket and takes the `order:created` from the outbox.
    async fn place_order(&self) -> OrderId {
        let ticket = self.new_ticket().await;
        self.place_order_of(ticket).await
    }

    async fn place_order_of(&self, ticket: TicketId) -> OrderId {
        let order = self.order(&self.buyer, ticket).await.expect(201);
        self.service.published().await;
        id_of(&order)
    }

    /// Orders a new ticket whose payment waits for the buyer, and takes all events from the outbox.
    async fn place_order_awaiting_payment(&self) -> OrderId {
        let order = self.place_order().await;
        self.service.deliver(&self.payment_pending(order)).await;
        self.service.published().await;
        order
    }

    async fn cancel(&self, order: OrderId) -> Reply {
        self.service.delete(&path(order)).by(&self.buyer).send().await
    }

    async fn find_order(&self, order: OrderId) -> Value {
        self.service.get(&path(order)).by(&self.buyer).send().await.expect(200)
    }

    /// Expects that an order is in this state and that nothing was published.
    async fn expect_unchanged(&self, order: OrderId, status: &str, version: u64) {
        let found = self.find_order(order).await;
        assert_eq!((&found["status"], &found["version"]), (&json!(status), &json!(version)));
        assert_eq!(self.service.published().await, []);
    }

    /// The event of an authorised payment.
    fn payment_created(&self, order_id: OrderId) -> PaymentCreated {
        builders::payment_created(self.env.clock.now(), order_id)
    }

    /// The event of a payment that waits for the buyer.
    fn payment_pending(&self, order_id: OrderId) -> PaymentPending {
        builders::payment_pending(self.env.clock.now(), order_id)
    }

    /// Advances the clock until every order so far has expired.
    fn advance_past_expiry(&self) {
        self.env.clock.advance(RESERVATION);
    }

    /// Delivers an event and expects that it is to be retried.
    async fn expect_retry<E: Event>(&self, event: &E) {
        let delivered = self.service.deliver_once(event).await;
        assert!(matches!(delivered, Err(ListenError::RetryAfter(..))), "{delivered:?}");
    }

    /// Delivers an event and expects that it is rejected.
    async fn expect_reject<E: Event>(&self, event: &E) {
        let delivered = self.service.deliver_once(event).await;
        assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    }

    /// Expects that the listener of a subject rejects malformed payloads.
    async fn expect_malformed_rejected(&self, subject: Subject) {
        for payload in ["", "{", "{}", "[]", "null", r#"{"id": "1", "orderId": "1"}"#] {
            let delivered = self.service.deliver_payload(subject, payload).await;
            assert!(matches!(delivered, Err(ListenError::Reject(_))), "{payload}: {delivered:?}");
        }
    }
}

fn path(order: OrderId) -> String {
    format!("{ORDERS}/{order}")
}

fn id_of(order: &Value) -> OrderId {
    order["id"].as_str().and_then(|id| id.parse().ok()).expect("order has an id")
}

/// The event of a later version of a ticket.
fn ticket_updated(created: &TicketCreated, version: u64, title: &str, cents: u64) -> TicketUpdated {
    let price = Money::from_cents(cents);
    TicketUpdated { version, title: title.into(), price, ..builders::ticket_updated(created) }
}

fn expiration_complete(order_id: OrderId) -> ExpirationComplete {
    ExpirationComplete { order_id }
}

/// The id of an order that does not exist.
fn unknown_order() -> OrderId {
    OrderId::generate(Timestamp::from_millis(0))
}

/// The id of a ticket that does not exist, old enough that a lookup does not wait for it.
fn unknown_ticket() -> TicketId {
    TicketId::generate(Timestamp::from_millis(0))
}

/// The event of a completed or cancelled order.
fn order_ended(subject: Subject, order: &Value) -> (Subject, Value) {
    let ticket = json!({"id": order["ticket"]["id"], "price": order["ticket"]["price"]});
    let (mut event, fields) = (json!({"ticket": ticket}), ["id", "version", "status", "userId", "expiresAt"]);
    fields.iter().for_each(|field| event[field] = order[field].clone());
    (subject, event)
}

/// Expects that a route checks the session before anything else.
async fn expect_session_first(app: &OrdersApp, request: impl Fn() -> TestRequest) {
    request().send().await.expect_error(401, "Not authorized");
    for cookie in app.env.bad_cookies() {
        request().header("cookie", &cookie).send().await.expect_error(401, "Not authorized");
    }
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn wrong_methods_and_unknown_routes_are_refused() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    for path in [ORDERS, &path(order)] {
        app.service.put(path).by(&app.buyer).send().await.expect_error(405, "Method Not Allowed");
    }
    app.service.delete(ORDERS).by(&app.buyer).send().await.expect_error(405, "Method Not Allowed");
    app.service.post(&path(order)).by(&app.buyer).send().await.expect_error(405, "Method Not Allowed");
    for path in ["/", "/api", "/api/order", "/api/orders/", &format!("{}/more", path(order))] {
        app.service.get(path).by(&app.buyer).send().await.expect_error(404, "Not Found");
    }
}
