//! Requests that sellers and buyers make.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::api::{Api, Connections};
use crate::http::{Reply, get, post};
use crate::load::{Load, WorkQueue};

const PASSWORD: &str = "correct horse battery staple";

/// How long after an order is complete its payment may be captured.
const CAPTURE_TIMEOUT: Duration = Duration::from_secs(10);

/// A signed-up user.
pub(crate) struct Account {
    email: &'static str,
    cookie: String,
}

impl Account {
    pub(crate) async fn sign_up(api: &Api, email: &'static str) -> Result<Self> {
        let mut connections = Connections::new(api);
        let reply = connections.send(&post("/api/users/signup", None, &credentials(email))).await?;
        let Reply { status, body, .. } = reply;
        ensure!(status == 201, "sign-up: {status} {}", String::from_utf8_lossy(body));
        let cookie = reply.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        Ok(Self { email, cookie: cookie.context("sign-up: no cookie")?.to_owned() })
    }

    pub(crate) fn sign_in(&self) -> Vec<u8> {
        post("/api/users/signin", None, &credentials(self.email))
    }

    pub(crate) fn create_ticket(&self) -> Vec<u8> {
        self.post("/api/tickets", r#"{"title":"An evening with the orchestra, row 7","price":19.99}"#)
    }

    pub(crate) fn create_order(&self, ticket: &str) -> Vec<u8> {
        self.post("/api/orders", &format!(r#"{{"ticketId":"{ticket}"}}"#))
    }

    pub(crate) fn find_order(&self, order: &str) -> Vec<u8> {
        get(&format!("/api/orders/{order}"), Some(&self.cookie))
    }

    pub(crate) fn pay(&self, order: &str) -> Vec<u8> {
        self.post("/api/payments", &format!(r#"{{"token":"tok_visa","orderId":"{order}"}}"#))
    }

    pub(crate) fn list_payments(&self, order: &str) -> Vec<u8> {
        get(&format!("/api/payments?orderId={order}"), Some(&self.cookie))
    }

    fn post(&self, path: &str, json: &str) -> Vec<u8> {
        post(path, Some(&self.cookie), json)
    }
}

pub(crate) fn find_ticket(ticket: &str) -> Vec<u8> {
    get(&format!("/api/tickets/{ticket}"), None)
}

pub(crate) fn list_tickets() -> Vec<u8> {
    get("/api/tickets?limit=50", None)
}

/// Puts `count` tickets up for sale and returns their ids.
pub(crate) async fn create_tickets(load: Load, seller: &Account, count: usize) -> Result<Vec<String>> {
    let request = seller.create_ticket();
    let (remaining, tickets) = (Cell::new(count), RefCell::new(Vec::with_capacity(count)));
    let tally = load
        .run(async |client| {
            while let Some(rest) = remaining.get().checked_sub(1) {
                remaining.set(rest);
                if let Some(created) = client.send(&request, 201).await? {
                    tickets.borrow_mut().push(created.id().context("ticket without an id")?);
                }
            }
            Ok(())
        })
        .await?;
    ensure!(tally.unexpected.is_empty(), "could not create tickets: {:?}", tally.unexpected);
    Ok(tickets.into_inner())
}

/// Orders each of these tickets and returns the ids of the orders.
pub(crate) async fn create_orders(load: Load, buyer: &Account, tickets: &[String]) -> Result<Vec<String>> {
    let (queue, orders) = (WorkQueue::new(tickets), RefCell::new(Vec::with_capacity(tickets.len())));
    let ordering = load.run(async |client| {
        while let Some(ticket) = queue.next() {
            if let Some(order) = client.send(&buyer.create_order(ticket), 201).await? {
                orders.borrow_mut().push(order.id().context("order without an id")?);
            }
        }
        Ok(())
    });
    let tally = ordering.await?;
    ensure!(tally.unexpected.is_empty(), "could not order tickets: {:?}", tally.unexpected);
    Ok(orders.into_inner())
}

/// Counts the orders whose payment is not captured. Waits for that, as the payments service captures in the background.
pub(crate) async fn count_uncaptured(load: Load, buyer: &Account, orders: &[String]) -> Result<usize> {
    let list_payments = |order: &String| buyer.list_payments(order);
    let is_captured = |reply: &Reply<'_>| reply.contains(r#""status":"captured""#);
    let began = Instant::now();
    loop {
        let uncaptured = count_mismatches(load.clone(), orders, list_payments, is_captured).await?;
        if uncaptured == 0 || began.elapsed() >= CAPTURE_TIMEOUT {
            return Ok(uncaptured);
        }
    }
}

/// Sends a request for each item and counts the replies that are not as expected.
pub(crate) async fn count_mismatches<T>(
    load: Load,
    items: &[T],
    request: impl Fn(&T) -> Vec<u8>,
    is_expected: impl Fn(&Reply<'_>) -> bool,
) -> Result<usize> {
    let (queue, mismatches) = (WorkQueue::new(items), Cell::new(0));
    load.run(async |client| {
        while let Some(item) = queue.next() {
            let reply = client.send(&request(item), 200).await?;
            if !reply.is_some_and(|reply| is_expected(&reply)) {
                mismatches.set(mismatches.get() + 1);
            }
        }
        Ok(())
    })
    .await?;
    Ok(mismatches.get())
}

fn credentials(email: &str) -> String {
    format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#)
}
