//! Tests of the service through its HTTP routes and listeners.

mod convergence;
mod create;
mod faults;
mod find;
mod list;
mod order_cancelled;
mod order_created;
mod update;

use common::clock::{Clock, Timestamp};
use common::events::{Message, OrderCreated, OrderedTicket, Subject};
use common::ids::TicketId;
use common::listener::ListenError;
use common::money::Money;
use common::store::Database;
use engines::sqlite::SqliteStore;
use serde_json::{Value, json};
use testing::{Reply, TestApp, TestEnv, TestRequest, TestUser, builders};

const TICKETS: &str = "/api/tickets";

const TITLE: (&str, &str) = ("title", "Title is required");
const PRICE: (&str, &str) = ("price", "Price must be greater than 0");
const MINIMUM: (&str, &str) = ("price", "Price must be at least 0.50");

/// Valid prices: as sent, and as returned.
const VALID_PRICES: [(&str, &str); 10] = [
    ("20", "20"),
    ("19.99", "19.99"),
    ("\"19.99\"", "19.99"),
    ("1.1", "1.1"),
    ("\"1.10\"", "1.1"),
    ("0.50", "0.5"),
    ("0.51", "0.51"),
    ("1.29", "1.29"),
    ("999999.99", "999999.99"),
    ("\"20\"", "20"),
];

const INVALID_PRICES: [&str; 16] = [
    "0",
    "0.00",
    "\"0\"",
    "-1",
    "\"-1\"",
    "1000000",
    "999999.995",
    "19.999",
    "\"19.999\"",
    "0.001",
    "1e300",
    "\"abc\"",
    "\"\"",
    "null",
    "true",
    "[20]",
];

/// Valid amounts that are less than a card can be charged.
const PRICES_BELOW_MINIMUM: [&str; 5] = ["0.01", "0.29", "0.49", "\"0.49\"", "49e-2"];

struct TicketsApp {
    env: TestEnv,
    service: TestApp,
    seller: TestUser,
}

impl TicketsApp {
    fn new() -> Self {
        let env = TestEnv::new();
        let database = env.database(|file| SqliteStore::open(file, tickets::SCHEMAS));
        Self::on(env, database)
    }

    fn on(env: TestEnv, database: Database) -> Self {
        let service = tickets::service(&database, env.sessions.clone());
        let (service, seller) = (TestApp::new(service, Some(database)), env.user("ann"));
        Self { env, service, seller }
    }

    /// Lists a ticket and takes its `ticket:created` from the outbox.
    async fn new_ticket(&self) -> TicketId {
        let id = self.post_ticket("Concert").await;
        self.service.published().await;
        id
    }

    async fn post_ticket(&self, title: &str) -> TicketId {
        let ticket = self.service.post(TICKETS).by(&self.seller).json(&json!({"title": title, "price": 20})).send();
        id_of(&ticket.await.expect(201))
    }

    /// Lists a ticket and reserves it for an order.
    async fn new_reserved_ticket(&self) -> (TicketId, OrderCreated) {
        let id = self.new_ticket().await;
        let order = self.order_created(id);
        self.service.deliver(&order).await;
        self.service.published().await;
        (id, order)
    }

    async fn find_ticket(&self, id: TicketId) -> Value {
        self.service.get(&path(id)).send().await.expect(200)
    }

    async fn edit(&self, id: TicketId, title: &str) -> Reply {
        let body = json!({"title": title, "price": 30});
        self.service.put(&path(id)).by(&self.seller).json(&body).send().await
    }

    /// The event of a new order of this ticket.
    fn order_created(&self, ticket: TicketId) -> OrderCreated {
        let mut order = builders::order_created(self.env.clock.now());
        order.ticket = OrderedTicket { id: ticket, price: Money::from_cents(2000) };
        order
    }

    /// Delivers a message, again after each retry, until it is handled.
    async fn deliver_until_accepted(&self, message: &Message) {
        for _ in 0..10_000 {
            match self.service.deliver_payload(message.subject, &message.payload).await {
                Ok(()) => return,
                Err(ListenError::Retry(_) | ListenError::RetryAfter(..)) => tokio::task::yield_now().await,
                Err(ListenError::Reject(reason)) => panic!("{message:?} was rejected: {reason}"),
            }
        }
        panic!("{message:?} was never handled");
    }
}

