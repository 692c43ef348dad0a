//! Clients that use every service through the ingress, and a log of what was answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::error::chain;
use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use reqwest::{Client, Method, header};
use serde_json::{Value, json};
use testing::system::load::Log;
use testing::system::{Order, PASSWORD, Ticket, User};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::ingress::{HOST, Ingress};
use crate::progress::{eventually, report};

const CLIENTS: usize = 8;

/// Hashing passwords is expensive on purpose, and auth turns away requests when too many wait.
const CLIENTS_THAT_SIGN_IN: usize = 2;

/// How often each client sends a request at most. Leaves time to start pods on a small machine.
const PACE: Duration = Duration::from_millis(25);

/// How many of the newest tickets clients compete for, and how many of its newest orders each client uses.
const RECENT: usize = 12;

/// How long it may take to answer the number of requests that a step needs.
const LIMIT: Duration = Duration::from_secs(180);

/// The services with an API.
const SERVICES: [&str; 4] = ["auth", "tickets", "orders", "payments"];

/// Clients at work.
pub(crate) struct Traffic {
    shared: Arc<Mutex<Shared>>,
    clients: JoinSet<()>,
    users: Vec<User>,
}

#[derive(Default)]
struct Shared {
    log: Log,
    answered: HashMap<&'static str, u32>,
    failures: Vec<String>,
    focus: Option<&'static str>,
    stop: bool,
}

/// What a client asks for.
enum Action {
    Other,
    CreateTicket,
    Order,
    Pay,
    Cancel(String),
}

/// A request, and the statuses that it may be answered with.
struct Request {
    service: &'static str,
    method: Method,
    path: String,
    body: Option<Value>,
    expected: &'static [u16],
    action: Action,
}

impl Request {
    fn new(service: &'static str, method: Method, path: impl Into<String>, expected: &'static [u16]) -> Self {
        Self { service, method, path: path.into(), body: None, expected, action: Action::Other }
    }

    fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn action(self, action: Action) -> Self {
        Self { action, ..self }
    }
}

impl Traffic {
    /// Signs up users and starts a client for each.
    pub(crate) async fn start(ingress: &Ingress) -> Self {
        let (shared, mut clients, mut users) = (Arc::<Mutex<Shared>>::default(), JoinSet::new(), Vec::new());
        for index in 0..CLIENTS {
            let user = ingress.sign_up(&format!("client{index}")).await;
            users.push(user.clone());
            let client = UserClient {
                index,
                user,
                http: ingress.http.clone(),
                shared: shared.clone(),
                random: SmallRng::seed_from_u64(rand::random()),
                own_orders: Vec::new(),
                own_tickets: Vec::new(),
            };
            clients.spawn(client.run());
        }
        let traffic = Self { shared, clients, users };
        traffic.wait_until_answered("orders", 20).await;
        traffic
    }

    /// Sends most requests to this service. To all alike if it has no API.
    pub(crate) fn focus(&self, service: &'static str) {
        self.shared.lock().unwrap().focus = SERVICES.contains(&service).then_some(service);
    }

    /// How many requests a service has answered; all services together if it has no API.
    pub(crate) fn answered(&self, service: &str) -> u32 {
        let shared = self.shared.lock().unwrap();
        let all = || shared.answered.values().sum();
        if SERVICES.contains(&service) { shared.answered.get(service).copied().unwrap_or(0) } else { all() }
    }

    /// Waits until a service has answered this many requests since the start.
    pub(crate) async fn wait_until_answered(&self, service: &str, count: u32) {
        eventually(LIMIT, async || {
            let answered = self.answered(service);
            let shared = self.shared.lock().unwrap();
            let missing =
                || format!("{service} has answered {answered} of {count} requests; {:?}", shared.failures.last());
            (answered >= count).then_some(()).ok_or_else(missing)
        })
        .await;
    }

