//! A client of the HTTP API, as much of it as the tests need.
//!
//! Every answer is held against what all answers must be like: a request id, and one shape for every error.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::seq::IndexedRandom;
use reqwest::{Method, RequestBuilder, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value, json};

use super::wait_until;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A client that knows no session and follows no redirect.
pub(crate) fn http_client() -> reqwest::Client {
    // The client insists on having a TLS engine although it speaks to this machine only; a second one is refused.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy();
    // Lets go of idle connections before the server does, or it would now and then use one that is just being closed.
    client.pool_idle_timeout(Duration::from_secs(5)).build().unwrap()
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) price: Number,
    pub(crate) user_id: String,
    pub(crate) version: u64,
    pub(crate) order_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) status: String,
    pub(crate) expires_at: common::clock::Timestamp,
    pub(crate) version: u64,
    pub(crate) ticket: OrderedTicket,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderedTicket {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) price: Number,
    pub(crate) version: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) order_id: String,
    pub(crate) status: String,
    pub(crate) amount: Number,
    pub(crate) card: Option<Card>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    pub(crate) brand: String,
    pub(crate) last4: String,
}

/// Where the API is: the beginning of a path, and a URL that such paths follow. Of several that fit any one is taken.
///
/// Clones see each other's changes: users find a part of the system that has moved.
#[derive(Clone, Debug)]
pub(crate) struct Api(pub(crate) Arc<Mutex<Vec<(&'static str, String)>>>);

impl Api {
    /// All of it at one place.
    pub(crate) fn whole(url: &str) -> Self {
        Self(Arc::new(Mutex::new(vec![("", url.to_owned())])))
    }

    fn url(&self, path: &str) -> String {
        let parts = self.0.lock().unwrap();
        let fitting: Vec<_> = parts.iter().filter(|(part, _)| path.starts_with(part)).collect();
        let (_, url) = fitting.choose(&mut rand::rng()).expect("a part of the API that is there");
        format!("{url}{path}")
    }
}

/// Somebody who uses the system, signed in or not.
#[derive(Clone, Debug)]
pub(crate) struct User {
    http: reqwest::Client,
    api: Api,
    pub(crate) id: String,
    pub(crate) email: String,
    /// The session's token; empty without one.
    pub(crate) token: String,
}

impl User {
    pub(crate) fn nobody(http: reqwest::Client, api: Api) -> Self {
        Self { http, api, id: String::new(), email: String::new(), token: String::new() }
    }

    pub(super) fn at(&self, http: reqwest::Client, api: Api) -> Self {
        Self { http, api, ..self.clone() }
    }

    /// The same user with another token for a session.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub(crate) async fn sign_up(self, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "password": PASSWORD});
        self.signed_in_by(self.post("/users/signup", &body).send().await.expect(201))
    }

    /// Signs in again, for a new session.
    pub(crate) async fn sign_in(&self) -> Self {
        let body = json!({"email": self.email, "password": PASSWORD});
        self.signed_in_by(self.post("/users/signin", &body).send().await.expect(200))
    }

    fn signed_in_by(&self, answer: Answer) -> Self {
        #[derive(Deserialize)]
        struct SignedIn {
            id: String,
            email: String,
        }
        let cookie = answer.header("set-cookie").expect("a cookie");
        let token = cookie.strip_prefix("session=").and_then(|rest| rest.split(';').next()).expect("a session");
        let SignedIn { id, email } = answer.json();
        Self { id, email, token: token.to_owned(), ..self.clone() }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        let mut request = self.http.request(method, self.api.url(path));
        if !self.token.is_empty() {
            request = request.header(header::COOKIE, format!("session={}", self.token));
        }
        Call(request)
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).body("application/json", body.to_string())
    }

    /// Listing a ticket; the price as it stands in the JSON.
    pub(crate) fn listing(&self, title: &str, price: &str) -> Call {
        self.call(Method::POST, "/tickets").body("application/json", ticket_body(title, price))
    }

    pub(crate) fn editing(&self, ticket: &str, title: &str, price: &str) -> Call {
        self.call(Method::PUT, &format!("/tickets/{ticket}")).body("application/json", ticket_body(title, price))
    }

    pub(crate) fn ordering(&self, ticket: &str) -> Call {
        self.post("/orders", &json!({"ticketId": ticket}))
    }

    pub(crate) fn cancelling(&self, order: &str) -> Call {
        self.call(Method::DELETE, &format!("/orders/{order}"))
    }

    pub(crate) fn paying(&self, order: &str, token: &str) -> Call {
        self.post("/payments", &json!({"orderId": order, "token": token}))
    }

    pub(crate) async fn list_ticket(&self, title: &str, price: &str) -> Ticket {
        self.listing(title, price).send().await.expect(201).json()
    }

    /// Orders a ticket, once the orders service has heard of it.
    pub(crate) async fn order(&self, ticket: &Ticket) -> Order {
        let ordered = async || Some(self.ordering(&ticket.id).send().await).filter(|answer| answer.status != 404);
        wait_until("the ticket is known", ordered).await.expect(201).json()
    }

    pub(crate) async fn cancel(&self, order: &Order) {
        self.cancelling(&order.id).send().await.expect(204);
    }

    /// Pays for an order, once the payments service has heard of it.
    pub(crate) async fn pay(&self, order: &Order, token: &str) {
        let paid = async || Some(self.paying(&order.id, token).send().await).filter(|answer| answer.status != 404);
        wait_until("the order is known", paid).await.expect(201);
    }

    pub(crate) async fn find_ticket(&self, id: &str) -> Ticket {
        self.get(&format!("/tickets/{id}")).send().await.expect(200).json()
    }

    pub(crate) async fn find_order(&self, id: &str) -> Order {
        self.get(&format!("/orders/{id}")).send().await.expect(200).json()
    }

    pub(crate) async fn payments(&self, order: &str) -> Vec<Payment> {
        self.get(&format!("/payments?orderId={order}")).send().await.expect(200).json()
    }

    /// A whole list, page by page, by the links that the pages carry.
    pub(crate) async fn all<T: DeserializeOwned>(&self, path: &str) -> Vec<T> {
        let mut found: Vec<T> = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let answer = self.get(&path).send().await.expect(200);
            next = answer.next_page();
            found.extend(answer.json::<Vec<T>>());
        }
        found
    }

    /// Whether a ticket is on the list of those for sale.
    pub(crate) async fn sees_listed(&self, ticket: &Ticket) -> bool {
        self.all::<Ticket>("/tickets").await.iter().any(|listed| listed.id == ticket.id)
    }

    /// Waits until an order is complete and its payment captured, and returns both.
    pub(crate) async fn sees_complete(&self, order: &Order) -> (Order, Payment) {
        wait_until("the order is complete and its payment captured", async || {
            let order = self.find_order(&order.id).await;
            assert_ne!(order.status, "cancelled");
            let captured = self.payments(&order.id).await.into_iter().find(|payment| payment.status == "captured");
            captured.filter(|_| order.status == "complete").map(|payment| (order, payment))
        })
        .await
    }

    /// Waits until a ticket is free, or held by the order, and returns it.
    pub(crate) async fn sees_held_by(&self, ticket: &Ticket, order: Option<&Order>) -> Ticket {
        let order = order.map(|order| order.id.clone());
        wait_until(&format!("ticket {} is held by {order:?}", ticket.id), async || {
            Some(self.find_ticket(&ticket.id).await).filter(|ticket| ticket.order_id == order)
        })
        .await
    }
}