fn path(id: TicketId) -> String {
    format!("{TICKETS}/{id}")
}

fn id_of(ticket: &Value) -> TicketId {
    ticket["id"].as_str().and_then(|id| id.parse().ok()).expect("ticket has an id")
}

/// The id of a ticket that does not exist.
fn unknown_ticket() -> TicketId {
    TicketId::generate(Timestamp::from_millis(0))
}

/// The `ticket:updated` with this state of a ticket.
fn ticket_updated(ticket: &Value) -> (Subject, Value) {
    (Subject::TicketUpdated, ticket.clone())
}

/// Expects that a route checks the session before anything else.
async fn expect_session_first(app: &TicketsApp, request: impl Fn() -> TestRequest) {
    request().send().await.expect_error(401, "Not authorized");
    for cookie in app.env.bad_cookies() {
        request().header("cookie", &cookie).send().await.expect_error(401, "Not authorized");
    }
    assert_eq!(app.service.published().await, []);
}

/// Expects that a route refuses bodies that are not a valid ticket. `request` is signed in.
async fn expect_only_valid_tickets(request: impl Fn() -> TestRequest) {
    let good = r#"{"title": "Concert", "price": 20}"#;
    let json = |body: String| request().header("content-type", "application/json").body(body).send();
    request().body(good).send().await.expect_error(415, "Expected application/json");
    let text = request().header("content-type", "text/plain").body(good).send().await;
    text.expect_error(415, "Expected application/json");
    for broken in ["", "{", "[]", "null", "\"text\"", "7", &good[1..]] {
        json(broken.to_owned()).await.expect_error(400, "Request body is not valid JSON");
    }
    json(" ".repeat(200_000) + good).await.expect_error(413, "Payload Too Large");

    json("{}".to_owned()).await.expect_invalid(&[TITLE, PRICE]);
    json(r#"{"price": 0, "title": " "}"#.to_owned()).await.expect_invalid(&[TITLE, PRICE]);
    let long = format!("\"{}\"", "é".repeat(201));
    for title in ["\"\"", "\" \\n\\t\"", "null", "7", "[\"Concert\"]", &long] {
        json(format!(r#"{{"title": {title}, "price": 20}}"#)).await.expect_invalid(&[TITLE]);
    }
    json(r#"{"price": 20}"#.to_owned()).await.expect_invalid(&[TITLE]);
    for price in INVALID_PRICES {
        json(format!(r#"{{"title": "Concert", "price": {price}}}"#)).await.expect_invalid(&[PRICE]);
    }
    json(r#"{"title": "Concert"}"#.to_owned()).await.expect_invalid(&[PRICE]);
    for price in PRICES_BELOW_MINIMUM {
        json(format!(r#"{{"title": "Concert", "price": {price}}}"#)).await.expect_invalid(&[MINIMUM]);
        json(format!(r#"{{"title": "", "price": {price}}}"#)).await.expect_invalid(&[TITLE, MINIMUM]);
    }
}

#[tokio::test]
async fn wrong_methods_and_unknown_routes_are_refused() {
    let app = TicketsApp::new();
    let id = app.new_ticket().await;
    for path in [TICKETS, &path(id)] {
        app.service.delete(path).by(&app.seller).send().await.expect_error(405, "Method Not Allowed");
    }
    app.service.put(TICKETS).by(&app.seller).send().await.expect_error(405, "Method Not Allowed");
    app.service.post(&path(id)).by(&app.seller).send().await.expect_error(405, "Method Not Allowed");
    for path in ["/", "/api", "/api/ticket", "/api/tickets/", &format!("{}/more", path(id))] {
        app.service.get(path).send().await.expect_error(404, "Not Found");
    }
}

#[tokio::test]
async fn every_reply_carries_a_request_id() {
    let app = TicketsApp::new();
    let tickets = app.service.get(TICKETS).header("x-request-id", "mine-7").send().await;
    assert_eq!(tickets.headers["x-request-id"], "mine-7");
    let unknown = app.service.get("/nowhere").send().await;
    assert_eq!(unknown.headers["x-request-id"].len(), 32);
}