    /// Waits until every service answers, and orders are paid for again.
    pub(crate) async fn wait_until_served(&self) {
        let payments = self.shared.lock().unwrap().log.payments.len();
        for service in SERVICES {
            self.wait_until_answered(service, self.answered(service) + 50).await;
        }
        eventually(LIMIT, async || {
            let found = self.shared.lock().unwrap().log.payments.len();
            (found > payments).then_some(()).ok_or_else(|| "no order is paid for".to_owned())
        })
        .await;
    }

    /// Expects that every request was answered by a service, with no server error.
    #[track_caller]
    pub(crate) fn assert_no_failures(&self, during: &str) {
        let shared = self.shared.lock().unwrap();
        let failures = &shared.failures;
        let first: Vec<_> = failures.iter().take(10).collect();
        assert!(failures.is_empty(), "{} requests lost during {during}, first {first:#?}", failures.len());
    }

    /// Stops the clients. Expects that they got no reply they should not get.
    pub(crate) async fn stop(self) -> Outcome {
        self.shared.lock().unwrap().stop = true;
        self.clients.join_all().await;
        let shared = std::mem::take(&mut *self.shared.lock().unwrap());
        assert_eq!(shared.log.unexpected, None);
        let (answered, failed) = (&shared.answered, shared.failures.len());
        report(&format!("requests answered: {answered:?}, failed: {failed}"));
        Outcome { log: shared.log, users: self.users }
    }
}

/// What the system has confirmed.
pub(crate) struct Outcome {
    log: Log,
    users: Vec<User>,
}

impl Outcome {
    /// Expects that everything confirmed is still there. The services must agree with each other already.
    pub(crate) async fn assert_nothing_is_lost(&self) {
        let log = &self.log;
        let confirmed = [log.tickets.len(), log.orders.len(), log.payments.len(), log.cancelled.len()];
        assert!(confirmed.iter().all(|count| *count > 0), "tickets, orders, payments, cancelled: {confirmed:?}");
        log.assert_nothing_is_lost(&self.users).await;
    }
}

/// The client of one user.
struct UserClient {
    index: usize,
    user: User,
    http: Client,
    shared: Arc<Mutex<Shared>>,
    random: SmallRng,
    own_orders: Vec<String>,
    own_tickets: Vec<String>,
}

impl UserClient {
    async fn run(mut self) {
        let mut pace = interval(PACE);
        while !self.shared.lock().unwrap().stop {
            pace.tick().await;
            let request = self.choose();
            match self.send(&request).await {
                Ok((status, body)) => self.record(request, status, &body),
                Err(failure) => {
                    let failure = format!("{} {}: {failure}", request.method, request.path);
                    self.shared.lock().unwrap().failures.push(failure);
                }
            }
        }
    }

    /// Sends a request. Fails if no service answers it, or with a server error. The ingress's own replies have no
    /// request id.
    async fn send(&self, request: &Request) -> Result<(u16, String), String> {
        let Request { method, path, body, .. } = request;
        let mut sending = self.http.request(method.clone(), format!("https://{HOST}/api{path}"));
        sending = sending.header(header::COOKIE, format!("session={}", self.user.token));
        if let Some(body) = body {
            sending = sending.json(body);
        }
        let reply = sending.send().await.map_err(|error| chain(&error))?;
        let (status, is_ours) = (reply.status().as_u16(), reply.headers().contains_key("x-request-id"));
        let body = reply.text().await.map_err(|error| chain(&error))?;
        if is_ours && status < 500 { Ok((status, body)) } else { Err(format!("{status} {body}")) }
    }

    fn choose(&mut self) -> Request {
        let focus = self.shared.lock().unwrap().focus.filter(|_| self.random.random_bool(0.7));
        match focus.unwrap_or_else(|| SERVICES.choose(&mut self.random).copied().unwrap()) {
            "auth" => self.choose_auth(),
            "tickets" => self.choose_ticket(),
            "orders" => self.choose_order(),
            _ => self.choose_payment(),
        }
    }

    fn choose_auth(&mut self) -> Request {
        match self.random.random_range(0..100) {
            0..5 if self.index < CLIENTS_THAT_SIGN_IN => {
                let body = json!({"email": self.user.email, "password": PASSWORD});
                Request::new("auth", Method::POST, "/users/signin", &[200]).body(body)
            }
            0..50 => Request::new("auth", Method::POST, "/users/signin", &[400]).body(json!({"email": "nobody"})),
            _ => Request::new("auth", Method::GET, "/users/currentuser", &[200]),
        }
    }