fn ticket_body(title: &str, price: &str) -> String {
    format!("{{\"title\": {}, \"price\": {price}}}", json!(title))
}

/// A request about to be sent.
pub(crate) struct Call(RequestBuilder);

impl Call {
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header(header::CONTENT_TYPE, content_type).body(body))
    }

    /// Sends it; there must be an answer.
    pub(crate) async fn send(self) -> Answer {
        let response = self.0.send().await.unwrap();
        Answer::read(response).await.unwrap()
    }

    /// Sends it to a system that may die before it has answered.
    pub(crate) async fn attempt(self) -> Option<Answer> {
        let response = self.0.send().await.ok()?;
        Answer::read(response).await.ok()
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: header::HeaderMap,
    text: String,
    request: String,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, headers, text, request } = self;
        write!(f, "{request} answered {status} {headers:?} {text}")
    }
}

impl Answer {
    async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let answer = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            request: response.url().to_string(),
            text: response.text().await?,
        };
        assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{answer:?} has no request id");
        if answer.status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
            assert_is_error_shape(answer.status, &answer.text);
        }
        Ok(answer)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// It must be an error of this status that says just this.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, message: &str) {
        assert_eq!((self.status, self.messages()), (status, vec![message.to_owned()]), "{self:?}");
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.errors().into_iter().map(|error| error.message).collect()
    }

    pub(crate) fn errors(&self) -> Vec<FieldError> {
        serde_json::from_str::<ErrorBody>(&self.text).map(|body| body.errors).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Where the `Link` header leads, within the API.
    pub(crate) fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        let target = link.strip_prefix("</api").and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
        Some(target.unwrap_or_else(|| panic!("not a link to a next page: {link}")).to_owned())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorBody {
    errors: Vec<FieldError>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FieldError {
    pub(crate) message: String,
    pub(crate) field: Option<String>,
    pub(crate) request_id: Option<String>,
}

/// The shape of every error, whoever reads it.
pub(super) fn assert_is_error_shape(status: u16, body: &str) {
    let ErrorBody { errors } =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{status}: {error}: not the error shape: {body}"));
    assert!(!errors.is_empty() && errors.iter().all(|error| !error.message.is_empty()), "{body}");
    if status >= 500 {
        let told: Vec<_> = errors.iter().map(|error| (error.message.as_str(), error.request_id.is_some())).collect();
        assert_eq!(told, [("Something went wrong", true)], "{body}");
    }
}
