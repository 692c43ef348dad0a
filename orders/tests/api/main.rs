//! The service through its HTTP routes and its listeners.

mod create;
mod delete;
mod expiration_complete;
mod find;
mod list;
mod one_live_order;
mod payment_created;
mod ticket_created;
mod ticket_updated;

use std::time::Duration;

use common::clock::{Clock, Timestamp};
use common::events::{Event, ExpirationComplete, PaymentCreated, Subject, TicketCreated, TicketUpdated};
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::listener::ListenError;
use common::money::Money;
use engines::sqlite::SqliteStore;
use orders::OrdersConfig;
use serde_json::{Value, json};
use testing::{Reply, TestApp, TestEnv, TestRequest, TestUser};

const ORDERS: &str = "/api/orders";

/// How long the orders of these tests last.
const RESERVATION: Duration = Duration::from_secs(900);

struct OrdersApp {
    env: TestEnv,
    service: TestApp,
    buyer: TestUser,
}

impl OrdersApp {
    fn new() -> Self {
        let env = TestEnv::new();
        let database = env.database(|file| SqliteStore::open(file, orders::SCHEMAS));
        let config = OrdersConfig { order_expiration_seconds: 900 };
        let service = orders::service(&database, env.sessions.clone(), &config);
        let (service, buyer) = (TestApp::new(service, Some(database)), env.user("bob"));
        Self { env, service, buyer }
    }

    /// What the tickets service tells of a new ticket.
    fn ticket_created(&self) -> TicketCreated {
        let now = self.env.clock.now();
        TicketCreated {
            id: TicketId::generate(now),
            version: 0,
            title: "Concert".into(),
            price: Money::from_cents(1999),
            user_id: UserId::generate(now),
        }
    }

    /// A ticket this service has heard of.
    async fn ticket(&self) -> TicketId {
        let created = self.ticket_created();
        self.service.deliver(&created).await;
        created.id
    }

    async fn order(&self, buyer: &TestUser, ticket: TicketId) -> Reply {
        self.service.post(ORDERS).by(buyer).json(&json!({"ticketId": ticket.to_string()})).send().await
    }

    /// A new order of the buyer's, its `order:created` published.
    async fn placed_order(&self) -> OrderId {
        let ticket = self.ticket().await;
        self.placed_order_of(ticket).await
    }

    async fn placed_order_of(&self, ticket: TicketId) -> OrderId {
        let order = self.order(&self.buyer, ticket).await.expect(201);
        self.service.published().await;
        id_of(&order)
    }

    async fn cancel(&self, order: OrderId) -> Reply {
        self.service.delete(&path(order)).by(&self.buyer).send().await
    }

    /// The buyer's order as it now stands.
    async fn found(&self, order: OrderId) -> Value {
        self.service.get(&path(order)).by(&self.buyer).send().await.expect(200)
    }

    /// Expects the buyer's order to stand like this, and nothing to have been published.
    async fn expect_unchanged(&self, order: OrderId, status: &str, version: u64) {
        let found = self.found(order).await;
        assert_eq!((&found["status"], &found["version"]), (&json!(status), &json!(version)));
        assert_eq!(self.service.published().await, []);
    }

    /// What the payments service tells when the price of an order is authorised.
    fn payment_created(&self, order_id: OrderId) -> PaymentCreated {
        PaymentCreated { id: PaymentId::generate(self.env.clock.now()), order_id, stripe_id: "pi_1".into() }
    }

    /// Lets the time of every order so far run out.
    fn let_orders_expire(&self) {
        self.env.clock.advance(RESERVATION);
    }

    /// Delivers an event that must be put off.
    async fn expect_retry<E: Event>(&self, event: &E) {
        let delivered = self.service.deliver_once(event).await;
        assert!(matches!(delivered, Err(ListenError::Retry(_))), "{delivered:?}");
    }

    /// Delivers an event that must become a dead letter.
    async fn expect_reject<E: Event>(&self, event: &E) {
        let delivered = self.service.deliver_once(event).await;
        assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    }

    /// Expects that the listener of a subject rejects what does not parse.
    async fn expect_events_only(&self, subject: Subject) {
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
    order["id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
}

/// The next version of a ticket, as the tickets service tells it.
fn updated(created: &TicketCreated, version: u64, title: &str, cents: u64) -> TicketUpdated {
    let (id, user_id) = (created.id, created.user_id);
    TicketUpdated { id, version, title: title.into(), price: Money::from_cents(cents), user_id, order_id: None }
}

fn time_is_up(order_id: OrderId) -> ExpirationComplete {
    ExpirationComplete { order_id }
}

/// An order that never was.
fn unknown_order() -> OrderId {
    OrderId::generate(Timestamp::from_millis(0))
}

/// A ticket that never was, and that nobody would wait for.
fn unknown_ticket() -> TicketId {
    TicketId::generate(Timestamp::from_millis(0))
}

/// The event that announces the end of an order.
fn ended(subject: Subject, order: &Value) -> (Subject, Value) {
    let ticket = json!({"id": order["ticket"]["id"]});
    (subject, json!({"id": order["id"], "version": order["version"], "ticket": ticket}))
}

/// Expects that a route asks for a session before all else.
async fn expect_session_first(app: &OrdersApp, request: impl Fn() -> TestRequest) {
    request().send().await.expect_error(401, "Not authorized");
    for cookie in app.env.bad_cookies() {
        request().header("cookie", &cookie).send().await.expect_error(401, "Not authorized");
    }
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn other_methods_and_routes_are_refused() {
    let app = OrdersApp::new();
    let order = app.placed_order().await;
    for path in [ORDERS, &path(order)] {
        app.service.put(path).by(&app.buyer).send().await.expect_error(405, "Method Not Allowed");
    }
    app.service.delete(ORDERS).by(&app.buyer).send().await.expect_error(405, "Method Not Allowed");
    app.service.post(&path(order)).by(&app.buyer).send().await.expect_error(405, "Method Not Allowed");
    for path in ["/", "/api", "/api/order", "/api/orders/", &format!("{}/more", path(order))] {
        app.service.get(path).by(&app.buyer).send().await.expect_error(404, "Not Found");
    }
}