    fn choose_ticket(&mut self) -> Request {
        let body = json!({"title": "Concert", "price": 19.99});
        let own = self.own_tickets.choose(&mut self.random).cloned();
        match (self.random.random_range(0..100), own) {
            (0..25, _) => Request::new("tickets", Method::GET, "/tickets?limit=10", &[200]),
            (25..45, Some(own)) => Request::new("tickets", Method::GET, format!("/tickets/{own}"), &[200]),
            // The same again: a new version, which must reach the other services too.
            (45..65, Some(own)) => {
                Request::new("tickets", Method::PUT, format!("/tickets/{own}"), &[200, 400]).body(body)
            }
            _ => {
                let create = Request::new("tickets", Method::POST, "/tickets", &[201]).body(body);
                create.action(Action::CreateTicket)
            }
        }
    }

    fn choose_order(&mut self) -> Request {
        let contested = self.shared.lock().unwrap().log.contested.choose(&mut self.random).cloned();
        let own = self.own_orders.choose(&mut self.random).cloned();
        match (self.random.random_range(0..100), contested, own) {
            (0..40, Some(ticket), _) => {
                // 404: the event may arrive late.
                let order = Request::new("orders", Method::POST, "/orders", &[201, 400, 404]);
                order.body(json!({"ticketId": ticket})).action(Action::Order)
            }
            (40..50, _, Some(own)) => {
                let cancel = Request::new("orders", Method::DELETE, format!("/orders/{own}"), &[204, 400]);
                cancel.action(Action::Cancel(own))
            }
            (50..75, _, Some(own)) => Request::new("orders", Method::GET, format!("/orders/{own}"), &[200]),
            _ => Request::new("orders", Method::GET, "/orders?limit=10", &[200]),
        }
    }

    fn choose_payment(&mut self) -> Request {
        let Some(own) = self.own_orders.choose(&mut self.random) else {
            return Request::new("payments", Method::POST, "/payments", &[400]).body(json!({}));
        };
        match self.random.random_range(0..100) {
            // 404: the event may arrive late.
            0..50 => Request::new("payments", Method::GET, format!("/payments?orderId={own}"), &[200, 404]),
            50..65 => Request::new("payments", Method::POST, "/payments", &[400, 402, 404])
                .body(json!({"orderId": own, "token": "tok_chargeDeclined"})),
            _ => Request::new("payments", Method::POST, "/payments", &[201, 400, 404])
                .body(json!({"orderId": own, "token": "tok_visa"}))
                .action(Action::Pay),
        }
    }

    /// Adds a reply to the log.
    fn record(&mut self, request: Request, status: u16, body: &str) {
        let mut shared = self.shared.lock().unwrap();
        *shared.answered.entry(request.service).or_default() += 1;
        let log = &mut shared.log;
        if !request.expected.contains(&status) {
            log.unexpected = Some(format!("{} {}: {status} {body}", request.method, request.path));
        }
        match (request.action, status) {
            (Action::CreateTicket, 201) => {
                let ticket: Ticket = serde_json::from_str(body).unwrap();
                push_recent(&mut log.contested, &ticket.id);
                push_recent(&mut self.own_tickets, &ticket.id);
                log.tickets.insert(ticket.id.clone(), ticket);
            }
            (Action::Order, 201) => {
                let order: Order = serde_json::from_str(body).unwrap();
                push_recent(&mut self.own_orders, &order.id);
                log.orders.insert(order.id.clone(), (self.index, order));
            }
            (Action::Pay, 201) => log.payments.push((self.user.id.clone(), serde_json::from_str(body).unwrap())),
            (Action::Cancel(order), 204) => {
                log.cancelled.insert(order);
            }
            _ => {}
        }
    }
}

fn push_recent(ids: &mut Vec<String>, id: &str) {
    ids.insert(0, id.to_owned());
    ids.truncate(RECENT);
}
