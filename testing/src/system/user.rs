//! A user of the HTTP API.
//!
//! Methods named after an HTTP method prepare a request, for tests that look at the reply. The others send it and
//! expect it to succeed.

use reqwest::{Client, Method, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::Api;
use super::reply::{Call, Reply};
use super::views::{Order, Payment, Ticket};
use crate::wait::wait_until;

/// The password of every user.
pub const PASSWORD: &str = "correct horse battery";

/// A user, signed in or not.
#[derive(Clone, Debug)]
pub struct User {
    http: Client,
    api: Api,
    /// The user's id; empty for a visitor.
    pub id: String,
    /// The user's email address; empty for a visitor.
    pub email: String,
    /// The session's token; empty for a visitor.
    pub token: String,
}

impl User {
    /// A user who is not signed in.
    pub fn visitor(http: Client, api: Api) -> Self {
        Self { http, api, id: String::new(), email: String::new(), token: String::new() }
    }

    /// The same user with new connections, after the system has restarted.
    pub(super) fn reconnect(&self, http: Client, api: Api) -> Self {
        Self { http, api, ..self.clone() }
    }

    /// The same user with another session token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Signs up.
    pub async fn sign_up(self, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "password": PASSWORD});
        self.with_session_of(self.post("/users/signup", &body).send().await.expect(201))
    }

    /// Signs in again, for a new session.
    pub async fn sign_in(&self) -> Self {
        let body = json!({"email": self.email, "password": PASSWORD});
        self.with_session_of(self.post("/users/signin", &body).send().await.expect(200))
    }

    fn with_session_of(&self, reply: Reply) -> Self {
        #[derive(Deserialize)]
        struct SignedIn {
            id: String,
            email: String,
        }
        let cookie = reply.header("set-cookie").expect("a cookie");
        let token = cookie.strip_prefix("session=").and_then(|rest| rest.split(';').next()).expect("a session");
        let SignedIn { id, email } = reply.json();
        Self { id, email, token: token.to_owned(), ..self.clone() }
    }

    /// Prepares a request.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut request = self.http.request(method, self.api.url(path));
        if !self.token.is_empty() {
            request = request.header(header::COOKIE, format!("session={}", self.token));
        }
        Call::new(request)
    }

    /// Prepares a `GET`.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// Prepares a `POST`.
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).body("application/json", body.to_string())
    }

    /// Prepares the creation of a ticket. The price is raw JSON.
    pub fn post_ticket(&self, title: &str, price: &str) -> Call {
        self.call(Method::POST, "/tickets").body("application/json", ticket_body(title, price))
    }

    /// Prepares a change to a ticket. The price is raw JSON.
    pub fn put_ticket(&self, ticket: &str, title: &str, price: &str) -> Call {
        self.call(Method::PUT, &format!("/tickets/{ticket}")).body("application/json", ticket_body(title, price))
    }

    /// Prepares an order.
    pub fn post_order(&self, ticket: &str) -> Call {
        self.post("/orders", &json!({"ticketId": ticket}))
    }

    /// Prepares the cancellation of an order.
    pub fn delete_order(&self, order: &str) -> Call {
        self.call(Method::DELETE, &format!("/orders/{order}"))
    }

    /// Prepares a payment.
    pub fn post_payment(&self, order: &str, token: &str) -> Call {
        self.post("/payments", &json!({"orderId": order, "token": token}))
    }

    /// Prepares the list of an order's payments.
    pub fn get_payments(&self, order: &str) -> Call {
        self.get(&format!("/payments?orderId={order}"))
    }

    /// Creates a ticket.
    pub async fn create_ticket(&self, title: &str, price: &str) -> Ticket {
        self.post_ticket(title, price).send().await.expect(201).json()
    }

    /// Orders a ticket, once the orders service has a replica of it.
    pub async fn order(&self, ticket: &Ticket) -> Order {
        let order = async || Some(self.post_order(&ticket.id).send().await).filter(|reply| reply.status != 404);
        wait_until("the orders service knows the ticket", order).await.expect(201).json()
    }

    /// Cancels an order.
    pub async fn cancel(&self, order: &Order) {
        self.delete_order(&order.id).send().await.expect(204);
    }

    /// Pays for an order, once the payments service has a replica of it.
    pub async fn pay(&self, order: &Order, token: &str) {
        let pay = async || Some(self.post_payment(&order.id, token).send().await).filter(|reply| reply.status != 404);
        wait_until("the payments service knows the order", pay).await.expect(201);
    }

    /// Finds a ticket.
    pub async fn find_ticket(&self, id: &str) -> Ticket {
        self.get(&format!("/tickets/{id}")).send().await.expect(200).json()
    }

    /// Finds an order.
    pub async fn find_order(&self, id: &str) -> Order {
        self.get(&format!("/orders/{id}")).send().await.expect(200).json()
    }

    /// Lists the payments for an order.
    pub async fn list_payments(&self, order: &str) -> Vec<Payment> {
        self.get_payments(order).send().await.expect(200).json()
    }

    /// Reads all pages of a list, following their links.
    pub async fn list_all<T: DeserializeOwned>(&self, path: &str) -> Vec<T> {
        let mut found: Vec<T> = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let reply = self.get(&path).send().await.expect(200);
            next = reply.next_page();
            found.extend(reply.json::<Vec<T>>());
        }
        found
    }

    /// Whether a ticket is on the list of tickets for sale.
    pub async fn finds_for_sale(&self, ticket: &Ticket) -> bool {
        self.list_all::<Ticket>("/tickets").await.iter().any(|listed| listed.id == ticket.id)
    }

    /// Waits until a ticket is on the list of tickets for sale.
    pub async fn wait_until_for_sale(&self, ticket: &Ticket) {
        wait_until("the ticket is for sale", async || self.finds_for_sale(ticket).await.then_some(())).await;
    }

    /// Waits until an order is complete and its payment captured, and returns both.
    pub async fn wait_until_complete(&self, order: &Order) -> (Order, Payment) {
        wait_until("the order is complete and its payment captured", async || {
            let order = self.find_order(&order.id).await;
            assert_ne!(order.status, "cancelled");
            let payments = self.list_payments(&order.id).await;
            let captured = payments.into_iter().find(|payment| payment.status == "captured");
            captured.filter(|_| order.status == "complete").map(|payment| (order, payment))
        })
        .await
    }

    /// Waits until a ticket is reserved by this order, or by none, and returns it.
    pub async fn wait_until_reserved_by(&self, ticket: &Ticket, order: Option<&Order>) -> Ticket {
        let order = order.map(|order| order.id.clone());
        wait_until(&format!("ticket {} is reserved by {order:?}", ticket.id), async || {
            Some(self.find_ticket(&ticket.id).await).filter(|ticket| ticket.order_id == order)
        })
        .await
    }
}

fn ticket_body(title: &str, price: &str) -> String {
    format!("{{\"title\": {}, \"price\": {price}}}", json!(title))
}
